"""Which column of a table has which purpose: as the suite says, else by inference."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.files.tables import Cell, Table, head
from lstm_bench.errors import DatasetError
from lstm_bench.tasks import CLASSIFICATION
from lstm_bench.text import listed, quoted

TEXT_NAMES = (
    "text",
    "review",
    "sentence",
    "content",
    "message",
    "comment",
    "body",
    "document",
    "tweet",
    "utterance",
    "query",
)
LABEL_NAMES = (
    "label",
    "class",
    "category",
    "target",
    "y",
    "sentiment",
    "topic",
    "intent",
    "labels",
)
SPLIT_NAMES = ("split",)
SERIES_NAMES = ("series_id", "series", "unique_id", "item_id", "case_id")
STEP_NAMES = ("time", "step", "timestamp", "ds", "date", "t")
NO_VALUES = ("", "id", "index", "unnamed: 0")
"""Columns of row numbers, as pandas and others write them."""
N_ROWS = 1000
"""Rows that types are inferred from."""
MAX_NUMERIC_CLASSES = 20
MEAN_TEXT_LENGTH = 20
"""Characters on average from which on strings beside numeric columns are the text."""

Layout = Literal["text", "lists", "wide", "long"]


@dataclass(frozen=True)
class Columns:
    """The purpose of each column of a table.

    Attributes
    ----------
    layout : {"text", "lists", "wide", "long"}
        A text in each row; a list of numbers or of lists of numbers in each row (JSON
        Lines, Parquet); a series in each row, one column per value; or a step of a
        series in each row.
    label : str or None
        None if the examples are read without their classes.
    has_categories : bool
        Whether the values of `long` or `lists` are categories and not numbers.
    """

    layout: Layout
    label: str | None
    text: str | None = None
    values: tuple[str, ...] = ()
    series: str | None = None
    step: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    has_categories: bool = False

    @property
    def used(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        roles = (self.text, self.label, self.series, self.step, self.split)
        others = (self.group, self.time)
        names = [name for name in (*roles, *others) if name is not None]
        return tuple(dict.fromkeys([*names, *self.values]))


def infer_columns(
    table: Table,
    options: FileOptions,
    *,
    needs_split: bool = True,
    needs_label: bool = True,
) -> Columns:
    """Return the purposes of columns: those that the suite names, else by inference.

    Names count first, then types: the label has the fewest different values, the text
    is the longest on average.

    Parameters
    ----------
    needs_split : bool
        Whether a column called split is used; not if the parts are separate files.
    needs_label : bool
        Without it, only what a model reads is taken: neither a label nor a part, a
        group or a time.

    Raises
    ------
    DatasetError
        A column is not there, stands twice or is nested, or none fits.
    """
    if needs_label:
        return _Inference(table, options).columns(needs_split)
    return _Inference(table, options).inputs()


def check_columns(table: Table, columns: Columns) -> None:
    """Raise a `DatasetError` if a table lacks one of the columns."""
    for name in columns.used:
        check_name(table, name)


class _Inference:
    def __init__(self, table: Table, options: FileOptions) -> None:
        self.table, self.options = table, options
        duplicates = {n for n in table.columns if table.columns.count(n) > 1}
        self.names = [n for n in table.columns if n not in duplicates]
        self.cells = head(table, self.names, N_ROWS)
        self.names = [n for n in self.names if n not in table.nested or self.is_list(n)]

    def columns(self, needs_split: bool) -> Columns:
        """Return all columns."""
        options = self.options
        self.check(options.label, options.split, options.group, options.time)
        split = options.split
        if split is None and needs_split:
            split = self.named(SPLIT_NAMES)
        purposes = {n for n in (split, options.group, options.time) if n is not None}
        if options.label is not None and options.label in (
            *purposes,
            *(options.text, options.series, options.step, *(options.values or ())),
        ):
            raise DatasetError(
                f"{self.table.path}: label: expected a column of its own, got "
                f"{quoted(options.label)}, which has another purpose, too; name "
                "another with label"
            )
        found = self.inputs_beside({*purposes, options.label})
        label = options.label
        if label is None:
            given = (found.text, found.series, found.step, *(options.values or ()))
            taken = {*purposes, *given}
            label = self.label(taken, found.layout)
        found = replace(
            found,
            label=label,
            values=tuple(name for name in found.values if name != label),
            split=split,
            group=options.group,
            time=options.time,
        )
        return self.with_values(found)

    def inputs(self) -> Columns:
        """Return the columns that a model reads, whether there are others or not."""
        options = self.options
        others = {options.label, options.split, options.group, options.time}
        if options.label is None:
            others.add(self.named(LABEL_NAMES, {options.text, *(options.values or ())}))
        return self.with_values(self.inputs_beside(others))

    def inputs_beside(self, others: set[str | None]) -> Columns:
        options = self.options
        self.check(options.text, options.series, options.step, *(options.values or ()))
        layout, text, values, series, step = self.layout(others)
        if not values and layout != "text":
            rest = [n for n in self.names if n not in {*others, series, step}]
            values = tuple(n for n in rest if self.is_numeric(n) and _is_value(n))
        has_categories = (
            layout == "long"
            and len(options.values or ()) == 1
            and not self.is_numeric(values[0])
        ) or (layout == "lists" and self.has_strings(values[0]))
        return Columns(
            layout,
            label=None,
            text=text,
            values=values,
            series=series,
            step=step,
            has_categories=has_categories,
        )

    def with_values(self, columns: Columns) -> Columns:
        if columns.layout != "text" and not columns.values:
            raise self.error("a column of numbers as values", "values")
        return columns

    def check(self, *names: str | None) -> None:
        """Raise a `DatasetError` unless the columns are there, once, and not nested."""
        for name in names:
            if name is None:
                continue
            check_name(self.table, name)
            if name not in self.names:
                raise DatasetError(
                    f"{self.table.path}: column {quoted(name)}: expected strings or "
                    "numbers, got a nested column; name another, or write it out flat"
                )

    def layout(
        self, others: set[str | None]
    ) -> tuple[Layout, str | None, tuple[str, ...], str | None, str | None]:
        """Return layout, text, values, series and step, as far as they are known.

        Parameters
        ----------
        others : set
            Columns with other purposes.
        """
        options = self.options
        values = options.values or ()
        if options.series is not None:
            step = options.step or self.named(STEP_NAMES, {*others, *values})
            return "long", None, values, options.series, step
        if options.text is not None:
            if self.is_list(options.text):
                return "lists", None, (options.text,), None, None
            return "text", options.text, (), None, None
        if len(values) == 1 and self.is_list(values[0]):
            return "lists", None, values, None, None
        if options.shape is not None or values:
            return "wide", None, values, None, None
        text = self.named(TEXT_NAMES, others)
        if text is not None and not self.is_numeric(text):
            return "text", text, (), None, None
        series = self.named(SERIES_NAMES, others)
        if series is not None:
            return "long", None, (), series, self.named(STEP_NAMES, others)
        rest = [
            n for n in self.names if n not in others and n.casefold() not in LABEL_NAMES
        ]
        lists = [n for n in rest if self.is_list(n)]
        if len(lists) == 1:
            return "lists", None, (lists[0],), None, None
        numeric = [n for n in rest if self.is_numeric(n) and _is_value(n)]
        strings = [n for n in rest if not self.is_numeric(n)]
        longest = max(strings, key=self.mean_length, default=None)
        is_wide = (longest is None and len(numeric) > 1) or (
            longest is not None
            and len(numeric) > 2
            and self.mean_length(longest) < MEAN_TEXT_LENGTH
        )
        if is_wide:
            return "wide", None, (), None, None
        if longest is None:
            raise self.error("a column of texts or several of numbers", "text")
        return "text", longest, (), None, None

    def label(self, taken: set[str | None], layout: Layout) -> str:
        named = self.named(LABEL_NAMES, taken)
        if named is not None:
            return named
        rest = [n for n in self.names if n not in taken and not self.is_list(n)]
        if rest and all(map(self.is_numeric, rest)) and len(rest) > 2:
            # Among many numbers the first or last column, as tables of pixels have it.
            rest = [rest[-1], rest[0]]
        if self.options.task != CLASSIFICATION:
            numeric = [n for n in rest if self.is_numeric(n) and _is_value(n)]
            if len(numeric) == 1:
                return numeric[0]
            raise self.error("a column of numbers to predict", "label")
        counts = {n: self.n_distinct(n) for n in rest}
        fitting = [
            n
            for n in rest
            if 2 <= counts[n] <= len(self.cells[n]) / 2
            and (not self.is_numeric(n) or self.is_classes(n))
        ]
        if not fitting:
            raise self.error("a column of classes", "label", self.of_forecasts())
        # Among columns of values one of strings is none of them.
        return min(
            fitting, key=lambda n: (layout == "wide" and self.is_numeric(n), counts[n])
        )

    def named(
        self, names: Iterable[str], taken: Iterable[str | None] = ()
    ) -> str | None:
        """Return the column that has one of the names, the first in their order."""
        free = {n.casefold(): n for n in self.names if n not in set(taken)}
        return next((free[name] for name in names if name in free), None)

    def is_list(self, name: str) -> bool:
        cells = [cell for cell in self.cells[name] if cell is not None]
        return bool(cells) and all(isinstance(cell, list) for cell in cells)

    def has_strings(self, name: str) -> bool:
        return any(isinstance(x, str) for cell in self.cells[name] for x in cell or ())

    def is_numeric(self, name: str) -> bool:
        cells = [cell for cell in self.cells[name] if cell not in (None, "")]
        return bool(cells) and all(number(cell) is not None for cell in cells)

    def is_classes(self, name: str) -> bool:
        numbers = [number(cell) for cell in self.cells[name]]
        return are_integers(numbers) and len(set(numbers)) <= MAX_NUMERIC_CLASSES

    def n_distinct(self, name: str) -> int:
        return len({str(cell) for cell in self.cells[name] if cell not in (None, "")})

    def mean_length(self, name: str) -> float:
        cells = self.cells[name]
        return sum(len(str(cell)) for cell in cells) / max(1, len(cells))

    def of_forecasts(self) -> str:
        """Return advice for a table of times and values, which may be a series."""
        if self.named(STEP_NAMES) is None:
            return ""
        return (
            "; a series that is to be forecast needs a suite with task: forecast, as "
            "`lstm-bench suites copy co2` writes one"
        )

    def error(self, what: str, option: str, advice: str = "") -> DatasetError:
        return DatasetError(
            f"{self.table.path}: expected {what}, but none of the columns "
            f"{listed(map(quoted, self.table.columns))} clearly is; name it with "
            f"{option}{advice}"
        )


def _is_value(name: str) -> bool:
    return name.casefold() not in NO_VALUES


def check_name(table: Table, name: str) -> None:
    """Raise a `DatasetError` unless a table has a column of this name once."""
    n = table.columns.count(name)
    if n == 1:
        return
    if n > 1:
        raise DatasetError(
            f"{table.path}: column {quoted(name)}: expected once, found {n} times; "
            "rename the others"
        )
    near = difflib.get_close_matches(name, table.columns, 1, cutoff=0.5)
    meant = f"; did you mean {quoted(near[0])}?" if near else ""
    raise DatasetError(
        f"{table.path}: expected a column {quoted(name)}, found "
        f"{listed(map(quoted, table.columns))}{meant or '; name one of these'}"
    )


def number(cell: Cell) -> float | None:
    """Return a cell as a number, also if not finite; None if it is none."""
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def are_integers(numbers: Sequence[float | None]) -> bool:
    """Whether all are whole numbers."""
    return all(x is not None and math.isfinite(x) and x == int(x) for x in numbers)


def label_text(cell: Cell) -> Any:
    """Return a label as text, without white space around it; None for none.

    Whole numbers have no decimals and truth values are lower case, so that a table in
    another format has the same classes.
    """
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return str(int(cell)) if are_integers([cell]) else repr(cell)
    if cell is None or isinstance(cell, (list, dict, bytes)):
        return None
    return str(cell)
