"""Matrix products in tiles, for the compiled functions of the recurrence.

Matrices are addresses with a stride from row to row, in floats. The right factor is in
panels of up to `MAX_VECTORS` vectors of columns, made by `recurrence.panels`, so that a
tile reads its columns contiguously.
"""

from __future__ import annotations

from typing import Any

import numba

from lstm_bench.packed.tiles import (
    MAX_VECTORS,
    product_tile,
    row_copy,
    row_sum,
    sum_tile,
)
from lstm_bench.packed.vectors import FLOAT_BYTES, target_of_this_machine

TARGET = target_of_this_machine()
WIDTH = TARGET.width
MAX_ROWS = TARGET.max_rows

_product_plain = product_tile(TARGET, is_masked=False)
_product_masked = product_tile(TARGET, is_masked=True)
_sum = sum_tile(TARGET)
copy_row = row_copy(TARGET)
add_row = row_sum(TARGET)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def multiply(
    n_rows: int,
    a: int,
    a_stride: int,
    n_gates: int,
    a_gate_stride: int,
    n_terms: int,
    weights: int,
    n_columns: int,
    out: int,
    out_stride: int,
    start: int,
    start_rows: int,
    start_stride: int,
    masks: int,
    mask_rows: int,
    masks_gate_stride: int,
) -> None:
    """Write out = start + a weights, summed over the gates if `n_gates` is above one.

    Parameters
    ----------
    start : int
        0: nothing is added; else row ``start_rows[r]`` of it is added to row r.
    masks : int
        0: none; else each gate's product is multiplied by row ``mask_rows[r]`` of that
        gate's masks, and nothing is added.
    """
    n_vectors = (n_columns + WIDTH - 1) // WIDTH
    n_panels = (n_vectors + MAX_VECTORS - 1) // MAX_VECTORS
    n_blocks = (n_rows + MAX_ROWS - 1) // MAX_ROWS
    for panel in range(n_panels):
        vector = n_vectors * panel // n_panels
        n_here = n_vectors * (panel + 1) // n_panels - vector
        for block in range(n_blocks):
            r = n_rows * block // n_blocks
            arguments = (
                n_rows * (block + 1) // n_blocks - r,
                n_here,
                a + FLOAT_BYTES * r * a_stride,
                a_stride,
                n_gates,
                a_gate_stride,
                n_terms,
                weights + FLOAT_BYTES * n_gates * n_terms * vector * WIDTH,
                vector * WIDTH,
                n_columns,
                out + FLOAT_BYTES * r * out_stride,
                out_stride,
                start,
                start_rows + FLOAT_BYTES * r,
                start_stride,
                masks,
                mask_rows + FLOAT_BYTES * r,
                masks_gate_stride,
            )
            if masks:
                _product_masked(arguments)
            else:
                _product_plain(arguments)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def add_products(
    n_terms: int,
    a: int,
    a_stride: int,
    n_a_columns: int,
    b: int,
    b_stride: int,
    n_b_columns: int,
    sums: int,
    sums_stride: int,
) -> None:
    """Add transposed(a) b to sums; a and b have ``n_terms`` rows.

    b and sums are read, and sums written, to the end of the last vector of columns.
    """
    n_vectors = (n_b_columns + WIDTH - 1) // WIDTH
    n_panels = (n_vectors + MAX_VECTORS - 1) // MAX_VECTORS
    n_blocks = (n_a_columns + MAX_ROWS - 1) // MAX_ROWS
    for panel in range(n_panels):
        vector = n_vectors * panel // n_panels
        n_here = n_vectors * (panel + 1) // n_panels - vector
        for block in range(n_blocks):
            r = n_a_columns * block // n_blocks
            _sum(
                (
                    n_a_columns * (block + 1) // n_blocks - r,
                    n_here,
                    n_terms,
                    a + FLOAT_BYTES * r,
                    a_stride,
                    b + FLOAT_BYTES * vector * WIDTH,
                    b_stride,
                    sums + FLOAT_BYTES * (r * sums_stride + vector * WIDTH),
                    sums_stride,
                )
            )


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def take_inputs(
    x: int,
    index: Any,
    first_row: int,
    n_rows: int,
    features: int,
    masks: int,
    review: Any,
    into: int,
    stride: int,
) -> None:
    """Copy some rows' inputs, times their sequences' masks, and a 1 for the bias.

    Parameters
    ----------
    masks : int
        The address of a mask for each sequence; 0: none.
    """
    for r in range(n_rows):
        mask = 0
        if masks:
            mask = masks + FLOAT_BYTES * review[first_row + r] * features
        row = x + FLOAT_BYTES * index[first_row + r] * features
        copy_row((features, row, mask, into + FLOAT_BYTES * r * stride, 1))
