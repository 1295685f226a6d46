"""Common style of the figures, and output as SVG or PNG; no pyplot, no matplotlibrc.

Colours are keyed by configuration: make them once with `configuration_colours` and
pass the same ones to every figure.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, quoteattr

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from lstm_bench.metrics import METRICS
from lstm_bench.text import score_text, shortened
from lstm_bench.training.result import OBJECTIVE

# Okabe and Ito's colour-blind safe palette without its black and yellow (which
# vanish on dark and on light pages), then Tol's muted colours.
PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#999933", "#AA4499", "#44AA99", "#CC6677"),
)

OTHERS = "#999999"

# `figure_svg` turns this one into the page's text colour.
INK = "#1b1c1d"

INK_SVG = re.compile(INK, re.IGNORECASE)

# A point's tooltip is set as the artist's URL, which matplotlib writes around the
# point; `figure_svg` turns it into a title element.
NAME_SCHEME = "name:"
NAMED = re.compile(rf'<a xlink:href="{NAME_SCHEME}([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
# Groups that only clip a point take a third of a large figure.
CLIPPED = re.compile(r'<g clip-path="[^"]*">\s*(<use[^>]*/>)\s*</g>')
# Two decimals (of a point) are finer than any screen.
LONG_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d{3,}")
ANY_TAG = re.compile(r"<[^>]*>")


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, then restore the caller's settings.

    It decorates every function that makes or writes a figure, so that figures do not
    depend on a matplotlibrc or on a notebook's settings.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def configuration_colours(config_ids: Iterable[str]) -> dict[str, str]:
    """Return a colour for each of the first configurations; all others are grey."""
    distinct = list(dict.fromkeys(config_ids))
    return dict(zip(distinct, PALETTE, strict=False))


@house_style()
def figure_svg(fig: Figure, alt: str = "", prefix: str | None = None) -> str:
    """Return `fig` as SVG for use inside a page.

    Text is kept as text, in the page's font and colour; the same figure gives the same
    bytes. Every id starts with `prefix` (by default a digest of the figure), so that
    ids of several figures in a page differ.

    Parameters
    ----------
    alt : str
        Alternative text for screen readers.
    """
    buffer = io.StringIO()
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lstm-bench"}),
        warnings.catch_warnings(),
    ):
        # Browsers have the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # An inline style element would apply to the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = INK_SVG.sub("currentColor", svg)
    svg = NAMED.sub(_named_point, svg)
    # Tags only: text content must not change.
    svg = ANY_TAG.sub(lambda tag: _shorter_tag(tag.group()), svg)
    svg = re.sub(r">\s+<", "><", svg)
    if prefix is None:
        prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    # Tags only, again: matplotlib escapes < but not quotes in text content.
    svg = ANY_TAG.sub(lambda tag: _prefix_ids(tag.group(), prefix), svg)
    return svg.replace(
        "<svg ", f'<svg class="figure" role="img" aria-label={quoteattr(alt)} ', 1
    )


@house_style()
def standalone_svg(fig: Figure) -> str:
    """Return `fig` as an SVG file of its own.

    With a white background and text as outlines, it looks the same on light and dark
    pages and needs no font; the same figure gives the same bytes.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "lstm-bench"}):
        fig.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None})
    lines = buffer.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


@house_style()
def figure_png(fig: Figure) -> bytes:
    """Return `fig` as the bytes of a PNG file."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def point_name(*parts: str) -> str:
    """Return the URL that gives a point its tooltip, one line for each part.

    Pass it to an artist's `set_url`, or a list with one per point to `set_urls`.
    """
    return NAME_SCHEME + quote("\n".join(part for part in parts if part))


def _named_point(match: re.Match[str]) -> str:
    title = escape(unquote(match.group(1)))
    inner = CLIPPED.sub(r"\1", match.group(2))
    return f'<g class="point"><title>{title}</title>{inner}</g>'


def _shorter_tag(tag: str) -> str:
    tag = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", tag)
    return LONG_NUMBER.sub(_rounded, " ".join(tag.split()))


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def _prefix_ids(tag: str, prefix: str) -> str:
    tag = re.sub(r'(\sid=")', rf"\g<1>{prefix}-", tag)
    tag = re.sub(r'(href="#)', rf"\g<1>{prefix}-", tag)
    return re.sub(r"(url\(#)", rf"\g<1>{prefix}-", tag)


# Inches. A phone shows this width without scrolling.
NARROW = 5.6
# Characters at 9 points that fit into it.
NAME_LENGTH = 72
# Characters at 9 points that fit above one of several panels.
PANEL_LENGTH = 38
# Characters of a class's name.
CLASS_LENGTH = 24


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of that size in inches, in the common style."""
    fig = Figure(figsize=(width, height), layout="constrained")
    ax = fig.add_subplot()
    dress(ax)
    return fig, ax


def new_panels(
    n: int, width: float, height: float, stacked: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return `n` empty axes beside each other, each of that size in inches.

    Parameters
    ----------
    stacked : bool
        Put them below each other instead.
    """
    n_rows, n_columns = (n, 1) if stacked else (1, n)
    size = 0.5 + n_columns * width, n_rows * height
    fig = Figure(figsize=size, layout="constrained")
    axes = [fig.add_subplot(n_rows, n_columns, i + 1) for i in range(n)]
    for ax in axes:
        dress(ax)
    return fig, axes


def dress(ax: Axes) -> None:
    """Apply the common style to axes."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["bottom", "left"]].set_color(INK)
    ax.tick_params(colors=INK, labelsize=9)
    ax.xaxis.label.set(color=INK, fontsize=9)
    ax.yaxis.label.set(color=INK, fontsize=9)
    ax.title.set_color(INK)
    ax.grid(color=INK, alpha=0.12, lw=0.6)
    ax.set_axisbelow(True)


def scatter_runs(
    ax: Axes,
    x: npt.NDArray[np.float64],
    points: pd.DataFrame,
    colours: Mapping[str, str],
) -> None:
    """Draw one point per run at `x` and its objective; coloured ones on top.

    Parameters
    ----------
    points : DataFrame
        ``objective, config_id`` and, for tooltips, ``name``.
    """
    ids, y = points["config_id"].tolist(), points[OBJECTIVE].to_numpy(dtype=float)
    names = points["name"].tolist() if "name" in points else [""] * len(ids)
    order = sorted(range(len(ids)), key=lambda i: ids[i] in colours)
    drawn = ax.scatter(
        x[order],
        y[order],
        s=22,
        c=[colours.get(ids[i], OTHERS) for i in order],
        alpha=0.9,
    )
    if any(names):
        drawn.set_urls([point_name(names[i], f"{score_text(y[i])}") for i in order])


def spread_out(position: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Move points of equal position apart, evenly, so that none hides another."""
    x = position.copy()
    for value in np.unique(position):
        members = np.flatnonzero(position == value)
        x[members] += np.linspace(-0.18, 0.18, len(members) + 2)[1:-1]
    return x


def set_log_x(ax: Axes) -> None:
    """Give `ax` a logarithmic x axis with plain numbers.

    Powers of ten would need matplotlib's mathtext, which takes half a second to load.
    """
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def scale_times(ax: Axes, times: pd.Series[float]) -> None:
    """Make the x axis of `times`, in seconds, logarithmic where their range is wide."""
    if len(times) and times.min() > 0 and times.max() / times.min() > 20:
        set_log_x(ax)


def add_legend(fig: Figure, handles: Sequence[Any], n_columns: int = 4) -> None:
    """Put a legend above the axes, ordered by row and as wide as the figure.

    Labels too long for one column are wrapped. The figure grows with every legend line
    above two, so that the axes keep their height.
    """
    # At 8 points a character is 4.3 points wide on average; line and gaps take 40.
    width = 72 * fig.get_figwidth()
    for handle in handles:
        lines = textwrap.wrap(str(handle.get_label()), int((width - 40) // 4.3))
        handle.set_label("\n".join(lines))
    lines_of = [str(handle.get_label()).split("\n") for handle in handles]
    longest = max((len(line) for lines in lines_of for line in lines), default=0)
    n_columns = max(1, min(n_columns, len(handles), int(width // (4.3 * longest + 40))))
    n_lines = math.ceil(sum(map(len, lines_of)) / n_columns)
    fig.set_figheight(fig.get_figheight() + 0.17 * max(0, n_lines - 2))
    # Matplotlib fills legends by column, the first columns longest.
    by_rows = [h for i in range(n_columns) for h in list(handles)[i::n_columns]]
    fig.legend(
        handles=by_rows,
        loc="outside upper left",
        ncols=n_columns,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )


def short_name(name: str) -> str:
    """Return the part of a configuration's name in brackets, such as ``trial 6``.

    For labels beside points, where the whole name would hide other points.
    """
    match = re.search(r"\(([^()]*)\)$", name)
    return match.group(1) if match else name


def name_panel(ax: Axes, name: str) -> None:
    """Put a configuration's name above axes of about a third of the page's width."""
    ax.set_title("\n".join(textwrap.wrap(plain_text(name), PANEL_LENGTH)), fontsize=9)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Put a name above each of the rows 0, 1, ... from the top.

    Beside the axes, long names would leave little room for the figure.
    """
    lines = [textwrap.wrap(name, NAME_LENGTH) or [""] for name in names]
    n_lines = max(map(len, lines), default=1)
    ax.set_yticks(
        np.arange(len(names)) - 0.18,
        ["\n".join(parts) for parts in lines],
        ha="left",
        va="bottom",
    )
    ax.tick_params(axis="y", length=0, pad=-5)
    ax.grid(False, axis="y")
    ax.set_ylim(len(names) - 0.5, -0.3 - 0.35 * n_lines)
    fig = ax.get_figure(root=True)
    if fig is not None:
        fig.set_figheight(fig.get_figheight() + 0.15 * len(names) * (n_lines - 1))


def metric_label(name: str) -> str:
    """Return the label of `name`, a metric or "loss"."""
    if name == "loss":
        return "loss (the head's own)"
    return METRICS[name].label if name in METRICS else name


def class_label(name: str) -> str:
    """Return a class's name for a figure, short and on one line."""
    return plain_text(" ".join(shortened(name, CLASS_LENGTH).split()))


def plain_text(value: Any) -> str:
    """Return `value` as text with dollar signs escaped, which start mathtext."""
    return str(value).replace("$", r"\$")
