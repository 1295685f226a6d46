"""Every training with its scores, its curve, its MLflow run and its command."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lstm_bench.analysis.formatting import plain, run_url, train_commands
from lstm_bench.analysis.tables.select import engines, run_label, validation_curves
from lstm_bench.report.blocks import Column, Section, Table, count
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import (
    KEPT_EPOCH,
    N_EPOCHS,
    OBJECTIVE,
    TRAIN_TIME,
    metric_key,
)

# Rows of the list in the page; its CSV file has all.
N_RUNS = 250


def runs_section(view: View) -> Section:
    """List every training with its curve, its MLflow run and its command."""
    title, anchor = "All runs", "runs"
    frame = all_runs(view.results, view.fields)
    if frame.empty:
        return Section(title, anchor, "No training was begun.")
    metric = view.metric
    is_one_engine = len(engines(view.results)) == 1
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


def all_runs(results: Results, fields: list[str]) -> pd.DataFrame:
    """Return one row per training of the search and of the round, in order of start.

    Parameters
    ----------
    fields : list of str
        Hyperparameters to have a column.

    Returns
    -------
    DataFrame with columns
        ``label, part`` ("search" or "round"), ``state, config_id, replicate``,
        `fields`, ``objective`` (on validation), ``test`` (the same metric on test;
        NaN in a search), ``curve`` (tuple: the metric on validation by epoch),
        ``engine, n_epochs, kept_epoch, train_time_s, start_time, run_id, command,
        url``
    """
    metric = results.suite.metric.name
    parts = [part for part in (results.runs, results.confirmed) if len(part)]
    columns = ["label", "part", "state", "config_id", "replicate", *fields, OBJECTIVE]
    columns += ["test", "curve", "engine", N_EPOCHS, KEPT_EPOCH, TRAIN_TIME]
    columns += ["start_time", "run_id", "command", "url"]
    if not parts:
        return pd.DataFrame(columns=columns)
    runs = pd.concat(parts, ignore_index=True)
    curves = validation_curves(results, metric)
    ids = runs["run_id"].tolist()
    labels = _labels(runs)
    table = runs.assign(
        label=pd.Series(labels, dtype=object),
        part=np.where(runs["kind"] == "replicate", "round", "search"),
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


def _labels(runs: pd.DataFrame) -> list[str]:
    """Return the round's own labels, and the search's by reference or trial."""
    labels = [
        run_label(plain(reference), plain(trial), run_id)
        for reference, trial, run_id in zip(
            runs["reference"].tolist(),
            runs["trial"].tolist(),
            runs["run_id"].tolist(),
            strict=True,
        )
    ]
    if "label" not in runs:
        return labels
    own = runs["label"].tolist()
    return [o if isinstance(o, str) else la for o, la in zip(own, labels, strict=True)]
