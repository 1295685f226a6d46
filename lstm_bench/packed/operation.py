"""One LSTM in one direction as an operation of TensorFlow, with its gradient."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from lstm_bench.backend import tf
from lstm_bench.packed.recurrence import Recurrence, recurrence_of
from lstm_bench.packed.tiles import N_GATES


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
    is_masked = weights.recurrent_masks is not None
    operation = _operation(
        is_masked,
        len(weights.input_masks or ()),
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
        tf.stack(weights.recurrent_masks) if is_masked else nothing,
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
    is_masked: bool,
    n_input_masks: int,
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

    def drop(x: Any, masks: Any, review: Any) -> Any:
        """Return x times its reviews' masks, by gate where there are four."""
        if not n_input_masks:
            return x
        dropped = x * tf.gather(masks, review, axis=1)
        return dropped if is_masked else dropped[0]

    def by_gate(kernel: Any) -> Any:
        """Return columns of four gates as a matrix for each gate."""
        shape = (tf.shape(kernel)[0], N_GATES, tf.shape(kernel)[1] // N_GATES)
        return tf.transpose(tf.reshape(kernel, shape), (1, 0, 2))

    def project(x: Any, kernel: Any, bias: Any) -> Any:
        """Return the share of the gates of x, which has been through `drop`."""
        if not is_masked:
            return tf.matmul(x, kernel) + bias
        return tf.matmul(x, by_gate(kernel)) + by_gate(bias[None])

    # The gradients, written out: taken by a tape, they would compute the products
    # again whose gradients they are, as nothing is pruned in an operation of its own.

    def to_kernel(x: Any, dz: Any, kernel: Any) -> Any:
        """Return the gradient of a kernel: one product over all rows."""
        d_kernel = tf.matmul(x, dz, transpose_a=True)
        if is_masked:
            d_kernel = tf.transpose(d_kernel, (1, 0, 2))
        return tf.reshape(d_kernel, tf.shape(kernel))

    def to_inputs(dz: Any, kernel: Any, masks: Any, review: Any) -> Any:
        """Return the gradient of the inputs before `drop`."""
        if not is_masked:
            dx = tf.matmul(dz, kernel, transpose_b=True)
            return dx * tf.gather(masks[0], review) if n_input_masks else dx
        dx = tf.matmul(dz, by_gate(kernel), transpose_b=True)
        if n_input_masks:
            dx *= tf.gather(masks, review, axis=1)
        return tf.reduce_sum(dx, axis=0)

    flags: dict[str, Any] = {
        "is_masked": is_masked,
        "returns_sequences": returns_sequences,
    }
    gates_shape = (N_GATES, None, None) if is_masked else (None, None)

    def forward(number: Any, *arrays: Any) -> Any:
        return recurrence_of(number).forward(*arrays, **flags, is_kept=is_kept)

    def backward(number: Any, *arrays: Any) -> Any:
        return recurrence_of(number).backward(*arrays, **flags)

    def sum_rows(number: Any, *arrays: Any) -> Any:
        return recurrence_of(number).sum_rows(*arrays)

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
        masks = recurrent_masks
        if is_masked:
            masks = tf.gather(recurrent_masks, order, axis=1)
        layout = (masks, order, lengths, output_index)

        def run(x: Any, kernel: Any, bias: Any, recurrent_kernel: Any) -> Any:
            dropped = drop(x, input_masks, review)
            table = project(dropped, kernel, bias)
            y, *kept = tf.numpy_function(
                forward,
                [number, table, recurrent_kernel, index, *layout],
                [tf.float32] * 4,
            )
            y.set_shape((None, None))
            return y, (dropped, *kept)

        def with_gradient(
            x: Any, kernel: Any, bias: Any, recurrent_kernel: Any, each_row: Any
        ) -> Any:
            y, (dropped, h, c, gates) = run(x, kernel, bias, recurrent_kernel)

            def gradient(dy: Any) -> Any:
                dz = tf.numpy_function(
                    backward,
                    [number, dy, recurrent_kernel, c, gates, *layout],
                    tf.float32,
                )
                dz.set_shape(gates_shape)
                d_table = dz
                if not is_by_row:
                    d_table = tf.numpy_function(
                        sum_rows, [number, dz, index, tf.shape(x)[0]], tf.float32
                    )
                    d_table.set_shape(gates_shape)
                d_kernel = to_kernel(dropped, d_table, kernel)
                d_bias = tf.reshape(tf.reduce_sum(d_table, axis=-2), (-1,))
                d_recurrent = to_kernel(h, dz, recurrent_kernel)
                if has_occurrences:
                    dx, d_rows = None, to_inputs(dz, kernel, input_masks, review)
                else:
                    dx = to_inputs(d_table, kernel, input_masks, review)
                    d_rows = None
                return dx, d_kernel, d_bias, d_recurrent, d_rows

            return y, gradient

        if not is_kept:
            return run(inputs, kernel, bias, recurrent_kernel)[0]
        return tf.custom_gradient(with_gradient)(
            inputs, kernel, bias, recurrent_kernel, occurrences
        )

    return operation
