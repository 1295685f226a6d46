"""Blocks of labelled examples, which every format yields."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lstm_bench.data.files.bad_rows import NOT_UTF8, BadRows
from lstm_bench.data.files.columns import Columns, label_text, number
from lstm_bench.data.files.streams import MAX_TEXT, has_other_bytes, other_bytes
from lstm_bench.text import quoted

Kind = Literal["texts", "vectors", "categories"]
MAX_LABEL = 200
"""Most characters of a label."""
UNKNOWN, TRAIN, VALIDATION, TEST = -1, 0, 1, 2
"""Parts; unknown if neither a file nor a column has the part."""
PART_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "0": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "1": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "2": TEST,
}
"""Parts by what people call them, in a column or as a file or folder."""
NO_FINITE_LABEL = "a label that is no finite number"
NO_TEXT = "no text"
NO_LABEL = "no label"
LONG_LABEL = f"a label of more than {MAX_LABEL} characters"
LONG_TEXT = f"a text of more than {MAX_TEXT:,} characters"
NO_PART = "no part of the data: expected train, validation or test"
NO_GROUP = "no group"
NO_TIME = "no time: expected a number or an ISO date"
NO_NUMBER = "a value that is no number"
NOT_FINITE = "a value that is missing or not finite"
EMPTY_SERIES = "a series without steps"


@dataclass
class Examples:
    """A block of examples, as equally long lists.

    Attributes
    ----------
    values : list
        Texts (str), series (float32 ndarrays of shape (n_steps, n_channels)), or lists
        of categories (str).
    labels
        Empty strings if the examples are read without their classes.
    parts, groups, times
        Given only if columns have them.
    columns : dict
        Columns of a table that are kept beside the examples, by name.
    """

    values: list[Any] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """One file or folder, opened: what its examples are, and how to read them.

    Attributes
    ----------
    blocks : function of (bad) -> iterator of Examples
    columns : Columns or None
        For a table, the purpose of its columns.
    kept : tuple of str
        Columns that its examples keep.
    """

    path: Path
    kind: Kind
    blocks: Callable[[BadRows], Iterator[Examples]]
    channels: tuple[str, ...] = ()
    columns: Columns | None = None
    kept: tuple[str, ...] = ()


def channel_names(n: int) -> tuple[str, ...]:
    """Return 1, 2, ... for channels without names."""
    return tuple(map(str, range(1, n + 1)))


def label_fault(label: str | None, is_numeric: bool = False) -> tuple[str, str] | None:
    """Return what is wrong with a label, and what was found; None if nothing is.

    Parameters
    ----------
    is_numeric : bool
        Whether it must be a finite number.
    """
    if not label:
        return NO_LABEL, ""
    if len(label) > MAX_LABEL:
        return LONG_LABEL, label
    if has_other_bytes(label):
        return NOT_UTF8, other_bytes(label)
    if is_numeric:
        value = number(label)
        if value is None or not math.isfinite(value):
            return NO_FINITE_LABEL, quoted(label)
    return None


def text_fault(text: Any) -> tuple[str, str] | None:
    """Return what is wrong with a text, and what was found; None if nothing is."""
    if not isinstance(text, str):
        return NO_TEXT, "" if text is None else quoted(text)
    if len(text) > MAX_TEXT:
        return LONG_TEXT, f"{len(text):,}"
    if has_other_bytes(text):
        return NOT_UTF8, other_bytes(text)
    return None


def part_of(cell: Any) -> int | None:
    """Return the part that a cell names; None if it names none."""
    return PART_NAMES.get((label_text(cell) or "").casefold())


def time_of(cell: Any) -> float | None:
    """Return a number or an ISO date (without a zone: UTC) as a number."""
    found = number(cell)
    if found is not None:
        return found if abs(found) < float("inf") else None
    moment = cell
    if isinstance(cell, str):
        try:
            moment = datetime.fromisoformat(cell.strip())
        except ValueError:
            return None
    if not hasattr(moment, "timetuple"):
        return None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
