"""Types of the compiled functions' arguments: flat arrays, and integers."""

from __future__ import annotations

from numba.core import types

FLOATS = types.Array(types.float32, 1, "C")
CONST_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
CONST_INTS = types.Array(types.int32, 1, "C", readonly=True)
