"""Tables of the search: `Results` in, tidy DataFrame out, numbers unrounded."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lstm_bench.analysis.formatting import run_url, train_commands
from lstm_bench.analysis.intervals import wilson_interval
from lstm_bench.analysis.tables.select import (
    CI_HIGH,
    CI_LOW,
    complete_runs,
    first_runs,
    names_of,
    plain_list,
    shown_fields,
)
from lstm_bench.metrics import metrics_of
from lstm_bench.tracking.names import STATES
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import (
    EPOCH_TIME,
    KEPT_EPOCH,
    N_EPOCHS,
    N_PARAMETERS,
    OBJECTIVE,
    TOTAL_TIME,
    TRAIN_TIME,
    metric_key,
)

_MEASURED = (TRAIN_TIME, EPOCH_TIME, N_PARAMETERS, N_EPOCHS, KEPT_EPOCH)


def leaderboard(results: Results) -> pd.DataFrame:
    """Return one row per configuration with complete runs, best first.

    Scores, times and counts are means over the configuration's `n_runs` complete
    runs; `run_id`, `trial` and `url` are those of the first. The interval is
    Wilson's 95 % over the validation examples: it covers new examples for *these
    weights*, not another seed.

    Returns
    -------
    DataFrame with columns
        ``rank, label, config_id, reference, trial, run_id``, the fields of
        `shown_fields`, ``objective, val_<metric>...``, ``val_accuracy_wilson95_low,
        val_accuracy_wilson95_high, n_used_val, n_runs, train_time_s, epoch_time_s,
        n_parameters, n_epochs, kept_epoch, command, url``
    """
    fields = shown_fields(results)
    scores = [metric_key("val", name) for name in metrics_of(results.suite.task.name)]
    numbers = [OBJECTIVE, *scores, *_MEASURED]
    columns = [
        *("rank", "label", "config_id", "reference", "trial", "run_id"),
        *fields,
        *(OBJECTIVE, *scores, CI_LOW, CI_HIGH, "n_used_val", "n_runs"),
        *_MEASURED,
        *("command", "url"),
    ]
    n_val = results.dataset.get("n_used_val") or 0
    runs = complete_runs(results)
    first, by_config = first_runs(runs), runs.groupby("config_id", sort=False)
    # Floats only: the mean of a single run is its exact value.
    means = by_config[numbers].mean()
    # NaN where there are no classes.
    accuracy = by_config["val_accuracy"].mean().to_numpy(dtype=float)
    low, high = wilson_interval(accuracy, n_val)
    known: dict[str, Any] = {
        "label": names_of(results, first),
        "config_id": first["config_id"].tolist(),
        "reference": plain_list(by_config["reference"].first()),
        "trial": plain_list(by_config["trial"].first()),
        "run_id": first["run_id"].tolist(),
        **{field: plain_list(first[field]) for field in fields},
        **{name: means[name].to_numpy(dtype=float) for name in numbers},
        CI_LOW: low,
        CI_HIGH: high,
        "n_used_val": results.dataset.get("n_used_val"),
        "n_runs": by_config.size().to_numpy(),
        "command": train_commands(results, first),
        "url": [
            run_url(results, experiment_id, run_id)
            for experiment_id, run_id in zip(
                first["experiment_id"].tolist(), first["run_id"].tolist(), strict=True
            )
        ],
    }
    for column in ("reference", "trial", "url", *fields):
        # A missing value must not turn integers into floats.
        known[column] = pd.Series(known[column], dtype=object)
    table = pd.DataFrame(known, columns=columns)
    metric, values = results.suite.metric, table[OBJECTIVE].to_numpy(dtype=float)
    table["rank"] = pd.array(metric.ranks(values), dtype="Int64")
    return table.iloc[metric.order(values)].reset_index(drop=True)


def study_summary(results: Results) -> dict[str, Any]:
    """Return a study's counts of runs, total time, first and last start.

    Returns
    -------
    dict with keys
        ``n_runs, n_<state>, n_trials, n_references,
        n_configurations`` : int
        ``total_time_s`` : float, summed over all runs, parallel ones included
        ``first_start, last_start`` : Timestamp or None
        ``replicates`` : list of int, 0 for the search
    """
    runs = results.runs
    states = runs["state"].tolist()
    parts = [runs, results.confirmed]
    starts = [start for part in parts for start in part["start_time"].dropna()]
    return {
        "n_runs": len(runs),
        **{f"n_{state}": states.count(state) for state in STATES},
        "n_trials": int((runs["kind"] == "trial").sum()),
        "n_references": int((runs["kind"] == "reference").sum()),
        "n_configurations": int(complete_runs(results)["config_id"].nunique()),
        "total_time_s": float(runs[TOTAL_TIME].sum()),
        "first_start": min(starts, default=None),
        "last_start": max(starts, default=None),
        "replicates": sorted(
            {int(r) for part in parts for r in part["replicate"].dropna().tolist()}
        ),
    }
