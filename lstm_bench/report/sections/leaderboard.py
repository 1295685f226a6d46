"""The leaderboard section: the search's configurations, by validation score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.analysis.tables.select import (
    CI_HIGH,
    CI_LOW,
    trial_runs,
    validation_curves,
)
from lstm_bench.metrics import Metric, metrics_of
from lstm_bench.report.blocks import (
    COMMAND,
    Block,
    Column,
    Drawing,
    Section,
    field_columns,
    number_of,
)
from lstm_bench.report.figures.parallel import plot_parallel
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    PALETTE,
    add_legend,
    house_style,
    new_figure,
    scatter_runs,
)
from lstm_bench.report.view import View
from lstm_bench.training.result import (
    EPOCH_TIME,
    KEPT_EPOCH,
    N_EPOCHS,
    OBJECTIVE,
    TRAIN_TIME,
)
from lstm_bench.training.result import N_PARAMETERS as N_PARAMS

# Rows in the page; the CSV file has all.
N_BOARD = 250


def board_columns(
    metric: Metric, fields: Sequence[str], beside: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Return the columns of the leaderboard, with learning curves.

    Parameters
    ----------
    beside : sequence of str
        Metrics that the page shows at first, beside `metric`.
    """
    interval = Column(
        CI_LOW,
        "accuracy, 95 % Wilson",
        "interval",
        meaning="over the validation {examples}",
        high=CI_HIGH,
    )
    scores = [Column(f"val_{metric.name}", "{metric} (objective)", "score")]
    if metric.name == "accuracy":
        scores.append(interval)
    scores.append(Column("curve", "{metric} by epoch", "curve"))
    for name, other in metrics_of(metric.tasks[0]).items():
        if name != metric.name:
            more = name not in beside
            scores.append(Column(f"val_{name}", other.label, "score", more=more))
            if name == "accuracy":
                scores.append(interval)
    return (
        Column("rank", "#", "count"),
        Column("label", "configuration", url="url", colour_by="config_id"),
        *scores,
        *field_columns(fields),
        Column("n_runs", "runs (n)", "count", more=True),
        Column(TRAIN_TIME, "training", "seconds", "s", "mean over the runs"),
        Column(EPOCH_TIME, "per epoch", "seconds", "s", more=True),
        Column(N_EPOCHS, "epochs", "count", more=True),
        Column(
            KEPT_EPOCH,
            "epoch kept",
            "count",
            meaning="whose weights were kept",
            more=True,
        ),
        Column(N_PARAMS, "parameters", "count", more=True),
        Column("config_id", "configuration id", more=True),
        COMMAND,
    )


def leaderboard_section(view: View) -> Section:
    """Show every completed configuration, best first."""
    title, anchor = "Leaderboard", "leaderboard"
    board, metric, results = view.board, view.metric, view.results
    if board.empty:
        return Section(title, anchor, "The search has no complete training to rank.")
    curves = validation_curves(results, metric.name)
    board = board.assign(
        curve=pd.Series(
            [curves.get(run_id) for run_id in board["run_id"].tolist()], dtype=object
        )
    )
    if view.suite.task.is_numeric:
        board = board.drop(columns=[CI_LOW, CI_HIGH])
    direction = "higher" if metric.higher_is_better else "lower"
    n_val = number_of(results.dataset.get("n_used_val"))
    caption = (
        f"Scores of the kept weights on {n_val} validation {results.examples}, means "
        "over the "
        f"configuration's runs (n); ranked by {metric.label}, {direction} is better. "
        "The line is the score after each epoch, all rows on one scale, which leaves "
        "the lowest tenth out."
    )
    blocks: list[Block] = [
        view.table(
            "leaderboard",
            caption,
            board,
            board_columns(metric, view.fields, view.beside),
            N_BOARD,
        )
    ]
    trials = trial_runs(results)
    if len(trials) > 1:
        drawn, note = view.sample(view.named(trials), "complete trials")
        caption = (
            f"Validation {metric.label} of the {len(trials):,} complete trials in the "
            "order the search tried them; the line is the best so far."
        )
        blocks.append(
            Drawing(
                "objective_history",
                caption + note,
                plot_objective_history(drawn, trials, metric, view.colours),
                drawn[["trial", "config_id", OBJECTIVE]],
            )
        )
        if len(view.suite.space):
            blocks.append(_parallel(view, trials))
    return Section(
        title,
        anchor,
        f"The interval is about the validation {results.examples} alone: another seed "
        "moves the "
        "score too.",
        tuple(blocks),
    )


def _parallel(view: View, trials: pd.DataFrame) -> Drawing:
    drawn, note = view.sample(view.named(trials), "complete trials")
    axes = dict(view.suite.space)
    return Drawing(
        "parallel",
        "The search as parallel coordinates: each line is a complete trial, from its "
        f"validation {view.metric.label} on the left through its values; "
        f"coloured are up to {len(PALETTE)}, the confirmed and the best." + note,
        plot_parallel(drawn, axes, view.metric, view.colours),
        drawn[["trial", "config_id", *axes, OBJECTIVE]],
    )


@house_style()
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
        The trials to draw: ``trial, objective, config_id, name``.
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
