"""The recurrence over time of one part of a batch, compiled by Numba.

Arrays are flat; row and gate strides are in floats. What they hold, and the formulas,
stand in the package's documentation.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba.core import event, types
from numba.extending import intrinsic

from lstm_bench.packed.tiles import (
    MAX_VECTORS,
    backward_gates,
    backward_tile,
    forward_tile,
)
from lstm_bench.packed.vectors import target_of_this_machine

TARGET = target_of_this_machine()
WIDTH = TARGET.width
MAX_ROWS = TARGET.max_rows
# Bits 15 and 6 of MXCSR: results, and operands, that are denormal count as zero.
FLUSH_DENORMALS = 0x8040

_forward_plain = forward_tile(TARGET, is_masked=False)
_forward_masked = forward_tile(TARGET, is_masked=True)
_backward_gates = backward_gates(TARGET)
_backward_plain = backward_tile(TARGET, is_masked=False)
_backward_masked = backward_tile(TARGET, is_masked=True)


@intrinsic  # type: ignore[untyped-decorator]
def _set_denormals(context: Any, bits: Any) -> Any:
    """Set MXCSR's `FLUSH_DENORMALS` to those of `bits`; return what they were."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if not TARGET.is_x86:
            return ir.Constant(ir.IntType(64), 0)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType()])
        functions = {}
        for name in ("llvm.x86.sse.stmxcsr", "llvm.x86.sse.ldmxcsr"):
            known = builder.module.globals.get(name)
            functions[name] = known or ir.Function(builder.module, kind, name)
        place = builder.alloca(word)
        builder.call(functions["llvm.x86.sse.stmxcsr"], [place])
        before = builder.load(place, typ=word)
        others = builder.and_(before, ir.Constant(word, ~FLUSH_DENORMALS & 0xFFFFFFFF))
        wanted = builder.trunc(values[0], word)
        builder.store(builder.or_(others, wanted), place)
        builder.call(functions["llvm.x86.sse.ldmxcsr"], [place])
        kept = builder.and_(before, ir.Constant(word, FLUSH_DENORMALS))
        return builder.zext(kept, ir.IntType(64))

    return types.int64(types.int64), generate


@dataclass(frozen=True)
class Kernel:
    """The compiled functions; they release Python's lock.

    Attributes
    ----------
    forward, backward : callable
        See `_forward` and `_backward`.
    """

    forward: Any
    backward: Any


_FLOATS = types.Array(types.float32, 1, "C")
_CONST_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_CONST_INTS = types.Array(types.int32, 1, "C", readonly=True)


class _Announcing(event.Listener):  # type: ignore[misc]
    """Says that Numba compiles, the first time that it does."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._has_said = False

    def on_start(self, event: Any) -> None:
        if not self._has_said:
            self._has_said = True
            self._say("compiling the packed LSTM (once on this machine, 5 to 20 s) ...")

    def on_end(self, event: Any) -> None:
        """Do nothing: the training that follows tells that it is done."""


def compile_kernel(say: Callable[[str], None]) -> None:
    """Load the kernel; `say` so where that means to compile it."""
    with event.install_listener("numba:compile", _Announcing(say)):
        load_kernel()
        # Compiled when it is imported.
        importlib.import_module("lstm_bench.packed.grouped")


@functools.cache
def load_kernel() -> Kernel:
    """Return the kernel, from Numba's cache where this machine has compiled it."""
    # Numba looks only at the file of the function itself to see whether what it kept
    # is still right; the text of all the others is part of the key by this.
    text = repr(TARGET).encode()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        text += file.read_bytes()
    version = hashlib.sha256(text).hexdigest()
    return Kernel(_forward(version), _backward(version))


def _forward(version: str) -> Any:
    """Return the function that computes all steps of one part, forward.

    It reads ``table`` at ``index`` (the input's share of the gates, bias included) and
    ``weights`` (`panels_forward`), and writes h, c and gates of every step where they
    are ``kept``; ``last`` and ``outputs`` always. Where they are not kept, c stays in
    one place for each review, and h changes between two, since a step reads all of h
    while it writes the next.
    """

    @numba.njit(  # type: ignore[untyped-decorator]
        types.void(
            *[_CONST_INTS] * 3,
            *[_CONST_FLOATS] * 3,
            *[_FLOATS] * 5,
            *[types.int64] * 15,
        ),
        cache=True,
        nogil=True,
    )
    def forward(
        lengths: Any,
        index: Any,
        output_index: Any,
        table: Any,
        weights: Any,
        masks: Any,
        h: Any,
        c: Any,
        gates: Any,
        last: Any,
        outputs: Any,
        units: int,
        first_review: int,
        n_reviews: int,
        first_row: int,
        is_kept: int,
        is_masked: int,
        has_outputs: int,
        table_stride: int,
        table_gate_stride: int,
        h_stride: int,
        h_gate_stride: int,
        gates_stride: int,
        gates_gate_stride: int,
        masks_gate_stride: int,
        outputs_stride: int,
    ) -> None:
        version  # noqa: B018
        before = _set_denormals(FLUSH_DENORMALS)
        n_panels = (units + WIDTH - 1) // WIDTH
        n_gates_kept = 4 if is_masked else 1
        n = n_reviews
        while n > 0 and lengths[first_review + n - 1] <= 0:
            n -= 1
        # Where h of the step before, and c, stand. Kept: one row after the other.
        # Not kept: h changes between two places, c stays in its own.
        row = first_row
        h_row = first_row if is_kept else 2 * first_review
        c_row = first_row if is_kept else first_review
        for gate in range(n_gates_kept):
            for r in range(n):
                at = (h_row + r) * h_stride + gate * h_gate_stride
                for unit in range(units):
                    h[at + unit] = 0.0
        for r in range(first_review * units, (first_review + n_reviews) * units):
            last[r] = 0.0
        # c before the first step is zero, as `last` is now.
        c_before = last.ctypes.data + 4 * first_review * units
        t = 0
        while n > 0:
            n_after = n
            while n_after > 0 and lengths[first_review + n_after - 1] <= t + 1:
                n_after -= 1
            if is_kept:
                h_after = h_row + n
            else:
                h_after = 2 * first_review + (0 if t % 2 else n_reviews)
            n_blocks = (n + MAX_ROWS - 1) // MAX_ROWS
            for panel in range(n_panels):
                for block in range(n_blocks):
                    r = n * block // n_blocks
                    n_rows = n * (block + 1) // n_blocks - r
                    arguments = (
                        n_rows,
                        h.ctypes.data + 4 * (h_row + r) * h_stride,
                        h_stride,
                        h_gate_stride,
                        weights.ctypes.data + 4 * panel * units * 4 * WIDTH,
                        units,
                        panel * WIDTH,
                        table.ctypes.data,
                        index.ctypes.data + 4 * (row + r),
                        table_stride,
                        table_gate_stride,
                        gates.ctypes.data + 4 * (row + r) * gates_stride
                        if is_kept
                        else 0,
                        gates_stride,
                        gates_gate_stride,
                        c_before + 4 * r * units,
                        c.ctypes.data + 4 * (c_row + r) * units,
                        last.ctypes.data + 4 * (first_review + r) * units,
                        h.ctypes.data + 4 * (h_after + r) * h_stride,
                        n_after - r,
                        masks.ctypes.data + 4 * (first_review + r) * units,
                        masks_gate_stride,
                        outputs.ctypes.data if has_outputs else 0,
                        output_index.ctypes.data + 4 * (row + r),
                        outputs_stride,
                    )
                    if is_masked:
                        _forward_masked(arguments)
                    else:
                        _forward_plain(arguments)
            c_before = c.ctypes.data + 4 * c_row * units
            row += n
            h_row = h_after
            if is_kept:
                c_row += n
            n = n_after
            t += 1
        _set_denormals(before)

    return forward


def _backward(version: str) -> Any:
    """Return the function that takes the gradient of one part back through all steps.

    ``dh`` comes with the gradient of ``last`` and ends as anything; ``dc`` and
    ``zeros`` come as zeros.
    """

    @numba.njit(  # type: ignore[untyped-decorator]
        types.void(
            *[_CONST_INTS] * 2,
            *[_CONST_FLOATS] * 6,
            *[_FLOATS] * 3,
            *[types.int64] * 10,
        ),
        cache=True,
        nogil=True,
    )
    def backward(
        lengths: Any,
        output_index: Any,
        gates: Any,
        c: Any,
        weights: Any,
        masks: Any,
        d_outputs: Any,
        zeros: Any,
        dz: Any,
        dh: Any,
        dc: Any,
        units: int,
        first_review: int,
        n_reviews: int,
        first_row: int,
        is_masked: int,
        has_outputs: int,
        gates_stride: int,
        gates_gate_stride: int,
        masks_gate_stride: int,
        outputs_stride: int,
    ) -> None:
        version  # noqa: B018
        before = _set_denormals(FLUSH_DENORMALS)
        n_vectors = (units + WIDTH - 1) // WIDTH
        n_panels = (n_vectors + MAX_VECTORS - 1) // MAX_VECTORS
        row = first_row
        for r in range(n_reviews):
            row += lengths[first_review + r]
        n = 0
        t = lengths[first_review] - 1 if n_reviews else -1
        while t >= 0:
            while n < n_reviews and lengths[first_review + n] > t:
                n += 1
            row -= n
            n_before = n
            while n_before < n_reviews and lengths[first_review + n_before] > t - 1:
                n_before += 1
            if t > 0:
                c_before = c.ctypes.data + 4 * (row - n_before) * units
            else:
                c_before = zeros.ctypes.data
            dh_rows = dh.ctypes.data + 4 * first_review * units
            _backward_gates(
                (
                    n,
                    units,
                    gates.ctypes.data + 4 * row * gates_stride,
                    gates_stride,
                    gates_gate_stride,
                    dz.ctypes.data + 4 * row * gates_stride,
                    c_before,
                    c.ctypes.data + 4 * row * units,
                    dc.ctypes.data + 4 * first_review * units,
                    dh_rows,
                    d_outputs.ctypes.data if has_outputs else 0,
                    output_index.ctypes.data + 4 * row,
                    outputs_stride,
                )
            )
            n_blocks = (n + MAX_ROWS - 1) // MAX_ROWS if t > 0 else 0
            for panel in range(n_panels):
                vector = n_vectors * panel // n_panels
                n_here = n_vectors * (panel + 1) // n_panels - vector
                for block in range(n_blocks):
                    r = n * block // n_blocks
                    n_rows = n * (block + 1) // n_blocks - r
                    arguments = (
                        n_rows,
                        n_here,
                        dz.ctypes.data + 4 * (row + r) * gates_stride,
                        gates_stride,
                        gates_gate_stride,
                        weights.ctypes.data + 4 * 4 * units * vector * WIDTH,
                        units,
                        vector * WIDTH,
                        dh_rows + 4 * r * units,
                        masks.ctypes.data + 4 * (first_review + r) * units,
                        masks_gate_stride,
                    )
                    if is_masked:
                        _backward_masked(arguments)
                    else:
                        _backward_plain(arguments)
            t -= 1
        _set_denormals(before)

    return backward
