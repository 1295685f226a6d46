"""The kernel's inner loops: a few rows by a few vectors of columns each.

A tile of a product is up to `Target.max_rows` rows by up to `MAX_VECTORS` vectors: its
sums stay in registers while the loop runs over the terms.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from lstm_bench.packed.vectors import FLOAT, FLOAT_BYTES, INT, Emitter, Target

MAX_VECTORS = 4


@dataclass(frozen=True)
class Cell:
    """What the kernel has to know of a cell.

    Attributes
    ----------
    code : int
        Its number in the compiled functions.
    n_gates : int
        Blocks of columns that inputs contribute to.
    n_state_gates : int
        The first of them, that h of the step before contributes to.
    has_c : bool
        Whether there is a second state c.
    """

    code: int
    n_gates: int
    n_state_gates: int
    has_c: bool


CELLS: Mapping[str, Cell] = {
    "lstm": Cell(0, 4, 4, True),
    "gru": Cell(1, 4, 3, False),
    "simple_rnn": Cell(2, 1, 1, False),
}
LSTM, GRU = CELLS["lstm"].code, CELLS["gru"].code

# Addresses are of the first row, strides from row to row or from gate to gate.
FORWARD_ARGUMENTS = (
    "n_rows",
    "units",
    "z",
    "z_stride",
    "z_gate_stride",
    # Of an LSTM; 0: none.
    "c_before",
    "c",
    # h of the step before, which is overwritten.
    "last",
    # Of a GRU: what inputs contribute to the last gate; rows of a matrix.
    "inputs",
    "input_rows",
    "inputs_stride",
    # Stored for the backward pass; 0: nothing is. h is stored at the place of the next
    # step.
    "gates",
    "h_kept",
    # h for the next step, of the first n_going_on rows; if there are masks (0: none),
    # times those of each gate.
    "h_after",
    "h_stride",
    "h_gate_stride",
    "n_going_on",
    "masks",
    "mask_rows",
    "masks_gate_stride",
    # Outputs of every step; 0: only the last ones are needed.
    "outputs",
    "output_index",
)
BACKWARD_ARGUMENTS = (
    "n_rows",
    "units",
    "gates",
    "dz",
    "dz_stride",
    "dz_gate_stride",
    # Of a GRU: h of the step before, and none.
    "c_before",
    "c",
    # Of a GRU: the gradient of h of the step before, but for that through the gates.
    "dc",
    "dh",
    "d_outputs",
    "output_index",
)
PRODUCT_ARGUMENTS = (
    "n_rows",
    "n_vectors",
    # Each row of a times a matrix, or times one for each gate, which are summed.
    "a",
    "a_stride",
    "n_gates",
    "a_gate_stride",
    "n_terms",
    "weights",
    # The tile's first column, and the end of the rows.
    "column",
    "n_columns",
    "out",
    "out_stride",
    # Added to the product: rows of a matrix; 0: nothing.
    "start",
    "start_rows",
    "start_stride",
    # Factors of each gate's product: rows of matrices, one for each gate.
    "masks",
    "mask_rows",
    "masks_gate_stride",
)
SUM_ARGUMENTS = (
    # Rows of `sums`, which are columns of a.
    "n_rows",
    "n_vectors",
    "n_terms",
    "a",
    "a_stride",
    "b",
    "b_stride",
    "sums",
    "sums_stride",
)
COPY_ARGUMENTS = (
    "n_columns",
    "source",
    # Factor of the row; 0: none.
    "mask",
    "into",
    # Whether a 1 follows.
    "has_one",
)
ROW_SUM_ARGUMENTS = ("n_columns", "source", "into")


def forward_gates(target: Target, name: str) -> Any:
    """Return the intrinsic that computes a step's h from z for some rows.

    Parameters
    ----------
    name : {"lstm", "gru", "simple_rnn"}
    """
    cell, compute = CELLS[name], FORWARD[name]

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        b = e.builder
        zero, units, width = e.int(0), a["units"], e.int(target.width)
        n_vectors = b.sdiv(b.add(units, e.int(target.width - 1)), width)
        has_masks = b.icmp_signed("!=", a["masks"], zero)
        is_kept = b.icmp_signed("!=", a["gates"], zero)
        has_outputs = b.icmp_signed("!=", a["outputs"], zero)
        with e.loop(a["n_rows"]) as row, e.loop(n_vectors) as number:
            unit = b.mul(number, width)
            is_whole, mask = e.lanes(b.sub(units, unit))

            def load(base: Any, offset: Any) -> Any:
                return e.load_lanes(e.at(base, offset), is_whole, mask)

            def store(value: Any, base: Any, offset: Any) -> None:
                e.store_lanes(value, e.at(base, offset), is_whole, mask)

            def of_gate(offset: Any, gate: int, stride: Any) -> Any:
                return b.add(offset, b.mul(e.int(gate), stride))

            at_z = b.add(b.mul(row, a["z_stride"]), unit)
            z = [
                load(a["z"], of_gate(at_z, gate, a["z_gate_stride"]))
                for gate in range(cell.n_state_gates)
            ]
            if cell.n_gates > cell.n_state_gates:
                input_row = _load_int32(e, e.at(a["input_rows"], row), 0)
                at_input = b.add(b.mul(input_row, a["inputs_stride"]), unit)
                z.append(load(a["inputs"], at_input))
            at_unit = b.add(b.mul(row, units), unit)
            before = load(a["c_before" if cell.has_c else "last"], at_unit)
            gates, c, h = compute(e, z, before)
            if c is not None:
                store(c, a["c"], at_unit)
            store(h, a["last"], at_unit)
            is_going_on = b.icmp_signed(">", a["n_going_on"], row)
            with b.if_then(is_kept):
                at_gates = b.add(b.mul(b.mul(row, units), e.int(cell.n_gates)), unit)
                for gate, value in enumerate(gates):
                    store(value, a["gates"], of_gate(at_gates, gate, units))
                with b.if_then(is_going_on):
                    store(h, a["h_kept"], at_unit)
            with b.if_then(is_going_on):
                at_h = b.add(b.mul(row, a["h_stride"]), unit)
                with b.if_else(has_masks) as (masked, plain):
                    with masked:
                        mask_row = _load_int32(e, e.at(a["mask_rows"], row), 0)
                        at_mask = b.add(b.mul(mask_row, units), unit)
                        for gate in range(cell.n_state_gates):
                            offset = of_gate(at_mask, gate, a["masks_gate_stride"])
                            value = b.fmul(h, load(a["masks"], offset))
                            offset = of_gate(at_h, gate, a["h_gate_stride"])
                            store(value, a["h_after"], offset)
                    with plain:
                        store(h, a["h_after"], at_h)
            with b.if_then(has_outputs):
                output_row = _load_int32(e, e.at(a["output_index"], row), 0)
                store(h, a["outputs"], b.add(b.mul(output_row, units), unit))

    return _make(
        f"forward_{name}_gates_{target.width}", FORWARD_ARGUMENTS, target, emit
    )


def backward_gates(target: Target, name: str) -> Any:
    """Return the intrinsic that computes the gradient of some rows at their gates.

    Parameters
    ----------
    name : {"lstm", "gru", "simple_rnn"}
    """
    cell, compute = CELLS[name], BACKWARD[name]

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        b = e.builder
        width = e.int(target.width)
        n_vectors = b.sdiv(b.add(a["units"], e.int(target.width - 1)), width)
        with e.loop(a["n_rows"]) as row, e.loop(n_vectors) as number:
            unit = b.mul(number, width)
            is_whole, mask = e.lanes(b.sub(a["units"], unit))

            def load(address: Any) -> Any:
                return e.load_lanes(address, is_whole, mask)

            at_gates = b.add(b.mul(b.mul(row, a["units"]), e.int(cell.n_gates)), unit)
            gates = [
                load(e.at(a["gates"], b.add(at_gates, b.mul(e.int(gate), a["units"]))))
                for gate in range(cell.n_gates)
            ]
            at_unit = b.add(b.mul(row, a["units"]), unit)
            dh_place = e.variable(load(e.at(a["dh"], at_unit)))
            with b.if_then(b.icmp_signed("!=", a["d_outputs"], e.int(0))):
                row_of = _load_int32(e, e.at(a["output_index"], row), 0)
                place = e.at(a["d_outputs"], b.add(b.mul(row_of, a["units"]), unit))
                b.store(b.fadd(e.value(dh_place), load(place)), dh_place)
            dz, dc = compute(
                e, gates, e.value(dh_place), lambda name: load(e.at(a[name], at_unit))
            )
            at_dz = b.add(b.mul(row, a["dz_stride"]), unit)
            for gate, value in enumerate(dz):
                offset = b.add(at_dz, b.mul(e.int(gate), a["dz_gate_stride"]))
                e.store_lanes(value, e.at(a["dz"], offset), is_whole, mask)
            if dc is not None:
                e.store_lanes(dc, e.at(a["dc"], at_unit), is_whole, mask)

    return _make(
        f"backward_{name}_gates_{target.width}", BACKWARD_ARGUMENTS, target, emit
    )


Step = Callable[[Emitter, Sequence[Any], Any], tuple[Sequence[Any], Any, Any]]
"""Maps z, one vector for each gate, and c or h of the step before to the gates' values,
c or None, and h. The formulas are in the package's documentation."""

StepBack = Callable[
    [Emitter, Sequence[Any], Any, Callable[[str], Any]], tuple[Sequence[Any], Any]
]
"""Maps the gates' values, dh and a function that loads another argument to the dz, and
what is passed on as dc, or None."""


def _lstm(e: Emitter, z: Sequence[Any], c: Any) -> tuple[Sequence[Any], Any, Any]:
    b = e.builder
    i, f, o = (e.sigmoid(z[gate]) for gate in (0, 1, 3))
    g = e.tanh(z[2])
    c = e.multiply_add(f, c, b.fmul(i, g))
    return (i, f, g, o), c, b.fmul(o, e.tanh(c))


def _lstm_back(
    e: Emitter, gates: Sequence[Any], dh: Any, load: Callable[[str], Any]
) -> tuple[Sequence[Any], Any]:
    b, one = e.builder, e.constant(1.0)
    i, f, g, o = gates
    tanh_c = e.tanh(load("c"))
    dc = b.fmul(b.fmul(dh, o), b.fsub(one, b.fmul(tanh_c, tanh_c)))
    dc = b.fadd(dc, load("dc"))
    dz = (
        b.fmul(b.fmul(dc, g), b.fmul(i, b.fsub(one, i))),
        b.fmul(b.fmul(dc, load("c_before")), b.fmul(f, b.fsub(one, f))),
        b.fmul(b.fmul(dc, i), b.fsub(one, b.fmul(g, g))),
        b.fmul(b.fmul(dh, tanh_c), b.fmul(o, b.fsub(one, o))),
    )
    return dz, b.fmul(dc, f)


def _gru(e: Emitter, z: Sequence[Any], h: Any) -> tuple[Sequence[Any], Any, Any]:
    b = e.builder
    u, r, s = e.sigmoid(z[0]), e.sigmoid(z[1]), z[2]
    g = e.tanh(e.multiply_add(r, s, z[3]))
    return (u, r, s, g), None, e.multiply_add(u, b.fsub(h, g), g)


def _gru_back(
    e: Emitter, gates: Sequence[Any], dh: Any, load: Callable[[str], Any]
) -> tuple[Sequence[Any], Any]:
    b, one = e.builder, e.constant(1.0)
    u, r, s, g = gates
    dh = b.fadd(dh, load("dc"))
    da = b.fmul(b.fmul(dh, b.fsub(one, u)), b.fsub(one, b.fmul(g, g)))
    du = b.fmul(b.fmul(dh, b.fsub(load("c_before"), g)), b.fmul(u, b.fsub(one, u)))
    ds = b.fmul(da, r)
    dr = b.fmul(b.fmul(ds, s), b.fsub(one, r))
    return (du, dr, ds, da), b.fmul(dh, u)


def _simple_rnn(e: Emitter, z: Sequence[Any], h: Any) -> tuple[Sequence[Any], Any, Any]:
    h = e.tanh(z[0])
    return (h,), None, h


def _simple_rnn_back(
    e: Emitter, gates: Sequence[Any], dh: Any, load: Callable[[str], Any]
) -> tuple[Sequence[Any], Any]:
    b, (h,) = e.builder, gates
    return (b.fmul(dh, b.fsub(e.constant(1.0), b.fmul(h, h))),), None


FORWARD: Mapping[str, Step] = {"lstm": _lstm, "gru": _gru, "simple_rnn": _simple_rnn}
BACKWARD: Mapping[str, StepBack] = {
    "lstm": _lstm_back,
    "gru": _gru_back,
    "simple_rnn": _simple_rnn_back,
}


def product_tile(target: Target, is_masked: bool) -> Any:
    """Return the intrinsic that multiplies a few rows by a few vectors of columns.

    out = start + sum over gates of a weights, or, if `is_masked`, the sum over gates of
    masks * (a weights).
    """

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        _for_tiles(e, a, target, _product)

    def _product(e: Emitter, a: dict[str, Any], n_vectors: int, n_rows: int) -> None:
        b = e.builder
        zero = e.constant(0.0)
        tile = range(n_rows * n_vectors)
        sums = [e.variable(zero) for _ in tile]
        # With masks, the sum over gates.
        total = [e.variable(zero) for _ in tile] if is_masked else sums
        last_column = b.add(a["column"], e.int((n_vectors - 1) * target.width))
        is_whole, mask = e.lanes(b.sub(a["n_columns"], last_column))

        def place(base: Any, row: Any, stride: Any, vector: int) -> Any:
            column = b.add(a["column"], e.int(vector * target.width))
            return e.at(base, b.add(b.mul(row, stride), column))

        def load(at: Any, vector: int) -> Any:
            if vector == n_vectors - 1:
                return e.load_lanes(at, is_whole, mask)
            return e.load(at)

        if not is_masked:
            with b.if_then(b.icmp_signed("!=", a["start"], e.int(0))):
                for number in tile:
                    row, vector = divmod(number, n_vectors)
                    start_row = _load_int32(e, a["start_rows"], row)
                    at = place(a["start"], start_row, a["start_stride"], vector)
                    b.store(load(at, vector), sums[number])
        with e.loop(a["n_gates"]) as gate:
            at_gate = e.at(a["a"], b.mul(gate, a["a_gate_stride"]))
            a_rows = [
                e.at(at_gate, b.mul(e.int(row), a["a_stride"])) for row in range(n_rows)
            ]
            weights = e.at(
                a["weights"],
                b.mul(b.mul(gate, a["n_terms"]), e.int(n_vectors * target.width)),
            )
            with e.loop(a["n_terms"]) as k:
                at_k = e.at(weights, b.mul(k, e.int(n_vectors * target.width)))
                columns = [
                    e.load(b.add(at_k, e.int(v * target.width * FLOAT_BYTES)))
                    for v in range(n_vectors)
                ]
                for row in range(n_rows):
                    factor = e.broadcast(e.at(a_rows[row], k))
                    for vector in range(n_vectors):
                        at = sums[row * n_vectors + vector]
                        added = e.multiply_add(factor, columns[vector], e.value(at))
                        b.store(added, at)
            if is_masked:
                masks = e.at(a["masks"], b.mul(gate, a["masks_gate_stride"]))
                for number in tile:
                    row, vector = divmod(number, n_vectors)
                    mask_row = _load_int32(e, a["mask_rows"], row)
                    at = place(masks, mask_row, a["n_columns"], vector)
                    so_far = e.value(total[number])
                    product = e.value(sums[number])
                    added = e.multiply_add(product, load(at, vector), so_far)
                    b.store(added, total[number])
                    b.store(zero, sums[number])
        for number in tile:
            row, vector = divmod(number, n_vectors)
            value = e.value(total[number])
            at = place(a["out"], e.int(row), a["out_stride"], vector)
            if vector == n_vectors - 1:
                e.store_lanes(value, at, is_whole, mask)
            else:
                e.store(value, at)

    kind = "masked" if is_masked else "plain"
    return _make(f"product_{kind}_{target.width}", PRODUCT_ARGUMENTS, target, emit)


def sum_tile(target: Target) -> Any:
    """Return the intrinsic that adds products of a few columns and a few vectors.

    sums += transposed(a) b, over `n_terms` rows of a and b. Whole vectors are read and
    written, beyond the last column too.
    """

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        _for_tiles(e, a, target, _sum)

    def _sum(e: Emitter, a: dict[str, Any], n_vectors: int, n_rows: int) -> None:
        b = e.builder
        places = [
            e.at(
                a["sums"],
                b.add(
                    b.mul(e.int(row), a["sums_stride"]), e.int(vector * target.width)
                ),
            )
            for row in range(n_rows)
            for vector in range(n_vectors)
        ]
        # From zero, and added to the stored sum at the end: in one running sum of
        # thousands of similar terms, every one would lose the same digits.
        sums = [e.variable(e.constant(0.0)) for _ in places]
        with e.loop(a["n_terms"]) as k:
            a_row = e.at(a["a"], b.mul(k, a["a_stride"]))
            b_row = e.at(a["b"], b.mul(k, a["b_stride"]))
            columns = [
                e.load(b.add(b_row, e.int(v * target.width * FLOAT_BYTES)))
                for v in range(n_vectors)
            ]
            for row in range(n_rows):
                factor = e.broadcast(b.add(a_row, e.int(row * FLOAT_BYTES)))
                for vector in range(n_vectors):
                    at = sums[row * n_vectors + vector]
                    added = e.multiply_add(factor, columns[vector], e.value(at))
                    b.store(added, at)
        for value, place in zip(sums, places, strict=True):
            e.store(b.fadd(e.load(place), e.value(value)), place)

    return _make(f"sum_{target.width}", SUM_ARGUMENTS, target, emit)


def _load_int32(e: Emitter, address: Any, number: int) -> Any:
    """Return the int32 at `number` after `address`, as an INT."""
    place = e.pointer(e.builder.add(address, e.int(4 * number)))
    return e.builder.sext(e.builder.load(place, typ=ir.IntType(32), align=4), INT)


def row_copy(target: Target) -> Any:
    """Return the intrinsic that copies a row, times its mask.

    Whole vectors are written, beyond the last column too.
    """

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        b = e.builder
        width = e.int(target.width)
        n_vectors = b.sdiv(b.add(a["n_columns"], e.int(target.width - 1)), width)
        has_mask = b.icmp_signed("!=", a["mask"], e.int(0))
        with e.loop(n_vectors) as number:
            column = b.mul(number, width)
            is_whole, mask = e.lanes(b.sub(a["n_columns"], column))
            value = e.load_lanes(e.at(a["source"], column), is_whole, mask)
            copied = e.variable(value)
            with b.if_then(has_mask):
                factor = e.load_lanes(e.at(a["mask"], column), is_whole, mask)
                b.store(b.fmul(value, factor), copied)
            e.store(e.value(copied), e.at(a["into"], column))
        with b.if_then(b.icmp_signed("!=", a["has_one"], e.int(0))):
            place = e.pointer(e.at(a["into"], a["n_columns"]))
            b.store(ir.Constant(FLOAT, 1.0), place, align=FLOAT_BYTES)

    return _make(f"row_copy_{target.width}", COPY_ARGUMENTS, target, emit)


def row_sum(target: Target) -> Any:
    """Return the intrinsic that adds a row to another.

    Whole vectors are read and written, beyond the last column too.
    """

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        b = e.builder
        width = e.int(target.width)
        n_vectors = b.sdiv(b.add(a["n_columns"], e.int(target.width - 1)), width)
        with e.loop(n_vectors) as number:
            column = b.mul(number, width)
            into = e.at(a["into"], column)
            added = b.fadd(e.load(into), e.load(e.at(a["source"], column)))
            e.store(added, into)

    return _make(f"row_sum_{target.width}", ROW_SUM_ARGUMENTS, target, emit)


def _for_tiles(
    e: Emitter,
    a: dict[str, Any],
    target: Target,
    emit: Callable[[Emitter, dict[str, Any], int, int], None],
) -> None:
    """Write a tile for each number of vectors and of rows."""
    _for_vectors(
        e,
        a["n_vectors"],
        lambda n_vectors: _for_rows(
            e,
            a["n_rows"],
            target.max_rows,
            functools.partial(emit, e, a, n_vectors),
        ),
    )


def _for_vectors(e: Emitter, n_vectors: Any, emit: Callable[[int], None]) -> None:
    """Write a tile for each number of vectors, and branches to the one that fits."""
    b = e.builder
    done = b.append_basic_block("done")
    for n in range(1, MAX_VECTORS + 1):
        this, other = b.append_basic_block("this"), b.append_basic_block("other")
        b.cbranch(b.icmp_signed("==", n_vectors, e.int(n)), this, other)
        b.position_at_end(this)
        emit(n)
        b.branch(done)
        b.position_at_end(other)
    b.branch(done)
    b.position_at_end(done)


def _for_rows(
    e: Emitter, n_rows: Any, max_rows: int, emit: Callable[[int], None]
) -> None:
    """Write a tile for each number of rows, and branches to the one that fits."""
    b = e.builder
    after = b.append_basic_block("after_rows")
    switch = b.switch(n_rows, after)
    for n in range(1, max_rows + 1):
        block = b.append_basic_block(f"rows_{n}")
        switch.add_case(e.int(n), block)
        b.position_at_end(block)
        emit(n)
        b.branch(after)
    b.position_at_end(after)


def _make(
    name: str,
    arguments: tuple[str, ...],
    target: Target,
    emit: Callable[[Emitter, dict[str, Any]], None],
) -> Any:
    """Return a Numba intrinsic of integers that calls a function built by `emit`."""
    symbol = f"lstm_bench_{name}"
    integers: Any = numba.typeof((0,) * len(arguments))
    signature = types.void(integers)

    def typing(context: Any, values: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [INT] * len(arguments))
            function = builder.module.globals.get(symbol)
            if function is None:
                function = ir.Function(builder.module, kind, symbol)
                function.linkage = "internal"
                function.attributes.add("noinline")
                inner = ir.IRBuilder(function.append_basic_block("entry"))
                emitter = Emitter(inner, target.width)
                emit(emitter, dict(zip(arguments, function.args, strict=True)))
                inner.ret_void()
            unpacked = [
                builder.extract_value(values[0], n) for n in range(len(arguments))
            ]
            builder.call(function, unpacked)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)
