"""Choose a training's engine, and check that the packed one is correct here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_bench.models.backend import keras, tf
from lstm_bench.models.build import build_model
from lstm_bench.models.gradients import added_by_token
from lstm_bench.packed.self_test import does_not_run, why_not_running
from lstm_bench.suites.config import PER_OCCURRENCE, PER_TOKEN, TrialConfig
from lstm_bench.suites.engines import PACKED, STOCK, TAKES_STOCK, EngineName, impossible
from lstm_bench.system.threads import n_threads

MAX_DIFFERENCE = 1e-5
"""Of outputs and gradients, relative to the largest of them: float32 sums in another
order differ by about 1e-6."""


@functools.cache
def choose_engine(wanted: EngineName, cell: str, say: Callable[[str], None]) -> str:
    """Return the engine for the requested `wanted` and a cell on this machine.

    The result is cached for each `say`, which therefore gets a reason only once.

    Parameters
    ----------
    cell : {"lstm", "gru", "simple_rnn"}
    say : callable
        Called with the reason why auto uses Keras's own layers, and before compiling.

    Returns
    -------
    {"stock", "packed"}

    Raises
    ------
    SuiteError
        The packed engine is requested, but cannot run.
    """
    if wanted == STOCK:
        return STOCK
    if wanted != PACKED and tf.config.list_physical_devices("GPU"):
        reason: str | None = "a GPU is there, and cuDNN runs on it"
    else:
        reason = why_not_packed(cell, say)
    if reason is None:
        return PACKED
    if wanted == PACKED:
        raise impossible(reason)
    _say_once(f"{TAKES_STOCK}{reason}", say)
    return STOCK


@functools.cache
def _say_once(line: str, say: Callable[[str], None]) -> None:
    say(line)


def why_not_packed(cell: str, say: Callable[[str], None]) -> str | None:
    """Compile and test the packed engine for `cell`; return why it cannot run, or None.

    Parameters
    ----------
    say : callable
        Called with a message if the kernel has to be compiled.
    """
    policy = keras.config.dtype_policy().compute_dtype
    if policy != "float32":
        return f"it computes in float32 alone and Keras is set to {policy}"
    reason = why_not_running(say)
    if reason is not None:
        return reason
    try:
        difference = largest_difference(cell)
    except Exception as error:
        return does_not_run(error)
    if not difference <= MAX_DIFFERENCE:
        return (
            f"its outputs or gradients differ from Keras's by {difference:.1e} of the "
            f"largest on this machine, expected at most {MAX_DIFFERENCE:.0e}"
        )
    return None


@functools.cache
def largest_difference(cell: str) -> float:
    """Return the difference between the packed engine and Keras on two small models.

    It is computed once in a process for each cell.

    Parameters
    ----------
    cell : {"lstm", "gru", "simple_rnn"}

    Returns
    -------
    float
        Of outputs, gradients and the weights after a step, with and without dropout,
        relative to the largest value of each.
    """
    from lstm_bench.packed.layout import REVIEWS_PER_PART
    from lstm_bench.packed.network import PackedForward
    from lstm_bench.packed.scratch import CHUNK_ROWS

    # Two parts, and more rows than `backward` processes at a time in one of them.
    n_reviews, n_timesteps = 2 * REVIEWS_PER_PART, CHUNK_ROWS // REVIEWS_PER_PART + 1
    numbers = np.arange(n_reviews * n_timesteps, dtype=np.int32)
    tokens = (numbers % 9 + 1).reshape(n_reviews, n_timesteps)
    tokens[::5, 2:] = 0
    worst = 0.0
    for rate, embedding_gradient in ((0.0, PER_TOKEN), (0.5, PER_OCCURRENCE)):
        # More units than one vector of any machine, and not a multiple of it.
        config = TrialConfig.model_validate(
            {
                "cell": cell,
                "units": 19,
                "embedding_dim": 4,
                "vocabulary_size": 10,
                "sequence_length": n_timesteps,
                "dropout": rate,
                "recurrent_dropout": rate,
                "embedding_gradient": embedding_gradient,
            }
        )
        model = build_model(config, n_targets=2)
        packed = PackedForward(model, config, n_threads)
        results = [
            _one_step(model, model, config, lambda optimizer: optimizer.apply, tokens),
            _one_step(packed, model, config, packed.update_of, tokens),
        ]
        for wanted, got in zip(*results, strict=True):
            scale = float(np.abs(wanted).max()) or 1.0
            worst = max(worst, float(np.abs(got - wanted).max()) / scale)
    return worst


def _one_step(
    forward: Callable[..., Any],
    model: keras.Model,
    config: TrialConfig,
    update_of: Callable[[keras.optimizers.Optimizer], Any],
    tokens: Any,
) -> list[Any]:
    """Return outputs, gradients and the weights after a step; restore the weights.

    The dropout masks are the first ones that a new model draws.
    """
    before = model.get_weights()
    for variable in model.non_trainable_variables:
        variable.assign(tf.zeros_like(variable))
    # Without it a gradient of almost zero, mostly rounding error, would change a weight
    # as much as any other.
    optimizer = keras.optimizers.Adam(epsilon=0.01)
    optimizer.build(model.trainable_variables)
    with tf.GradientTape() as tape:
        outputs = forward(tokens, training=True)
    gradients = tape.gradient(outputs, model.trainable_variables)
    if config.embedding_gradient == PER_TOKEN:
        gradients = added_by_token(gradients, model.trainable_variables)
    update_of(optimizer)(gradients, model.trainable_variables)
    after = [variable.numpy() for variable in model.trainable_variables]
    model.set_weights(before)
    dense = [np.asarray(tf.convert_to_tensor(each)) for each in (outputs, *gradients)]
    return [*dense, *after]
