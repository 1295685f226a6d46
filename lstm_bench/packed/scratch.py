"""Temporary memory of one part while its steps are computed, and its size.

Steps are processed in chunks of at most `CHUNK_ROWS` rows, so that their inputs and the
gradient of their gates are still in the cache when they are multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_ROWS = 128
"""At least a part's sequences. A panel of so many rows fits the first-level cache, and
adding so many takes longer than reading and writing the sums."""

LINE_FLOATS = 16
"""float32 numbers in a cache line, and in the widest vector."""


def padded(n: int) -> int:
    """Return n rounded up to whole vectors."""
    return -(-n // LINE_FLOATS) * LINE_FLOATS


def stride_of(n_columns: int) -> int:
    """Return the floats from row to row: an odd number of whole cache lines.

    Rows at distances of a power of two would share the same few sets of a cache.
    """
    return (padded(n_columns) // LINE_FLOATS | 1) * LINE_FLOATS


@dataclass(frozen=True)
class Scratch:
    """The sizes, in floats.

    Attributes
    ----------
    gate_stride : int
        From gate to gate in rows of gates: whole vectors if the gates are multiplied
        separately, so that no vector contains two gates.
    gates_stride, input_stride, state_stride : int
        From row to row of the gates, of inputs with a 1 for the bias, and of h.
    """

    gate_stride: int
    gates_stride: int
    input_stride: int
    state_stride: int

    @classmethod
    def of(cls, n_gates: int, units: int, features: int, is_masked: bool) -> Scratch:
        """Return the sizes; ``is_masked``: whether each gate has its own masks."""
        gate_stride = padded(units) if is_masked else units
        return cls(
            gate_stride,
            stride_of(n_gates * gate_stride),
            stride_of(features + 1),
            stride_of(units),
        )

    @property
    def n_floats(self) -> int:
        """Of a chunk: its gates, and its inputs or states."""
        return CHUNK_ROWS * (
            self.gates_stride + max(self.input_stride, self.state_stride)
        )
