"""Learning curves: `Results` in, tidy DataFrame out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.metrics import METRICS
from lstm_bench.tracking.results import Results


def validation_curves(results: Results, metric: str) -> dict[str, tuple[float, ...]]:
    """Return `metric` on validation after each epoch, by run id."""
    curves = results.curves
    chosen = curves[(curves["split"] == "val") & (curves["metric"] == metric)]
    ordered = chosen.sort_values("epoch", kind="stable")
    return {
        str(run_id): tuple(float(value) for value in values)
        for run_id, values in ordered.groupby("run_id", observed=True)["value"]
    }


def curves_over_seeds(analysis: Analysis, metric: str) -> pd.DataFrame:
    """Return the mean curve over the seeds of every confirmed configuration.

    A curve ends with the last epoch that each of its seeds reached: a mean over
    those that went on would be one over the seeds that learned slowly.

    Returns
    -------
    DataFrame with columns
        ``config_id, label, epoch, n_seeds, mean, ci_low, ci_high``: a 95 % t
        interval over seeds
    """
    columns = ["config_id", "label", "epoch", "n_seeds", "mean", "ci_low", "ci_high"]
    by_run = validation_curves(analysis.results, metric)
    runs = analysis.results.confirmed
    rows = []
    for contender in analysis.contenders:
        own = runs[
            (runs["config_id"] == contender.key)
            & runs["replicate"].isin(list(contender.test))
        ]
        found = [
            by_run[run_id] for run_id in own["run_id"].tolist() if run_id in by_run
        ]
        n_epochs = min((len(curve) for curve in found), default=0)
        for epoch in range(n_epochs):
            values = np.array([curve[epoch] for curve in found])
            interval = mean_interval(values).within(*METRICS[metric].bounds)
            rows.append(
                {
                    "config_id": contender.key,
                    "label": contender.label,
                    "epoch": epoch + 1,
                    "n_seeds": interval.n,
                    "mean": interval.estimate,
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                }
            )
    return pd.DataFrame(rows, columns=columns)
