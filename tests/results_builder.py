"""Small `Results` whose numbers can be checked by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lstm_bench.metrics import METRICS
from lstm_bench.records import (
    METRIC_COLUMNS,
    RUN_NUMBER_COLUMNS,
    Results,
)
from lstm_bench.space import CONFIG_FIELDS
from lstm_bench.suite import Suite, config_from

SUITE = """\
description: Which of a few?
dataset: synthetic
defaults: {units: 16}
space:
  units: [16, 32]
  dropout: {low: 0.0, high: 0.5}
  head: [sigmoid, softmax]
references:
  old: {units: 64, learning_rate: 1.0e-05}
study: {metric: accuracy, n_trials: 8}
"""
SEARCH: tuple[dict[str, Any], ...] = (
    dict(units=16, dropout=0.0, head="sigmoid", objective=0.80, train_time_s=10.0),
    dict(units=16, dropout=0.0, head="softmax", objective=0.82, train_time_s=12.0),
    dict(units=32, dropout=0.1, head="sigmoid", objective=0.90, train_time_s=20.0),
    dict(units=32, dropout=0.1, head="softmax", objective=0.86, train_time_s=30.0),
    dict(units=32, dropout=0.3, head="sigmoid", state="pruned"),
    dict(units=16, dropout=0.5, head="softmax", state="failed"),
    dict(reference="old", units=64, learning_rate=1e-5, objective=0.70,
         train_time_s=40.0),
)  # fmt: skip
N_VAL = 100


def make_results(
    rows: tuple[dict[str, Any], ...] = SEARCH,
    suite_text: str = SUITE,
    name: str = "small",
    text: str = "a fine film",
    **changes: Any,
) -> Results:
    """Return the results of `rows`: what differs from the suite's defaults, and
    ``objective, train_time_s, state, reference``; accuracy is the objective.
    """
    suite = Suite(name, suite_text, f"{name}.yaml")
    runs, curves, samples = [], [], []
    for i, given in enumerate(rows):
        run, n_epochs = _run_row(suite, i, given)
        runs.append(run)
        if run["state"] == "complete":
            for epoch in range(1, n_epochs + 1):
                value = run["objective"] - 0.01 * (n_epochs - epoch)
                for split in ("train", "val"):
                    for metric in ("accuracy", "loss"):
                        curves.append((run["run_id"], split, metric, epoch, value))
            for index in range(6):
                samples.append((run["run_id"], index, text, "neg", "pos", [0.25, 0.75]))
    columns = (
        *("run_id", "experiment_id", "run_name", "kind", "reference", "trial"),
        *("config_id", "state", "failure_reason", "seed", "start_time"),
        *RUN_NUMBER_COLUMNS,
        *CONFIG_FIELDS,
        *METRIC_COLUMNS,
    )
    frame = pd.DataFrame(runs, columns=list(columns))
    for field in (*CONFIG_FIELDS, "reference", "failure_reason"):
        frame[field] = pd.Series([run[field] for run in runs], dtype=object)
    frame["trial"] = pd.array([run["trial"] for run in runs], dtype="Int64")
    frame["seed"] = pd.array([run["seed"] for run in runs], dtype="Int64")
    for column in (*RUN_NUMBER_COLUMNS, *METRIC_COLUMNS):
        frame[column] = frame[column].astype(float)
    dataset = {
        "name": "synthetic",
        "description": "Made up",
        "source": "a program",
        "synthetic": True,
        "digest": "ab" * 32,
        "class_names": ["neg", "pos"],
        "best_possible_accuracy": 0.95,
        "notes": [],
        "n_test_in_train": 3,
        "test": {"n": 50},
        "n_used_train": 400,
        "n_used_val": N_VAL,
        "validation": "holdout",
    }
    known: dict[str, Any] = {
        "study": suite.study_name,
        "suite": suite,
        "runs": frame,
        "curves": pd.DataFrame(
            curves, columns=["run_id", "split", "metric", "epoch", "value"]
        ),
        "samples": pd.DataFrame(
            samples, columns=["run_id", "index", "text", "y_true", "y_pred", "y_proba"]
        ),
        "dataset": dataset,
        "environment": {
            "lstm_bench": "1.0",
            "python": "3.11.9",
            "packages": {"numpy": "2.0"},
            "os": "Linux",
            "cpu_model": "a processor",
            "n_cores": 2,
            "memory_gib": 8.0,
            "git_commit": None,
            "git_dirty": None,
        },
        "sessions": pd.DataFrame(
            [("s0", _time(0), pd.NaT, "RUNNING")],
            columns=["run_id", "start_time", "end_time", "status"],
        ),
    }
    changes["dataset"] = {**dataset, **changes.get("dataset", {})}
    return Results(**{**known, **changes})


def _run_row(suite: Suite, i: int, given: dict[str, Any]) -> tuple[dict[str, Any], int]:
    values = {k: v for k, v in given.items() if k in CONFIG_FIELDS}
    config = config_from(suite.defaults.model_dump(), values, "row")
    state = given.get("state", "complete")
    objective = given.get("objective", float("nan"))
    n_epochs = 3
    row: dict[str, Any] = {
        "run_id": f"r{i}",
        "experiment_id": "1",
        "run_name": f"run {i}",
        "kind": "reference" if "reference" in given else "trial",
        "reference": given.get("reference"),
        "trial": None if "reference" in given else i,
        "config_id": config.config_id,
        "state": state,
        "failure_reason": None if state == "complete" else "loss | is `nan`",
        "seed": 7,
        "start_time": _time(i),
        "objective": objective,
        "train_time_s": given.get("train_time_s"),
        "total_time_s": given.get("train_time_s", 1.0),
        "epoch_time_s": given.get("train_time_s", 0.0) / n_epochs,
        "n_parameters": 1000,
        "n_epochs": n_epochs,
        "best_epoch": n_epochs,
        **config.model_dump(),
    }
    for metric in METRICS:
        good = metric in ("accuracy", "roc_auc", "f1")
        row[f"val_{metric}"] = objective if good else 1 - objective
    return row, n_epochs


def _time(minutes: int) -> pd.Timestamp:
    return pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(minutes=minutes)
