"""Parallel coordinates of a search: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis.formatting import plain, value_label
from lstm_bench.metrics import Metric
from lstm_bench.report.figures.style import (
    INK,
    OTHERS,
    house_style,
    new_figure,
    plain_text,
    point_name,
)
from lstm_bench.suites.space import Axis, CategoricalAxis
from lstm_bench.training.result import OBJECTIVE

MAX_TICKS = 5


@house_style()
def plot_parallel(
    trials: pd.DataFrame,
    axes: Mapping[str, Axis],
    metric: Metric,
    colours: Mapping[str, str],
) -> Figure:
    """Draw each trial as a line through its values and its objective.

    Parameters
    ----------
    trials : DataFrame
        ``objective, config_id, name`` and a column for each of `axes`.
    """
    fig, ax = new_figure(9.6, 3.9)
    objective = trials[OBJECTIVE].to_numpy(dtype=float)
    low, high = float(objective.min()), float(objective.max())
    # The objective comes first, as in Optuna's plot: a narrow screen shows the left.
    at = np.linspace(0, 1, MAX_TICKS)
    scaled = [(objective - low) / (high - low or 1.0)]
    ticks = [[(float(p), f"{low + p * (high - low):.3f}") for p in at]]
    for name, axis in axes.items():
        values = [plain(value) for value in trials[name].tolist()]
        x, marks = _scale(values, axis)
        scaled.append(x)
        ticks.append(marks)
    lines, ids = np.array(scaled).T, trials["config_id"].tolist()
    names = trials["name"].tolist()
    # Coloured lines are drawn last, the best on top.
    best_last = objective if metric.higher_is_better else -objective
    order = sorted(range(len(ids)), key=lambda i: (ids[i] in colours, best_last[i]))
    x = np.arange(len(ticks), dtype=float)
    for i in order:
        colour = colours.get(ids[i])
        (line,) = ax.plot(
            x,
            lines[i],
            color=colour or OTHERS,
            lw=1.8 if colour else 0.8,
            alpha=0.95 if colour else 0.4,
            solid_joinstyle="round",
        )
        line.set_url(
            point_name(names[i], f"{metric.label} {objective[i]:{metric.form}}")
        )
    for position, marks in zip(x, ticks, strict=True):
        ax.axvline(position, color=INK, lw=0.9)
        for height, text in marks:
            ax.annotate(
                plain_text(text),
                (position, height),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )
    ax.set_xticks(x, [f"validation\n{metric.label}", *map(plain_text, axes)])
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(axis="x", length=0)
    ax.grid(False)
    ax.set_xlim(-0.15, len(x) - 0.55)
    ax.set_ylim(-0.06, 1.06)
    return fig


def _scale(
    values: Sequence[Any], axis: Axis
) -> tuple[npt.NDArray[np.float64], list[tuple[float, str]]]:
    """Return heights in [0, 1], equal ones spread apart, and the axis' tick labels."""
    if isinstance(axis, CategoricalAxis):
        choices = list(axis.choices)
        steps = max(len(choices) - 1, 1)
        marks = [(i / steps, value_label(c)) for i, c in enumerate(choices)]
        heights = np.array([choices.index(v) / steps for v in values], dtype=float)
    else:
        low, high = (float(axis.low), float(axis.high))
        if axis.log:
            low, high = np.log(low), np.log(high)
            at = np.exp(np.linspace(low, high, MAX_TICKS))
            numbers = np.log(np.array(values, dtype=float))
        else:
            at = np.linspace(low, high, MAX_TICKS)
            numbers = np.array(values, dtype=float)
        heights = (numbers - low) / (high - low or 1.0)
        where = np.linspace(0, 1, MAX_TICKS)
        marks = [(float(h), f"{v:.3g}") for h, v in zip(where, at, strict=True)]
    # Spread, so that lines through one value do not hide each other.
    spread = heights.copy()
    for height in np.unique(heights):
        members = np.flatnonzero(heights == height)
        spread[members] += np.linspace(-0.03, 0.03, len(members) + 2)[1:-1]
    return spread, marks
