"""Sections about the search, each a function of a `View`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.verdicts import with_interval
from lstm_bench.figures import search as figures
from lstm_bench.figures.parallel import plot_parallel
from lstm_bench.figures.style import PALETTE
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Note,
    Section,
    Table,
    count,
    is_missing,
    number_of,
)
from lstm_bench.report.view import View
from lstm_bench.suites.space import CategoricalAxis
from lstm_bench.tables import search as tables
from lstm_bench.tables.curves import validation_curves
from lstm_bench.training.result import (
    EPOCH_TIME,
    KEPT_EPOCH,
    N_EPOCHS,
    OBJECTIVE,
    TRAIN_TIME,
)
from lstm_bench.training.result import N_PARAMETERS as N_PARAMS

# Rows of the leaderboard in the page; its CSV file has all.
N_BOARD = 250
NO_TRIAL = "No trial was completed: no axis to show."


def published(view: View) -> Section:
    """Set published figures beside what was measured."""
    title, anchor = "Published and measured", "published"
    results = view.results
    if not view.suite.published:
        return Section(title, anchor, "The suite names no published figures.")
    frame = tables.published_comparison(results)
    notes: list[Block] = [
        Note(f"{entry.label}: {entry.source}. {entry.note}".strip())
        for entry in view.suite.published
    ]
    frame = frame.assign(
        what=[
            {
                "val_accuracy": "validation accuracy",
                "epoch_time_s": "time per epoch (s)",
                "test_accuracy": "test accuracy",
            }[figure]
            + (f", epoch {epoch}" if not is_missing(epoch) else "")
            + (", mean" if figure == "epoch_time_s" and is_missing(epoch) else "")
            for figure, epoch in zip(frame["figure"], frame["epoch"], strict=True)
        ]
    )
    columns = (
        Column("label", "published by"),
        Column("reference", "reference"),
        Column("what", "figure"),
        Column("published", "published", "number"),
        Column("measured", "measured", "number"),
        Column("difference", "measured − published", "number"),
        Column("n_runs", "runs (n)", "count"),
    )
    caption = (
        "Published figures and those measured here; times belong to two different "
        "machines."
    )
    return Section(
        title,
        anchor,
        "Figures somebody published for a configuration, beside the same "
        "configuration trained here.",
        (*notes, Table("published", caption, frame, columns)),
    )


def leaderboard(view: View) -> Section:
    """Every completed configuration, best first."""
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
    key = f"val_{metric.name}"
    scores = [Column(key, f"{metric.label} (objective)", "score")]
    interval = Column(
        tables.CI_LOW, "accuracy, 95 % Wilson", "interval", tables.CI_HIGH
    )
    if metric.name == "accuracy":
        scores.append(interval)
    scores.append(Column("curve", f"{metric.label} by epoch", "curve"))
    for name, other in METRICS.items():
        if name != metric.name:
            scores.append(Column(f"val_{name}", other.label, "score", more=True))
            if name == "accuracy":
                scores.append(interval)
    columns = (
        Column("rank", "#", "count"),
        Column(
            "label", "configuration", url="url", colours=("config_id", view.colours)
        ),
        *scores,
        *(Column(f, f, "value") for f in view.fields),
        Column("n_runs", "runs (n)", "count", more=True),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column(EPOCH_TIME, "per epoch (s)", "seconds", more=True),
        Column(N_EPOCHS, "epochs", "count", more=True),
        Column(KEPT_EPOCH, "epoch kept", "count", more=True),
        Column(N_PARAMS, "parameters", "count", more=True),
        Column("config_id", "configuration id", more=True),
        view.command,
    )
    direction = "higher" if metric.higher_is_better else "lower"
    n_val = number_of(results.dataset.get("n_used_val"))
    caption = (
        f"Scores of the kept weights on {n_val} validation {results.examples}, means "
        "over the "
        f"configuration's runs (n); ranked by {metric.label}, {direction} is better. "
        "The line is the score after each epoch, all rows on one scale, which leaves "
        "the lowest tenth out."
    )
    blocks: list[Block] = [Table("leaderboard", caption, board, columns, N_BOARD)]
    trials = tables.trial_runs(results)
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
                figures.plot_objective_history(drawn, trials, metric, view.colours),
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


def heads(view: View, more: tuple[Block, ...] = ()) -> Section:
    """Sigmoid against softmax; `more` blocks stand at the start."""
    title, anchor = "Heads: sigmoid and softmax", "heads"
    results, metric = view.results, view.metric
    frame = tables.compare_heads(results)
    if frame.empty:
        intro = (
            "Both heads are scored by the same formula, from class probabilities."
            if more
            else "No complete training to compare heads."
        )
        return Section(title, anchor, intro, more)
    columns: tuple[Column, ...] = (
        Column("head", "head"),
        Column("n_runs", "runs (n)", "count"),
        Column("objective_mean", f"mean {metric.label}", "score"),
        Column(tables.MEAN_LOW, "95 % over runs (t)", "interval", tables.MEAN_HIGH),
        Column("objective_sd", "sd", "score"),
        Column("objective_min", "min", "score", more=True),
        Column("objective_max", "max", "score", more=True),
        Column("objective_best", "best", "score", more=True),
        Column("val_log_loss_mean", "mean log loss (nats)", "score"),
        Column("val_log_loss_best", "best log loss (nats)", "score", more=True),
    )
    what = "scores"
    # Engines' times do not compare, and a head may have had one more than another.
    if len(tables.engines_of(tables.complete_runs(results))) == 1:
        what = "scores and times"
        columns += (
            Column("train_time_s_mean", "mean training (s)", "seconds"),
            Column("epoch_time_s_mean", "mean per epoch (s)", "seconds"),
        )
    caption = f"Validation {what} of all complete runs of the search, by head."
    blocks: list[Block] = [*more, Table("heads", caption, frame, columns)]
    if len(frame) == 1:
        return Section(
            title,
            anchor,
            f"Every complete run has the {frame.iloc[0]['head']} head: there is "
            "nothing to compare it with.",
            tuple(blocks),
        )
    runs = tables.complete_runs(results)
    drawn, note = view.sample(view.named(runs), "complete runs")
    blocks.append(
        Drawing(
            "heads",
            f"Validation {metric.label} of every complete run by head; lines are "
            "means." + note,
            figures.plot_heads(drawn, runs, metric, view.colours),
            drawn[["run_id", "config_id", "head", OBJECTIVE]],
        )
    )
    paired = tables.compare_heads_paired(results)
    if paired.empty:
        blocks.append(
            Note(
                "No two complete configurations of the search differ in the head "
                "alone, so it has no paired comparison."
            )
        )
    else:
        blocks += _paired_blocks(view, paired)
    return Section(
        title,
        anchor,
        "Both heads are scored by the same formula, from class probabilities. A search "
        "does not pair its heads: each was tried with other settings, so the means "
        "over its runs do not say which head is better.",
        tuple(blocks),
    )


def _paired_blocks(view: View, paired: pd.DataFrame) -> Iterator[Block]:
    fields = [f for f in view.fields if f != "head"]
    metric = view.metric
    columns = (
        *(Column(f, f, "value") for f in fields),
        Column("head_a", "a"),
        Column("head_b", "b"),
        Column("objective_a", f"{metric.label} of a", "score"),
        Column("objective_b", f"{metric.label} of b", "score"),
        Column("difference", "b − a", "signed"),
        Column("n_runs_a", "runs of a (n)", "count"),
        Column("n_runs_b", "runs of b (n)", "count"),
    )
    differences = paired["difference"].to_numpy(dtype=float)
    mean = mean_interval(differences).within(*metric.difference_bounds)
    scores = zip(paired["objective_b"], paired["objective_a"], strict=True)
    wins = sum(metric.is_better(b, a) for b, a in scores)
    yield Table(
        "heads_paired",
        f"{count(len(paired), 'pair')} of searched configurations that differ in the "
        "head alone.",
        paired,
        columns,
    )
    yield Note(
        f"Mean difference over {count(len(paired), 'pair')}: "
        f"{with_interval(mean.estimate, mean.low, mean.high, '+.4f')}; b is better "
        f"in {wins} of {len(paired)}. With few pairs and one seed this may well be "
        "chance."
    )


def axes(view: View, more: tuple[Block, ...] = ()) -> Section:
    """One table and one figure per swept axis; `more` blocks stand at the end."""
    title, anchor = "Axes", "axes"
    results, metric = view.results, view.metric
    if not len(view.suite.space):
        return Section(
            title, anchor, "The suite sweeps no axis: it trains fixed configurations."
        )
    trials = tables.trial_runs(results)
    if trials.empty:
        return Section(title, anchor, NO_TRIAL)
    drawn, note = view.sample(view.named(trials), "complete trials")
    blocks: list[Block] = []
    for name, axis in view.suite.space:
        effect = tables.axis_effect(results, name)
        columns = (
            Column("value", name),
            Column("n", "trials (n)", "count"),
            Column("mean", f"mean {metric.label}", "score"),
            Column(tables.MEAN_LOW, "95 % (t)", "interval", tables.MEAN_HIGH),
            Column("best", "best", "score"),
            Column("sd", "sd", "score", more=True),
            Column("min", "min", "score", more=True),
            Column("max", "max", "score", more=True),
        )
        caption = (
            f"{name} ({axis.describe()}): validation {metric.label} of "
            f"{count(len(trials), 'complete trial')} by value."
        )
        blocks.append(Table(f"axis_{name}", caption, effect, columns, wide=False))
        log = not isinstance(axis, CategoricalAxis) and axis.log
        blocks.append(
            Drawing(
                f"axis_{name}",
                f"{name}: each point is a trial, each diamond the mean of a value with "
                "its 95 % t interval over the value's trials, cut off where it is far "
                "wider than the points spread." + note,
                figures.plot_axis_effect(
                    drawn, effect, name, metric, view.colours, log
                ),
                drawn[["trial", "config_id", name, OBJECTIVE]],
            )
        )
        uneven = tables.explored_unevenly(effect)
        if uneven is not None:
            blocks.append(Note(f"{name}: {uneven}", True))
    return Section(
        title,
        anchor,
        "The other axes vary along, and a sampler that learns tries good regions more "
        "often: these are means over what was tried, not the effect of one axis alone.",
        (*blocks, *more),
    )


def importance(view: View) -> Section:
    """Which axes separate the best trials."""
    title, anchor = "Importance", "importance"
    frame = tables.importance(view.results)
    if frame.empty:
        return Section(title, anchor, str(frame.attrs["reason"]))
    n = int(frame["n_trials"].iloc[0])
    columns = (
        Column("axis", "axis"),
        Column("importance", "share", "share"),
        Column("n_trials", "trials (n)", "count"),
    )
    caption = f"Share of each axis in what separates the best of {n:,} complete trials."
    return Section(
        title,
        anchor,
        "PED-ANOVA asks where the best tenth of the trials lies in the space. With few "
        f"trials ({n:,} here) the shares are rough, and they have no interval.",
        (
            Table("importance", caption, frame, columns, wide=False),
            Drawing("importance", caption, figures.plot_importance(frame), frame),
        ),
    )
