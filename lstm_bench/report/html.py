"""A report as one self-contained HTML file, which loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lstm_bench.arrays import FloatArray
from lstm_bench.report.blocks import (
    DASH,
    NUMERIC_FORMATS,
    Answers,
    Cards,
    Column,
    Drawing,
    Facts,
    Listing,
    Note,
    Section,
    Table,
    Words,
    cell_text,
    csv_text,
    shown_rows,
    whole_caption,
)
from lstm_bench.report.figures.style import INK, NARROW, PALETTE, figure_svg

# Above this number of rows, the page's CSV has only the rows drawn or shown.
MAX_CSV_ROWS = 1_000
SPARK_WIDTH, SPARK_HEIGHT = 72, 18
# A series of vectors: channels that are drawn as lines; pixels; shades of grey.
MAX_LINES = 4
SERIES_WIDTH, SERIES_HEIGHT = 160, 48
FIELD_SIZE, MAX_CELL = 96, 8
N_SHADES = 8
# Of a word's background; text stays readable on it.
MAX_OPACITY = 0.6
# Safe in a data URL; all other characters are percent-encoded.
CSV_SAFE = ",:;=/()+*!@$-_.|"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """The heading and footer of a page.

    Attributes
    ----------
    kind : str
        Kind of report.
    title, question, meta, footer : str
        The suite's name, its question, study and date, program and version.
    """

    kind: str
    title: str
    question: str
    meta: str
    footer: str


def render_html(sections: Sequence[Section], page: Page) -> str:
    """Return the page, with style, script and figures inline and every value escaped.

    A Content-Security-Policy forbids every request, and every script except the
    page's own, which it allows by its hash.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_HERE / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    numbers = {Table: count(1), Drawing: count(1)}
    return environment.get_template("template.html").render(
        page=page,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        sections=[
            {
                "title": section.title,
                "anchor": section.anchor,
                "intro": section.intro,
                "blocks": [
                    _html_block(b, next(numbers.get(type(b), count())))
                    for b in section.blocks
                ],
            }
            for section in sections
        ],
    )


def _html_block(block: Any, number: int) -> dict[str, Any]:
    """Return a block's kind and values for the template."""
    match block:
        case Table():
            return {
                "kind": "table",
                "name": block.name,
                "number": number,
                "wide": block.wide,
                "caption": whole_caption(block),
                "headers": [
                    (
                        _heading(c.label),
                        c.name,
                        _cell_class(c, i == _pinned(block)),
                        c.more,
                        c.meaning,
                    )
                    for i, c in enumerate(block.shown)
                ],
                "rows": list(_rows(block)),
                "csv": _csv_link(block.name, block.frame, block.n_shown),
            }
        case Drawing():
            return {
                "kind": "figure",
                "name": f"figure-{block.name}",
                "number": number,
                "wide": block.figure.get_figwidth() > NARROW,
                "caption": block.caption,
                "svg": Markup(figure_svg(block.figure, block.caption, f"g{number}")),
                "csv": _csv_link(f"figure-{block.name}", block.data, MAX_CSV_ROWS),
            }
        case Note():
            return {"kind": "note", "text": block.text, "warning": block.warning}
        case Facts():
            return {"kind": "facts", "items": block.items}
        case Answers():
            return {"kind": "answers", "items": block.items}
        case Cards():
            return {"kind": "cards", "items": block.items}
        case Listing():
            return {"kind": "listing", "caption": block.caption, "text": block.text}
        case Words():
            return {
                "kind": "words",
                "caption": block.caption,
                "towards": block.towards,
                "against": block.against,
                "text": Markup(_coloured(block)),
            }
    raise TypeError(f"expected a block, got {type(block).__name__}")


def _coloured(block: Words) -> str:
    """Return the words as HTML: background by value, sign marks for black and white."""
    words = []
    for word in block.words:
        text = escape(word.text)
        if word.value is None:
            words.append(f'<i class="w">{text}</i>')
            continue
        share = abs(word.value) / block.scale if block.scale else 0.0
        kind = "towards" if word.value > 0 else "against"
        mark = block.mark(word)
        value = f"{word.value:+.3f}".replace("-", "−")
        words.append(
            f'<span class="w {kind}" style="--a:{MAX_OPACITY * share:.2f}" '
            f'title="{value}">{text}{f"<sup>{mark}</sup>" if mark else ""}</span>'
        )
    return ("" if block.is_joined else " ").join(words)


def _heading(label: str) -> Markup:
    """Return a column's heading, which may wrap within ``sequence_length``."""
    return Markup(escape(label).replace("_", "_<wbr>"))


def _rows(table: Table) -> Iterator[Markup]:
    """Yield each row's cells as HTML; the cell that names the row is its header."""
    header, pinned = _header(table), _pinned(table)
    rows = shown_rows(table)
    ranges = {
        c.name: _range([row[c.name] for row in rows])
        for c in table.shown
        if c.format == "curve"
    }
    scales = {
        c.name: _scales([row[c.name] for row in rows])
        for c in table.shown
        if c.format == "series"
    }
    for row in rows:
        yield Markup(
            "".join(
                _cell(
                    table,
                    column,
                    row,
                    i == header,
                    i == pinned,
                    ranges.get(column.name) or scales.get(column.name),
                )
                for i, column in enumerate(table.shown)
            )
        )


def _header(table: Table) -> int | None:
    """Return the index of the column that names the rows."""
    return next((i for i, c in enumerate(table.shown) if c.name == "label"), None)


def _pinned(table: Table) -> int | None:
    """Return the index of the column that stays visible in a horizontal scroll."""
    header = _header(table)
    if header is None:
        # A column of prose would fill most of a narrow screen.
        return None if table.shown[0].format == "prose" else 0
    return header


def _range(curves: Sequence[Any]) -> tuple[float, float]:
    """Return the scale that all curves of a column share.

    Its lower end is the 10 % quantile: first epochs would flatten the rest.
    """
    values = sorted(value for curve in curves for value in curve or ())
    return (values[len(values) // 10], values[-1]) if values else (0.0, 1.0)


def _cell(
    table: Table,
    column: Column,
    row: dict[str, Any],
    is_header: bool,
    is_pinned: bool,
    limits: Any,
) -> str:
    """Return one cell as HTML, escaped.

    Parameters
    ----------
    limits : tuple
        From `_range` for a column of curves, from `_scales` for one of series.
    """
    text, value = escape(cell_text(column, row)), row[column.name]
    url = row[column.url] if column.url else None
    inner, more = text, ""
    if url:
        inner = f'<a href="{escape(str(url))}" rel="noreferrer">{text}</a>'
    elif text == DASH:
        pass
    elif column.format == "command":
        inner = f"<code>{text}</code>"
    elif column.format == "curve" and limits is not None:
        inner = _sparkline(value, limits, text)
        more = f' data-text="{text}"'
    elif column.format == "series":
        inner = _series(value, limits, text)
    elif column.format == "bar":
        share = 100 * float(value)
        inner = f'<span class="bar"><i style="width:{share:.1f}%"></i></span>{text}'
    if column.colour_by and (colour := table.colours.get(row[column.colour_by])):
        inner = f'<i class="dot" style="background:{_css_colour(colour)}"></i>{inner}'
    css = _cell_class(column, is_pinned)
    attributes = (f' class="{css}"' if css else "") + more
    if is_header:
        return f'<th scope="row"{attributes}>{inner}</th>'
    return f"<td{attributes}>{inner}</td>"


def _css_colour(colour: str) -> str:
    """Return `colour` for a style attribute; that of baselines is the text colour."""
    return "currentColor" if colour == INK else escape(colour)


def _sparkline(values: Sequence[float], limits: tuple[float, float], text: str) -> str:
    """Return a learning curve as a small inline figure, on the column's scale."""
    low, high = limits
    span = (high - low) or 1.0
    step = (SPARK_WIDTH - 4) / max(len(values) - 1, 1)
    height = SPARK_HEIGHT - 4
    points = [
        f"{2 + i * step:.1f} {2 + height * (1 - max((v - low) / span, 0)):.1f}"
        for i, v in enumerate(values)
    ]
    path = "M" + "L".join(points if len(points) > 1 else points * 2)
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img" '
        f'aria-label="{text}"><path d="{path}"/></svg>'
    )


def _scales(column: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
    """Return each channel's lowest value and span over all series of a column."""
    steps = [step for series in column if series for step in series]
    values = np.array(steps or [[0.0]], dtype=np.float64)
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    return low, np.where(span > 0, span, 1.0)


def _series(series: Any, scales: tuple[FloatArray, FloatArray], text: str) -> str:
    """Return a series of vectors as a small inline figure: lines, or shades of grey.

    Parameters
    ----------
    series : tuple of tuples of float
        A tuple per step.
    """
    low, span = scales
    values = (np.array(series, dtype=np.float64) - low) / span
    n_steps, n_channels = values.shape
    if n_channels > MAX_LINES:
        cell = min(MAX_CELL, FIELD_SIZE / max(n_steps, n_channels))
        width, height = cell * n_channels, cell * n_steps
        shape = f"0 0 {n_channels} {n_steps}"
        paths = _shades(values)
    else:
        width, height = SERIES_WIDTH, SERIES_HEIGHT
        shape = f"0 0 {width} {height}"
        step = (width - 4) / max(n_steps - 1, 1)
        paths = "".join(
            f'<path style="stroke:{PALETTE[i]}" d="M'
            + "L".join(
                f"{2 + at * step:.1f} {2 + (height - 4) * (1 - value):.1f}"
                # A single step is a point.
                for at, value in enumerate(channel if n_steps > 1 else [*channel] * 2)
            )
            + '"/>'
            for i, channel in enumerate(values.T.tolist())
        )
    kind = "field" if n_channels > MAX_LINES else "lines"
    return (
        f'<svg class="series {kind}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{shape}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text}">{paths}</svg>'
    )


def _shades(values: FloatArray) -> str:
    """Return the cells of a matrix of values from 0 to 1, one path per shade."""
    levels = np.rint(values * N_SHADES).astype(int)
    paths = []
    for shade in range(1, N_SHADES + 1):
        runs = [
            f"M{row[0][0]} {y}.5h{len(row)}"
            for y, line in enumerate((levels == shade).tolist())
            for is_in, group in groupby(enumerate(line), key=itemgetter(1))
            if is_in
            for row in [list(group)]
        ]
        if runs:
            opacity = shade / N_SHADES
            paths.append(f'<path stroke-opacity="{opacity:g}" d="{"".join(runs)}"/>')
    return "".join(paths)


def _cell_class(column: Column, is_pinned: bool) -> str:
    kind = "number" if column.format in NUMERIC_FORMATS else column.format
    known = kind in ("number", "prose", "name", "command", "curve")
    return " ".join([*([kind] if known else []), *(["pin"] if is_pinned else [])])


def _csv_link(name: str, frame: pd.DataFrame, n_shown: int) -> Markup:
    """Return a data link with `frame` as CSV."""
    n = len(frame)
    if n > MAX_CSV_ROWS:
        frame = frame.head(min(n_shown, MAX_CSV_ROWS))
    label = "CSV" if len(frame) == n else f"CSV of {len(frame):,} rows"
    content = quote(csv_text(frame), safe=CSV_SAFE)
    return Markup(
        f'<a class="get" download="{escape(name)}.csv" '
        f'href="data:text/csv;charset=utf-8,{content}" '
        f'aria-label="Download {escape(name)} as CSV">{label}</a>'
    )
