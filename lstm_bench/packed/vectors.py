"""Vector arithmetic as LLVM instructions, for loops that Numba does not vectorise.

The methods here write instructions into a function that is being built; they compute
nothing. A vector has `Emitter.width` float32 lanes, as many as the machine's registers
have, so that one line here is one machine instruction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import config
from numpy.polynomial import Chebyshev, Polynomial

FLOAT = ir.FloatType()
INT = ir.IntType(64)
FLOAT_BYTES = 4

LOG2_E = math.log2(math.e)
# Of sigmoid's argument: beyond it, e^x leaves the range of normal float32 numbers.
EXP_LIMIT = 87.0
# 2^r for |r| <= 1/2, interpolated at Chebyshev points: within 1e-7.
EXP2_TERMS = tuple(
    Chebyshev.interpolate(np.exp2, 5, domain=(-0.5, 0.5))
    .convert(kind=Polynomial)
    .coef.tolist()
)
# Added to a float32 below 2^22, it leaves the nearest integer in the last bits.
ROUNDER = 1.5 * 2**23
# Beyond it, tanh is 1 or -1 within 3e-7.
TANH_LIMIT = 8.0
# tanh x = x P(x^2) / Q(x^2) within 2e-8 for |x| <= TANH_LIMIT: the ratio with the
# smallest maximal relative error, found by weighted least squares whose weights grow
# where the error is large (Lawson's iteration).
TANH_ABOVE = (
    0.999999981,
    0.129792244,
    0.00298586308,
    9.87867258e-06,
    -1.47042652e-08,
    2.35087396e-11,
)
TANH_BELOW = (1.0, 0.463125404, 0.024027929, 0.000237203406)


@dataclass(frozen=True)
class Target:
    """The machine that the kernel is compiled for.

    Attributes
    ----------
    width : int
        float32 lanes of a vector.
    max_rows : int
        Rows of a tile: with four vectors each they fill the registers, except those for
        the factors.
    is_x86 : bool
        Whether denormals are flushed through MXCSR. Elsewhere they cost little.
    """

    width: int
    max_rows: int
    is_x86: bool


def target_of_this_machine() -> Target:
    """Return the widest vectors that this machine has and that Numba may use."""
    features = dict(llvm.get_host_cpu_features())
    if config.CPU_FEATURES is not None:
        # NUMBA_CPU_FEATURES, for a processor that differs from the detected one.
        features = {f[1:]: f[0] == "+" for f in config.CPU_FEATURES.split(",") if f}
    is_x86 = llvm.get_default_triple().startswith(("x86_64", "i686", "amd64"))
    if features.get("avx512f"):
        return Target(16, 6, is_x86)
    if features.get("avx2") and features.get("fma"):
        return Target(8, 3, is_x86)
    return Target(4, 2, is_x86)


class Emitter:
    """Writes vector instructions at a builder's position.

    Addresses are integers of 64 bits, in bytes; offsets are in floats.
    """

    def __init__(self, builder: ir.IRBuilder, width: int) -> None:
        self.builder = builder
        self.width = width
        self.vector = ir.VectorType(FLOAT, width)
        self._int_vector = ir.VectorType(ir.IntType(32), width)
        self._mask = ir.VectorType(ir.IntType(1), width)

    def int(self, value: int) -> Any:
        """Return an integer constant."""
        return ir.Constant(INT, value)

    def constant(self, value: float) -> Any:
        """Return a vector whose lanes all are `value`."""
        return ir.Constant(self.vector, [ir.Constant(FLOAT, value)] * self.width)

    def at(self, address: Any, offset: Any) -> Any:
        """Return the address `offset` floats after `address`."""
        n_bytes = self.builder.mul(offset, self.int(FLOAT_BYTES))
        return self.builder.add(address, n_bytes)

    def pointer(self, address: Any) -> Any:
        """Return `address` as a pointer."""
        return self.builder.inttoptr(address, ir.PointerType())

    def load(self, address: Any) -> Any:
        """Load a whole vector."""
        return self.builder.load(
            self.pointer(address), typ=self.vector, align=FLOAT_BYTES
        )

    def broadcast(self, address: Any) -> Any:
        """Load one float into every lane."""
        value = self.builder.load(self.pointer(address), typ=FLOAT, align=FLOAT_BYTES)
        return self._splat(value, self.vector, FLOAT)

    def load_lanes(self, address: Any, is_whole: Any, mask: Any) -> Any:
        """Load the lanes of `mask`, 0 in the others; do not read the others' memory."""
        return self._either(
            is_whole,
            lambda: self.load(address),
            lambda: self._call(
                f"llvm.masked.load.v{self.width}f32.p0",
                self.vector,
                self.pointer(address),
                mask,
                self.constant(0.0),
            ),
        )

    def store(self, value: Any, address: Any) -> None:
        """Store a whole vector."""
        self.builder.store(value, self.pointer(address), align=FLOAT_BYTES)

    def store_lanes(self, value: Any, address: Any, is_whole: Any, mask: Any) -> None:
        """Store the lanes of `mask`; do not write the others' memory."""
        with self.builder.if_else(is_whole) as (whole, partly):
            with whole:
                self.store(value, address)
            with partly:
                self._call(
                    f"llvm.masked.store.v{self.width}f32.p0",
                    ir.VoidType(),
                    value,
                    self.pointer(address),
                    mask,
                )

    def lanes(self, n: Any) -> tuple[Any, Any]:
        """Return whether `n` lanes are a whole vector, and the mask of the first n."""
        numbers = ir.Constant(
            self._int_vector,
            [ir.Constant(ir.IntType(32), i) for i in range(self.width)],
        )
        n_32 = self.builder.trunc(n, ir.IntType(32))
        limit = self._splat(n_32, self._int_vector, ir.IntType(32))
        mask = self.builder.icmp_signed("<", numbers, limit)
        return self.builder.icmp_signed(">=", n, self.int(self.width)), mask

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, in one instruction where the machine has it."""
        name = f"llvm.fmuladd.v{self.width}f32"
        return self._call(name, self.vector, a, b, c)

    def sigmoid(self, x: Any) -> Any:
        """Return 1 / (1 + e^-x), to about 2e-7.

        e^-x = 2^n 2^r with n the integer next to y = -x / ln 2, and r = y - n.
        """
        b = self.builder
        for edge, beyond in ((EXP_LIMIT, ">"), (-EXP_LIMIT, "<")):
            # With the comparison in this order, a NaN remains a NaN.
            at = self.constant(edge)
            x = b.select(b.fcmp_ordered(beyond, x, at), at, x)
        per_x = self.constant(-LOG2_E)
        rounder = self.constant(ROUNDER)
        rounded = self.multiply_add(x, per_x, rounder)
        n = b.fsub(rounded, rounder)
        r = self.multiply_add(x, per_x, b.fneg(n))
        series = self._polynomial(r, EXP2_TERMS)
        # A float32's exponent is in its bits 23 to 30; the other bits of `rounded` are
        # shifted out.
        bits_23 = ir.Constant(
            self._int_vector, [ir.Constant(ir.IntType(32), 23)] * self.width
        )
        exponent = b.shl(b.bitcast(rounded, self._int_vector), bits_23)
        bits = b.add(b.bitcast(series, self._int_vector), exponent)
        one = self.constant(1.0)
        return b.fdiv(one, b.fadd(one, b.bitcast(bits, self.vector)))

    def tanh(self, x: Any) -> Any:
        """Return tanh x, to 4e-7 relative, never beyond 1."""
        b = self.builder
        square = b.fmul(x, x)
        above = b.fmul(x, self._polynomial(square, TANH_ABOVE))
        ratio = b.fdiv(above, self._polynomial(square, TANH_BELOW))
        # Exact, so that fully saturated values pass on no gradient.
        limit = self.constant(TANH_LIMIT * TANH_LIMIT)
        one = self._call(
            f"llvm.copysign.v{self.width}f32", self.vector, self.constant(1.0), x
        )
        return b.select(b.fcmp_ordered(">", square, limit), one, ratio)

    @contextmanager
    def loop(self, n: Any) -> Iterator[Any]:
        """Repeat the body for 0, 1, ..., n - 1; yield the index."""
        b = self.builder
        before = b.block
        body = b.append_basic_block("body")
        after = b.append_basic_block("after")
        b.cbranch(b.icmp_signed(">", n, self.int(0)), body, after)
        b.position_at_end(body)
        i = b.phi(INT)
        i.add_incoming(self.int(0), before)
        yield i
        following = b.add(i, self.int(1))
        i.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, n), body, after)
        b.position_at_end(after)

    def variable(self, value: Any) -> Any:
        """Return a place on the stack with `value`; a register, once compiled."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(value.type)
        self.builder.store(value, place)
        return place

    def value(self, place: Any) -> Any:
        """Return the value of a variable."""
        return self.builder.load(place)

    def _polynomial(self, x: Any, coefficients: Any) -> Any:
        """Evaluate the polynomial by Horner's rule, constant term first."""
        *rest, value = [self.constant(c) for c in coefficients]
        for coefficient in reversed(rest):
            value = self.multiply_add(value, x, coefficient)
        return value

    def _splat(self, value: Any, vector: Any, element: Any) -> Any:
        first = self.builder.insert_element(
            ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.width), None)
        return self.builder.shuffle_vector(
            first, ir.Constant(vector, ir.Undefined), zeros
        )

    def _either(
        self, condition: Any, yes: Callable[[], Any], no: Callable[[], Any]
    ) -> Any:
        with self.builder.if_else(condition) as (then, otherwise):
            with then:
                a, a_block = yes(), self.builder.block
            with otherwise:
                b, b_block = no(), self.builder.block
        merged = self.builder.phi(a.type)
        merged.add_incoming(a, a_block)
        merged.add_incoming(b, b_block)
        return merged

    def _call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call one of LLVM's intrinsic functions."""
        module = self.builder.module
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(function, arguments)
