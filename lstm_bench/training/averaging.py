"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from lstm_bench.models.backend import keras, tf


class Averages:
    """The moving average of each trainable weight of a model.

    After step t, counted from 0, a <- m a + (1 - m) w with m = min(momentum, (1 + t) /
    (10 + t)), so that the initial weights, from which a starts, are soon forgotten; as
    ``tf.train.ExponentialMovingAverage`` with ``num_updates``.

    Parameters
    ----------
    model : keras.Model
        Compiled; its optimizer counts the steps.
    momentum : float
        In (0, 1).

    Attributes
    ----------
    variables : list of tf.Variable
        In the order of ``model.trainable_variables``.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        self._weights = model.trainable_variables
        self._n_steps = model.optimizer.iterations
        self._momentum = momentum
        self.variables = [
            tf.Variable(weight.value, trainable=False) for weight in self._weights
        ]

    def update(self) -> None:
        """Take the weights after a step into the averages; called in its graph."""
        n_before = tf.cast(self._n_steps.value, tf.float32) - 1.0
        share = tf.maximum(1.0 - self._momentum, 9.0 / (10.0 + n_before))
        for average, weight in zip(self.variables, self._weights, strict=True):
            average.assign_add(share * (weight.value - average))

    def keep(self) -> None:
        """Replace the model's weights by the averages."""
        for average, weight in zip(self.variables, self._weights, strict=True):
            weight.assign(average)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averages for a while."""
        trained = [np.array(weight) for weight in self._weights]
        self.keep()
        try:
            yield
        finally:
            for weight, value in zip(self._weights, trained, strict=True):
                weight.assign(value)
