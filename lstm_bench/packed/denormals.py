"""Set whether this thread's processor treats denormal numbers as zero."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from lstm_bench.packed.vectors import target_of_this_machine

# Bits 15 and 6 of MXCSR: denormal results, and operands, count as zero.
FLUSH_DENORMALS = 0x8040


@intrinsic  # type: ignore[untyped-decorator]
def set_denormals(context: Any, bits: Any) -> Any:
    """Set MXCSR's `FLUSH_DENORMALS` to those of `bits`; return the earlier ones."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if not target_of_this_machine().is_x86:
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
