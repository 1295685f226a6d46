"""Forecasts against the series, and errors by horizon step: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.arrays import FloatArray
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    point_name,
)
from lstm_bench.text import score_text

WIDE = 9.2
STYLES = ("--", ":", "-.")
"""Of the baselines, which have one colour."""


@dataclass(frozen=True)
class Line:
    """What one model forecasts, or its errors.

    Attributes
    ----------
    values : float64 ndarray of shape (n_origins, horizon), or (horizon,)
    """

    label: str
    colour: str
    values: FloatArray
    style: str = "-"


@house_style()
def plot_forecasts(
    truth: FloatArray,
    first: int,
    origins: Sequence[int],
    lines: Sequence[Line],
    names: Sequence[str],
) -> Figure:
    """Draw the end of a series, and what was forecast from some origins.

    Parameters
    ----------
    truth : float64 ndarray of shape (n_steps,)
        NaN where missing.
    first : int
        Position of its first value.
    origins : sequence of int
        Positions of the first forecast value of each window.
    names : sequence of str of shape (n_steps,)
        Time of each value, for the axis.
    """
    fig, ax = new_figure(WIDE, 3.6)
    at = np.arange(first, first + len(truth))
    (handle,) = ax.plot(at, truth, color=INK, lw=1.0, alpha=0.55, label="series")
    handles = [handle]
    for origin in origins:
        ax.axvline(origin - 0.5, color=INK, lw=0.6, alpha=0.35)
    for line in reversed(lines):
        for i, (origin, values) in enumerate(zip(origins, line.values, strict=True)):
            (drawn,) = ax.plot(
                origin + np.arange(len(values)),
                values,
                color=line.colour,
                ls=line.style,
                lw=1.9 if line.style == "-" else 1.2,
                label=plain_text(line.label),
            )
            if not i:
                handles.insert(1, drawn)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ticks = [int(t) for t in ax.get_xticks() if first <= t < first + len(truth)]
    ax.set_xticks(ticks, [plain_text(names[t - first]) for t in ticks])
    ax.set(xlabel="time", ylabel="value")
    add_legend(fig, handles, 5)
    return fig


@house_style()
def plot_steps(lines: Sequence[Line], ylabel: str) -> Figure:
    """Draw each model's error by horizon step; tooltips have each mean."""
    fig, ax = new_figure(NARROW, 3.6)
    handles = []
    for line in lines:
        steps = np.arange(1, len(line.values) + 1)
        (drawn,) = ax.plot(
            steps,
            line.values,
            color=line.colour,
            ls=line.style,
            lw=1.9 if line.style == "-" else 1.2,
            label=plain_text(line.label),
        )
        drawn.set_url(point_name(line.label, f"mean {score_text(line.values.mean())}"))
        handles.append(drawn)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step of the horizon")
    ax.set_ylabel(ylabel)
    add_legend(fig, handles, 2)
    return fig
