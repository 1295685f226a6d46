"""The recurrence over a whole batch, forward and backward, on NumPy arrays."""

from __future__ import annotations

import functools
import itertools
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from lstm_bench.arrays import Float32Array
from lstm_bench.packed.buffers import Buffers
from lstm_bench.packed.kernel import load_kernel
from lstm_bench.packed.layout import Int32Array, Part, parts_of
from lstm_bench.packed.products import WIDTH
from lstm_bench.packed.scratch import CHUNK_ROWS, Scratch
from lstm_bench.packed.shared import n_numbers_of, n_sums_at_most
from lstm_bench.packed.team import Team
from lstm_bench.packed.tiles import CELLS, MAX_VECTORS


def panels(matrix: Float32Array, n_products: int = 1) -> Float32Array:
    """Arrange a matrix for the tiles of `products`: by panel, row and lane.

    A panel has up to `MAX_VECTORS` vectors of columns; panels are as equal as possible.

    Parameters
    ----------
    matrix : float32 ndarray of shape (n_rows, n_columns)
    n_products : int
        Number of matrices, side by side, that are multiplied separately; in the result
        they follow one another.
    """
    n_rows, n_columns = len(matrix), matrix.shape[1] // n_products
    n_vectors = -(-n_columns // WIDTH)
    whole = np.zeros((n_rows, n_products, n_vectors * WIDTH), np.float32)
    whole[:, :, :n_columns] = matrix.reshape(n_rows, n_products, n_columns)
    n_panels = -(-n_vectors // MAX_VECTORS)
    edges = [n_vectors * panel // n_panels * WIDTH for panel in range(n_panels + 1)]
    return np.concatenate(
        [
            whole[:, product, a:b].reshape(-1)
            for product in range(n_products)
            for a, b in itertools.pairwise(edges)
        ]
    )


_numbers = itertools.count()
_alive: WeakValueDictionary[int, Recurrence] = WeakValueDictionary()


def recurrence_of(number: Any) -> Recurrence:
    """Return the recurrence with that number, of a model that still exists.

    TensorFlow operations outlive the models that they are used for. Unlike a reference,
    a number does not keep a model's threads and buffers alive.
    """
    return _alive[int(number)]


class Recurrence:
    """Runs the kernel on a team of threads.

    Parameters
    ----------
    team : Team
    cell : {"lstm", "gru", "simple_rnn"}

    Attributes
    ----------
    number : int
        The number with which `recurrence_of` finds it.
    """

    def __init__(self, team: Team, cell: str) -> None:
        self.team = team
        self.cell = CELLS[cell]
        self.number = next(_numbers)
        _alive[self.number] = self
        self._kernel = load_kernel()
        self._buffers = Buffers()
        self._places = np.arange(CHUNK_ROWS, dtype=np.int32)

    def forward(
        self,
        x: Float32Array,
        kernel: Float32Array,
        bias: Float32Array,
        recurrent_kernel: Float32Array,
        input_masks: Float32Array,
        masks: Float32Array,
        ids: Int32Array,
        index: Int32Array,
        source: Int32Array,
        output_index: Int32Array,
        review: Int32Array,
        order: Int32Array,
        lengths: Int32Array,
        *,
        has_table: bool,
        returns_sequences: bool,
        is_kept: bool,
    ) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Compute every step.

        Parameters
        ----------
        x : float32 ndarray of shape (n_inputs, features)
        kernel, bias, recurrent_kernel : float32 ndarray
            W of shape (features, n_gates units), b of shape (n_gates units,) and U of
            shape (units, n_state_gates units), with the gates of the package's
            documentation.
        input_masks : float32 ndarray of shape (n_masks, n_reviews, features)
            None, one for all gates, or one for each gate; in the batch's order.
        masks : float32 ndarray of shape (n_masks, n_reviews, units)
            Masks of recurrent dropout: none, or one for each gate of the state.
        ids : int32 ndarray of shape (n_distinct,)
            The inputs that occur, for which a table is computed if `has_table`; else
            unused.
        index : int32 ndarray of shape (n_rows,)
            Each row's index in `ids`, if `has_table`; else unused.
        source : int32 ndarray of shape (n_rows,)
            Each row's index in `x`.
        output_index : int32 ndarray of shape (n_rows,)
            Each row's index in the outputs.
        review, order, lengths : int32 ndarray
            See `Layout`.
        has_table : bool
            Whether each distinct input's contribution is computed once; there are no
            input masks then.
        is_kept : bool
            Whether the backward pass will be computed.

        Returns
        -------
        outputs : float32 ndarray
            h of every row, of shape (n_rows, units), with `returns_sequences`; else of
            each sequence's last row, of shape (n_reviews, units), in the batch's order.
        h, c, gates : float32 ndarray
            For `backward`, of every row: h of the step before, of shape (n_rows,
            units), c, if the cell has it, and the gates' values, of shape (n_rows,
            n_gates units).
        """
        units, n_reviews, n_rows = len(recurrent_kernel), len(order), len(source)
        features = x.shape[1]
        is_masked, n_input_masks = len(masks) > 0, len(input_masks)
        cell = self.cell
        sizes = Scratch.of(cell.n_gates, units, features, is_masked)
        take = self._buffers.take
        n_kept = n_rows if is_kept else 0
        h, gates = take(n_kept, units), take(n_kept, cell.n_gates * units)
        n_of_c = n_rows if is_kept else n_reviews
        c = take(n_of_c if cell.has_c else 0, units)
        outputs = take(n_rows if returns_sequences else 0, units)
        last = take(n_reviews, units)
        parts = parts_of(lengths)
        # Gates with different masks are multiplied one by one.
        n_products = cell.n_gates if is_masked else 1
        n_state_products = cell.n_state_gates if is_masked else 1
        n_states = 2 * n_state_products * sizes.state_stride
        states = take(n_reviews, n_states)
        scratch = take(len(parts), sizes.n_floats)
        state_panels = panels(recurrent_kernel, n_state_products)
        with_bias = np.concatenate([kernel, bias[None]])
        input_panels = panels(with_bias, 1 if has_table else n_products)
        table = take(len(ids) if has_table else 0, cell.n_gates * units)
        if has_table:
            self._fill_table(table, x, input_panels, ids, sizes.input_stride)
        # Numba's arrays are flat; these names keep the memory of the originals alive.
        read = (table, x, state_panels, input_panels)
        written = (h, c, gates, last, outputs, states, scratch)
        flat = [_flat(a) for a in (*read, input_masks, masks, *written)]

        def work(number: int, part: Part) -> None:
            self._kernel.forward(
                lengths,
                order,
                review,
                source,
                index,
                output_index,
                self._places,
                *flat,
                cell.code,
                cell.n_gates,
                cell.n_state_gates,
                units,
                features,
                part.first_review,
                part.n_reviews,
                part.first_row,
                part.first_review * n_states,
                number * sizes.n_floats,
                is_kept,
                is_masked,
                n_input_masks,
                has_table,
                returns_sequences,
                sizes.gate_stride,
                sizes.gates_stride,
                sizes.input_stride,
                sizes.state_stride,
                n_reviews,
            )

        self.team.do([functools.partial(work, *each) for each in enumerate(parts)])
        if returns_sequences:
            return outputs, h, c, gates
        y = take(n_reviews, units)
        y[order] = last
        return y, h, c, gates

    def _fill_table(
        self,
        table: Float32Array,
        x: Float32Array,
        weights: Float32Array,
        ids: Int32Array,
        input_stride: int,
    ) -> None:
        """Write the gate contributions of the rows of x at ids, bias included."""
        n_pieces = -(-len(ids) // CHUNK_ROWS)
        scratch = self._buffers.take(n_pieces, CHUNK_ROWS * input_stride)
        flat = [_flat(a) for a in (x, weights, table, scratch)]

        def work(piece: int) -> None:
            first = piece * CHUNK_ROWS
            self._kernel.fill_table(
                ids,
                *flat,
                first,
                min(CHUNK_ROWS, len(ids) - first),
                table.shape[1],
                x.shape[1],
                first * input_stride,
                input_stride,
            )

        self.team.do([functools.partial(work, piece) for piece in range(n_pieces)])

    def backward(
        self,
        dy: Float32Array,
        x: Float32Array,
        kernel: Float32Array,
        recurrent_kernel: Float32Array,
        h: Float32Array,
        c: Float32Array,
        gates: Float32Array,
        input_masks: Float32Array,
        masks: Float32Array,
        index: Int32Array,
        source: Int32Array,
        output_index: Int32Array,
        review: Int32Array,
        order: Int32Array,
        lengths: Int32Array,
        *,
        has_table: bool,
        dx_by_input: bool,
        returns_sequences: bool,
    ) -> tuple[Float32Array, Int32Array, Float32Array, Float32Array, Float32Array]:
        """Return the gradients.

        Parameters
        ----------
        dy : float32 ndarray, of the shape of the outputs
        h, c, gates : float32 ndarray
            As `forward` returned them; the other arguments are those of `forward`.
        dx_by_input : bool
            Whether the gradients of rows with the same input are added up before they
            are multiplied by W^T; needs `has_table`.

        Returns
        -------
        dx : float32 ndarray of shape (n_rows, features)
            Of each row's input; with `dx_by_input`, parts of the gradients of the
            inputs that occur.
        inputs : int32 ndarray of shape (n_rows,)
            The index in `x` of each row of `dx`; -1: the row is undefined.
        d_kernel, d_bias, d_recurrent_kernel : float32 ndarray
        """
        units, n_reviews, n_rows = len(recurrent_kernel), len(order), len(source)
        features = x.shape[1]
        is_masked, n_input_masks = len(masks) > 0, len(input_masks)
        cell = self.cell
        sizes = Scratch.of(cell.n_gates, units, features, is_masked)
        parts = parts_of(lengths)
        take = self._buffers.take
        dx = take(n_rows, features)
        inputs = np.full(n_rows if dx_by_input else 0, -1, np.int32)
        dh, dc, zeros = (take(n_reviews, units) for _ in range(3))
        dh[...] = 0.0 if returns_sequences else dy[order]
        dc[...] = zeros[...] = 0.0
        sums = take(len(parts), features + 1 + units, sizes.gates_stride)
        scratch = take(len(parts), sizes.n_floats)
        n_inputs = int(index.max(initial=-1)) + 1 if has_table else 0
        most_rows = max((part.n_rows for part in parts), default=0) if has_table else 0
        shared = take(len(parts), n_sums_at_most(most_rows), sizes.gates_stride)
        numbers = take(len(parts), n_numbers_of(n_inputs, most_rows)).view(np.int32)
        weights = panels(recurrent_kernel.T), panels(kernel.T)
        read = (x, h, c, gates, *weights, input_masks, masks, dy, zeros)
        flat = [_flat(a) for a in (*read, dh, dc, dx, sums, scratch, shared)]

        def work(number: int, part: Part) -> None:
            self._kernel.backward(
                lengths,
                order,
                review,
                index,
                source,
                output_index,
                *flat,
                numbers.reshape(-1),
                inputs,
                cell.code,
                cell.n_gates,
                cell.n_state_gates,
                units,
                features,
                part.first_review,
                part.n_reviews,
                part.first_row,
                number * sums[0].size,
                number * sizes.n_floats,
                number * shared[0].size,
                number * numbers.shape[1],
                is_masked,
                n_input_masks,
                has_table,
                dx_by_input,
                n_inputs,
                returns_sequences,
                sizes.gate_stride,
                sizes.gates_stride,
                sizes.input_stride,
                sizes.state_stride,
                n_reviews,
            )

        self.team.do([functools.partial(work, *each) for each in enumerate(parts)])
        total = sums.sum(axis=0)[:, : cell.n_gates * sizes.gate_stride]
        by_gate = total.reshape(len(total), cell.n_gates, -1)[:, :, :units]
        of_input = by_gate[: features + 1].reshape(features + 1, -1)
        of_state = by_gate[features + 1 :, : cell.n_state_gates].reshape(units, -1)
        inputs = inputs if dx_by_input else source
        return dx, inputs, of_input[:features], of_input[features], of_state


def _flat(array: Float32Array) -> Float32Array:
    """Return `array` with one dimension, sharing its memory."""
    if not array.flags.c_contiguous or array.dtype != np.float32:
        raise TypeError(
            f"expected a contiguous float32 array, got {array.dtype} with strides "
            f"{array.strides}"
        )
    return array.reshape(-1)
