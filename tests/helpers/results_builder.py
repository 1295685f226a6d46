"""Small `Results` whose numbers can be checked by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.metrics import METRICS, evaluate
from lstm_bench.suites.config import CONFIG_FIELDS
from lstm_bench.suites.schema import config_from
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.load import SUBSET_COLUMNS
from lstm_bench.tracking.results import METRIC_COLUMNS, RUN_NUMBER_COLUMNS, Results
from lstm_bench.tracking.stored_runs import left_out_frame
from lstm_bench.training.result import Prediction

PUBLISHED = """\
description: As published
dataset: {name: synthetic, validation: test}
references:
  a: {head: sigmoid, max_epochs: 3}
published:
  - {label: them, source: a page, reference: a, val_accuracy: [0.7, 0.75],
     epoch_time_s: [10, 20], test_accuracy: 0.75}
"""


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
BASELINE_COLUMNS = (
    *("run_id", "experiment_id", "baseline", "label", "replicate", "train_time_s"),
    "n_features",
    *(f"{split}_{name}" for split in ("val", "test") for name in METRICS),
)


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
        *("config_id", "state", "failure_reason", "engine"),
        *("seed", "replicate", "start_time"),
        *RUN_NUMBER_COLUMNS,
        *CONFIG_FIELDS,
        *METRIC_COLUMNS,
    )
    frame = _frame(runs, columns)
    dataset = {
        "name": "synthetic",
        "description": "Made up",
        "source": "a program",
        "synthetic": True,
        "example": "review",
        "digest": "ab" * 32,
        "class_names": ["neg", "pos"],
        "best_possible_accuracy": 0.95,
        "notes": [],
        "n_test_in_train": 3,
        "train": {"n": 600, "n_copies": 2},
        "test": {"n": 50},
        "n_used_train": 400,
        "n_used_val": N_VAL,
        "n_val_in_used_train": 0,
        "n_test_in_used_train": 1,
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
        "confirmed": _frame([], (*columns, "origin")),
        "baselines": pd.DataFrame(columns=list(BASELINE_COLUMNS)),
        "subsets": pd.DataFrame(columns=SUBSET_COLUMNS),
        "predictions": {},
        "errors": pd.DataFrame(
            columns=["run_id", "index", "text", "y_true", "y_pred", "y_proba"]
        ),
        "test_reviews": pd.DataFrame({"length": [], "in_train": []}),
        "test_looks": pd.DataFrame(columns=["kind", "study", "how", "n"]),
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
        "left_out": left_out_frame([]),
        "sessions": pd.DataFrame(
            [("s0", "sweep", _time(0), pd.NaT, "RUNNING")],
            columns=["run_id", "kind", "start_time", "end_time", "status"],
        ),
    }
    changes["dataset"] = {**dataset, **changes.get("dataset", {})}
    return Results(**{**known, **changes})


def _frame(runs: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(runs, columns=list(columns))
    for field in (*CONFIG_FIELDS, "reference", "failure_reason"):
        frame[field] = pd.Series([run[field] for run in runs], dtype=object)
    for column in ("trial", "seed", "replicate"):
        frame[column] = pd.array([run[column] for run in runs], dtype="Int64")
    for column in (*RUN_NUMBER_COLUMNS, *METRIC_COLUMNS):
        frame[column] = frame[column].astype(float)
    return frame


CONFIRM_SUITE = (
    SUITE
    + """\
confirm:
  n_best: 2
  n_replicates: 3
  pairs: {head: [sigmoid, softmax]}
  margin: 0.05
"""
)
# What the configurations are called.
TRIAL_0 = "16 units, dropout 0, sigmoid (trial 0)"
TRIAL_1 = "16 units, dropout 0, softmax (trial 1)"
TRIAL_2 = "32 units, dropout 0.1, sigmoid (trial 2)"
TRIAL_3 = "32 units, dropout 0.1, softmax (trial 3)"
# Right answers of 40 on test, by replicate; val is the same share of 20.
CONFIRMED: tuple[tuple[dict[str, Any], str, tuple[int, ...]], ...] = (
    (dict(units=32, dropout=0.1, head="sigmoid"), "search", (36, 37, 36)),
    (dict(units=32, dropout=0.1, head="softmax"), "search", (34, 35, 33)),
    (dict(reference="old", units=64, learning_rate=1e-5, head="sigmoid"),
     "reference", (24, 20, 22)),
    (dict(reference="old", units=64, learning_rate=1e-5, head="softmax"),
     "pair", (20, 24, 21)),
)  # fmt: skip
N_TEST = 40


def make_confirmed_results(
    confirmed: tuple[Any, ...] = CONFIRMED,
    baseline: tuple[int, ...] = (30, 32, 29),
    suite_text: str = CONFIRM_SUITE,
    **changes: Any,
) -> Results:
    """Return results with a confirmation round of three replicates."""
    results = make_results(suite_text=suite_text)
    rows, predictions, errors = [], {}, []
    for number, (given, origin, right) in enumerate(confirmed, start=1):
        for replicate, n_right in enumerate(right, start=1):
            known = {**given, "objective": 0.5, "train_time_s": 10 * number + replicate}
            row, _ = _run_row(results.suite, len(rows), known)
            row["run_id"] = f"c{len(rows)}"
            row |= dict(kind="replicate", replicate=replicate)
            row |= dict(origin=origin, trial=None)
            parts = make_predictions(n_right)
            row |= _scores(parts)
            predictions[row["run_id"]] = parts
            sample = (row["run_id"], 3, "a <b>bad</b> film", "neg", "pos", [0.1, 0.9])
            errors.append(sample)
            rows.append(row)
    fitted = []
    for replicate, n_right in enumerate((*baseline[:1], *baseline)):
        run_id = f"b{replicate}"
        parts = make_predictions(n_right)
        if replicate == 0:
            del parts["test"]
        values = ("e", "bag", "Bag of words", replicate, 1.5, 10.0)
        columns = BASELINE_COLUMNS[1:7]
        fitted.append(
            {
                "run_id": run_id,
                **dict(zip(columns, values, strict=True)),
                **_scores(parts),
            }
        )
        predictions[run_id] = parts
    columns = (*results.confirmed.columns,)
    known: dict[str, Any] = {
        "confirmed": _frame(rows, columns),
        "baselines": pd.DataFrame(fitted, columns=list(BASELINE_COLUMNS)),
        "predictions": predictions,
        "errors": pd.DataFrame(errors, columns=results.errors.columns),
        "test_reviews": pd.DataFrame(
            {"length": 10 * np.arange(N_TEST), "in_train": np.arange(N_TEST) < 4}
        ),
        "test_looks": pd.DataFrame(
            [("replicate", "small-1", "true", 12), ("train", "other-2", "true", 2)],
            columns=["kind", "study", "how", "n"],
        ),
    }
    return dataclasses.replace(results, **{**known, **changes})


def make_class_results(
    class_names: Sequence[str],
    sizes: Sequence[int],
    metric: str = "accuracy",
    values: Any = None,
    **dataset: Any,
) -> Results:
    """Return a confirmation on `sizes` test examples of each class.

    Of every three examples of a class the models are wrong on the last, and name the
    next class with probability 0.6; `values` are those of every sample.
    """
    text = CONFIRM_SUITE.replace("metric: accuracy", f"metric: {metric}")
    results = make_confirmed_results(suite_text=text)
    n, y_true = len(class_names), np.repeat(np.arange(len(sizes)), sizes)
    rank = np.concatenate([np.arange(size) for size in sizes])
    y_pred = np.where(rank % 3 == 2, (y_true + 1) % n, y_true)
    y_proba = np.full((len(y_true), n), 0.4 / (n - 1))
    y_proba[np.arange(len(y_true)), y_pred] = 0.6
    parts = {
        split: Prediction(split, np.arange(len(y_true)), y_true, y_proba)
        for split in ("val", "test")
    }
    scores = _scores(parts)
    names = list(class_names)
    sample = (0, "a text", names[-1], names[0], y_proba[0].tolist(), values)
    runs = [*results.confirmed["run_id"], "r2"]
    columns = ["run_id", "index", "text", "y_true", "y_pred", "y_proba", "values"]
    shown = pd.DataFrame([(run, *sample) for run in runs], columns=columns)
    classes = dict(zip(names, map(int, sizes), strict=True))
    part = {"n": int(sum(sizes)), "classes": classes}
    about = {"class_names": names, "train": part, "test": part, "synthetic": False}
    return dataclasses.replace(
        results,
        confirmed=results.confirmed.assign(**scores),
        baselines=results.baselines.assign(**scores),
        predictions=dict.fromkeys(results.predictions, parts),
        samples=shown,
        errors=shown,
        dataset={**results.dataset, **about, **dataset},
        test_reviews=pd.DataFrame(
            {"length": np.arange(len(y_true)), "in_train": np.arange(len(y_true)) < 4}
        ),
    )


def is_of(results: Results, runs: pd.DataFrame, name: str) -> pd.Series:
    """Return which of `runs` are of the configuration called `name`."""
    return runs["config_id"].map(results.names) == name


def make_predictions(n_right: int) -> dict[str, Prediction]:
    """Return predictions that are right on the first `n_right` of 40, with 0.8."""
    parts = {}
    for split, n in (("val", N_TEST // 2), ("test", N_TEST)):
        y_true = np.arange(n) % 2
        right = np.arange(n) < n_right * n // N_TEST
        chosen = np.where(right, y_true, 1 - y_true)
        y_proba = np.where(np.eye(2)[chosen] == 1, 0.8, 0.2)
        parts[split] = Prediction(split, np.arange(n), y_true, y_proba)
    return parts


def _scores(parts: dict[str, Prediction]) -> dict[str, float]:
    return {
        f"{split}_{name}": value
        for split, part in parts.items()
        for name, value in evaluate(part.y_true, part.y_proba, "classification").items()
    }


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
        "engine": given.get("engine", "stock"),
        "seed": 7,
        "replicate": 0,
        "start_time": _time(i),
        "objective": objective,
        "train_time_s": given.get("train_time_s"),
        "total_time_s": given.get("train_time_s", 1.0),
        "epoch_time_s": given.get("train_time_s", 0.0) / n_epochs,
        "n_parameters": 1000,
        "n_epochs": n_epochs,
        "kept_epoch": n_epochs,
        **config.model_dump(),
    }
    for metric in METRICS:
        good = metric in ("accuracy", "roc_auc", "f1")
        row[f"val_{metric}"] = objective if good else 1 - objective
    return row, n_epochs


def _time(minutes: int) -> pd.Timestamp:
    return pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(minutes=minutes)
