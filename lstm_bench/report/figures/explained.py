"""Running probabilities of examples: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    OTHERS,
    PALETTE,
    add_legend,
    class_label,
    dress,
    house_style,
    new_figure,
    plain_text,
    point_name,
)

TOWARDS, AGAINST = PALETTE[0], PALETTE[1]
WIDE = 9.0
# More steps have numbers in place of their words.
MAX_NAMES = 40
NAME_LETTERS = 14
MAX_CURVES = 4


@dataclass(frozen=True)
class Running:
    """The course of one example.

    Attributes
    ----------
    steps : sequence of str
    proba : sequence of shape (n_steps, n_classes)
    target : int
        The explained class.
    turn : int or None
        The step since which the most probable class is the final one.
    values : sequence of float
        Contribution of each step to the target's score.
    is_numeric : bool
        Whether `proba` are numbers, `class_names` their names.
    """

    steps: Sequence[str]
    proba: Sequence[Sequence[float]]
    class_names: Sequence[str]
    target: int
    turn: int | None
    values: Sequence[float]
    is_numeric: bool = False


@house_style()
def plot_running(running: Running, ylabel: str) -> Figure:
    """Draw probabilities, or a number, after each step, above the contributions."""
    fig = Figure(figsize=(WIDE, 4.2), layout="constrained")
    top, below = fig.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for ax in (top, below):
        dress(ax)
    proba = np.asarray(running.proba, float)
    n_steps = len(proba)
    handles = []
    # The explained class first, then the most probable others.
    final = proba[-1].copy()
    final[running.target] = np.inf
    is_one = len(final) == 2 or running.is_numeric
    n_curves = 1 if is_one else min(MAX_CURVES, len(final))
    for i, c in enumerate(np.argsort(-final, kind="stable")[:n_curves]):
        (line,) = top.plot(
            np.arange(1, n_steps + 1),
            proba[:, c],
            color=PALETTE[i],
            lw=1.8,
            marker="o" if n_steps <= MAX_NAMES else "",
            ms=3.5,
            label=f"p({class_label(running.class_names[c])})",
        )
        handles.append(line)
    if running.is_numeric:
        top.set_ylabel(class_label(running.class_names[running.target]))
    else:
        _mark_turn(top, running)
        top.set(ylim=(-0.03, 1.03), ylabel="probability after the step")
    _draw_bars(below, running.values)
    below.set_ylabel(ylabel)
    _name_steps(below, running.steps)
    if len(handles) > 1:
        add_legend(fig, handles)
    elif not running.is_numeric:
        top.set_ylabel(f"p({class_label(running.class_names[running.target])})")
    return fig


@house_style()
def plot_several(runs: Sequence[tuple[str, Running]]) -> Figure:
    """Draw the probability of the explained class of several examples, one each row."""
    fig = Figure(figsize=(WIDE, 1.25 * len(runs) + 0.5), layout="constrained")
    axes = fig.subplots(len(runs), 1, squeeze=False)[:, 0]
    for ax, (title, running) in zip(axes, runs, strict=True):
        dress(ax)
        p = np.asarray(running.proba, float)[:, running.target]
        ax.plot(np.arange(1, len(p) + 1), p, color=TOWARDS, lw=1.6)
        _mark_turn(ax, running)
        ax.set(ylim=(-0.05, 1.05), xlim=(0.5, len(p) + 0.5), yticks=(0, 0.5, 1))
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        ax.set_title(plain_text(title), fontsize=9, loc="left")
    axes[-1].set_xlabel("step")
    return fig


def _mark_turn(ax: Axes, running: Running) -> None:
    p = np.asarray(running.proba, float)[:, running.target]
    if len(running.class_names) == 2:
        ax.axhline(0.5, color=INK, lw=0.7, ls=":")
    if running.turn is None:
        return
    at = running.turn + 1
    ax.axvline(at, color=INK, lw=0.9, ls="--")
    is_late = at > len(p) / 2
    ax.annotate(
        plain_text(f"turns at “{running.steps[running.turn][:NAME_LETTERS]}”"),
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right" if is_late else "left",
        va="bottom",
        fontsize=8,
        color=INK,
    )


def _draw_bars(ax: Axes, values: Sequence[float]) -> None:
    heights = np.asarray(values, float)
    colours = [TOWARDS if v > 0 else AGAINST for v in heights]
    ax.bar(np.arange(1, len(heights) + 1), heights, width=0.85, color=colours)
    ax.axhline(0, color=INK, lw=0.7)


def _name_steps(ax: Axes, steps: Sequence[str]) -> None:
    """Label the steps below `ax`: with their words where there is room."""
    ax.set_xlim(0.3, len(steps) + 0.7)
    if len(steps) > MAX_NAMES:
        ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        ax.set_xlabel("step")
        return
    names = [plain_text(step[:NAME_LETTERS]) for step in steps]
    ax.set_xticks(range(1, len(steps) + 1), names, rotation=60, ha="right", fontsize=8)


@house_style()
def plot_gates(
    panels: Sequence[tuple[str, Sequence[tuple[str, Sequence[float]]]]],
    steps: Sequence[str],
) -> Figure:
    """Draw one panel per gate, one curve per layer and direction, over the steps.

    Parameters
    ----------
    panels : sequence of (gate, curves), a curve being (layer, values by step)
    """
    fig = Figure(figsize=(WIDE, 1.15 * len(panels) + 0.9), layout="constrained")
    axes = fig.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    handles = []
    for ax, (gate, curves) in zip(axes, panels, strict=True):
        dress(ax)
        handles = [
            ax.plot(
                np.arange(1, len(values) + 1),
                values,
                color=PALETTE[i % len(PALETTE)],
                lw=1.5,
                label=layer,
            )[0]
            for i, (layer, values) in enumerate(curves)
        ]
        ax.set_title(gate, fontsize=9, loc="left")
        ax.yaxis.set_major_locator(MaxNLocator(3))
    _name_steps(axes[-1], steps)
    if len(handles) > 1:
        add_legend(fig, handles)
    return fig


@house_style()
def plot_field(
    rows: Sequence[tuple[str, Sequence[float]]], steps: Sequence[str], n_columns: int
) -> Figure:
    """Draw signed values as a field of two hues, a row per name, a column per step.

    Every row has a scale of its own where its sign is drawn: its largest absolute
    value has the strongest colour. More than `n_columns` steps are averaged.
    """
    fig, ax = new_figure(WIDE, 0.32 * len(rows) + 1.1)
    n_steps = len(steps)
    edges = np.unique(np.linspace(0, n_steps, min(n_columns, n_steps) + 1).astype(int))
    for y, (_, values) in enumerate(rows):
        means = np.array([np.mean(values[a:b]) for a, b in pairwise(edges)])
        scale = np.abs(means).max() or 1.0
        for hue, sign in ((TOWARDS, 1), (AGAINST, -1)):
            for level in range(1, N_LEVELS + 1):
                at = np.rint(sign * means / scale * N_LEVELS).astype(int) == level
                spans = [
                    (edges[i] + 0.5, edges[i + 1] - edges[i])
                    for i in np.flatnonzero(at)
                ]
                ax.broken_barh(
                    spans, (y - 0.42, 0.84), color=hue, alpha=level / N_LEVELS, lw=0
                )
    ax.set_ylim(len(rows) - 0.5, -0.5)
    names = [plain_text(name) for name, _ in rows]
    ax.set_yticks(range(len(rows)), names, fontsize=8)
    ax.grid(False)
    _name_steps(ax, steps)
    return fig


N_LEVELS = 8
"""Shades of each hue in a field."""


@house_style()
def plot_half_lives(
    layers: Sequence[tuple[str, Sequence[float]]], n_steps: int
) -> Figure:
    """Draw the units' half-lives, sorted, on a logarithmic axis; one line per layer."""
    fig, ax = new_figure(NARROW, 3.2)
    handles = []
    for i, (name, values) in enumerate(layers):
        y = np.sort(np.asarray(values, float))
        x = (np.arange(len(y)) + 1) / max(1, len(y))
        (line,) = ax.plot(
            x, y, color=PALETTE[i % len(PALETTE)], lw=1.6, marker=".", label=name
        )
        handles.append(line)
    (length,) = ax.plot(
        [0, 1], [n_steps] * 2, color=INK, lw=0.9, ls="--", label="steps that were read"
    )
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(lambda value, _: "")
    ax.set(xlabel="share of the units", ylabel="half-life (steps)", xlim=(0, 1.02))
    add_legend(fig, [*handles, length], 3)
    return fig


@house_style()
def plot_two_ways(
    names: Sequence[str], first: Sequence[float], second: Sequence[float], label: str
) -> Figure:
    """Draw two attributions of the same words against each other."""
    fig, ax = new_figure(NARROW, 3.6)
    dots = ax.scatter(first, second, s=26, color=TOWARDS, alpha=0.8)
    dots.set_urls(
        [
            point_name(name, f"{label} {a:+.3f}", f"deletion {b:+.3f}")
            for name, a, b in zip(names, first, second, strict=True)
        ]
    )
    for axis in (ax.axhline, ax.axvline):
        axis(0, color=INK, lw=0.7)
    size = np.abs(np.asarray(first, float)) / (np.abs(first).max() or 1.0)
    size += np.abs(np.asarray(second, float)) / (np.abs(second).max() or 1.0)
    for i in np.argsort(-size)[:6]:
        ax.annotate(
            plain_text(names[i][:NAME_LETTERS]),
            (first[i], second[i]),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    ax.margins(0.14)
    ax.set(xlabel=label, ylabel="deletion")
    return fig


@house_style()
def plot_faithfulness(
    k: Sequence[int],
    whole: float,
    top: Sequence[float],
    mean: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    ylabel: str,
    is_numeric: bool = False,
) -> Figure:
    """Draw what is predicted without k words: the most telling, and random ones."""
    fig, ax = new_figure(NARROW, 3.2)
    x = [0, *k]
    (told,) = ax.plot(
        x,
        [whole, *top],
        color=AGAINST,
        lw=1.8,
        marker="o",
        ms=4,
        label="the most telling",
    )
    (drawn,) = ax.plot(
        x, [whole, *mean], color=OTHERS, lw=1.8, marker="s", ms=4, label="at random"
    )
    ax.fill_between(x, [whole, *low], [whole, *high], color=OTHERS, alpha=0.25, lw=0)
    ax.set(xlabel="deleted steps", ylabel=ylabel)
    if not is_numeric:
        ax.set_ylim(-0.03, 1.03)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    add_legend(fig, [told, drawn])
    return fig
