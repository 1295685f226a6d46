"""Examples from tables with one example in each row: texts, lists, wide series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_bench.arrays import Float32Array
from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import Columns, label_text
from lstm_bench.data.files.examples import (
    EMPTY_SERIES,
    NO_GROUP,
    NO_NUMBER,
    NO_PART,
    NO_TIME,
    NOT_FINITE,
    Examples,
    label_fault,
    part_of,
    text_fault,
    time_of,
)
from lstm_bench.data.files.tables import Cell, Rows, Table
from lstm_bench.text import quoted

OTHER_CHANNELS = "another number of channels than the first series"
NO_LIST = "no list of numbers"
Fault = tuple[str, str]
Others = tuple[int | None, str | None, float | None]
"""Part, group and time of an example."""


def row_examples(
    table: Table,
    columns: Columns,
    rows: Rows,
    bad: BadRows,
    shape: tuple[int, int],
    n_channels: int,
    kept: tuple[str, ...],
) -> Examples:
    """Return the good examples of a block in which each row is one."""
    found = Examples(columns={name: [] for name in kept})
    wide = wide_of(columns, rows) if columns.layout == "wide" else None
    for i, line in enumerate(rows.lines):
        value: Any = None
        fault: Fault | None
        if wide is not None:
            value, fault = wide.series(i, shape)
        elif columns.text is not None:
            value = rows.columns[columns.text][i]
            fault = text_fault(value)
        elif columns.has_categories:
            value, fault = _categories(rows.columns[columns.values[0]][i])
        else:
            value, fault = series_of_list(
                rows.columns[columns.values[0]][i], n_channels
            )
        label, label_is_wrong = label_of(columns, rows, i, bad)
        fault = fault or label_is_wrong
        if fault is None:
            fault = _add_others(found, columns, rows, i)
        if fault is not None:
            bad.add(table.path, f"{table.unit} {line}", *fault)
            continue
        found.values.append(value)
        found.labels.append(label)
        for name, cells in found.columns.items():
            cells.append(rows.columns[name][i])
    return found


def label_of(
    columns: Columns, rows: Rows, i: int, bad: BadRows
) -> tuple[str, Fault | None]:
    """Return the label of row `i`, "" if none is read, and what is wrong with it."""
    if columns.label is None:
        return "", None
    label = label_text(rows.columns[columns.label][i])
    return label or "", label_fault(label, bad.is_numeric)


def _add_others(found: Examples, columns: Columns, rows: Rows, i: int) -> Fault | None:
    """Add part, group and time of row `i`; return what is wrong with them."""
    others = others_of(columns, rows, i)
    if isinstance(others, str):
        return others, ""
    part, group, time = others
    if part is not None:
        found.parts.append(part)
    if group is not None:
        found.groups.append(group)
    if time is not None:
        found.times.append(time)
    return None


def others_of(columns: Columns, rows: Rows, i: int) -> Others | str:
    """Return part, group and time of row `i`, or what is wrong with them."""
    part = group = time = None
    if columns.split is not None:
        part = part_of(rows.columns[columns.split][i])
        if part is None:
            return NO_PART
    if columns.group is not None:
        group = label_text(rows.columns[columns.group][i])
        if not group:
            return NO_GROUP
    if columns.time is not None:
        time = time_of(rows.columns[columns.time][i])
        if time is None:
            return NO_TIME
    return part, group, time


# One row, one series


@dataclass
class Wide:
    """Numeric columns of a block; `numbers` is None if a cell is no number."""

    columns: Columns
    rows: Rows
    numbers: Float32Array | None

    def series(
        self, i: int, shape: tuple[int, int]
    ) -> tuple[Float32Array | None, Fault | None]:
        """Return row `i` as a series of `shape`, or what is wrong with it."""
        if self.numbers is not None:
            flat = self.numbers[i]
        else:
            cells = {n: self.rows.columns[n][i] for n in self.columns.values}
            for name, cell in cells.items():
                if not _converts(cell):
                    what = NOT_FINITE if cell in (None, "") else NO_NUMBER
                    return None, (what, f"{quoted(name)}: {quoted(cell)}")
            flat = _float32(list(cells.values()))
        wrong = np.flatnonzero(~np.isfinite(flat))
        if len(wrong):
            name = self.columns.values[wrong[0]]
            cell = self.rows.columns[name][i]
            return None, (NOT_FINITE, f"{quoted(name)}: {quoted(cell)}")
        return flat.reshape(shape), None


def wide_of(columns: Columns, rows: Rows) -> Wide:
    """Convert the value columns of a block."""
    try:
        by_column = [_float32(rows.columns[name]) for name in columns.values]
    except (ValueError, TypeError, OverflowError):
        return Wide(columns, rows, None)
    return Wide(columns, rows, np.stack(by_column, axis=1))


def _float32(cells: Sequence[Cell]) -> Float32Array:
    # What float32 cannot hold becomes infinite, and so a bad row.
    with np.errstate(over="ignore"):
        return np.array([float(cell) for cell in cells]).astype(np.float32)


def _converts(cell: Cell) -> bool:
    try:
        float(cell)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def series_of_list(
    cell: Cell, n_channels: int | None
) -> tuple[Float32Array | None, Fault | None]:
    """Return a list of numbers, or of lists of them, as (n_steps, n_channels)."""
    if not isinstance(cell, list):
        return None, (NO_LIST, quoted(cell))
    if not cell:
        return None, (EMPTY_SERIES, "")
    try:
        with np.errstate(over="ignore"):
            series = np.array(cell, np.float64).astype(np.float32)
    except (ValueError, TypeError, OverflowError):
        return None, (NO_LIST, quoted(cell))
    if series.ndim == 1:
        series = series[:, None]
    if series.ndim != 2 or not series.shape[1]:
        return None, (NO_LIST, quoted(cell))
    if n_channels not in (None, series.shape[1]):
        found = f"expected {n_channels}, got {series.shape[1]}"
        return None, (OTHER_CHANNELS, found)
    if not np.isfinite(series).all():
        return None, (NOT_FINITE, quoted(cell))
    return series, None


def _categories(cell: Cell) -> tuple[list[str] | None, Fault | None]:
    if not isinstance(cell, list):
        return None, ("no list of categories", quoted(cell))
    if not cell:
        return None, (EMPTY_SERIES, "")
    found = [label_text(item) for item in cell]
    if not all(found):
        return None, (NOT_FINITE, quoted(cell))
    fault = next(filter(None, map(text_fault, found)), None)
    return found, fault
