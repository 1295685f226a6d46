"""Every training of a study, and what it cost: tidy DataFrames."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.formatting import plain, run_url, train_commands
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.pareto import pareto_front
from lstm_bench.tables.confirmed import contender_runs
from lstm_bench.tables.curves import validation_curves
from lstm_bench.tables.search import run_label
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import (
    KEPT_EPOCH,
    N_EPOCHS,
    OBJECTIVE,
    TRAIN_TIME,
    metric_key,
)

MAJORITY = "baseline:majority"


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


def confirmed_cost(analysis: Analysis) -> pd.DataFrame:
    """Return test score against training time of every contender, with intervals.

    The majority class is left out: it takes no time and learns nothing.

    Returns
    -------
    DataFrame with columns
        one row per contender whose time is known: ``label, key, kind`` ("LSTM" or
        "baseline"), ``n_seeds, train_time_s,
        time_low, time_high, test_mean, test_low, test_high`` (95 % t intervals over
        seeds), ``on_front`` (no other is both at least as fast and as good, and
        better in one), by training time
    """
    columns = ["label", "key", "kind", "n_seeds", TRAIN_TIME, "time_low", "time_high"]
    columns += ["test_mean", "test_low", "test_high"]
    results = analysis.results
    rows = []
    for contender in analysis.contenders:
        if contender.key == MAJORITY:
            continue
        own = contender_runs(results, contender)
        seconds = own[TRAIN_TIME].dropna().to_numpy(dtype=float)
        if not len(seconds):
            continue
        time = mean_interval(seconds).within(0.0, math.inf)
        test = contender.test_interval
        rows.append(
            {
                "label": contender.label,
                "key": contender.key,
                "kind": "baseline" if contender.is_baseline else "LSTM",
                "n_seeds": test.n,
                TRAIN_TIME: time.estimate,
                "time_low": time.low,
                "time_high": time.high,
                "test_mean": test.estimate,
                "test_low": test.low,
                "test_high": test.high,
            }
        )
    table = pd.DataFrame(rows, columns=columns).sort_values(
        TRAIN_TIME, kind="stable", ignore_index=True
    )
    return table.assign(
        on_front=pareto_front(
            table[TRAIN_TIME].to_numpy(dtype=float),
            table["test_mean"].to_numpy(dtype=float),
            results.suite.metric.higher_is_better,
        )
    )
