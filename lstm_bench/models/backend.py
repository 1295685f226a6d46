"""Keras on TensorFlow, configured and without log output; import both from here."""

from __future__ import annotations

import os
import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lstm_bench.errors import LstmBenchError
from lstm_bench.system.console import quiet_stderr
from lstm_bench.system.imports import without
from lstm_bench.system.threads import VARIABLE, n_threads
from lstm_bench.system.variables import variables_set

# Read when TensorFlow and Keras are imported: Keras might otherwise select another
# backend than the training loop requires.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

with (
    quiet_stderr(),
    # No keras.json of the user's is read, and none is written.
    tempfile.TemporaryDirectory() as empty,
    variables_set({"KERAS_HOME": empty}),
    # Keras imports them if they are there, for parts of it that are not used here.
    without("pandas", "matplotlib", "sklearn"),
):
    import keras
    import tensorflow as tf

# Several models in one process are no reason to warn of tracing.
tf.get_logger().setLevel("ERROR")
# In case Keras was imported before.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
keras.config.set_dtype_policy("float32")


def limit_threads() -> None:
    """Let TensorFlow use the threads that the environment sets, before it computes."""
    if os.environ.get(VARIABLE):
        tf.config.threading.set_intra_op_parallelism_threads(n_threads())
        tf.config.threading.set_inter_op_parallelism_threads(n_threads())


limit_threads()

if keras.backend.backend() != "tensorflow":
    raise LstmBenchError(
        f"KERAS_BACKEND: expected tensorflow, got {keras.backend.backend()}; "
        "unset the variable"
    )

__all__ = ["keras", "keras_seed", "limit_threads", "tf"]


@contextmanager
def keras_seed(seed: int) -> Iterator[None]:
    """Give the layers that this thread creates the seeds that follow from `seed`.

    They are those of ``keras.utils.set_random_seed``. Keras draws them from Python's
    global generator, from which other threads of a Dask worker draw, too.
    """
    keras.utils.set_random_seed(seed)
    own, shared, thread = random.Random(seed), random.randint, threading.get_ident()

    def randint(a: int, b: int) -> int:
        is_own = threading.get_ident() == thread
        return own.randint(a, b) if is_own else shared(a, b)

    random.randint = randint
    try:
        yield
    finally:
        random.randint = shared
