"""Types of the flat arrays in the signatures of the compiled functions."""

from __future__ import annotations

from numba.core import types

FLOATS = types.Array(types.float32, 1, "C")
CONST_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
INTS = types.Array(types.int32, 1, "C")
CONST_INTS = types.Array(types.int32, 1, "C", readonly=True)
