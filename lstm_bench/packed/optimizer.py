"""A model's optimizer step, with Adam's step for the embedding computed by Numba.

Keras applies several operations to arrays of the embedding's size, and, if its gradient
is one row for each occurrence of a token, adds the rows and their squares into two of
them: a quarter of a packed training step. Here it is one pass over the embedding, with
the same formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_bench.models.backend import keras, tf
from lstm_bench.packed.buffers import Buffers
from lstm_bench.packed.grouped import AdamState, Groups, step_adam
from lstm_bench.packed.operation import weakly
from lstm_bench.packed.team import Team


class PackedAdam:
    """Applies gradients as ``optimizer.apply`` does, to the same variables.

    Parameters
    ----------
    optimizer : keras.optimizers.Adam
        Built; Keras's own, without weight decay, clipping or averages.
    embedding : keras.Variable of shape (vocabulary, features)
        Its gradient is a ``tf.IndexedSlices``, whose rows are squared before they are
        added, or has the embedding's shape.
    """

    def __init__(
        self, optimizer: keras.optimizers.Adam, embedding: Any, team: Team
    ) -> None:
        self.optimizer = optimizer
        self._embedding = embedding
        self._m, self._v = (self._slot(name) for name in ("momentum", "velocity"))
        self._team = team
        self._buffers = Buffers()

    def _slot(self, name: str) -> Any:
        """Return the optimizer's variable of that name for the embedding."""
        wanted = f"{self._embedding.path.replace('/', '_')}_{name}"
        [slot] = [each for each in self.optimizer.variables if each.name == wanted]
        return slot

    @staticmethod
    def fits(optimizer: keras.optimizers.Optimizer) -> bool:
        """Whether an optimizer is one whose step can be computed here."""
        return type(optimizer) is keras.optimizers.Adam and not (
            optimizer.amsgrad
            or optimizer.use_ema
            or optimizer.weight_decay
            or optimizer.clipnorm
            or optimizer.global_clipnorm
            or optimizer.clipvalue
            or optimizer.gradient_accumulation_steps
            or optimizer.loss_scale_factor
        )

    def apply(self, gradients: list[Any], variables: list[Any]) -> None:
        """Update `variables` and the optimizer's own, once."""
        others = []
        for gradient, variable in zip(gradients, variables, strict=True):
            if variable is self._embedding:
                self._apply_to_embedding(gradient)
            else:
                others.append((gradient, variable))
        # It increments the step, so the embedding comes first.
        self.optimizer.apply(*map(list, zip(*others, strict=True)))

    def _apply_to_embedding(self, gradient: Any) -> None:
        optimizer = self.optimizer
        step = tf.cast(optimizer.iterations.value, tf.float32) + 1.0
        alpha = tf.convert_to_tensor(optimizer.learning_rate, tf.float32)
        alpha *= tf.sqrt(1.0 - tf.pow(optimizer.beta_2, step))
        alpha /= 1.0 - tf.pow(optimizer.beta_1, step)
        if isinstance(gradient, tf.IndexedSlices):
            rows, indices = gradient.values, gradient.indices
        else:
            rows, indices = gradient, tf.range(self._embedding.shape[0])
        variables = (self._embedding, self._m, self._v)
        updated = tf.numpy_function(
            weakly(self._step),
            [
                rows,
                indices,
                alpha,
                *(variable.value for variable in variables),
            ],
            [tf.float32] * 3,
        )
        for variable, value in zip(variables, updated, strict=True):
            value.set_shape(variable.shape)
            variable.assign(value)

    def _step(
        self, gradient: Any, indices: Any, alpha: Any, *old: Any
    ) -> tuple[Any, ...]:
        new = [self._buffers.take(*each.shape) for each in old]
        step_adam(
            gradient,
            Groups.of(indices.astype(np.int32), len(old[0])),
            AdamState(*old),
            AdamState(*new),
            self._team,
            alpha=alpha,
            beta_1=self.optimizer.beta_1,
            beta_2=self.optimizer.beta_2,
            epsilon=self.optimizer.epsilon,
        )
        return tuple(new)
