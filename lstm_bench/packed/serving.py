"""A trained model's outputs for new data, with the packed engine where it can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lstm_bench.inference import Forward
from lstm_bench.models.backend import keras, tf
from lstm_bench.packed.choice import choose_engine
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.engines import PACKED
from lstm_bench.system.threads import n_kernel_threads


def fast_forward(
    say: Callable[[str], None],
) -> Callable[[keras.Model, Mapping[str, Any]], Forward]:
    """Return what `inference.load` makes a network's outputs with.

    Parameters
    ----------
    say : callable
        Called with the reason if the packed engine cannot run, and Keras computes.
    """

    def make_forward(model: keras.Model, values: Mapping[str, Any]) -> Forward:
        config = TrialConfig.model_validate(values)
        forward: Any = model
        if choose_engine("auto", config.cell, say) == PACKED:
            from lstm_bench.packed.network import PackedForward

            forward = PackedForward(model, config, n_kernel_threads)
        batch = tf.TensorSpec((None, *model.input_shape[1:]), model.inputs[0].dtype)
        # Traced once for all lengths.
        step = tf.function(
            lambda x: forward(x, training=False),
            input_signature=[batch],
            autograph=False,
        )
        return lambda x: step(x).numpy()

    return make_forward
