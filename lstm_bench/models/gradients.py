"""An embedding's gradient with one row for each token."""

from __future__ import annotations

from typing import Any

from lstm_bench.models.backend import tf


def added_by_token(gradients: list[Any], variables: list[Any]) -> list[Any]:
    """Return `gradients` with the rows of one token added, as dense tensors.

    TensorFlow's gradient of an embedding has one row for each occurrence of a token,
    and Keras's optimizers square the rows before they add them. With a dense gradient
    they do what Keras does on its other backends.

    Parameters
    ----------
    gradients : list of tf.Tensor and tf.IndexedSlices
    variables : list of keras.Variable
        The variable of each gradient.
    """
    return [
        tf.math.unsorted_segment_sum(
            gradient.values, gradient.indices, variable.shape[0]
        )
        if isinstance(gradient, tf.IndexedSlices)
        else gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    ]
