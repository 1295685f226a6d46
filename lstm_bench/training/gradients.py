"""How much the loss depends on each step of the input, counted back from the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_bench.models.backend import tf
from lstm_bench.training.loop import Encoded, Steps

N_SEQUENCES = 32
"""Validation sequences that the norms are means over."""


def input_gradients(steps: Steps, data: Encoded) -> Callable[[], list[float]]:
    """Return a function that computes norms of gradients with the present weights.

    Parameters
    ----------
    steps : Steps
        Of the model; stock layers compute the gradients, whatever its engine is.
    data : Encoded
        A few sequences.

    Returns
    -------
    callable
        Returns one number for each k from 0 to the length of the shortest sequence
        minus 1: the Euclidean norm of the gradient of a sequence's loss with respect
        to the vector that the first recurrent layer reads k steps before the last (an
        embedding, or the step of a series), mean over the sequences.

    References
    ----------
    Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent
    is difficult", IEEE Transactions on Neural Networks 5(2), 1994: the norms that
    vanish or explode.
    """
    model = steps.model
    x, targets = tf.constant(data.x[:]), tf.constant(data.targets)
    is_tokens = any(layer.name == "embedding" for layer in model.layers)
    last = data.lengths - 1
    if steps.config.padding == "pre":
        last = np.full(len(last), data.x.shape[1] - 1)
    back = np.arange(data.lengths.min())

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            if not is_tokens:
                tape.watch(x)
            loss = tf.reduce_sum(steps.loss_fn(targets, model(x, training=False)))
        if not is_tokens:
            # Without the channel that marks the steps.
            return tape.gradient(loss, x)[:, :, :-1]
        embeddings = model.get_layer("embedding").embeddings.value
        # Sparse: one row for each token of the batch, not summed for each word.
        rows = tape.gradient(loss, embeddings).values
        return tf.reshape(rows, (*x.shape[:2], -1))

    traced = tf.function(gradient, autograph=False)

    def norms() -> list[float]:
        by_step = np.linalg.norm(traced().numpy().astype(np.float64), axis=2)
        rows = np.arange(len(last))[:, None]
        means: list[float] = by_step[rows, last[:, None] - back].mean(axis=0).tolist()
        return means

    return norms
