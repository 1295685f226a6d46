"""Sections that list trainings: all of them, and those that gave no score."""

from __future__ import annotations

from lstm_bench.report.blocks import Column, Section, Table, count
from lstm_bench.report.view import View
from lstm_bench.tables import search as tables
from lstm_bench.tables.runs import all_runs
from lstm_bench.training.result import KEPT_EPOCH, N_EPOCHS, OBJECTIVE, TRAIN_TIME

# Rows of the list in the page; its CSV file has all.
N_RUNS = 250


def runs(view: View) -> Section:
    """List every training with its curve, its MLflow run and its command."""
    title, anchor = "All trainings", "runs"
    frame = all_runs(view.results, view.fields)
    if frame.empty:
        return Section(title, anchor, "No training was begun.")
    metric = view.metric
    is_one_engine = len(tables.engines(view.results)) == 1
    columns = (
        Column(
            "label", "configuration", url="url", colours=("config_id", view.colours)
        ),
        Column("part", "part", more=True),
        Column("state", "state"),
        Column("replicate", "seed", "count"),
        Column(OBJECTIVE, f"validation {metric.label}", "score"),
        Column("test", f"test {metric.label}", "score"),
        Column("curve", f"{metric.label} by epoch", "curve"),
        *(Column(f, f, "value") for f in view.fields),
        Column(N_EPOCHS, "epochs", "count", more=True),
        Column(KEPT_EPOCH, "epoch kept", "count", more=True),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column("engine", "engine", more=is_one_engine),
        Column("start_time", "began (UTC)", "time", more=True),
        Column("config_id", "configuration id", more=True),
        Column("run_id", "MLflow run", more=True),
        view.command,
    )
    caption = (
        f"{count(len(frame), 'training')} in order of start; seed 0 is the search's, "
        "the others are the round's. The line is the score on validation after each "
        "epoch, all rows on one scale, which leaves the lowest tenth out."
    )
    return Section(
        title,
        anchor,
        "One row is one training, and one run in MLflow.",
        (Table("runs", caption, frame, columns, N_RUNS),),
    )


def failures(view: View) -> Section:
    """List the runs that gave no score."""
    title, anchor = "Pruned and failed", "failures"
    frame = tables.failures(view.results)
    if frame.empty:
        return Section(title, anchor, "No run was pruned, failed or interrupted.")
    columns = (
        Column("label", "run", url="url"),
        Column("state", "state"),
        Column("failure_reason", "reason", "prose"),
        Column(N_EPOCHS, "epochs", "count"),
        *(Column(f, f, "value") for f in view.fields),
        view.command,
    )
    caption = f"The {count(len(frame), 'run')} without a final score, and why."
    return Section(
        title,
        anchor,
        "Pruned runs were stopped because their curves did not look promising.",
        (Table("failures", caption, frame, columns),),
    )
