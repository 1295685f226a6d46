"""Figures of several studies side by side: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    OTHERS,
    add_legend,
    metric_label,
    name_rows,
    new_figure,
    plain_text,
    point_name,
)

MARKERS = {"winner": "o", "search's best": "D", "best baseline": "s"}


def plot_scores(
    points: pd.DataFrame, xlabel: str, colours: Mapping[str, str]
) -> Figure:
    """Draw each study's scores with their intervals, in the studies' order.

    Parameters
    ----------
    points : DataFrame
        ``label`` (the study), ``what`` (a key of `MARKERS`), ``name, value, low,
        high, n``.
    """
    studies = list(dict.fromkeys(points["label"].tolist()))
    fig, ax = new_figure(NARROW, 1.2 + 0.6 * len(studies))
    kinds = [kind for kind in MARKERS if kind in set(points["what"])]
    for row in points.to_dict("records"):
        # Side by side within the study's line, so that none hides another.
        y = studies.index(row["label"]) + 0.2 * (
            kinds.index(row["what"]) - (len(kinds) - 1) / 2
        )
        colour = colours.get(row["label"], OTHERS)
        ax.hlines(y, row["low"], row["high"], color=colour, lw=4, alpha=0.5)
        name = point_name(
            f"{row['label']}: {row['name']}", f"{row['value']:.4f} (n = {row['n']})"
        )
        is_baseline = row["what"] == "best baseline"
        dots = ax.scatter(
            [row["value"]],
            [y],
            s=40,
            marker=MARKERS[row["what"]],
            facecolors="none" if is_baseline else colour,
            edgecolors=colour,
            linewidths=1.5,
            zorder=3,
        )
        dots.set_urls([name])
    name_rows(ax, [plain_text(s) for s in studies])
    ax.set_xlabel(xlabel)
    handles = [
        ax.plot(
            [],
            [],
            MARKERS[kind],
            color=INK,
            mfc="none" if kind == "best baseline" else INK,
            label=kind,
        )[0]
        for kind in kinds
    ]
    add_legend(fig, handles)
    return fig


def plot_differences(
    rows: pd.DataFrame, xlabel: str, margin: float | None = None
) -> Figure:
    """Draw differences with their intervals, one line each.

    Parameters
    ----------
    rows : DataFrame
        ``name, difference, low, high`` and, for the thin bars, ``outer_low,
        outer_high``; ``verdict`` or None is written at the right.
    margin : float or None
        Drawn as a band around zero where given.
    """
    n = len(rows)
    fig, ax = new_figure(NARROW, 1.1 + 0.5 * n)
    handles: list[Any] = []
    if margin:
        handles = [
            ax.axvspan(-margin, margin, color=OTHERS, alpha=0.18, lw=0, label="margin")
        ]
    ax.axvline(0, color=INK, lw=0.8)
    for i, row in enumerate(rows.to_dict("records")):
        ax.hlines(i, row["outer_low"], row["outer_high"], color=INK, lw=1.2)
        ax.hlines(i, row["low"], row["high"], color=INK, lw=4, alpha=0.4)
        dots = ax.scatter([row["difference"]], [i], s=36, color=INK, zorder=3)
        interval = f"{row['difference']:+.4f} (95 % {row['low']:+.4f} to "
        interval += f"{row['high']:+.4f})"
        verdict = str(row["verdict"] or "")
        dots.set_urls([point_name(row["name"], interval, verdict)])
        if verdict:
            ax.annotate(
                verdict,
                (0.99, i - 0.32),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="center",
                fontsize=8,
                color=INK,
                annotation_clip=False,
            )
    name_rows(ax, [plain_text(row["name"]) for row in rows.to_dict("records")])
    ax.set_xlabel(xlabel)
    if handles:
        add_legend(fig, handles)
    return fig


def plot_winner_curves(curves: pd.DataFrame, colours: Mapping[str, str]) -> Figure:
    """Draw the winners' validation curves, dotted where some seeds had stopped.

    Parameters
    ----------
    curves : DataFrame
        As `tables.studies.winner_curves` gives it; not empty.
    """
    fig, ax = new_figure(NARROW, 3.8)
    handles: list[Any] = []
    for (label, name), curve in curves.groupby(["label", "configuration"], sort=False):
        colour = colours.get(str(label), OTHERS)
        n_all = int(curve["n_all"].iloc[0])
        n = "1 seed" if n_all == 1 else f"{n_all} seeds"
        title = f"{label}: {name} ({n})"
        ax.fill_between(
            curve["epoch"], curve["low"], curve["high"], color=colour, alpha=0.15, lw=0
        )
        ax.plot(curve["epoch"], curve["mean"], color=colour, lw=1.2, ls=":")
        whole = curve[curve["n_seeds"] == n_all]
        (line,) = ax.plot(
            whole["epoch"], whole["mean"], color=colour, lw=1.8, label=plain_text(title)
        )
        handles.append(line)
        dots = ax.scatter(curve["epoch"], curve["mean"], s=14, color=colour, zorder=3)
        dots.set_urls(_epoch_names(title, curve.to_dict("records")))
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"validation {metric_label(str(curves['metric'].iloc[0]))}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(fig, handles, n_columns=2)
    return fig


def _epoch_names(title: str, rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    return [
        point_name(title, f"epoch {r['epoch']}: {r['mean']:.4f} (n = {r['n_seeds']})")
        for r in rows
    ]
