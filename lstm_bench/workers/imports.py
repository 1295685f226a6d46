"""What a training needs, imported before the first begins.

It starts no thread and leaves TensorFlow unused, so that processes can fork from it.
"""

from __future__ import annotations

import gc

from lstm_bench.errors import LstmBenchError
from lstm_bench.packed.self_test import has_numba
from lstm_bench.system.imports import without

try:
    import lstm_bench.training.model_folder
    import lstm_bench.training.trial
    import lstm_bench.workers.job

    # scikit-learn imports pandas where it is installed.
    with without("pandas", "matplotlib"):
        import sklearn.metrics  # noqa: F401
    if has_numba():
        import lstm_bench.packed.network  # noqa: F401
except LstmBenchError:
    # Of Keras's settings; the training that imports it again has the message.
    pass

# These are a million permanent objects, at which no later collection looks.
gc.freeze()
