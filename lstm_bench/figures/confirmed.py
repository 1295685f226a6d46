"""Figures of the confirmation round: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.figures.style import (
    INK,
    NARROW,
    OTHERS,
    PALETTE,
    add_legend,
    name_rows,
    new_figure,
    plain_text,
    point_name,
    scale_times,
)
from lstm_bench.metrics import Metric
from lstm_bench.training.result import TRAIN_TIME

VERDICT_COLOURS: Mapping[str, str] = {
    "better": PALETTE[2],
    "worse": PALETTE[1],
    "equivalent": PALETTE[0],
    "identical": PALETTE[5],
    "not enough data": OTHERS,
}


def plot_confirmed(
    board: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str],
    seeds: Mapping[str, Mapping[int, float]],
) -> Figure:
    """Draw each contender's mean on test, both its intervals and every seed.

    Parameters
    ----------
    board : DataFrame
        As `tables.confirmed.confirmed_board` gives it.
    seeds : mapping of str to mapping of int to float
        Test scores by contender's key, then replicate.
    """
    n = len(board)
    fig, ax = new_figure(NARROW, 0.9 + 0.46 * n)
    for i, row in enumerate(board.to_dict("records")):
        colour = colours.get(row["key"], OTHERS)
        ax.hlines(i, row["both_low"], row["both_high"], color=colour, lw=1.2)
        ax.hlines(i, row["seeds_low"], row["seeds_high"], color=colour, lw=4, alpha=0.5)
        marker = "s" if row["kind"] == "baseline" else "o"
        (mean,) = ax.plot(row["test_mean"], i, marker, color=colour, ms=6, zorder=3)
        mean.set_url(point_name(row["label"], f"mean {row['test_mean']:.4f}"))
        values = seeds.get(row["key"], {})
        ax.plot(
            list(values.values()), [i + 0.22] * len(values), "|", color=colour, ms=6
        )
    names = [
        f"{plain_text(row['label'])} (n = {row['n_seeds']})"
        for row in board.to_dict("records")
    ]
    name_rows(ax, names)
    ax.set_xlabel(f"test {metric.label}, mean over n seeds")
    return fig


def plot_confirmed_cost(
    table: pd.DataFrame, metric: Metric, colours: Mapping[str, str]
) -> Figure:
    """Draw test score against training time with error bars, and join the front.

    Parameters
    ----------
    table : DataFrame
        As `tables.runs.confirmed_cost` gives it.
    """
    fig, ax = new_figure(NARROW, 3.6)
    front = table[table["on_front"]]
    ax.plot(
        front[TRAIN_TIME],
        front["test_mean"],
        color=INK,
        lw=1,
        drawstyle="steps-post",
        label="Pareto front",
    )
    for row in table.to_dict("records"):
        colour = colours.get(row["key"], OTHERS)
        x, y = row[TRAIN_TIME], row["test_mean"]
        ax.vlines(x, row["test_low"], row["test_high"], color=colour, lw=1.3)
        ax.hlines(y, row["time_low"], row["time_high"], color=colour, lw=1.3)
        marker = "s" if row["kind"] == "baseline" else "o"
        (point,) = ax.plot(x, y, marker, color=colour, ms=6, zorder=3)
        point.set_url(point_name(row["label"], f"{y:.4f} in {x:.1f} s"))
        if row["kind"] == "baseline":
            # They share the text's colour, so each has its name beside it.
            ax.annotate(
                plain_text(row["label"]),
                (x, y),
                xytext=(7, 5),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
        else:
            point.set_label(plain_text(row["label"]))
    scale_times(ax, table[TRAIN_TIME])
    ax.margins(x=0.12, y=0.12)
    ax.set_xlabel("training time (s), mean over seeds")
    ax.set_ylabel(f"test {metric.label}, mean over seeds")
    add_legend(fig, ax.get_legend_handles_labels()[0], n_columns=2)
    return fig


def plot_forest(comparisons: pd.DataFrame, metric: Metric) -> Figure:
    """Draw paired differences with their intervals and the margin of equivalence.

    Parameters
    ----------
    comparisons : DataFrame
        As `comparisons.compare_all` gives it.
    """
    n = len(comparisons)
    fig, ax = new_figure(NARROW, 1.2 + 0.5 * n)
    margin = float(comparisons["margin"].max()) if n else 0.0
    ax.axvspan(-margin, margin, color=OTHERS, alpha=0.18, lw=0, label="margin")
    ax.axvline(0, color=INK, lw=0.8)
    for i, row in enumerate(comparisons.to_dict("records")):
        colour = VERDICT_COLOURS[row["verdict"]]
        ax.hlines(i, row["both_low"], row["both_high"], color=colour, lw=1.2)
        ax.hlines(i, row["ci_low"], row["ci_high"], color=colour, lw=4, alpha=0.5)
        (mean,) = ax.plot(row["difference"], i, "o", color=colour, ms=6)
        mean.set_url(
            point_name(
                f"{row['label_a']} against {row['label_b']}: {row['verdict']}",
                f"{row['difference']:+.4f}",
            )
        )
    names = [
        f"{plain_text(row['label_a'])} − {plain_text(row['label_b'])}"
        for row in comparisons.to_dict("records")
    ]
    name_rows(ax, names)
    better = "to the right a is better" if metric.higher_is_better else "to the left"
    ax.set_xlabel(f"difference in test {metric.label} (a − b), {better}")
    handles = [
        ax.plot([], [], "o", color=colour, label=verdict)[0]
        for verdict, colour in VERDICT_COLOURS.items()
        if verdict in set(comparisons["verdict"])
    ]
    add_legend(fig, [*handles, ax.patches[0]])
    return fig


def plot_reliability(
    curves: Sequence[pd.DataFrame], colours: Mapping[str, str]
) -> Figure:
    """Draw accuracy against confidence, with the diagonal of perfect calibration.

    Parameters
    ----------
    curves : sequence of DataFrame
        As `tables.confirmed.reliability` gives them.
    """
    fig, ax = new_figure(NARROW, 4.2)
    starts = [curve["confidence"].min() for curve in curves if len(curve)]
    low = min([*starts, 0.95])
    ax.plot([low, 1], [low, 1], color=INK, lw=0.8, ls="--", label="calibrated")
    for curve in curves:
        key = curve["key"].iloc[0]
        colour = colours.get(key, OTHERS)
        ax.plot(
            curve["confidence"],
            curve["accuracy"],
            marker="o",
            ms=3.5,
            color=colour,
            label=plain_text(curve["label"].iloc[0]),
        )
        ax.lines[-1].set_url(point_name(str(curve["label"].iloc[0])))
        ax.fill_between(
            curve["confidence"], curve["low"], curve["high"], color=colour, alpha=0.15
        )
    ax.set_xlabel("confidence in the predicted class (mean of the bin)")
    ax.set_ylabel("share of the bin that is right")
    add_legend(fig, ax.get_legend_handles_labels()[0], n_columns=2)
    return fig


def plot_expected_best(table: pd.DataFrame, metric: Metric) -> Figure:
    """Draw the expected best score by number of trials, and where it stopped paying.

    Parameters
    ----------
    table : DataFrame
        As `tables.confirmed.expected_best` gives it.
    """
    fig, ax = new_figure(NARROW, 3.4)
    n, expected = table["n_trials"], table["expected"]
    colour = PALETTE[0]
    ax.fill_between(n, table["ci_low"], table["ci_high"], color=colour, alpha=0.18)
    ax.plot(n, expected, color=colour, marker="o", ms=3, label="expected best")
    paid = int(table.attrs["n_paid"])
    if paid < int(n.iloc[-1]):
        ax.axvspan(
            paid,
            float(n.iloc[-1]),
            color=OTHERS,
            alpha=0.15,
            lw=0,
            label="within margin",
        )
    ax.set_xlabel("trials")
    ax.set_ylabel(f"validation {metric.label}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    seconds = float(table["seconds"].iloc[0])
    above = ax.secondary_xaxis(
        "top",
        functions=(
            lambda x: np.asarray(x, float) * seconds,
            lambda x: np.asarray(x, float) / seconds,
        ),
    )
    above.set_xlabel("seconds of training", color=INK, fontsize=9)
    above.tick_params(colors=INK, labelsize=9)
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig
