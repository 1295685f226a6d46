"""Inputs that several rows of a part share, such as the occurrences of a word.

The gradient of W is the sum over rows of x^T dz. For rows with the same x it is x^T
times the sum of their dz: one addition per row in place of a product. The gradient of
such an x is that sum times W^T, too.
"""

from __future__ import annotations

from typing import Any

import numba

from lstm_bench.packed.products import (
    add_products,
    add_row,
    copy_row,
    multiply,
    take_inputs,
)
from lstm_bench.packed.scratch import CHUNK_ROWS
from lstm_bench.packed.vectors import FLOAT_BYTES

ROWS_OF_A_SUM = 64
"""An input that more rows share has several sums: long sums lose digits."""


def n_sums_at_most(n_rows: int) -> int:
    """Return the most sums for `n_rows` rows: each has two or more on average."""
    return n_rows // 2


def n_numbers_of(n_inputs: int, n_rows: int) -> int:
    """Return how many integers a part of `n_rows` rows needs for a batch's inputs.

    They are the number of each input's first sum, or -1 if it is not shared; how many
    of its rows were added; the positions in x of the other inputs of a chunk; and, for
    each sum, the position in x of its input.
    """
    return 2 * n_inputs + CHUNK_ROWS + n_sums_at_most(n_rows)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def find_shared(
    index: Any, first_row: int, n_rows: int, numbers: Any, first: int, n_inputs: int
) -> int:
    """Find inputs that several rows of a part have; return how many sums they need.

    ``index`` is each row's input; `n_numbers_of` describes what is written to
    ``numbers`` from ``first`` on.
    """
    numbers[first : first + 2 * n_inputs] = 0
    for row in range(first_row, first_row + n_rows):
        numbers[first + index[row]] += 1
    n_sums = 0
    for i in range(first, first + n_inputs):
        n_rows_of_it = numbers[i]
        if n_rows_of_it > 1:
            numbers[i] = n_sums
            n_sums += (n_rows_of_it + ROWS_OF_A_SUM - 1) // ROWS_OF_A_SUM
        else:
            numbers[i] = -1
    return n_sums


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def add_rows_up(
    index: Any,
    source: Any,
    first_row: int,
    n_rows: int,
    numbers: Any,
    first: int,
    n_inputs: int,
    dz: int,
    stride: int,
    n_gates: int,
    sums: int,
) -> int:
    """Add a chunk's rows of dz to the sums of their inputs, if these are shared.

    The other rows are moved to the beginning of ``dz``; their number is returned.
    """
    others = first + 2 * n_inputs
    n_others = 0
    for r in range(n_rows):
        row = dz + FLOAT_BYTES * r * stride
        of_input = first + index[first_row + r]
        if numbers[of_input] >= 0:
            n_added = numbers[of_input + n_inputs]
            numbers[of_input + n_inputs] += 1
            number = numbers[of_input] + n_added // ROWS_OF_A_SUM
            numbers[others + CHUNK_ROWS + number] = source[first_row + r]
            add_row((n_gates, row, sums + FLOAT_BYTES * number * stride))
            continue
        numbers[others + n_others] = source[first_row + r]
        if n_others < r:
            copy_row((n_gates, row, 0, dz + FLOAT_BYTES * n_others * stride, 0))
        n_others += 1
    return n_others


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def add_input_products(
    x: int,
    source: Any,
    first: int,
    n: int,
    features: int,
    dz: int,
    stride: int,
    n_gates: int,
    rows: int,
    input_stride: int,
    input_sums: int,
) -> None:
    """Add x^T dz to the gradient of W, and dz to that of b, for ``n`` rows of dz.

    Their inputs are the rows of x at ``source``, from ``first`` on, and ``rows`` is
    temporary memory for `CHUNK_ROWS` of them.
    """
    for begin in range(0, n, CHUNK_ROWS):
        n_here = min(CHUNK_ROWS, n - begin)
        take_inputs(
            x, source, first + begin, n_here, features, 0, source, rows, input_stride
        )
        add_products(
            n_here,
            rows,
            input_stride,
            features + 1,
            dz + FLOAT_BYTES * begin * stride,
            stride,
            n_gates,
            input_sums,
            stride,
        )


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def write_input_gradients(
    numbers: Any,
    first: int,
    n: int,
    dz: int,
    stride: int,
    n_gates: int,
    gate_stride: int,
    units: int,
    weights: int,
    features: int,
    dx: int,
    inputs: Any,
    row: int,
) -> int:
    """Write the gradients of the inputs of ``n`` rows of dz from ``row`` of dx on.

    Their positions in x, which are ``numbers`` from ``first`` on, are written to
    ``inputs``; the row after the last is returned.
    """
    multiply(
        n,
        dz,
        stride,
        n_gates,
        gate_stride,
        units,
        weights,
        features,
        dx + FLOAT_BYTES * row * features,
        features,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    inputs[row : row + n] = numbers[first : first + n]
    return row + n
