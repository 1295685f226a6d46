"""Table of published values and the measured values of a study's references."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.tables.select import complete_runs
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import EPOCH_TIME, N_EPOCHS, TRAIN_TIME


def published_comparison(results: Results) -> pd.DataFrame:
    """Return each published value with the mean over the reference's own runs.

    Figures of other models are left out. The measured test accuracy is that of the
    confirmation, if the reference was confirmed. Where the suite validates on the test
    set, the last epoch's validation accuracy is the test accuracy.

    Returns
    -------
    DataFrame with columns
        ``label, source, reference, figure`` ("val_accuracy", "epoch_time_s" or
        "test_accuracy"), ``epoch`` (NA where it is one number for the run),
        ``published, measured, difference`` (measured - published), ``n_runs``
    """
    columns = [
        *("label", "source", "reference", "figure", "epoch"),
        *("published", "measured", "difference", "n_runs"),
    ]
    complete = complete_runs(results)
    rows: list[dict[str, Any]] = []
    for entry in results.suite.published:
        if entry.reference is None:
            continue
        runs = _reference_runs(results, complete, entry.reference)

        def add(
            figure: str,
            epoch: int | None,
            published: float,
            measured: float,
            who: tuple[str, str, str] = (entry.label, entry.source, entry.reference),
            n_runs: int = len(runs),
        ) -> None:
            rows.append(
                {
                    **dict(zip(("label", "source", "reference"), who, strict=True)),
                    "figure": figure,
                    "epoch": epoch,
                    "published": published,
                    "measured": measured,
                    "difference": measured - published,
                    "n_runs": n_runs,
                }
            )

        accuracies = _by_epoch(results, runs, "val", "accuracy")
        for epoch, value in enumerate(entry.val_accuracy, start=1):
            add("val_accuracy", epoch, value, accuracies.get(epoch, math.nan))
        times = _by_epoch(results, runs, "train", EPOCH_TIME)
        for epoch, value in enumerate(entry.epoch_time_s, start=1):
            if epoch in times:
                add("epoch_time_s", epoch, value, times[epoch])
        if entry.epoch_time_s:
            # Means are compared with means: a run's epoch_time_s is a median.
            measured = float((runs[TRAIN_TIME] / runs[N_EPOCHS]).mean())
            add("epoch_time_s", None, float(np.mean(entry.epoch_time_s)), measured)
        if entry.test_accuracy is not None:
            config_id = results.suite.references[entry.reference].config_id
            confirmed = results.confirmed
            tested = confirmed[
                (confirmed["config_id"] == config_id)
                & (confirmed["state"] == "complete")
            ]
            if len(tested):
                measured, n_runs = float(tested["test_accuracy"].mean()), len(tested)
            else:
                measured, n_runs = float(runs["test_accuracy"].mean()), len(runs)
            if math.isnan(measured) and results.suite.dataset.validation == "test":
                measured = float(runs["val_accuracy"].mean())
            add("test_accuracy", None, entry.test_accuracy, measured, n_runs=n_runs)
    table = pd.DataFrame(rows, columns=columns)
    table["epoch"] = pd.array([row["epoch"] for row in rows], dtype="Int64")
    return table


def _reference_runs(
    results: Results, complete: pd.DataFrame, name: str
) -> pd.DataFrame:
    runs = complete[complete["reference"] == name]
    return runs[runs["config_id"] == results.suite.references[name].config_id]


def _by_epoch(
    results: Results, runs: pd.DataFrame, split: str, metric: str
) -> dict[int, float]:
    """Return the mean value by epoch over `runs`."""
    curves = results.curves
    chosen = curves[
        curves["run_id"].isin(runs["run_id"].tolist()) & (curves["metric"] == metric)
    ]
    if metric != EPOCH_TIME:
        chosen = chosen[chosen["split"] == split]
    values: dict[int, list[float]] = {}
    for epoch, value in zip(
        chosen["epoch"].tolist(), chosen["value"].tolist(), strict=True
    ):
        values.setdefault(int(epoch), []).append(float(value))
    return {epoch: float(np.mean(v)) for epoch, v in values.items()}
