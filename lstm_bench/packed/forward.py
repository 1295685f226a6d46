"""The forward pass of one part of a batch, over all its steps.

Arrays are flat, and strides in floats. The package's documentation has the formulas and
the contents of the arrays.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core import types

from lstm_bench.packed.denormals import FLUSH_DENORMALS, set_denormals
from lstm_bench.packed.products import TARGET, WIDTH, multiply, take_inputs
from lstm_bench.packed.scratch import CHUNK_ROWS
from lstm_bench.packed.signature import CONST_FLOATS, CONST_INTS, FLOATS
from lstm_bench.packed.tiles import GRU, LSTM, forward_gates
from lstm_bench.packed.vectors import FLOAT_BYTES

_forward_lstm = forward_gates(TARGET, "lstm")
_forward_gru = forward_gates(TARGET, "gru")
_forward_simple_rnn = forward_gates(TARGET, "simple_rnn")


def table_function(version: str) -> Any:
    """Return the function that computes rows of the table of input contributions.

    Row r of ``table`` is the contribution of row ``ids[r]`` of ``x`` to the gates, bias
    included; ``input_weights`` as in `forward_function`.
    """

    @numba.njit(  # type: ignore[untyped-decorator]
        types.void(CONST_INTS, *[CONST_FLOATS] * 2, *[FLOATS] * 2, *[types.int64] * 6),
        cache=True,
        nogil=True,
    )
    def fill_table(
        ids: Any,
        x: Any,
        input_weights: Any,
        table: Any,
        scratch: Any,
        first_row: int,
        n_rows: int,
        n_columns: int,
        features: int,
        scratch_at: int,
        input_stride: int,
    ) -> None:
        version  # noqa: B018
        before = set_denormals(FLUSH_DENORMALS)
        inputs = scratch.ctypes.data + FLOAT_BYTES * scratch_at
        take_inputs(
            x.ctypes.data,
            ids,
            first_row,
            n_rows,
            features,
            0,
            ids,
            inputs,
            input_stride,
        )
        multiply(
            n_rows,
            inputs,
            input_stride,
            1,
            0,
            features + 1,
            input_weights.ctypes.data,
            n_columns,
            table.ctypes.data + FLOAT_BYTES * first_row * n_columns,
            n_columns,
            0,
            0,
            0,
            0,
            0,
            0,
        )
        set_denormals(before)

    return fill_table


def forward_function(version: str) -> Any:
    """Return the function that computes all steps of one part, forward.

    The inputs' contribution to the gates, bias included, is ``table`` at ``index``;
    without ``has_table`` it is computed here from ``x`` at ``source``, times
    ``input_masks``, and ``input_weights``, whose last row is the bias.

    A row has the masks of its ``review``, and the batch's number of a sequence of the
    layout is its ``order``. ``places`` are 0, 1, 2, ..., for contiguous rows.
    ``cell``, ``n_gates`` and ``n_state_gates`` are those of `tiles.Cell`. ``states``
    and ``scratch``, of which the part uses its own section from
    ``states_at`` and ``scratch_at``, are temporary. Strides are those of `Scratch`. h
    and c of every step, and the gates, are written if they are ``kept``; ``last`` and
    ``outputs`` always. If they are not kept, c is updated in place for each sequence.
    A cell without c leaves it alone.

    Parameters
    ----------
    version : str
        Part of the key of Numba's cache; see `kernel.load_kernel`.
    """

    @numba.njit(  # type: ignore[untyped-decorator]
        types.void(
            *[CONST_INTS] * 7,
            *[CONST_FLOATS] * 6,
            *[FLOATS] * 7,
            *[types.int64] * 20,
        ),
        cache=True,
        nogil=True,
    )
    def forward(
        lengths: Any,
        order: Any,
        review: Any,
        source: Any,
        index: Any,
        output_index: Any,
        places: Any,
        table: Any,
        x: Any,
        weights: Any,
        input_weights: Any,
        input_masks: Any,
        masks: Any,
        h: Any,
        c: Any,
        gates: Any,
        last: Any,
        outputs: Any,
        states: Any,
        scratch: Any,
        cell: int,
        n_gates: int,
        n_state_gates: int,
        units: int,
        features: int,
        first_review: int,
        n_reviews: int,
        first_row: int,
        states_at: int,
        scratch_at: int,
        is_kept: int,
        is_masked: int,
        n_input_masks: int,
        has_table: int,
        has_outputs: int,
        gate_stride: int,
        gates_stride: int,
        input_stride: int,
        state_stride: int,
        n_all_reviews: int,
    ) -> None:
        version  # noqa: B018
        before = set_denormals(FLUSH_DENORMALS)
        # Gates with different masks are multiplied one by one.
        n_products = n_gates if is_masked else 1
        n_columns = n_gates * units // n_products
        n_padded = (n_columns + WIDTH - 1) // WIDTH * WIDTH
        n_state_products = n_state_gates if is_masked else 1
        n_state_columns = n_state_gates * units // n_state_products
        n_state_padded = (n_state_columns + WIDTH - 1) // WIDTH * WIDTH
        n = n_reviews
        while n > 0 and lengths[first_review + n - 1] <= 0:
            n -= 1
        # h alternates between two places, since a step reads all of it while it writes
        # the next; with masks for each gate, each gate has its own.
        state_gate_stride = 2 * n_reviews * state_stride
        states[states_at : states_at + n_state_products * state_gate_stride] = 0.0
        if is_kept:
            h[first_row * units : (first_row + n) * units] = 0.0
        last[first_review * units : (first_review + n_reviews) * units] = 0.0
        # c before the first step is zero, as `last` still is.
        c_before = last.ctypes.data + FLOAT_BYTES * first_review * units
        c_row = first_row if is_kept else first_review
        row = first_row
        shares = scratch.ctypes.data + FLOAT_BYTES * scratch_at
        inputs = shares + FLOAT_BYTES * CHUNK_ROWS * gates_stride
        chunk_row = row
        chunk_end = row
        t = 0
        while n > 0:
            if not has_table and row == chunk_end:
                chunk_row = row
                ahead, n_ahead = t, n
                while n_ahead > 0 and chunk_end - chunk_row + n_ahead <= CHUNK_ROWS:
                    chunk_end += n_ahead
                    ahead += 1
                    while n_ahead > 0 and lengths[first_review + n_ahead - 1] <= ahead:
                        n_ahead -= 1
                for number in range(n_products):
                    mask = min(number, max(n_input_masks - 1, 0))
                    masks_at = FLOAT_BYTES * mask * n_all_reviews * features
                    take_inputs(
                        x.ctypes.data,
                        source,
                        chunk_row,
                        chunk_end - chunk_row,
                        features,
                        input_masks.ctypes.data + masks_at if n_input_masks else 0,
                        review,
                        inputs,
                        input_stride,
                    )
                    panels = number * (features + 1) * n_padded
                    multiply(
                        chunk_end - chunk_row,
                        inputs,
                        input_stride,
                        1,
                        0,
                        features + 1,
                        input_weights.ctypes.data + FLOAT_BYTES * panels,
                        n_columns,
                        shares + FLOAT_BYTES * number * gate_stride,
                        gates_stride,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                    )
            n_after = n
            while n_after > 0 and lengths[first_review + n_after - 1] <= t + 1:
                n_after -= 1
            here = states_at + (n_reviews * state_stride if t % 2 else 0)
            there = states_at + (0 if t % 2 else n_reviews * state_stride)
            z = shares
            start = table.ctypes.data
            start_rows = index.ctypes.data + FLOAT_BYTES * row
            start_stride = n_gates * units
            start_gate_stride = units
            if not has_table:
                # In place.
                z = shares + FLOAT_BYTES * (row - chunk_row) * gates_stride
                start = z
                start_rows = places.ctypes.data
                start_stride = gates_stride
                start_gate_stride = gate_stride
            for number in range(n_state_products):
                gate_of_states = here + number * state_gate_stride
                multiply(
                    n,
                    states.ctypes.data + FLOAT_BYTES * gate_of_states,
                    state_stride,
                    1,
                    0,
                    units,
                    weights.ctypes.data + FLOAT_BYTES * number * units * n_state_padded,
                    n_state_columns,
                    z + FLOAT_BYTES * number * gate_stride,
                    gates_stride,
                    start + FLOAT_BYTES * number * start_gate_stride,
                    start_rows,
                    start_stride,
                    0,
                    0,
                    0,
                )
            arguments = (
                n,
                units,
                z,
                gates_stride,
                gate_stride,
                c_before,
                c.ctypes.data + FLOAT_BYTES * c_row * units,
                last.ctypes.data + FLOAT_BYTES * first_review * units,
                start + FLOAT_BYTES * n_state_gates * start_gate_stride,
                start_rows,
                start_stride,
                gates.ctypes.data + FLOAT_BYTES * n_gates * row * units
                if is_kept
                else 0,
                h.ctypes.data + FLOAT_BYTES * (row + n) * units if is_kept else 0,
                states.ctypes.data + FLOAT_BYTES * there,
                state_stride,
                state_gate_stride,
                n_after,
                masks.ctypes.data if is_masked else 0,
                order.ctypes.data + FLOAT_BYTES * first_review,
                n_all_reviews * units,
                outputs.ctypes.data if has_outputs else 0,
                output_index.ctypes.data + FLOAT_BYTES * row,
            )
            if cell == LSTM:
                _forward_lstm(arguments)
            elif cell == GRU:
                _forward_gru(arguments)
            else:
                _forward_simple_rnn(arguments)
            c_before = c.ctypes.data + FLOAT_BYTES * c_row * units
            row += n
            if is_kept:
                c_row += n
            n = n_after
            t += 1
        set_denormals(before)

    return forward
