"""The UCR archive's ``.tsv``: the class, then the values of one channel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lstm_bench.data.files.bad_rows import NOT_UTF8, BadRows
from lstm_bench.data.files.examples import (
    EMPTY_SERIES,
    Examples,
    Source,
    channel_names,
    label_fault,
)
from lstm_bench.data.files.streams import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    has_other_bytes,
    lines,
    other_bytes,
)
from lstm_bench.data.files.ts import series_of
from lstm_bench.errors import DatasetError


def looks_like_ucr(path: Path) -> bool:
    """Whether the first line of a tab-separated file is a class and numbers."""
    cells = next(lines(path), "").split("\t")
    try:
        return len(cells) > 2 and all(float(cell) is not None for cell in cells)
    except ValueError:
        return False


def ucr_source(path: Path, needs_label: bool = True) -> Source:
    """Open a file of the UCR archive; without `needs_label`, its classes may be empty.

    Raises
    ------
    DatasetError
        It cannot be read or is empty.
    """
    if not next(lines(path), "").strip():
        raise DatasetError(
            f"{path}: line 1: expected a class and values separated by tabs, got an "
            "empty line; give another file"
        )
    return Source(
        path, "vectors", lambda bad: _blocks(path, needs_label, bad), channel_names(1)
    )


def _blocks(path: Path, needs_label: bool, bad: BadRows) -> Iterator[Examples]:
    found, n_characters = Examples(), 0
    for number, line in enumerate(lines(path), 1):
        if line.isspace():
            continue
        bad.n_read += 1
        if has_other_bytes(line):
            bad.add(path, f"line {number}", NOT_UTF8, other_bytes(line))
            continue
        label, *cells = line.rstrip("\r\n").split("\t")
        # The archive fills shorter series up with NaN at their ends.
        while cells and cells[-1].strip().casefold() in ("nan", ""):
            cells.pop()
        series, fault = series_of([cells]) if cells else (None, (EMPTY_SERIES, ""))
        if needs_label:
            fault = label_fault(label.strip(), bad.is_numeric) or fault
        if fault is not None:
            bad.add(path, f"line {number}", *fault)
            continue
        found.values.append(series)
        found.labels.append(label.strip() if needs_label else "")
        n_characters += len(line)
        if len(found.labels) == BLOCK_ROWS or n_characters >= BLOCK_CHARACTERS:
            yield found
            found, n_characters = Examples(), 0
    yield found
