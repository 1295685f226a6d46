"""One LSTM in one direction as an operation of TensorFlow, with its gradient."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from lstm_bench.backend import tf
from lstm_bench.packed.recurrence import Recurrence, recurrence_of


@dataclass(frozen=True)
class Rows:
    """A batch's layout as tensors of a graph; see `layout.Layout`.

    Attributes
    ----------
    order, lengths : int32 tensor of shape (n_reviews,)
    review, position, reverse : int32 tensor of shape (n_rows,)
    """

    order: Any
    lengths: Any
    review: Any
    position: Any
    reverse: Any


@dataclass(frozen=True)
class Weights:
    """An LSTM's weights, as Keras has them, and the masks of one call.

    Attributes
    ----------
    kernel, recurrent_kernel, bias : float32 tensor
        W of shape (features, 4 units), U of shape (units, 4 units) and b of shape
        (4 units,), gates in the order i, f, c, o.
    input_masks, recurrent_masks : list of float32 tensors, or None
        Of shape (n_reviews, features) and (n_reviews, units): four, or, where only
        inputs are dropped, one for all gates.
    """

    kernel: Any
    recurrent_kernel: Any
    bias: Any
    input_masks: list[Any] | None = None
    recurrent_masks: list[Any] | None = None


def packed_lstm(
    recurrence: Recurrence,
    weights: Weights,
    rows: Rows,
    *,
    inputs: Any,
    index: Any | None,
    output_index: Any,
    occurrences: Any | None,
    returns_sequences: bool,
    is_kept: bool,
) -> Any:
    """Return h of every row, or of each review's last.

    Parameters
    ----------
    inputs : float32 tensor of shape (n_inputs, features)
        With masks for them, each row's own.
    index : int32 tensor of shape (n_rows,), or None
        Each row's input; None where input n is row n's.
    output_index : int32 tensor of shape (n_rows,)
        Each row's place in the outputs.
    occurrences : float32 tensor of shape (n_rows, features), or None
        The input of each row. Where it is given, it gets the gradient of each row,
        and `inputs` none: Keras's optimizers square an embedding's gradient at every
        occurrence of a token, before they are added.
    is_kept : bool
        Whether a gradient will be asked for.

    Returns
    -------
    float32 tensor of shape (n_rows, units) with `returns_sequences`, else
    (n_reviews, units) in the batch's order
    """
    units = weights.recurrent_kernel.shape[0]
    operation = _operation(
        # Worth it where inputs are fewer than rows.
        index is not None and not weights.input_masks,
        returns_sequences,
        is_kept,
        occurrences is not None,
        index is None,
    )
    nothing = tf.zeros((0, 0, 0))
    y = operation(
        recurrence.number,
        inputs,
        weights.kernel,
        weights.bias,
        weights.recurrent_kernel,
        tf.zeros((0, 0)) if occurrences is None else occurrences,
        tf.stack(weights.input_masks) if weights.input_masks else nothing,
        tf.stack(weights.recurrent_masks) if weights.recurrent_masks else nothing,
        tf.range(tf.size(rows.review)) if index is None else index,
        output_index,
        rows.review,
        rows.order,
        rows.lengths,
    )
    y.set_shape((None, units))
    return y


@functools.cache
def _operation(
    has_table: bool,
    returns_sequences: bool,
    is_kept: bool,
    has_occurrences: bool,
    is_by_row: bool,
) -> Any:
    """Return the operation for all models and shapes.

    TensorFlow keeps every gradient that is defined for as long as the process lives,
    and the graph that it was traced in with it. So there is one for each choice of
    these flags, and not one for each model.
    """
    flags: dict[str, Any] = {"returns_sequences": returns_sequences}

    def forward(number: Any, *arrays: Any) -> Any:
        recurrence = recurrence_of(number)
        return recurrence.forward(
            *arrays, **flags, has_table=has_table, is_kept=is_kept
        )

    def backward(number: Any, *arrays: Any) -> Any:
        return recurrence_of(number).backward(*arrays, **flags)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec((), tf.int64),
            *[tf.TensorSpec((None,) * rank, tf.float32) for rank in (2, 2, 1, 2, 2)],
            *[tf.TensorSpec((None,) * 3, tf.float32)] * 2,
            *[tf.TensorSpec((None,), tf.int32)] * 5,
        ],
        autograph=False,
    )
    def operation(
        number: Any,
        inputs: Any,
        kernel: Any,
        bias: Any,
        recurrent_kernel: Any,
        occurrences: Any,
        input_masks: Any,
        recurrent_masks: Any,
        index: Any,
        output_index: Any,
        review: Any,
        order: Any,
        lengths: Any,
    ) -> Any:
        masks = (input_masks, recurrent_masks)
        layout = (index, output_index, review, order, lengths)

        def run(x: Any, kernel: Any, bias: Any, recurrent_kernel: Any) -> Any:
            table = tf.matmul(x, kernel) + bias if has_table else tf.zeros((0, 0))
            y, *kept = tf.numpy_function(
                forward,
                [number, table, x, kernel, bias, recurrent_kernel, *masks, *layout],
                [tf.float32] * 4,
            )
            y.set_shape((None, None))
            return y, kept

        def with_gradient(
            x: Any, kernel: Any, bias: Any, recurrent_kernel: Any, each_row: Any
        ) -> Any:
            y, kept = run(x, kernel, bias, recurrent_kernel)

            def gradient(dy: Any) -> Any:
                d_rows, d_kernel, d_bias, d_recurrent = tf.numpy_function(
                    backward,
                    [number, dy, x, kernel, recurrent_kernel, *kept, *masks, *layout],
                    [tf.float32] * 4,
                )
                d_rows.set_shape((None, None))
                if has_occurrences:
                    return None, d_kernel, d_bias, d_recurrent, d_rows
                dx = d_rows
                if not is_by_row:
                    n = tf.shape(x)[0]
                    dx = tf.math.unsorted_segment_sum(d_rows, index, n)
                return dx, d_kernel, d_bias, d_recurrent, None

            return y, gradient

        if not is_kept:
            return run(inputs, kernel, bias, recurrent_kernel)[0]
        return tf.custom_gradient(with_gradient)(
            inputs, kernel, bias, recurrent_kernel, occurrences
        )

    return operation
