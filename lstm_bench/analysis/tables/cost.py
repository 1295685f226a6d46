"""Tables of score against training time, with the Pareto front."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.tables.confirmed import contender_runs
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import Metric, merge_ties
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME


def simplest_key(suite: Suite) -> str:
    """Return the key of the baseline that knows the training targets alone."""
    return f"baseline:{suite.task.simplest}"


def pareto(results: Results) -> pd.DataFrame:
    """Return objective against training time, one row per configuration.

    ``on_front`` is true where no other configuration is at least as good in both
    and better in one.

    Returns
    -------
    DataFrame with columns
        ``label, config_id, reference, trial, run_id, n_runs, objective,
        train_time_s, on_front``, by training time
    """
    columns = [
        *("label", "config_id", "reference", "trial", "run_id", "n_runs"),
        *(OBJECTIVE, TRAIN_TIME),
    ]
    table = leaderboard(results)[columns]
    table = table[table[TRAIN_TIME].notna()]
    return _with_front(table, OBJECTIVE, results.suite.metric)


def confirmed_cost(analysis: Analysis) -> pd.DataFrame:
    """Return test score against training time, one row per contender of known time.

    The simplest baseline is left out: it takes no time and learns nothing.

    Returns
    -------
    DataFrame with columns
        ``label, key, kind`` (a cell or "baseline"), ``n_seeds, train_time_s,
        time_low, time_high, test_mean, test_low, test_high`` (95 % t intervals over
        seeds), ``on_front`` (no other is at least as good in both and better in one),
        by training time
    """
    columns = ["label", "key", "kind", "n_seeds", TRAIN_TIME, "time_low", "time_high"]
    columns += ["test_mean", "test_low", "test_high"]
    results = analysis.results
    rows = []
    for contender in analysis.contenders:
        if contender.key == simplest_key(results.suite):
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
                "kind": contender.kind,
                "n_seeds": test.n,
                TRAIN_TIME: time.estimate,
                "time_low": time.low,
                "time_high": time.high,
                "test_mean": test.estimate,
                "test_low": test.low,
                "test_high": test.high,
            }
        )
    table = pd.DataFrame(rows, columns=columns)
    return _with_front(table, "test_mean", results.suite.metric)


def _with_front(table: pd.DataFrame, score: str, metric: Metric) -> pd.DataFrame:
    """Return the rows sorted by training time, with ``on_front``."""
    table = table.sort_values(TRAIN_TIME, kind="stable", ignore_index=True)
    on_front = pareto_front(
        table[TRAIN_TIME].to_numpy(dtype=float),
        table[score].to_numpy(dtype=float),
        metric.higher_is_better,
    )
    return table.assign(on_front=on_front)


def pareto_front(
    time: FloatArray, score: FloatArray, higher_is_better: bool
) -> npt.NDArray[np.bool_]:
    """Return where no other is at least as good in both and better in one.

    Parameters
    ----------
    time : float ndarray of shape (n,), lower is better
    score : float ndarray of shape (n,)

    Returns
    -------
    bool ndarray of shape (n,)
    """
    tied = merge_ties(score)
    loss = -tied if higher_is_better else tied
    on_front = np.zeros(len(time), dtype=bool)
    best = (np.inf, np.inf)
    # Sorted by time, ties by loss: a row is on the front if it is better than all
    # faster ones, or equal to the last row on the front.
    for i in np.lexsort((loss, time)):
        point = (loss[i], time[i])
        if loss[i] < best[0] or point == best:
            on_front[i], best = True, point
    return on_front
