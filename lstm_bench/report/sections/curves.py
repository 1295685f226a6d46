"""The learning curves section: means over confirmed seeds, and the search's runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.tables.select import validation_curves
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import Block, Drawing, Section, count
from lstm_bench.report.figures.curves import Curve, plot_curves
from lstm_bench.report.figures.style import OTHERS
from lstm_bench.report.view import View

N_HIGHLIGHTED = 5
# Number of grey lines behind the highlighted ones.
N_OTHERS = 150


def curves_section(view: View) -> Section:
    """Show learning curves of confirmed configurations, then of the search's runs."""
    title, anchor = "Learning curves", "curves"
    names = list(dict.fromkeys((view.metric.name, *view.suite.task.curves)))
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
        f"Validation {label} by epoch, means over the confirmation's seeds; bands are "
        "95 % t intervals over seeds. A line ends where the first of its seeds "
        "stopped.",
        plot_curves(mean_curves(frame, view.colours), f"validation {label}"),
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
        plot_curves(
            run_curves(rows, view.named(drawn), view.colours),
            f"validation {METRICS[name].label}",
            n_columns=4,
        ),
        pd.DataFrame(data[["label", "run_id", "epoch", "value"]]),
    )


def curves_over_seeds(analysis: Analysis, metric: str) -> pd.DataFrame:
    """Return the mean curve over the seeds of every confirmed configuration.

    A curve ends with the last epoch that all seeds reached: a later mean would be over
    the seeds that learn slowly.

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


def mean_curves(frame: pd.DataFrame, colours: Mapping[str, str]) -> list[Curve]:
    """Return each configuration's mean curve with its interval as a band.

    Parameters
    ----------
    frame : DataFrame
        From `curves_over_seeds`.
    """
    curves = []
    for key, own in frame.groupby("config_id", sort=False):
        label = str(own["label"].iloc[0])
        name = f"{label}\nmean of {own['n_seeds'].iloc[0]} seeds"
        curves.append(
            Curve(
                label,
                name,
                colours.get(str(key), OTHERS),
                own["epoch"].tolist(),
                own["mean"].tolist(),
                own["ci_low"].tolist(),
                own["ci_high"].tolist(),
            )
        )
    return curves


def run_curves(
    rows: pd.DataFrame, runs: pd.DataFrame, colours: Mapping[str, str]
) -> list[Curve]:
    """Return a curve for each run; `N_HIGHLIGHTED` are coloured and in the legend.

    Parameters
    ----------
    rows : DataFrame
        ``run_id, epoch, value``, by epoch.
    runs : DataFrame
        ``run_id, config_id, label, name``, best first.
    """
    by_run = dict(iter(rows.groupby("run_id")))
    curves = []
    for i, run in enumerate(runs.to_dict("records")):
        own = by_run[run["run_id"]]
        is_best = i < N_HIGHLIGHTED
        curves.append(
            Curve(
                run["label"] if is_best else None,
                run["name"],
                colours.get(run["config_id"], OTHERS) if is_best else OTHERS,
                own["epoch"].tolist(),
                own["value"].tolist(),
            )
        )
    return curves
