"""Elements of a report: sections, blocks, table columns, and formatting of values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis.formatting import value_label
from lstm_bench.metrics import DIGITS, Metric
from lstm_bench.text import count as count
from lstm_bench.text import csv_cell, interval_text, score_text, shortened

DASH = "–"
# Characters of a class's name in a sentence.
MAX_CLASS = 40


@dataclass(frozen=True)
class Column:
    """A column of a table, declared once for the page, CSV, Markdown and LaTeX.

    Attributes
    ----------
    name : str
        Column name in the DataFrame and in the CSV.
    heading : str
        Heading in the other formats; empty for a column of the CSV only. `View.table`
        replaces ``{metric}``, ``{examples}`` and ``{dir}``.
    format : str
        Format of values, a key of `FORMATS` or `INTERVALS`.
    unit : str
        Unit of values, in brackets after the heading.
    meaning : str
        Explanation where the heading is not enough, shown as the page's tooltip.
    high : str or None
        For an interval, the column of its upper bound; `name` is the lower.
    url : str or None
        Column with the URL that a value links to.
    colour_by : str or None
        Column with a key of the table's colours: the value has a dot of that colour.
    more : bool
        Whether the page hides the column at first.
    """

    name: str
    heading: str = ""
    format: str = "text"
    unit: str = ""
    meaning: str = ""
    high: str | None = None
    url: str | None = None
    colour_by: str | None = None
    more: bool = False

    @property
    def label(self) -> str:
        """The heading with the unit."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading


COMMAND = Column("command", "command that trains it again{dir}", "command")


def in_form(column: Column, metric: Metric | None) -> Column:
    """Return a column with its scores written as the metric's are."""
    if metric is None or metric.form != DIGITS:
        return column
    return replace(column, format=DIGITS_FORMATS.get(column.format, column.format))


def field_columns(fields: Sequence[str]) -> tuple[Column, ...]:
    """Return a column for each of the hyperparameters `fields`."""
    return tuple(Column(field, field, "value") for field in fields)


def column_names(columns: Sequence[Column]) -> list[str]:
    """Return the DataFrame's column names, with both bounds of each interval."""
    return [name for c in columns for name in (c.name, c.high) if name is not None]


@dataclass(frozen=True)
class Table:
    """A table: the whole frame in CSV, `n_shown` rows of `shown` in other formats.

    Attributes
    ----------
    wide : bool
        Whether it has the page's whole width, or half of it beside a figure.
    colours : mapping of str to str
        Colours by the values of the columns in `Column.colour_by`.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    n_shown: int = 100
    wide: bool = True
    colours: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns that have a heading."""
        return tuple(column for column in self.columns if column.heading)


@dataclass(frozen=True)
class Drawing:
    """A figure, its caption, and the rows that it shows."""

    name: str
    caption: str
    figure: Figure
    data: pd.DataFrame


@dataclass(frozen=True)
class Note:
    """A paragraph, framed if it is a warning."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Facts:
    """A list of terms with their values."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answers:
    """Questions and their answers in sentences; the first is the main one."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Card:
    """A key number: its name, its value and a note."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Cards:
    """The key numbers of a report."""

    items: tuple[Card, ...]


@dataclass(frozen=True)
class Listing:
    """Preformatted text."""

    caption: str
    text: str


@dataclass(frozen=True)
class Word:
    """A word of a text, and what it contributes; None: it is no word of its own."""

    text: str
    value: float | None


@dataclass(frozen=True)
class Words:
    """A text whose words are coloured by a signed value, on a scale of its own.

    Attributes
    ----------
    towards, against : str
        What a positive and a negative value mean, for the legend.
    is_joined : bool
        Whether the words are single characters, written without spaces.
    """

    caption: str
    words: tuple[Word, ...]
    towards: str
    against: str
    is_joined: bool = False

    @property
    def scale(self) -> float:
        """The largest absolute value, which has the strongest colour."""
        return max((abs(w.value) for w in self.words if w.value), default=0.0)

    def mark(self, word: Word) -> str:
        """Return the sign of a word that counts, doubled for the strongest."""
        share = abs(word.value or 0.0) / self.scale if self.scale else 0.0
        sign = "+" if (word.value or 0.0) > 0 else "−"
        return sign * sum(share >= least for least in MARKED)


MARKED = (0.2, 0.6)
"""Shares of the largest value from which a word has one sign, and two."""

Block = Table | Drawing | Note | Facts | Answers | Cards | Listing | Words


@dataclass(frozen=True)
class Section:
    """A section of the report."""

    title: str
    anchor: str
    intro: str
    blocks: tuple[Block, ...] = ()


def is_missing(value: Any) -> bool:
    """Whether `value` is missing: None, NaN or NA."""
    return (
        value is None
        or value is pd.NA
        or (isinstance(value, float) and math.isnan(value))
    )


def _number(value: Any) -> str:
    return f"{float(value):,.4g}" if float(value) != int(value) else f"{int(value):,}"


def _ends(curve: Sequence[float]) -> str:
    """Return the first and last value of a curve, written unlike an interval."""
    first, last = score_text(curve[0]), score_text(curve[-1])
    if len(curve) == 1:
        return f"{first} after its one epoch"
    return f"{first} after epoch 1, {last} after epoch {len(curve)}"


def _range(series: Sequence[Sequence[float]]) -> str:
    """Return the lowest and the highest value of a series."""
    values = [value for step in series for value in step]
    return f"{min(values):.4g} to {max(values):.4g}".replace("-", "−")


FORMATS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "prose": str,
    "name": str,
    "command": str,
    "value": value_label,
    "score": lambda v: f"{float(v):.4f}",
    "signed": lambda v: f"{float(v):+.4f}",
    "score_digits": lambda v: f"{float(v):{DIGITS}}",
    "signed_digits": lambda v: f"{float(v):+{DIGITS}}",
    "six_digits": lambda v: f"{float(v):#.6g}".removesuffix("."),
    "share": lambda v: f"{float(v):.1%}",
    "seconds": lambda v: f"{float(v):,.1f}",
    "count": lambda v: f"{float(v):,.1f}".removesuffix(".0"),
    "number": _number,
    "whole": lambda v: f"{float(v):,.0f}",
    "p": lambda v: f"{float(v):.3f}" if float(v) >= 0.001 else "< 0.001",
    "yes": lambda v: "yes" if v else "no",
    "curve": lambda v: _ends(v) if v else DASH,
    "series": _range,
    "bar": lambda v: f"{float(v):.1%}",
    "time": lambda v: f"{pd.Timestamp(v):%Y-%m-%d %H:%M:%S}",
}

NUMERIC_FORMATS = frozenset(
    {"score", "signed", "share", "seconds", "count", "number", "interval", "p", "whole"}
    | {"bar", "interval_s", "interval_share"}
    | {"score_digits", "signed_digits", "interval_digits", "six_digits"}
)
# Formats of intervals, from their two bounds.
INTERVALS = {
    "interval": ".4f",
    "interval_digits": DIGITS,
    "interval_s": ",.1f",
    "interval_share": ".1%",
}
# Formats of scores whose metric is written with as many digits, not decimals.
DIGITS_FORMATS = {name: f"{name}_digits" for name in ("score", "signed", "interval")}


def shown_rows(table: Table) -> list[dict[str, Any]]:
    """Return the rows that are shown, by column."""
    frame = table.frame.head(table.n_shown)
    # Not to_dict: it turns NA (no such field) into None, a possible value of a field.
    rows = frame.itertuples(index=False, name=None)
    return [dict(zip(frame.columns, row, strict=True)) for row in rows]


def csv_text(frame: pd.DataFrame) -> str:
    """Return `frame` as CSV, numbers unrounded; a curve is its values and spaces.

    A series has a semicolon between steps. Text that a spreadsheet would run as a
    formula gets an apostrophe in front; numbers do not.
    """
    texts = {
        name: pd.Series(map(_csv_cell, frame[name]), frame.index, dtype=object)
        for name in frame.columns
        if frame[name].dtype.kind == "O"
    }
    frame = frame.assign(**texts).rename(columns=_csv_cell)
    return frame.to_csv(index=False, lineterminator="\n")


def _csv_cell(value: Any) -> Any:
    if isinstance(value, tuple):
        is_series = bool(value) and isinstance(value[0], tuple)
        return ("; " if is_series else " ").join(str(_csv_cell(v)) for v in value)
    return csv_cell(value) if isinstance(value, str) else value


def whole_caption(table: Table) -> str:
    """Return the caption, with the number of omitted rows, if any."""
    n = len(table.frame)
    if n <= table.n_shown:
        return table.caption
    return (
        f"{table.caption} The first {table.n_shown} of {n:,} rows; "
        f"tables/{table.name}.csv has all."
    )


def cell_text(column: Column, row: Mapping[Any, Any]) -> str:
    """Return the text of `column` in `row`; a dash for a missing value."""
    value = row[column.name]
    if column.format == "value" and value is not pd.NA:
        if isinstance(value, float) and not is_missing(value):
            return f"{value:.4g}"
        return "null" if is_missing(value) else value_label(value)
    if is_missing(value) or value is pd.NaT:
        return DASH
    if column.format in INTERVALS and column.high is not None:
        written = INTERVALS[column.format]
        text = interval_text(float(value), float(row[column.high]), written)
    else:
        text = FORMATS[column.format](value)
    return text.replace("-", "−") if column.format in NUMERIC_FORMATS else text


def class_text(name: str) -> str:
    """Return a class's name for a sentence: in quotes, and shortened."""
    return f'"{shortened(name, MAX_CLASS)}"'


def number_of(n: int | None) -> str:
    """Return a count as text, also where it was not recorded."""
    return "an unknown number of" if n is None else f"{n:,}"


def as_sentence(text: str) -> str:
    """Return `text` as a sentence with a full stop."""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def with_unit(value: Any, unit: str) -> str:
    """Return a number with one decimal and its unit."""
    return DASH if value is None else f"{float(value):.1f} {unit}"


def when(value: Any) -> str:
    """Return a time in UTC, to the second."""
    return DASH if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return seconds as ``95.0 s``, ``7 min`` or ``2 h 5 min``."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
