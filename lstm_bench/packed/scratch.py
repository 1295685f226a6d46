"""What one part keeps at hand while its steps are computed, and how large that is.

Some steps at a time, of `CHUNK_ROWS` rows at most, so that their inputs and the
gradient of their gates are still in the cache when they are multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstm_bench.packed.tiles import N_GATES

CHUNK_ROWS = 128
"""At least a part's reviews. A panel of so many rows fits the first cache, and adding
up so many takes longer than to read and write the sums."""

LINE_FLOATS = 16
"""float32 numbers in a cache line, and in the widest vector."""


def padded(n: int) -> int:
    """Return n rounded up to whole vectors."""
    return -(-n // LINE_FLOATS) * LINE_FLOATS


def stride_of(n_columns: int) -> int:
    """Return floats from row to row: whole cache lines, an odd number of them.

    Rows that are a power of two apart fall into the same few places of a cache.
    """
    return (padded(n_columns) // LINE_FLOATS | 1) * LINE_FLOATS


@dataclass(frozen=True)
class Scratch:
    """The sizes, in floats.

    Attributes
    ----------
    gate_stride : int
        From gate to gate in rows of gates: whole vectors where each gate is multiplied
        by itself, so that no vector holds two gates.
    gates_stride, input_stride, state_stride : int
        From row to row of the gates, of inputs and a 1 (the bias's), and of h.
    """

    gate_stride: int
    gates_stride: int
    input_stride: int
    state_stride: int

    @classmethod
    def of(cls, units: int, features: int, is_masked: bool) -> Scratch:
        """Return the sizes; ``is_masked``: whether each gate has masks of its own."""
        gate_stride = padded(units) if is_masked else units
        return cls(
            gate_stride,
            stride_of(N_GATES * gate_stride),
            stride_of(features + 1),
            stride_of(units),
        )

    @property
    def n_gates(self) -> int:
        """Columns of the gates of a row."""
        return N_GATES * self.gate_stride

    @property
    def n_floats(self) -> int:
        """Of a chunk: its gates, and its inputs or states."""
        return CHUNK_ROWS * (
            self.gates_stride + max(self.input_stride, self.state_stride)
        )
