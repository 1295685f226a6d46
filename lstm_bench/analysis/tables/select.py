"""Select and label the runs and hyperparameters of a table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lstm_bench.analysis.formatting import plain
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.metrics import Metric
from lstm_bench.suites.config import CONFIG_FIELDS
from lstm_bench.suites.engines import split_engines
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE

MEAN_LOW, MEAN_HIGH = "mean_ci95_low", "mean_ci95_high"
CI_LOW = "val_accuracy_wilson95_low"
CI_HIGH = "val_accuracy_wilson95_high"


def complete_runs(results: Results) -> pd.DataFrame:
    """Return the complete runs, which have an objective, in order of start."""
    runs = results.runs
    return runs[(runs["state"] == "complete") & runs[OBJECTIVE].notna()]


def engines(results: Results) -> list[str]:
    """Return the engines of the study's networks, in search and confirmation."""
    return sorted({*engines_of(results.runs), *engines_of(results.confirmed)})


def engines_of(runs: pd.DataFrame) -> list[str]:
    """Return the engines of `runs`; times of different engines are not comparable."""
    return sorted({name for text in runs["engine"] for name in split_engines(text)})


def shown_fields(results: Results) -> list[str]:
    """Return the hyperparameters to show: the axes, then others that vary."""
    axes = list(results.suite.space.axes)
    runs = results.runs
    varying = [
        field
        for field in CONFIG_FIELDS
        if field not in axes
        and len({plain(value) for value in set(runs[field].tolist())}) > 1
    ]
    return axes + varying


def first_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the first run of each configuration, in order of start."""
    return runs.drop_duplicates("config_id")


def plain_list(values: pd.Series[Any]) -> list[Any]:
    """Return the values as plain Python values, None where missing."""
    return [plain(value) for value in values.tolist()]


def names_of(results: Results, runs: pd.DataFrame) -> list[str]:
    """Return the name of each run's configuration."""
    return [results.names[config_id] for config_id in runs["config_id"].tolist()]


def trial_runs(results: Results) -> pd.DataFrame:
    """Return the complete runs of the search without references."""
    runs = complete_runs(results)
    return runs[runs["kind"] == "trial"]


def mean_bounds(values: pd.Series[float], metric: Metric) -> dict[str, float]:
    """Return the interval of the mean over seeds, within the metric's range."""
    interval = mean_interval(values.to_numpy(dtype=float)).within(*metric.bounds)
    return {MEAN_LOW: interval.low, MEAN_HIGH: interval.high}


def spread(values: pd.Series[float], metric: Metric) -> dict[str, float]:
    """Return mean, standard deviation, minimum, maximum and best of the values."""
    low, high = float(values.min()), float(values.max())
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)),
        "min": low,
        "max": high,
        "best": high if metric.higher_is_better else low,
    }


def validation_curves(results: Results, metric: str) -> dict[str, tuple[float, ...]]:
    """Return `metric` on validation after each epoch, by run id."""
    curves = results.curves
    chosen = curves[(curves["split"] == "val") & (curves["metric"] == metric)]
    ordered = chosen.sort_values("epoch", kind="stable")
    return {
        str(run_id): tuple(float(value) for value in values)
        for run_id, values in ordered.groupby("run_id", observed=True)["value"]
    }
