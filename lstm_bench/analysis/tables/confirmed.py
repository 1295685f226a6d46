"""Tables of the confirmation: `Results` in, tidy DataFrame out."""

from __future__ import annotations

import math

import pandas as pd

from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import TRAIN_TIME, metric_key


def contender_runs(results: Results, contender: Contender) -> pd.DataFrame:
    """Return the runs of the replicates on which `contender` was scored."""
    frame, column, key = results.confirmed, "config_id", contender.key
    if contender.is_baseline:
        frame, column = results.baselines, "baseline"
        key = key.removeprefix("baseline:")
    scored = frame["replicate"].isin(list(contender.test))
    return frame[(frame[column] == key) & scored]


def baselines(results: Results) -> pd.DataFrame:
    """Return the baselines' scores by the splits on which they were fitted.

    Returns
    -------
    DataFrame with columns
        ``label, baseline, fitted_on`` ("the search's split" or "fresh splits"),
        ``n_splits, val_mean, test_mean`` (the suite's metric), ``test_low, test_high``
        (95 % t interval over splits), ``n_features, train_time_s``
    """
    metric = results.suite.metric
    columns = ["label", "baseline", "fitted_on", "n_splits", "val_mean", "test_mean"]
    columns += ["test_low", "test_high", "n_features", TRAIN_TIME]
    frame = results.baselines
    rows = []
    for fitted_on, part in (
        ("the search's split", frame[frame["replicate"] == 0]),
        ("fresh splits", frame[frame["replicate"] > 0]),
    ):
        for _, group in part.groupby("baseline", sort=False):
            scored = (
                group[metric_key("test", metric.name)].dropna().to_numpy(dtype=float)
            )
            low, high = math.nan, math.nan
            if len(scored):
                interval = mean_interval(scored).within(*metric.bounds)
                low, high = interval.low, interval.high
            values = (
                group.iloc[0]["label"],
                group.iloc[0]["baseline"],
                fitted_on,
                len(group),
                float(group[metric_key("val", metric.name)].mean()),
                float(group[metric_key("test", metric.name)].mean()),
                low,
                high,
                float(group["n_features"].mean()),
                float(group[TRAIN_TIME].mean()),
            )
            rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows, columns=columns)
