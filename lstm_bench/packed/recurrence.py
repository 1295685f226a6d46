"""The recurrence over a whole batch, forward and back, on NumPy arrays."""

from __future__ import annotations

import functools
import itertools
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from lstm_bench.heads import Float32Array
from lstm_bench.packed.buffers import Buffers
from lstm_bench.packed.grouped import Groups, sum_rows
from lstm_bench.packed.kernel import WIDTH, load_kernel
from lstm_bench.packed.layout import Int32Array, Part, parts_of
from lstm_bench.packed.team import Team
from lstm_bench.packed.tiles import MAX_VECTORS, N_GATES


def panels_forward(kernel: Float32Array) -> Float32Array:
    """Return U for the forward tile: by vector of units, row, gate and lane.

    Parameters
    ----------
    kernel : float32 ndarray of shape (units, 4 units), gates in the order i, f, c, o
    """
    units = len(kernel)
    n_vectors = -(-units // WIDTH)
    padded = np.zeros((units, N_GATES, n_vectors * WIDTH), np.float32)
    padded[:, :, :units] = kernel.reshape(units, N_GATES, units)
    by_vector = padded.reshape(units, N_GATES, n_vectors, WIDTH).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(by_vector).reshape(-1)


def panels_backward(kernel: Float32Array) -> Float32Array:
    """Return the transpose of U for the backward tile: by panel, gate, row and lane.

    A panel has up to four vectors of units, as even as they can be.
    """
    units = len(kernel)
    n_vectors = -(-units // WIDTH)
    padded = np.zeros((N_GATES * units, n_vectors * WIDTH), np.float32)
    padded[:, :units] = kernel.T
    n_panels = -(-n_vectors // MAX_VECTORS)
    edges = [n_vectors * panel // n_panels * WIDTH for panel in range(n_panels + 1)]
    panels = [padded[:, a:b].reshape(-1) for a, b in itertools.pairwise(edges)]
    return np.concatenate(panels)


_numbers = itertools.count()
_alive: WeakValueDictionary[int, Recurrence] = WeakValueDictionary()


def recurrence_of(number: Any) -> Recurrence:
    """Return the recurrence of that number, of a model that somebody still holds.

    Operations of TensorFlow outlive the models that they are used for. A number, unlike
    a reference, keeps no threads and buffers for as long.
    """
    return _alive[int(number)]


class Recurrence:
    """Runs the kernel on a team of threads.

    Parameters
    ----------
    team : Team

    Attributes
    ----------
    number : int
        By which `recurrence_of` finds it.
    """

    def __init__(self, team: Team) -> None:
        self.team = team
        self.number = next(_numbers)
        _alive[self.number] = self
        self._kernel = load_kernel()
        self._buffers = Buffers()

    def forward(
        self,
        table: Float32Array,
        kernel: Float32Array,
        index: Int32Array,
        masks: Float32Array,
        order: Int32Array,
        lengths: Int32Array,
        output_index: Int32Array,
        *,
        is_masked: bool,
        returns_sequences: bool,
        is_kept: bool,
    ) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Compute every step.

        Parameters
        ----------
        table : float32 ndarray of shape (n, 4 units) or (4, n, units)
            The inputs' share of the gates, bias included.
        kernel : float32 ndarray of shape (units, 4 units)
            U, gates in the order i, f, c, o.
        index : int32 ndarray of shape (n_rows,)
            Each row's place in `table`.
        masks : float32 ndarray of shape (4, n_reviews, units)
            Recurrent dropout's, in the layout's order; anything unless `is_masked`.
        order, lengths : int32 ndarray of shape (n_reviews,)
            See `Layout`.
        output_index : int32 ndarray of shape (n_rows,)
            Each row's place in the outputs.
        is_kept : bool
            Whether the way back will be asked for.

        Returns
        -------
        outputs : float32 ndarray
            h of every row, of shape (n_rows, units), with `returns_sequences`; else of
            each review's last, of shape (n_reviews, units), in the batch's order.
        h, c, gates : float32 ndarray
            What `backward` needs, of every row: h of the step before (times its
            masks, by gate, where `is_masked`), c and the gates' values.
        """
        units, n_reviews, n_rows = len(kernel), len(order), len(index)
        take = self._buffers.take
        n_kept = n_rows if is_kept else n_reviews
        n_h = n_rows if is_kept else 2 * n_reviews
        h = take(N_GATES, n_h, units) if is_masked else take(n_h, units)
        c = take(n_kept, units)
        n_gates = n_rows if is_kept else 0
        gates = (
            take(N_GATES, n_gates, units)
            if is_masked
            else take(n_gates, N_GATES * units)
        )
        outputs = take(n_rows if returns_sequences else 0, units)
        last = take(n_reviews, units)
        weights = panels_forward(kernel)
        table_strides = _strides(table, units)
        h_strides = (units, n_h * units) if is_masked else (units, 0)
        gates_strides = _strides(gates, units)
        # Numba's arrays are flat; these names keep the memory alive meanwhile.
        flat = [_flat(a) for a in (table, weights, masks, h, c, gates, last, outputs)]

        def work(part: Part) -> None:
            self._kernel.forward(
                lengths,
                index,
                output_index,
                *flat,
                units,
                part.first_review,
                part.n_reviews,
                part.first_row,
                is_kept,
                is_masked,
                returns_sequences,
                *table_strides,
                *h_strides,
                *gates_strides,
                n_reviews * units,
                units,
            )

        parts = parts_of(lengths)
        self.team.do([functools.partial(work, part) for part in parts])
        if returns_sequences:
            return outputs, h, c, gates
        y = take(n_reviews, units)
        y[order] = last
        return y, h, c, gates

    def backward(
        self,
        dy: Float32Array,
        kernel: Float32Array,
        c: Float32Array,
        gates: Float32Array,
        masks: Float32Array,
        order: Int32Array,
        lengths: Int32Array,
        output_index: Int32Array,
        *,
        is_masked: bool,
        returns_sequences: bool,
    ) -> Float32Array:
        """Return the gradient of every row's gates before their activation.

        Parameters
        ----------
        dy : float32 ndarray, in the shape of the outputs

        Returns
        -------
        float32 ndarray in the shape of `gates`
        """
        units, n_reviews = len(kernel), len(order)
        take = self._buffers.take
        dz = take(*gates.shape)
        dh, dc, zeros = (take(n_reviews, units) for _ in range(3))
        dh[...] = 0.0 if returns_sequences else dy[order]
        dc[...] = zeros[...] = 0.0
        weights = panels_backward(kernel)
        gates_strides = _strides(gates, units)
        read = [_flat(a) for a in (gates, c, weights, masks, dy, zeros)]
        written = [_flat(a) for a in (dz, dh, dc)]

        def work(part: Part) -> None:
            self._kernel.backward(
                lengths,
                output_index,
                *read,
                *written,
                units,
                part.first_review,
                part.n_reviews,
                part.first_row,
                is_masked,
                returns_sequences,
                *gates_strides,
                n_reviews * units,
                units,
            )

        parts = parts_of(lengths)
        self.team.do([functools.partial(work, part) for part in parts])
        return dz

    def sum_rows(self, source: Float32Array, index: Int32Array, n: int) -> Float32Array:
        """Return the sums of the rows of `source` that have one `index`.

        Parameters
        ----------
        source : float32 ndarray of shape (n_rows, 4 units) or (4, n_rows, units)
        index : int32 ndarray of shape (n_rows,), in [0, n)

        Returns
        -------
        float32 ndarray of shape (n, 4 units) or (4, n, units)
        """
        total = self._buffers.take(*source.shape[:-2], n, source.shape[-1])
        groups = Groups.of(index, n)
        for of_gate, sums in zip(_matrices(source), _matrices(total), strict=True):
            sum_rows(of_gate, groups, sums, self.team)
        return total


def _flat(array: Float32Array) -> Float32Array:
    """Return `array` as one dimension, the same memory."""
    if not array.flags.c_contiguous or array.dtype != np.float32:
        raise TypeError(
            f"expected a contiguous float32 array, got {array.dtype} with strides "
            f"{array.strides}"
        )
    return array.reshape(-1)


def _matrices(array: Float32Array) -> Float32Array:
    """Return a matrix, or one for each gate, as (1 or 4, n, columns)."""
    return array if array.ndim == 3 else array[None]


def _strides(array: Float32Array, units: int) -> tuple[int, int]:
    """Return floats from row to row and from gate to gate.

    Parameters
    ----------
    array : ndarray of shape (n, 4 units) or (4, n, units)
    """
    if array.ndim == 2:
        return N_GATES * units, units
    return units, array.shape[1] * units
