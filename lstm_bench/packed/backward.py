"""The backward pass of one part of a batch: gradients of its weights and inputs.

Arrays are flat, and strides in floats. The package's documentation has the formulas and
the contents of the arrays.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core import types

from lstm_bench.packed.denormals import FLUSH_DENORMALS, set_denormals
from lstm_bench.packed.products import (
    TARGET,
    add_products,
    copy_row,
    multiply,
    take_inputs,
)
from lstm_bench.packed.scratch import CHUNK_ROWS
from lstm_bench.packed.shared import (
    add_input_products,
    add_rows_up,
    find_shared,
    write_input_gradients,
)
from lstm_bench.packed.signature import CONST_FLOATS, CONST_INTS, FLOATS, INTS
from lstm_bench.packed.tiles import GRU, LSTM, backward_gates
from lstm_bench.packed.vectors import FLOAT_BYTES

_backward_lstm = backward_gates(TARGET, "lstm")
_backward_gru = backward_gates(TARGET, "gru")
_backward_simple_rnn = backward_gates(TARGET, "simple_rnn")


def backward_function(version: str) -> Any:
    """Return the function that computes the gradients of one part over all its steps.

    On entry ``dh`` is the gradient of ``last``, and ``dc`` and ``zeros`` are zero; on
    return ``dh`` is undefined. The results are ``dx``, the gradient of each row's
    input, and ``sums``, the part's own: rows of the gradients of W, b and U, one below
    the other.

    With ``dx_by_input``, which needs a table, ``dx`` has the sum over the rows of an
    input instead, in one row or several if many share it, and ``inputs`` the input of
    each row of ``dx``. There are at most as many as the part has rows, and the
    ``inputs`` of the others are unchanged.

    See `forward.forward_function` for the other arrays and ``version``.

    Some steps are processed at a time: first the recurrence, then everything that
    depends on the gradient of their gates, which is still in the cache.
    """

    @numba.njit(  # type: ignore[untyped-decorator]
        types.void(
            *[CONST_INTS] * 6,
            *[CONST_FLOATS] * 10,
            *[FLOATS] * 6,
            *[INTS] * 2,
            *[types.int64] * 23,
        ),
        cache=True,
        nogil=True,
    )
    def backward(
        lengths: Any,
        order: Any,
        review: Any,
        index: Any,
        source: Any,
        output_index: Any,
        x: Any,
        h: Any,
        c: Any,
        gates: Any,
        weights: Any,
        input_weights: Any,
        input_masks: Any,
        masks: Any,
        d_outputs: Any,
        zeros: Any,
        dh: Any,
        dc: Any,
        dx: Any,
        sums: Any,
        scratch: Any,
        shared: Any,
        numbers: Any,
        inputs: Any,
        cell: int,
        n_gates: int,
        n_state_gates: int,
        units: int,
        features: int,
        first_review: int,
        n_reviews: int,
        first_row: int,
        sums_at: int,
        scratch_at: int,
        shared_at: int,
        numbers_at: int,
        is_masked: int,
        n_input_masks: int,
        has_table: int,
        dx_by_input: int,
        n_inputs: int,
        has_outputs: int,
        gate_stride: int,
        gates_stride: int,
        input_stride: int,
        state_stride: int,
        n_all_reviews: int,
    ) -> None:
        version  # noqa: B018
        before = set_denormals(FLUSH_DENORMALS)
        n_columns = n_gates * gate_stride
        n_sums = features + 1 + units
        sums[sums_at : sums_at + n_sums * gates_stride] = 0.0
        input_sums = sums.ctypes.data + FLOAT_BYTES * sums_at
        state_sums = input_sums + FLOAT_BYTES * (features + 1) * gates_stride
        dz = scratch.ctypes.data + FLOAT_BYTES * scratch_at
        rows = dz + FLOAT_BYTES * CHUNK_ROWS * gates_stride
        dh_rows = dh.ctypes.data + FLOAT_BYTES * first_review * units
        row = first_row
        for r in range(n_reviews):
            row += lengths[first_review + r]
        shared_sums = shared.ctypes.data + FLOAT_BYTES * shared_at
        n_sums_of_shared = 0
        dx_row = first_row
        if has_table:
            n_sums_of_shared = find_shared(
                index, first_row, row - first_row, numbers, numbers_at, n_inputs
            )
            n_floats = n_sums_of_shared * gates_stride
            shared[shared_at : shared_at + n_floats] = 0.0
        n = 0
        t = lengths[first_review] - 1 if n_reviews else -1
        while t >= 0:
            # The chunk: its first row, and the step before its first.
            chunk_end = row
            chunk_row = row
            t_before, n_ahead = t, n
            while t_before >= 0:
                while (
                    n_ahead < n_reviews and lengths[first_review + n_ahead] > t_before
                ):
                    n_ahead += 1
                if chunk_end - chunk_row + n_ahead > CHUNK_ROWS:
                    break
                chunk_row -= n_ahead
                t_before -= 1
            while t > t_before:
                while n < n_reviews and lengths[first_review + n] > t:
                    n += 1
                row -= n
                n_before = n
                while n_before < n_reviews and lengths[first_review + n_before] > t - 1:
                    n_before += 1
                c_before = zeros.ctypes.data
                if cell == GRU:
                    c_before = h.ctypes.data + FLOAT_BYTES * row * units
                elif t > 0:
                    c_before = c.ctypes.data + FLOAT_BYTES * (row - n_before) * units
                dz_rows = dz + FLOAT_BYTES * (row - chunk_row) * gates_stride
                arguments = (
                    n,
                    units,
                    gates.ctypes.data + FLOAT_BYTES * row * n_gates * units,
                    dz_rows,
                    gates_stride,
                    gate_stride,
                    c_before,
                    c.ctypes.data + FLOAT_BYTES * row * units,
                    dc.ctypes.data + FLOAT_BYTES * first_review * units,
                    dh_rows,
                    d_outputs.ctypes.data if has_outputs else 0,
                    output_index.ctypes.data + FLOAT_BYTES * row,
                )
                if cell == LSTM:
                    _backward_lstm(arguments)
                elif cell == GRU:
                    _backward_gru(arguments)
                else:
                    _backward_simple_rnn(arguments)
                if t > 0:
                    multiply(
                        n,
                        dz_rows,
                        gates_stride,
                        n_state_gates,
                        gate_stride,
                        units,
                        weights.ctypes.data,
                        units,
                        dh_rows,
                        units,
                        0,
                        0,
                        0,
                        masks.ctypes.data if is_masked else 0,
                        order.ctypes.data + FLOAT_BYTES * first_review,
                        n_all_reviews * units,
                    )
                t -= 1
            n_rows = chunk_end - chunk_row
            n_products = n_state_gates if is_masked else 1
            for number in range(n_products):
                for r in range(n_rows):
                    mask = 0
                    if is_masked:
                        of_review = number * n_all_reviews + review[chunk_row + r]
                        mask = masks.ctypes.data + FLOAT_BYTES * of_review * units
                    state = h.ctypes.data + FLOAT_BYTES * (chunk_row + r) * units
                    copy = rows + FLOAT_BYTES * r * state_stride
                    copy_row((units, state, mask, copy, 0))
                add_products(
                    n_rows,
                    rows,
                    state_stride,
                    units,
                    dz + FLOAT_BYTES * number * gate_stride,
                    gates_stride,
                    n_state_gates * gate_stride // n_products,
                    state_sums + FLOAT_BYTES * number * gate_stride,
                    gates_stride,
                )
            if not dx_by_input:
                multiply(
                    n_rows,
                    dz,
                    gates_stride,
                    n_gates,
                    gate_stride,
                    units,
                    input_weights.ctypes.data,
                    features,
                    dx.ctypes.data + FLOAT_BYTES * chunk_row * features,
                    features,
                    0,
                    0,
                    0,
                    input_masks.ctypes.data if n_input_masks else 0,
                    review.ctypes.data + FLOAT_BYTES * chunk_row,
                    n_all_reviews * features if n_input_masks == n_gates else 0,
                )
            if has_table:
                n_others = add_rows_up(
                    index,
                    source,
                    chunk_row,
                    n_rows,
                    numbers,
                    numbers_at,
                    n_inputs,
                    dz,
                    gates_stride,
                    n_columns,
                    shared_sums,
                )
                if dx_by_input:
                    dx_row = write_input_gradients(
                        numbers,
                        numbers_at + 2 * n_inputs,
                        n_others,
                        dz,
                        gates_stride,
                        n_gates,
                        gate_stride,
                        units,
                        input_weights.ctypes.data,
                        features,
                        dx.ctypes.data,
                        inputs,
                        dx_row,
                    )
                add_input_products(
                    x.ctypes.data,
                    numbers,
                    numbers_at + 2 * n_inputs,
                    n_others,
                    features,
                    dz,
                    gates_stride,
                    n_columns,
                    rows,
                    input_stride,
                    input_sums,
                )
            else:
                n_products = n_gates if n_input_masks == n_gates else 1
                for number in range(n_products):
                    masks_at = FLOAT_BYTES * number * n_all_reviews * features
                    take_inputs(
                        x.ctypes.data,
                        source,
                        chunk_row,
                        n_rows,
                        features,
                        input_masks.ctypes.data + masks_at if n_input_masks else 0,
                        review,
                        rows,
                        input_stride,
                    )
                    add_products(
                        n_rows,
                        rows,
                        input_stride,
                        features + 1,
                        dz + FLOAT_BYTES * number * gate_stride,
                        gates_stride,
                        n_columns // n_products,
                        input_sums + FLOAT_BYTES * number * gate_stride,
                        gates_stride,
                    )
        if dx_by_input:
            write_input_gradients(
                numbers,
                numbers_at + 2 * n_inputs + CHUNK_ROWS,
                n_sums_of_shared,
                shared_sums,
                gates_stride,
                n_gates,
                gate_stride,
                units,
                input_weights.ctypes.data,
                features,
                dx.ctypes.data,
                inputs,
                dx_row,
            )
        add_input_products(
            x.ctypes.data,
            numbers,
            numbers_at + 2 * n_inputs + CHUNK_ROWS,
            n_sums_of_shared,
            features,
            shared_sums,
            gates_stride,
            n_columns,
            rows,
            input_stride,
            input_sums,
        )
        set_denormals(before)

    return backward
