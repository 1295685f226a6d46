"""Types of the flat arrays that the compiled functions take."""

from __future__ import annotations

from numba.core import types

FLOATS = types.Array(types.float32, 1, "C")
CONST_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
INTS = types.Array(types.int32, 1, "C")
CONST_INTS = types.Array(types.int32, 1, "C", readonly=True)
