"""The kernel's two inner loops: one step of a few rows, forward and back.

A tile is up to `Target.max_rows` rows by a few vectors of columns. Its sums stay in
registers while the loop runs over what is multiplied, and the forward tile turns them
into gates, cell and output before anything is written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from lstm_bench.packed.vectors import FLOAT_BYTES, INT, Emitter, Target

N_GATES = 4
MAX_VECTORS = 4

FORWARD_ARGUMENTS = (
    # The tile's rows, of h of the step before and what its units are multiplied by.
    "n_rows",
    "h",
    "h_stride",
    "h_gate_stride",
    "weights",
    "units",
    # The first unit of the tile's columns.
    "unit",
    # The input's share: rows of a table, and which of them each row takes.
    "table",
    "index",
    "table_stride",
    "table_gate_stride",
    # What is kept for the way back; gates = 0: nothing is.
    "gates",
    "gates_stride",
    "gates_gate_stride",
    "c_before",
    "c",
    "last",
    # Where h goes for the step after, of the first n_going_on rows, times its masks.
    "h_after",
    "n_going_on",
    "masks",
    "masks_gate_stride",
    # Outputs of every step; 0: only the last ones are asked for.
    "outputs",
    "output_index",
    "outputs_stride",
)
GATES_ARGUMENTS = (
    "n_rows",
    "units",
    "gates",
    "gates_stride",
    "gates_gate_stride",
    "dz",
    "c_before",
    "c",
    "dc",
    "dh",
    "d_outputs",
    "output_index",
    "outputs_stride",
)
BACK_ARGUMENTS = (
    "n_rows",
    "n_vectors",
    "dz",
    "dz_stride",
    "dz_gate_stride",
    "weights",
    "units",
    "unit",
    "dh",
    "masks",
    "masks_gate_stride",
)


def forward_tile(target: Target, is_masked: bool) -> Any:
    """Return the intrinsic that computes one step of a tile's rows and one vector."""

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        _for_rows(e, a["n_rows"], target.max_rows, lambda n: _forward(e, a, n))

    def _forward(e: Emitter, a: dict[str, Any], n_rows: int) -> None:
        b = e.builder
        units, unit = a["units"], a["unit"]
        is_whole, mask = e.lanes(b.sub(units, unit))
        z = []
        for row in range(n_rows):
            number = _load_int32(e, a["index"], row)
            of_row = e.at(a["table"], b.mul(number, a["table_stride"]))
            of_row = e.at(of_row, unit)
            for gate in range(N_GATES):
                offset = b.mul(e.int(gate), a["table_gate_stride"])
                value = e.load_lanes(e.at(of_row, offset), is_whole, mask)
                z.append(e.variable(value))
        h_rows = [
            e.at(a["h"], b.mul(e.int(row), a["h_stride"])) for row in range(n_rows)
        ]
        with e.loop(units) as k:
            weights = e.at(a["weights"], b.mul(k, e.int(N_GATES * target.width)))
            columns = [
                e.load(b.add(weights, e.int(gate * target.width * FLOAT_BYTES)))
                for gate in range(N_GATES)
            ]
            for row in range(n_rows):
                at_k = e.at(h_rows[row], k)
                h = None if is_masked else e.broadcast(at_k)
                for gate in range(N_GATES):
                    if is_masked:
                        offset = b.mul(e.int(gate), a["h_gate_stride"])
                        h = e.broadcast(e.at(at_k, offset))
                    place = z[row * N_GATES + gate]
                    total = e.multiply_add(h, columns[gate], e.value(place))
                    b.store(total, place)
        for row in range(n_rows):
            z_row = [e.value(z[row * N_GATES + gate]) for gate in range(N_GATES)]
            i, f, o = (e.sigmoid(z_row[gate]) for gate in (0, 1, 3))
            g = e.tanh(z_row[2])
            at_unit = b.add(b.mul(e.int(row), units), unit)
            c_before = e.load_lanes(e.at(a["c_before"], at_unit), is_whole, mask)
            c = e.multiply_add(f, c_before, b.fmul(i, g))
            h = b.fmul(o, e.tanh(c))
            e.store_lanes(c, e.at(a["c"], at_unit), is_whole, mask)
            e.store_lanes(h, e.at(a["last"], at_unit), is_whole, mask)
            with b.if_then(b.icmp_signed("!=", a["gates"], e.int(0))):
                of_row = b.add(b.mul(e.int(row), a["gates_stride"]), unit)
                for gate, value in enumerate((i, f, g, o)):
                    offset = b.mul(e.int(gate), a["gates_gate_stride"])
                    place = e.at(a["gates"], b.add(of_row, offset))
                    e.store_lanes(value, place, is_whole, mask)
            with b.if_then(b.icmp_signed(">", a["n_going_on"], e.int(row))):
                of_row = b.add(b.mul(e.int(row), a["h_stride"]), unit)
                if is_masked:
                    for gate in range(N_GATES):
                        offset = b.mul(e.int(gate), a["masks_gate_stride"])
                        place = e.at(a["masks"], b.add(at_unit, offset))
                        masked = b.fmul(h, e.load_lanes(place, is_whole, mask))
                        offset = b.mul(e.int(gate), a["h_gate_stride"])
                        place = e.at(a["h_after"], b.add(of_row, offset))
                        e.store_lanes(masked, place, is_whole, mask)
                else:
                    e.store_lanes(h, e.at(a["h_after"], of_row), is_whole, mask)
            with b.if_then(b.icmp_signed("!=", a["outputs"], e.int(0))):
                number = _load_int32(e, a["output_index"], row)
                of_row = b.add(b.mul(number, a["outputs_stride"]), unit)
                e.store_lanes(h, e.at(a["outputs"], of_row), is_whole, mask)

    kind = "masked" if is_masked else "plain"
    return _make(f"forward_{kind}_{target.width}", FORWARD_ARGUMENTS, target, emit)


def backward_gates(target: Target) -> Any:
    """Return the intrinsic that takes the gradient of some rows through their gates."""

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        b, one = e.builder, e.constant(1.0)
        width = e.int(target.width)
        n_vectors = b.sdiv(b.add(a["units"], e.int(target.width - 1)), width)
        with e.loop(a["n_rows"]) as row, e.loop(n_vectors) as number:
            unit = b.mul(number, width)
            is_whole, mask = e.lanes(b.sub(a["units"], unit))

            def load(address: Any) -> Any:
                return e.load_lanes(address, is_whole, mask)

            of_row = b.add(b.mul(row, a["gates_stride"]), unit)
            offsets = [
                b.add(of_row, b.mul(e.int(gate), a["gates_gate_stride"]))
                for gate in range(N_GATES)
            ]
            i, f, g, o = (load(e.at(a["gates"], offset)) for offset in offsets)
            at_unit = b.add(b.mul(row, a["units"]), unit)
            tanh_c = e.tanh(load(e.at(a["c"], at_unit)))
            c_before = load(e.at(a["c_before"], at_unit))
            dh_place = e.variable(load(e.at(a["dh"], at_unit)))
            with b.if_then(b.icmp_signed("!=", a["d_outputs"], e.int(0))):
                four = b.mul(row, e.int(4))
                place = e.pointer(b.add(a["output_index"], four))
                row_of = b.sext(b.load(place, typ=ir.IntType(32), align=4), INT)
                place = e.at(
                    a["d_outputs"], b.add(b.mul(row_of, a["outputs_stride"]), unit)
                )
                b.store(b.fadd(e.value(dh_place), load(place)), dh_place)
            dh = e.value(dh_place)
            dc = b.fmul(b.fmul(dh, o), b.fsub(one, b.fmul(tanh_c, tanh_c)))
            dc = b.fadd(dc, load(e.at(a["dc"], at_unit)))
            dz = (
                b.fmul(b.fmul(dc, g), b.fmul(i, b.fsub(one, i))),
                b.fmul(b.fmul(dc, c_before), b.fmul(f, b.fsub(one, f))),
                b.fmul(b.fmul(dc, i), b.fsub(one, b.fmul(g, g))),
                b.fmul(b.fmul(dh, tanh_c), b.fmul(o, b.fsub(one, o))),
            )
            for value, offset in zip(dz, offsets, strict=True):
                e.store_lanes(value, e.at(a["dz"], offset), is_whole, mask)
            e.store_lanes(b.fmul(dc, f), e.at(a["dc"], at_unit), is_whole, mask)

    return _make(f"backward_gates_{target.width}", GATES_ARGUMENTS, target, emit)


def backward_tile(target: Target, is_masked: bool) -> Any:
    """Return the intrinsic that takes the gradient of a tile to the step before."""

    def emit(e: Emitter, a: dict[str, Any]) -> None:
        b = e.builder
        done = b.append_basic_block("done")
        for n in range(1, MAX_VECTORS + 1):
            this, other = b.append_basic_block("this"), b.append_basic_block("other")
            b.cbranch(b.icmp_signed("==", a["n_vectors"], e.int(n)), this, other)
            b.position_at_end(this)
            _for_rows(
                e,
                a["n_rows"],
                target.max_rows,
                functools.partial(_back, e, a, n),
            )
            b.branch(done)
            b.position_at_end(other)
        b.branch(done)
        b.position_at_end(done)

    def _back(e: Emitter, a: dict[str, Any], n_vectors: int, n_rows: int) -> None:
        b = e.builder
        zero = e.constant(0.0)
        sums = [e.variable(zero) for _ in range(n_rows * n_vectors)]
        total = [e.variable(zero) for _ in range(n_rows * n_vectors)]
        tile = range(n_rows * n_vectors)
        last_unit = b.add(a["unit"], e.int((n_vectors - 1) * target.width))
        is_whole, mask = e.lanes(b.sub(a["units"], last_unit))

        def place(base: Any, number: int) -> tuple[Any, bool]:
            row, vector = divmod(number, n_vectors)
            unit = b.add(a["unit"], e.int(vector * target.width))
            offset = b.add(b.mul(e.int(row), a["units"]), unit)
            return e.at(base, offset), vector == n_vectors - 1

        with e.loop(e.int(N_GATES)) as gate:
            at_gate = e.at(a["dz"], b.mul(gate, a["dz_gate_stride"]))
            dz_rows = [
                e.at(at_gate, b.mul(e.int(row), a["dz_stride"]))
                for row in range(n_rows)
            ]
            weights = e.at(
                a["weights"],
                b.mul(b.mul(gate, a["units"]), e.int(n_vectors * target.width)),
            )
            with e.loop(a["units"]) as k:
                at_k = e.at(weights, b.mul(k, e.int(n_vectors * target.width)))
                columns = [
                    e.load(b.add(at_k, e.int(v * target.width * FLOAT_BYTES)))
                    for v in range(n_vectors)
                ]
                for row in range(n_rows):
                    dz = e.broadcast(e.at(dz_rows[row], k))
                    for vector in range(n_vectors):
                        at = sums[row * n_vectors + vector]
                        b.store(e.multiply_add(dz, columns[vector], e.value(at)), at)
            if is_masked:
                masks = e.at(a["masks"], b.mul(gate, a["masks_gate_stride"]))
                for number in tile:
                    at, is_last = place(masks, number)
                    dropped = (
                        e.load_lanes(at, is_whole, mask) if is_last else e.load(at)
                    )
                    so_far = e.value(total[number])
                    added = e.multiply_add(e.value(sums[number]), dropped, so_far)
                    b.store(added, total[number])
                    b.store(zero, sums[number])
        for number in tile:
            value = e.value((total if is_masked else sums)[number])
            at, is_last = place(a["dh"], number)
            if is_last:
                e.store_lanes(value, at, is_whole, mask)
            else:
                e.store(value, at)

    kind = "masked" if is_masked else "plain"
    return _make(f"backward_{kind}_{target.width}", BACK_ARGUMENTS, target, emit)


def _load_int32(e: Emitter, address: Any, number: int) -> Any:
    """Return the int32 at `number` after `address`, as an INT."""
    place = e.pointer(e.builder.add(address, e.int(4 * number)))
    return e.builder.sext(e.builder.load(place, typ=ir.IntType(32), align=4), INT)


def _for_rows(
    e: Emitter, n_rows: Any, max_rows: int, emit: Callable[[int], None]
) -> None:
    """Write the tile for each number of rows, and a branch to the one that fits."""
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
    """Return a Numba intrinsic of integers that calls a function made of `emit`."""
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
