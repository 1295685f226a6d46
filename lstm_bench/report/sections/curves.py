"""The section on learning curves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.tables.select import validation_curves
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import Block, Drawing, Section, count
from lstm_bench.report.figures.style import (
    NARROW,
    OTHERS,
    add_legend,
    configuration_colours,
    metric_label,
    new_figure,
    plain_text,
    point_name,
)
from lstm_bench.report.view import View

MAX_OTHERS = 200


N_HIGHLIGHTED = 5
# Grey lines behind the best ones.
N_OTHERS = 150


def curves_section(view: View) -> Section:
    """Show the confirmed configurations over seeds, then the search's runs."""
    title, anchor = "Learning curves", "curves"
    names = list(dict.fromkeys((view.metric.name, "accuracy", "log_loss")))
    confirmed = [_over_seeds(view, name) for name in names] if view.lstms else []
    searched = [_searched(view, name) for name in names]
    blocks: list[Block] = [d for d in (*confirmed, *searched) if d is not None]
    if not blocks:
        return Section(title, anchor, "No completed training has left a curve.")
    return Section(
        title,
        anchor,
        f"Scores after each epoch, on the validation {view.results.examples}. Where "
        "training stops "
        "early, the weights of the best epoch are kept.",
        tuple(blocks),
    )


def _over_seeds(view: View, name: str) -> Drawing | None:
    frame = curves_over_seeds(view.analysis, name)
    if frame.empty:
        return None
    label = METRICS[name].label
    return Drawing(
        f"curves_over_seeds_{name}",
        f"Validation {label} by epoch, means over the round's seeds; bands are 95 % t "
        "intervals over seeds. A line ends where the first of its seeds stopped.",
        plot_curves_over_seeds(frame, name, view.colours),
        frame,
    )


def _searched(view: View, name: str) -> Drawing | None:
    board, all_curves = view.board, view.results.curves
    own = all_curves[(all_curves["split"] == "val") & (all_curves["metric"] == name)]
    shown = board[board["run_id"].isin(own["run_id"].unique().tolist())]
    if shown.empty:
        return None
    drawn = shown.head(N_HIGHLIGHTED + N_OTHERS)
    rows = own[own["run_id"].isin(drawn["run_id"].tolist())].sort_values(
        ["run_id", "epoch"], kind="stable"
    )
    caption = (
        f"Validation {METRICS[name].label} by epoch in the search: the best "
        f"{min(N_HIGHLIGHTED, len(shown))} of {count(len(shown), 'configuration')} in "
        "colour, one run each."
    )
    if len(drawn) < len(shown):
        caption += f" Grey: the next {len(drawn) - N_HIGHLIGHTED}."
    data = rows.merge(drawn[["run_id", "label"]], on="run_id")
    return Drawing(
        f"curves_{name}",
        caption,
        plot_learning_curves(
            rows, view.named(drawn), name, view.colours, N_HIGHLIGHTED
        ),
        pd.DataFrame(data[["label", "run_id", "epoch", "value"]]),
    )


def curves_over_seeds(analysis: Analysis, metric: str) -> pd.DataFrame:
    """Return the mean curve over the seeds of every confirmed configuration.

    A curve ends with the last epoch that each of its seeds reached: a mean over
    those that went on would be one over the seeds that learned slowly.

    Returns
    -------
    DataFrame with columns
        ``config_id, label, epoch, n_seeds, mean, ci_low, ci_high``: a 95 % t
        interval over seeds
    """
    columns = ["config_id", "label", "epoch", "n_seeds", "mean", "ci_low", "ci_high"]
    by_run = validation_curves(analysis.results, metric)
    runs = analysis.results.confirmed
    rows = []
    for contender in analysis.contenders:
        own = runs[
            (runs["config_id"] == contender.key)
            & runs["replicate"].isin(list(contender.test))
        ]
        found = [
            by_run[run_id] for run_id in own["run_id"].tolist() if run_id in by_run
        ]
        n_epochs = min((len(curve) for curve in found), default=0)
        for epoch in range(n_epochs):
            values = np.array([curve[epoch] for curve in found])
            interval = mean_interval(values).within(*METRICS[metric].bounds)
            rows.append(
                {
                    "config_id": contender.key,
                    "label": contender.label,
                    "epoch": epoch + 1,
                    "n_seeds": interval.n,
                    "mean": interval.estimate,
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                }
            )
    return pd.DataFrame(rows, columns=columns)


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


def plot_curves_over_seeds(
    curves: pd.DataFrame, metric: str, colours: Mapping[str, str]
) -> Figure:
    """Draw each configuration's mean curve, and its interval as a band.

    Parameters
    ----------
    curves : DataFrame
        As `tables.curves.curves_over_seeds` gives it.
    metric : str
        Name in `METRICS`, or "loss".
    """
    fig, ax = new_figure(NARROW, 3.6)
    for config_id, curve in curves.groupby("config_id", sort=False):
        colour, label = colours.get(str(config_id), OTHERS), curve["label"].iloc[0]
        ax.fill_between(
            curve["epoch"], curve["ci_low"], curve["ci_high"], color=colour, alpha=0.13
        )
        (line,) = ax.plot(
            curve["epoch"],
            curve["mean"],
            color=colour,
            lw=1.8,
            marker="o",
            ms=3.5,
            label=plain_text(label),
        )
        n = int(curve["n_seeds"].iloc[0])
        last = float(curve["mean"].iloc[-1])
        line.set_url(point_name(str(label), f"mean of {n} seeds, last {last:.4f}"))
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"validation {metric_label(metric)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(fig, ax.get_legend_handles_labels()[0], n_columns=2)
    return fig
