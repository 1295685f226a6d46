"""Examples from tables in which each row is one step of a series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import Columns, label_text
from lstm_bench.data.files.examples import (
    NOT_FINITE,
    Examples,
    text_fault,
    time_of,
)
from lstm_bench.data.files.rows import (
    Fault,
    Others,
    Wide,
    label_of,
    others_of,
    wide_of,
)
from lstm_bench.data.files.streams import BLOCK_ROWS
from lstm_bench.data.files.tables import Rows, Table
from lstm_bench.text import quoted

OTHER_LABEL = "a series with two labels, parts, groups or times"
NO_SERIES = "no name of a series"
NO_STEP = "no step: expected a number or an ISO date"
TWICE = "two rows for one step of a series"
_NONE = -1


def long_examples(
    table: Table, columns: Columns, bad: BadRows, kept: tuple[str, ...]
) -> Iterator[Examples]:
    """Yield series whose steps are rows, in the order of their first rows.

    A series with a bad row is bad as a whole: without the step it would be another. It
    then counts as one bad row.
    """
    n_read, n_dropped = bad.n_read, bad.n_dropped
    steps = _Steps(table, columns, bad)
    for rows in table.blocks(columns.used, bad):
        steps.add(rows)
    bad.n_read = n_read + bad.n_dropped - n_dropped + len(steps.series)
    if steps.series:
        yield from steps.examples(kept)


@dataclass
class _Series:
    label: str
    others: Others
    place: str
    fault: Fault | None = None


class _Steps:
    """The rows of a table as they come: number of the series, step and value of each.

    Rows that name no series have the number -1.
    """

    def __init__(self, table: Table, columns: Columns, bad: BadRows) -> None:
        self.table, self.columns, self.bad = table, columns, bad
        self.numbers: dict[str, int] = {}
        self.series: list[_Series] = []
        self.number_of: list[IntArray] = []
        self.step_of: list[FloatArray] = []
        self.value_of: list[npt.NDArray[Any]] = []
        self.n_rows = 0

    def add(self, rows: Rows) -> None:
        """Add a block of rows."""
        columns, n = self.columns, len(rows.lines)
        wide = None if columns.has_categories else wide_of(columns, rows)
        numbers = np.full(n, _NONE, np.int64)
        steps = np.arange(self.n_rows, self.n_rows + n, dtype=np.float64)
        if columns.has_categories:
            values: npt.NDArray[Any] = np.full(n, "", object)
        else:
            values = np.zeros((n, len(columns.values)), np.float32)
        for i, line in enumerate(rows.lines):
            place = f"{self.table.unit} {line}"
            name = label_text(rows.columns[columns.series or ""][i])
            if not name:
                self.bad.add(self.table.path, place, NO_SERIES)
                continue
            value, fault = _value(columns, rows, wide, i)
            if fault is None:
                values[i] = value
            if columns.step is not None:
                step = time_of(rows.columns[columns.step][i])
                if step is None:
                    found = quoted(rows.columns[columns.step][i])
                    fault = fault or (NO_STEP, found)
                else:
                    steps[i] = step
            numbers[i] = self._number(name, rows, i, place, fault)
        self.number_of.append(numbers)
        self.step_of.append(steps)
        self.value_of.append(values)
        self.n_rows += n

    def _number(
        self, name: str, rows: Rows, i: int, place: str, fault: Fault | None
    ) -> int:
        """Return the number of the row's series, and note what is wrong with it."""
        label, wrong_label = label_of(self.columns, rows, i, self.bad)
        others = others_of(self.columns, rows, i)
        fault = fault or wrong_label
        if isinstance(others, str):
            fault, others = fault or (others, ""), (None, None, None)
        number = self.numbers.setdefault(name, len(self.numbers))
        if number == len(self.series):
            self.series.append(_Series(label, others, place, fault))
        one = self.series[number]
        if fault is None and (label, others) != (one.label, one.others):
            fault = (OTHER_LABEL, quoted(name))
        if one.fault is None and fault is not None:
            one.fault, one.place = fault, place
        return number

    def examples(self, kept: tuple[str, ...]) -> Iterator[Examples]:
        """Yield the good series; add the bad ones to `bad`."""
        numbers, steps = np.concatenate(self.number_of), np.concatenate(self.step_of)
        values = np.concatenate(self.value_of)
        order = np.lexsort((steps, numbers))
        numbers, steps = numbers[order], steps[order]
        if self.columns.step is not None:
            is_twice = (np.diff(numbers) == 0) & (np.diff(steps) == 0)
            for number in np.unique(numbers[1:][is_twice & (numbers[1:] != _NONE)]):
                one = self.series[number]
                one.fault = one.fault or (TWICE, "")
        for one in self.series:
            if one.fault is not None:
                self.bad.add(self.table.path, one.place, *one.fault)
        names = list(self.numbers)
        bounds = np.searchsorted(numbers, np.arange(len(names) + 1))
        for first in range(0, len(names), BLOCK_ROWS):
            found = Examples(columns={name: [] for name in kept})
            for number in range(first, min(first + BLOCK_ROWS, len(names))):
                one = self.series[number]
                if one.fault is not None:
                    continue
                series = values[order[bounds[number] : bounds[number + 1]]]
                has_categories = self.columns.has_categories
                found.values.append(list(series) if has_categories else series)
                found.labels.append(one.label)
                part, group, time = one.others
                found.parts += [] if part is None else [part]
                found.groups += [] if group is None else [group]
                found.times += [] if time is None else [time]
                for cells in found.columns.values():
                    cells.append(names[number])
            yield found


def _value(
    columns: Columns, rows: Rows, wide: Wide | None, i: int
) -> tuple[Any, Fault | None]:
    """Return the values of a row, of shape (n_channels,), or its category."""
    if wide is not None:
        series, fault = wide.series(i, (1, len(columns.values)))
        return (None if series is None else series[0]), fault
    cell = label_text(rows.columns[columns.values[0]][i])
    if not cell:
        return None, (NOT_FINITE, quoted(columns.values[0]))
    return cell, text_fault(cell)
