"""The runs section: every training with its scores, curve, MLflow run and command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lstm_bench.analysis.formatting import run_url, train_commands
from lstm_bench.analysis.tables.select import engines, names_of, validation_curves
from lstm_bench.report.blocks import (
    COMMAND,
    Column,
    Section,
    column_names,
    count,
    field_columns,
)
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import (
    KEPT_EPOCH,
    N_EPOCHS,
    OBJECTIVE,
    TRAIN_TIME,
    metric_key,
)

# Rows in the page; the CSV file has all.
N_RUNS = 250


def run_columns(fields: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of `all_runs`."""
    return (
        Column("label", "configuration", url="url", colour_by="config_id"),
        Column("part", "part", meaning="search or confirmation", more=True),
        Column("state", "state"),
        Column("replicate", "seed", "count", meaning="0 is the search's"),
        Column(OBJECTIVE, "validation {metric}", "score"),
        Column("test", "test {metric}", "score", meaning="scored in a confirmation"),
        Column("curve", "{metric} by epoch", "curve", meaning="on validation"),
        *field_columns(fields),
        Column(N_EPOCHS, "epochs", "count", more=True),
        Column(
            KEPT_EPOCH,
            "epoch kept",
            "count",
            meaning="whose weights were kept",
            more=True,
        ),
        Column(TRAIN_TIME, "training", "seconds", "s"),
        Column("engine", "engine", meaning="what computed the recurrent layers"),
        Column("start_time", "began (UTC)", "time", more=True),
        Column("config_id", "configuration id", more=True),
        Column("run_id", "MLflow run", more=True),
        COMMAND,
        Column("url"),
    )


def runs_section(view: View) -> Section:
    """Show every training with its scores, curve, MLflow run and command."""
    title, anchor = "All runs", "runs"
    frame = all_runs(view.results, view.fields)
    if frame.empty:
        return Section(title, anchor, "No training was begun.")
    columns = run_columns(view.fields)
    if len(engines(view.results)) == 1:
        columns = tuple(replace(c, more=c.more or c.name == "engine") for c in columns)
    caption = (
        f"{count(len(frame), 'training')} in order of start; seed 0 is the search's, "
        "the others are the confirmation's. The line is the score on validation after "
        "each epoch, all rows on one scale, which leaves the lowest tenth out."
    )
    return Section(
        title,
        anchor,
        "One row is one training, and one run in MLflow.",
        (view.table("runs", caption, frame, columns, N_RUNS),),
    )


def all_runs(results: Results, fields: list[str]) -> pd.DataFrame:
    """Return one row per training of search and confirmation, in order of start.

    Parameters
    ----------
    fields : list of str
        Hyperparameters with a column.

    Returns
    -------
    DataFrame with the columns of `run_columns` for `fields`
    """
    metric = results.suite.metric.name
    parts = [part for part in (results.runs, results.confirmed) if len(part)]
    columns = column_names(run_columns(fields))
    if not parts:
        return pd.DataFrame(columns=columns)
    runs = pd.concat(parts, ignore_index=True)
    curves = validation_curves(results, metric)
    ids = runs["run_id"].tolist()
    table = runs.assign(
        label=pd.Series(names_of(results, runs), dtype=object),
        part=np.where(runs["kind"] == "replicate", "confirmation", "search"),
        test=runs[metric_key("test", metric)],
        curve=pd.Series([curves.get(run_id) for run_id in ids], dtype=object),
        command=pd.Series(train_commands(results, runs), dtype=object),
        url=pd.Series(
            [
                run_url(results, experiment, run_id)
                for experiment, run_id in zip(runs["experiment_id"], ids, strict=True)
            ],
            dtype=object,
        ),
    )
    return table[columns].sort_values("start_time", kind="stable", ignore_index=True)
