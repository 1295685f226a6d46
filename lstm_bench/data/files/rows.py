"""Examples from the rows of a table: texts, lists, and series laid out wide or long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array
from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import (
    Columns,
    check_columns,
    infer_columns,
    label_text,
)
from lstm_bench.data.files.examples import (
    EMPTY_SERIES,
    NO_GROUP,
    NO_NUMBER,
    NO_PART,
    NO_TIME,
    NOT_FINITE,
    Examples,
    Kind,
    Source,
    channel_names,
    label_fault,
    part_of,
    text_fault,
    time_of,
)
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.files.streams import BLOCK_ROWS
from lstm_bench.data.files.tables import Cell, Rows, Table, head
from lstm_bench.errors import DatasetError
from lstm_bench.text import quoted

OTHER_CHANNELS = "another number of channels than the first series"
OTHER_LABEL = "a series with two labels, parts, groups or times"
NO_LIST = "no list of numbers"
Fault = tuple[str, str]


def table_source(
    table: Table,
    options: FileOptions,
    like: Columns | None = None,
    *,
    is_part: bool,
    needs_label: bool = True,
) -> Source:
    """Open the examples of a table.

    Parameters
    ----------
    like : Columns or None
        The columns of the train part, which this table must have, too; None to infer
        them.
    is_part : bool
        Whether the file is one part, so that no column needs to name the part.
    needs_label : bool
        Without it, only inputs are read, and the examples keep all columns.
    """
    if like is None:
        columns = infer_columns(
            table, options, needs_split=not is_part, needs_label=needs_label
        )
    else:
        columns = like
        check_columns(table, columns)
    kind: Kind = "texts" if columns.layout == "text" else "vectors"
    if columns.has_categories:
        kind = "categories"
    channels: tuple[str, ...] = ()
    shape = (len(columns.values), 1)
    if columns.layout == "long" and kind == "vectors":
        channels = columns.values
    elif columns.layout == "wide":
        shape = options.shape or shape
        if shape[0] * shape[1] != len(columns.values):
            raise DatasetError(
                f"{table.path}: shape: expected {shape[0]} x {shape[1]} = "
                f"{shape[0] * shape[1]:,} columns of numbers, found "
                f"{len(columns.values):,}; correct shape, or name the columns with "
                "values"
            )
        channels = channel_names(shape[1])
    elif columns.layout == "lists" and kind == "vectors":
        channels = channel_names(_n_channels(table, columns.values[0]))

    kept: tuple[str, ...] = ()
    if not needs_label:
        # A column that stands twice has no name of its own.
        once = tuple(n for n in table.columns if table.columns.count(n) == 1)
        kept = once if columns.series is None else (columns.series,)
    read = tuple(dict.fromkeys((*columns.used, *kept)))

    def blocks(bad: BadRows) -> Iterator[Examples]:
        if columns.layout == "long":
            yield from _long(table, columns, bad, kept)
            return
        for rows in table.blocks(read, bad):
            yield _examples(table, columns, rows, bad, shape, len(channels), kept)

    return Source(table.path, kind, blocks, channels, columns, kept)


def _n_channels(table: Table, column: str) -> int:
    for cell in head(table, [column], BLOCK_ROWS)[column]:
        series, _ = _series(cell, None)
        if series is not None:
            return int(series.shape[1])
    raise DatasetError(
        f"{table.path}: column {quoted(column)}: expected lists of numbers, or of "
        "equally long lists of numbers, found none; name another with values"
    )


def _examples(
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
    wide = _wide(columns, rows) if columns.layout == "wide" else None
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
            value, fault = _series(rows.columns[columns.values[0]][i], n_channels)
        label, label_is_wrong = _label(columns, rows, i)
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


def _label(columns: Columns, rows: Rows, i: int) -> tuple[str, Fault | None]:
    if columns.label is None:
        return "", None
    label = label_text(rows.columns[columns.label][i])
    return label or "", label_fault(label)


def _add_others(found: Examples, columns: Columns, rows: Rows, i: int) -> Fault | None:
    """Add part, group and time of row `i`; return what is wrong with them."""
    others = _others(columns, rows, i)
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


def _others(
    columns: Columns, rows: Rows, i: int
) -> tuple[int | None, str | None, float | None] | str:
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
class _Wide:
    columns: Columns
    rows: Rows
    numbers: Float32Array | None

    def series(
        self, i: int, shape: tuple[int, int]
    ) -> tuple[Float32Array | None, Fault | None]:
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


def _wide(columns: Columns, rows: Rows) -> _Wide:
    try:
        by_column = [_float32(rows.columns[name]) for name in columns.values]
    except (ValueError, TypeError, OverflowError):
        return _Wide(columns, rows, None)
    return _Wide(columns, rows, np.stack(by_column, axis=1))


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


def _series(
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


# One row, one step


@dataclass
class _LongSeries:
    label: str
    others: tuple[int | None, str | None, float | None]
    place: str
    fault: Fault | None = None


def _long(
    table: Table, columns: Columns, bad: BadRows, kept: tuple[str, ...]
) -> Iterator[Examples]:
    """Yield series whose steps are rows, in the order of their first rows.

    A series with a bad row is bad as a whole: without the step it would be another.
    """
    assert columns.series is not None
    codes: dict[str, int] = {}
    every: list[_LongSeries] = []
    series_of: list[npt.NDArray[np.int64]] = []
    steps_of: list[npt.NDArray[np.float64]] = []
    values_of: list[Any] = []
    n_rows, n_read_before, n_dropped_before = 0, bad.n_read, bad.n_dropped
    for rows in table.blocks(columns.used, bad):
        block = np.empty(len(rows.lines), np.int64)
        steps = np.arange(n_rows, n_rows + len(rows.lines), dtype=np.float64)
        n_rows += len(rows.lines)
        wide = None if columns.has_categories else _wide(columns, rows)
        values: list[Any] = []
        for i, line in enumerate(rows.lines):
            place = f"{table.unit} {line}"
            name = label_text(rows.columns[columns.series][i])
            if not name:
                bad.add(table.path, place, "no name of a series")
                block[i] = -1
                values.append(None)
                continue
            value, fault = _step_value(columns, rows, wide, i)
            label, label_is_wrong = _label(columns, rows, i)
            others = _others(columns, rows, i)
            fault = fault or label_is_wrong
            if isinstance(others, str):
                fault = fault or (others, "")
                others = (None, None, None)
            if columns.step is not None:
                step = time_of(rows.columns[columns.step][i])
                if step is None:
                    found = quoted(rows.columns[columns.step][i])
                    fault = fault or (
                        f"no step{NO_TIME.removeprefix('no time')}",
                        found,
                    )
                else:
                    steps[i] = step
            code = codes.setdefault(name, len(codes))
            if code == len(every):
                every.append(_LongSeries(label, others, place, fault))
            one = every[code]
            if one.fault is None:
                if (label, others) != (one.label, one.others):
                    fault = fault or (OTHER_LABEL, quoted(name))
                if fault is not None:
                    one.fault, one.place = fault, place
            block[i] = code
            values.append(value)
        series_of.append(block)
        steps_of.append(steps)
        values_of.append(
            np.array([v or "" for v in values], object)
            if columns.has_categories
            else np.array(
                [np.zeros(len(columns.values)) if v is None else v for v in values],
                np.float32,
            )
        )
    # From here on a series counts as one row.
    bad.n_read = n_read_before + bad.n_dropped - n_dropped_before + len(every)
    if not every:
        return
    codes_of_rows, steps = np.concatenate(series_of), np.concatenate(steps_of)
    order = np.lexsort((steps, codes_of_rows))
    is_twice = (np.diff(codes_of_rows[order]) == 0) & (np.diff(steps[order]) == 0)
    for code in np.unique(codes_of_rows[order][1:][is_twice]):
        if every[code].fault is None:
            every[code].fault = ("two rows for one step of a series", "")
    for one in every:
        if one.fault is not None:
            bad.add(table.path, one.place, *one.fault)
    all_values = np.concatenate(values_of)
    bounds = np.searchsorted(codes_of_rows[order], np.arange(len(every) + 1))
    names = list(codes)
    for first in range(0, len(every), BLOCK_ROWS):
        examples = Examples(columns={name: [] for name in kept})
        for code in range(first, min(first + BLOCK_ROWS, len(every))):
            one = every[code]
            if one.fault is not None:
                continue
            series = all_values[order[bounds[code] : bounds[code + 1]]]
            examples.values.append(list(series) if columns.has_categories else series)
            examples.labels.append(one.label)
            for cells in examples.columns.values():
                cells.append(names[code])
            part, group, time = one.others
            examples.parts += [] if part is None else [part]
            examples.groups += [] if group is None else [group]
            examples.times += [] if time is None else [time]
        yield examples


def _step_value(
    columns: Columns, rows: Rows, wide: _Wide | None, i: int
) -> tuple[Any, Fault | None]:
    if wide is not None:
        series, fault = wide.series(i, (1, len(columns.values)))
        return (None if series is None else series[0]), fault
    cell = label_text(rows.columns[columns.values[0]][i])
    if not cell:
        return None, (NOT_FINITE, quoted(columns.values[0]))
    return cell, text_fault(cell)
