"""Figures of the search: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.analysis.formatting import plain, value_label
from lstm_bench.figures.style import (
    INK,
    NARROW,
    OTHERS,
    PALETTE,
    add_legend,
    configuration_colours,
    metric_label,
    new_figure,
    plain_text,
    point_name,
    scale_times,
    scatter_runs,
    set_log_x,
    spread_out,
)
from lstm_bench.metrics import Metric
from lstm_bench.tables.search import MEAN_HIGH, MEAN_LOW
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME, TrialResult

MAX_OTHERS = 200


def plot_learning_curves(
    curves: pd.DataFrame,
    runs: pd.DataFrame,
    metric: str,
    colours: Mapping[str, str] | None = None,
    n_highlighted: int = 5,
) -> Figure:
    """Draw `metric` on validation by epoch, one line per run.

    Parameters
    ----------
    curves : DataFrame
        As in `Results`: ``run_id, split, metric, epoch, value``.
    runs : DataFrame
        ``run_id, config_id, label`` and, for the pointer, ``name``, best first: the
        first `n_highlighted` are coloured and named, at most 200 others are grey.
    metric : str
        Name in `METRICS`, or "loss".
    """
    fig, ax = new_figure(NARROW, 3.6)
    wanted = curves[(curves["split"] == "val") & (curves["metric"] == metric)]
    by_run = dict(iter(wanted.sort_values("epoch").groupby("run_id")))
    colours = colours or configuration_colours(runs["config_id"].tolist())
    drawn = [row for row in runs.to_dict("records") if row["run_id"] in by_run]
    for row in drawn[n_highlighted : n_highlighted + MAX_OTHERS]:
        curve = by_run[row["run_id"]]
        (line,) = ax.plot(
            curve["epoch"], curve["value"], color=OTHERS, lw=0.8, alpha=0.5
        )
        line.set_url(_curve_name(row, curve))
    # The best is drawn last, on top; the legend lists it first.
    handles = []
    for row in reversed(drawn[:n_highlighted]):
        curve = by_run[row["run_id"]]
        (line,) = ax.plot(
            curve["epoch"],
            curve["value"],
            color=colours.get(row["config_id"], OTHERS),
            lw=1.8,
            marker="o",
            ms=3.5,
            label=plain_text(row["label"]),
        )
        line.set_url(_curve_name(row, curve))
        handles.append(line)
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"validation {metric_label(metric)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if handles:
        add_legend(fig, handles[::-1])
    return fig


def _curve_name(row: Mapping[Hashable, Any], curve: pd.DataFrame) -> str:
    name = str(row.get("name", row["label"]))
    return point_name(name, f"last {curve['value'].iloc[-1]:.4f}")


def plot_axis_effect(
    points: pd.DataFrame,
    effect: pd.DataFrame,
    axis: str,
    metric: Metric,
    colours: Mapping[str, str] | None = None,
    log: bool = False,
) -> Figure:
    """Draw each trial's objective by its value of `axis`, and the means.

    Parameters
    ----------
    points : DataFrame
        ``objective, config_id`` and the column `axis`, one row per trial.
    effect : DataFrame
        As `tables.axis_effect` gives it.
    log : bool
        Logarithmic scale for a range.
    """
    fig, ax = new_figure(NARROW, 3.2)
    binned = bool((effect["low"] < effect["high"]).any())
    if binned:
        x = points[axis].to_numpy(dtype=float)
        centres = ((effect["low"] + effect["high"]) / 2).to_numpy(dtype=float)
        if log:
            set_log_x(ax)
            low, high = (effect[end].to_numpy(dtype=float) for end in ("low", "high"))
            centres = np.sqrt(low * high)
    else:
        labels = effect["value"].tolist()
        where = {label: i for i, label in enumerate(labels)}
        position = [where[value_label(plain(v))] for v in points[axis].tolist()]
        x = spread_out(np.array(position, dtype=float))
        centres = np.arange(len(labels), dtype=float)
        ax.set_xticks(centres, [plain_text(label) for label in labels])
        ax.set_xlim(-0.6, len(labels) - 0.4)
    scatter_runs(ax, x, points, colours or {})
    # Two trials far apart have an interval that would flatten everything else.
    objective = points[OBJECTIVE].to_numpy(dtype=float)
    span = float(np.ptp(objective)) or 0.01
    ax.set_ylim(objective.min() - 0.35 * span, objective.max() + 0.35 * span)
    ax.vlines(centres, effect[MEAN_LOW], effect[MEAN_HIGH], color=INK, lw=1.2)
    ax.plot(centres, effect["mean"], color=INK, lw=1, marker="D", ms=5, label="mean")
    ax.set_xlabel(plain_text(axis))
    ax.set_ylabel(f"validation {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig


def plot_heads(
    points: pd.DataFrame,
    runs: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Draw runs' objectives by head, and each head's mean.

    Parameters
    ----------
    points : DataFrame
        The runs to draw: ``head, objective, config_id``, and ``name``.
    runs : DataFrame
        All complete runs: ``head, objective``.
    """
    heads = sorted(runs["head"].unique().tolist())
    fig, ax = new_figure(NARROW, 3.2)
    position = np.array([heads.index(h) for h in points["head"].tolist()], dtype=float)
    scatter_runs(ax, spread_out(position), points, colours or {})
    means = [float(runs.loc[runs["head"] == head, OBJECTIVE].mean()) for head in heads]
    ax.hlines(
        means,
        [i - 0.3 for i in range(len(heads))],
        [i + 0.3 for i in range(len(heads))],
        color=INK,
        lw=1.4,
        label="mean",
    )
    names = [f"{plain_text(h)}\nn = {int((runs['head'] == h).sum()):,}" for h in heads]
    ax.set_xticks(range(len(heads)), names)
    ax.set_xlim(-0.6, len(heads) - 0.4)
    ax.set_ylabel(f"validation {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig


def plot_importance(importance: pd.DataFrame) -> Figure:
    """Draw each axis' share as a bar, the largest on top."""
    n = len(importance)
    fig, ax = new_figure(NARROW, 0.9 + 0.34 * n)
    shares = importance["importance"].to_numpy(dtype=float)
    bars = ax.barh(np.arange(n), shares, color=PALETTE[0], height=0.6)
    labels = [f"{share:.0%}" for share in shares]
    ax.bar_label(bars, labels, padding=3, color=INK, fontsize=9)
    ax.set_yticks(np.arange(n), [plain_text(name) for name in importance["axis"]])
    ax.invert_yaxis()
    ax.set_xlim(0, max(0.1, float(shares.max(initial=0.0)) * 1.15))
    ax.set_xlabel("share of importance (PED-ANOVA)")
    ax.grid(False)
    return fig


def plot_pareto(
    table: pd.DataFrame, metric: Metric, colours: Mapping[str, str] | None = None
) -> Figure:
    """Draw the objective against training time and join the Pareto front.

    Parameters
    ----------
    table : DataFrame
        As `tables.pareto` gives it; ``low, high`` where there are error bars, and
        ``name`` where points have more of a name than their label.
    """
    fig, ax = new_figure(NARROW, 3.6)
    colours = colours or {}
    front = table[table["on_front"]].sort_values(TRAIN_TIME)
    others = table[~table["on_front"]]
    ax.plot(
        front[TRAIN_TIME],
        front[OBJECTIVE],
        color=INK,
        lw=1,
        drawstyle="steps-post",
        label="Pareto front",
    )
    for group, marker in ((others, "o"), (front, "D")):
        shades = [colours.get(c, OTHERS) for c in group["config_id"]]
        points = ax.scatter(
            group[TRAIN_TIME], group[OBJECTIVE], s=34, marker=marker, c=shades, zorder=3
        )
        points.set_urls(
            [
                point_name(
                    str(row.get("name", row["label"])),
                    f"{row[OBJECTIVE]:.4f} in {row[TRAIN_TIME]:.1f} s",
                )
                for row in group.to_dict("records")
            ]
        )
        if "low" in group:
            ax.vlines(
                group[TRAIN_TIME], group["low"], group["high"], colors=shades, lw=1.1
            )
    for row in front.to_dict("records"):
        ax.annotate(
            plain_text(row["label"]),
            (row[TRAIN_TIME], row[OBJECTIVE]),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    scale_times(ax, table[TRAIN_TIME])
    ax.margins(x=0.12, y=0.12)
    ax.set_xlabel("training time (s)")
    ax.set_ylabel(f"validation {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig


def plot_confusion_matrix(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, class_names: Sequence[str]
) -> Figure:
    """Draw how many samples of each true class were given each class.

    Parameters
    ----------
    y_true, y_pred : int array-like of shape (n_samples,)
        Class indices.
    """
    n = len(class_names)
    counts = np.zeros((n, n), dtype=np.int64)
    np.add.at(counts, (np.asarray(y_true), np.asarray(y_pred)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    fig, ax = new_figure(2.2 + 0.9 * n, 1.6 + 0.8 * n)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(n):
        for j in range(n):
            ax.text(
                j,
                i,
                f"{counts[i, j]:,}\n{shares[i, j]:.1%}",
                ha="center",
                va="center",
                fontsize=9,
                color="#ffffff" if shares[i, j] > 0.5 else "#000000",
            )
    names = [plain_text(name) for name in class_names]
    ax.set_xticks(range(n), names)
    ax.set_yticks(range(n), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"n = {int(counts.sum()):,}; shares of each row", fontsize=9)
    ax.grid(False)
    return fig


def plot_run_curves(
    history_epochs: Sequence[Mapping[str, float]], metric_name: str
) -> Figure:
    """Draw one run's train and validation values by epoch.

    Parameters
    ----------
    history_epochs : sequence of dict
        As `History.epochs`: ``epoch, train_<metric>, val_<metric>``.
    metric_name : str
        Name in `METRICS`, or "loss".
    """
    fig, ax = new_figure(5.0, 3.2)
    for split, name, colour in (
        ("train", "train (running mean, dropout on)", OTHERS),
        ("val", "validation", PALETTE[0]),
    ):
        key = f"{split}_{metric_name}"
        rows = [row for row in history_epochs if key in row]
        if rows:
            ax.plot(
                [row["epoch"] for row in rows],
                [row[key] for row in rows],
                color=colour,
                marker="o",
                ms=3.5,
                label=name,
            )
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric_label(metric_name))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if ax.lines:
        ax.legend(frameon=False, fontsize=8, labelcolor=INK)
    return fig


def training_figures(result: TrialResult, metric_name: str) -> dict[str, Figure]:
    """Draw what a training's run shows in MLflow: its curves and its confusion matrix.

    Returns
    -------
    dict of str to Figure
        ``accuracy``, ``loss``, the study's metric, and ``confusion_matrix_<split>`` of
        the last split that was scored.
    """
    figures = {
        name: plot_run_curves(result.history.epochs, name)
        for name in dict.fromkeys(("accuracy", "loss", metric_name))
    }
    scored = result.predictions[-1]
    figures[f"confusion_matrix_{scored.split}"] = plot_confusion_matrix(
        scored.y_true, scored.y_proba.argmax(axis=1), result.class_names
    )
    return figures


def plot_objective_history(
    points: pd.DataFrame,
    runs: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Draw the objective by trial number, and the best so far.

    Parameters
    ----------
    points : DataFrame
        The trials to draw: ``trial, objective, config_id``, and ``name``.
    runs : DataFrame
        All complete trials: ``trial, objective``.
    """
    fig, ax = new_figure(NARROW, 3.4)
    runs = runs[runs["trial"].notna()].sort_values("trial")
    number = runs["trial"].to_numpy(dtype=float)
    objective = runs[OBJECTIVE].to_numpy(dtype=float)
    running = np.maximum if metric.higher_is_better else np.minimum
    scatter_runs(ax, points["trial"].to_numpy(dtype=float), points, colours or {})
    ax.plot(
        number,
        running.accumulate(objective) if len(objective) else objective,
        color=INK,
        lw=1.2,
        drawstyle="steps-post",
        label="best so far",
    )
    ax.set_xlabel("trial number")
    ax.set_ylabel(f"validation {metric.label}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig
