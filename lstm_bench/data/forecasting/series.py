"""Series on a common time axis, with missing values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.data.files.columns import number
from lstm_bench.data.files.tables import Cell

MISSING = ("", "nan", "na", "n/a", "null", "none", "?")
"""Cells that stand for a missing value, in lower case."""


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes
    ----------
    name : str
        Empty if a file has one series without a name.
    first : int
        Position of its first value on the time axis of the collection.
    values : float64 ndarray of shape (n_steps,)
        NaN where a value is missing.
    """

    name: str
    first: int
    values: FloatArray

    @property
    def stop(self) -> int:
        """The position after the last value."""
        return self.first + len(self.values)

    @property
    def n_missing(self) -> int:
        """Number of missing values."""
        return int(np.isnan(self.values).sum())

    def until(self, cut: int) -> Series:
        """Return the series without its values at position `cut` and later."""
        return replace(self, values=self.values[: max(0, cut - self.first)])


@dataclass(frozen=True)
class Collection:
    """Series that share a time axis.

    Attributes
    ----------
    series : tuple of Series
    times : tuple of str
        The time of each position; its length is the number of positions.
    rows : dict
        What was read of a file: ``n_read``, ``n_dropped``, ``reasons``.
    files : str
        Name and digest of the file; empty for generated series.
    notes : tuple of str
        Remarks for readers of the results.
    """

    series: tuple[Series, ...]
    times: tuple[str, ...]
    rows: Mapping[str, Any] = field(default_factory=dict)
    files: str = ""
    notes: tuple[str, ...] = ()

    def until(self, cut: int) -> Collection:
        """Return the collection without the values at position `cut` and later."""
        return replace(self, series=tuple(one.until(cut) for one in self.series))


def value_of(cell: Cell) -> float | None:
    """Return a cell as a number, NaN if it is missing; None if it is none of both."""
    if cell is None or (isinstance(cell, str) and cell.strip().casefold() in MISSING):
        return math.nan
    found = number(cell)
    return None if found is None or math.isinf(found) else found
