"""A recurrent layer in one direction as a TensorFlow operation with a gradient."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lstm_bench.models.backend import keras, tf
from lstm_bench.packed.recurrence import Recurrence, recurrence_of


def weakly(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a bound method and does not keep its object alive.

    TensorFlow stores custom gradients, and with them the graph of a model and every
    function that it calls, for as long as the process lives.
    """
    name, reference = method.__qualname__, weakref.WeakMethod(method)

    def call(*args: Any) -> Any:
        alive = reference()
        if alive is None:
            raise ReferenceError(f"the model of {name} is gone")
        return alive(*args)

    return call


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
    """A layer's weights, as the kernel reads them, and the masks of one call.

    Attributes
    ----------
    kernel, recurrent_kernel, bias : float32 tensor
        W of shape (features, n_gates units), U of shape (units, n_state_gates units)
        and b of shape (n_gates units,); see `recurrence.Recurrence.forward`.
    input_masks, recurrent_masks : list of float32 tensors, or None
        Of shape (n_reviews, features) and (n_reviews, units): one for each gate, or, if
        only inputs are dropped, one for all gates.
    """

    kernel: Any
    recurrent_kernel: Any
    bias: Any
    input_masks: list[Any] | None = None
    recurrent_masks: list[Any] | None = None

    @classmethod
    def of(
        cls, cell: Any, input_masks: list[Any] | None, masks: list[Any] | None
    ) -> Weights:
        """Return the weights of one of Keras's cells, with the masks that it drew."""
        kernel, recurrent_kernel, bias = (
            tf.convert_to_tensor(weight.value)
            for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
        )
        if isinstance(cell, keras.layers.GRUCell):
            # A gate of its own for what h of the step before contributes to the new h,
            # before the reset gate; inputs contribute its bias alone.
            u, r, g = tf.split(kernel, 3, axis=1)
            kernel = tf.concat([u, r, tf.zeros_like(g), g], axis=1)
            (u, r, g), (state_u, state_r, state_g) = (
                tf.split(one, 3) for one in tf.unstack(bias, 2)
            )
            bias = tf.concat([u + state_u, r + state_r, state_g, g], axis=0)
            if input_masks is not None and len(input_masks) == 3:
                input_masks = [*input_masks, input_masks[2]]
        return cls(kernel, recurrent_kernel, bias, input_masks, masks)


def packed_layer(
    recurrence: Recurrence,
    weights: Weights,
    rows: Rows,
    *,
    inputs: Any,
    source: Any | None,
    distinct: tuple[Any, Any] | None,
    output_index: Any,
    occurrences: Any | None,
    returns_sequences: bool,
    is_kept: bool,
) -> Any:
    """Return h of every row, or of each sequence's last.

    Parameters
    ----------
    inputs : float32 tensor of shape (n_inputs, features)
    source : int32 tensor of shape (n_rows,), or None
        Each row's input; None if input n belongs to row n.
    distinct : pair of int32 tensors, or None
        The numbers of the inputs that occur, if many rows share one, and each row's
        index among them.
    output_index : int32 tensor of shape (n_rows,)
        Each row's index in the outputs.
    occurrences : float32 tensor, or None
        If given, it gets the gradient of each row's input, of shape (n_rows, features),
        and `inputs` gets none: with ``embedding_gradient: per_occurrence`` the rows
        must not be added.
    is_kept : bool
        Whether a gradient will be computed.

    Returns
    -------
    float32 tensor of shape (n_rows, units) with `returns_sequences`, else
    (n_reviews, units) in the batch's order
    """
    units = weights.recurrent_kernel.shape[0]
    has_table = distinct is not None and not weights.input_masks
    operation = _operation(
        has_table,
        returns_sequences,
        is_kept,
        occurrences is not None,
        source is None,
    )
    no_masks, no_rows = tf.zeros((0, 0, 0)), tf.zeros((0,), tf.int32)
    y = operation(
        recurrence.number,
        inputs,
        weights.kernel,
        weights.bias,
        weights.recurrent_kernel,
        tf.zeros((0, 0)) if occurrences is None else occurrences,
        tf.stack(weights.input_masks) if weights.input_masks else no_masks,
        tf.stack(weights.recurrent_masks) if weights.recurrent_masks else no_masks,
        *(distinct if distinct is not None and has_table else (no_rows, no_rows)),
        tf.range(tf.size(rows.review)) if source is None else source,
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
    """Return the operation, shared by all models and shapes.

    TensorFlow stores every custom gradient, and the graph in which it was traced, for
    as long as the process lives. So there is one for each combination of these flags,
    and not one for each model.
    """
    flags: dict[str, Any] = {"returns_sequences": returns_sequences}
    back_flags = {
        **flags,
        "has_table": has_table,
        "dx_by_input": has_table and not has_occurrences,
    }

    def forward(number: Any, *arrays: Any) -> Any:
        recurrence = recurrence_of(number)
        return recurrence.forward(
            *arrays, **flags, has_table=has_table, is_kept=is_kept
        )

    def backward(number: Any, *arrays: Any) -> Any:
        return recurrence_of(number).backward(*arrays, **back_flags)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec((), tf.int64),
            *[tf.TensorSpec((None,) * rank, tf.float32) for rank in (2, 2, 1, 2, 2)],
            *[tf.TensorSpec((None,) * 3, tf.float32)] * 2,
            *[tf.TensorSpec((None,), tf.int32)] * 7,
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
        ids: Any,
        index: Any,
        source: Any,
        output_index: Any,
        review: Any,
        order: Any,
        lengths: Any,
    ) -> Any:
        masks = (input_masks, recurrent_masks)
        layout = (source, output_index, review, order, lengths)

        def run(*arrays: Any) -> Any:
            y, *kept = tf.numpy_function(
                forward,
                [number, *arrays, *masks, ids, index, *layout],
                [tf.float32] * 4,
            )
            y.set_shape((None, None))
            return y, kept

        def with_gradient(
            x: Any, kernel: Any, bias: Any, recurrent_kernel: Any, each_row: Any
        ) -> Any:
            y, kept = run(x, kernel, bias, recurrent_kernel)

            def gradient(dy: Any) -> Any:
                d_rows, input_of_row, d_kernel, d_bias, d_recurrent = tf.numpy_function(
                    backward,
                    [
                        number,
                        dy,
                        x,
                        kernel,
                        recurrent_kernel,
                        *kept,
                        *masks,
                        index,
                        *layout,
                    ],
                    [tf.float32, tf.int32, *[tf.float32] * 3],
                )
                d_rows.set_shape((None, None))
                input_of_row.set_shape((None,))
                if has_occurrences:
                    return None, d_kernel, d_bias, d_recurrent, d_rows
                dx = d_rows
                if not is_by_row:
                    # It leaves out the rows of a negative input.
                    n = tf.shape(x)[0]
                    dx = tf.math.unsorted_segment_sum(d_rows, input_of_row, n)
                return dx, d_kernel, d_bias, d_recurrent, None

            return y, gradient

        if not is_kept:
            return run(inputs, kernel, bias, recurrent_kernel)[0]
        return tf.custom_gradient(with_gradient)(
            inputs, kernel, bias, recurrent_kernel, occurrences
        )

    return operation
