"""Learning curves: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.report.figures.style import (
    NARROW,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    point_name,
)
from lstm_bench.text import score_text


@dataclass(frozen=True)
class Curve:
    """A learning curve to draw.

    Attributes
    ----------
    label : str or None
        Label in the legend; a curve without one is thin and behind all others.
    name : str
        Tooltip of its points.
    epochs, values : sequence of shape (n_epochs,)
    low, high : sequence of shape (n_epochs,)
        Bounds of a band; empty for none.
    """

    label: str | None
    name: str
    colour: str
    epochs: Sequence[int]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@house_style()
def plot_curves(curves: Sequence[Curve], ylabel: str, n_columns: int = 2) -> Figure:
    """Draw curves by epoch, the first one on top; tooltips have each last value.

    Parameters
    ----------
    n_columns : int
        Largest number of columns of the legend.
    """
    fig, ax = new_figure(NARROW, 3.6)
    handles = []
    for curve in sorted(reversed(curves), key=lambda c: c.label is not None):
        url = point_name(curve.name, f"last {score_text(curve.values[-1])}")
        if curve.label is None:
            (line,) = ax.plot(
                curve.epochs, curve.values, color=curve.colour, lw=0.8, alpha=0.5
            )
            line.set_url(url)
            continue
        if len(curve.low):
            ax.fill_between(
                curve.epochs, curve.low, curve.high, color=curve.colour, alpha=0.13
            )
        (line,) = ax.plot(
            curve.epochs,
            curve.values,
            color=curve.colour,
            lw=1.8,
            marker="o",
            ms=3.5,
            label=plain_text(curve.label),
        )
        line.set_url(url)
        handles.append(line)
    ax.set_xlabel("epoch")
    ax.set_ylabel(ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if handles:
        add_legend(fig, handles[::-1], n_columns)
    return fig
