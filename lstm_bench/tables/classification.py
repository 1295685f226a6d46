"""What is taken for what, and how surely: predictions in, tidy DataFrame out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.arrays import FloatArray
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import Prediction

N_BINS = 20


@dataclass(frozen=True)
class Predicted:
    """One model's predictions on one split, one for each of its trainings."""

    label: str
    key: str
    split: str
    predictions: tuple[Prediction, ...]


def confirmed_predictions(analysis: Analysis) -> list[Predicted]:
    """Return the winner's and the best baseline's predictions on test."""
    chosen = (analysis.winner, analysis.baseline)
    return [
        Predicted(
            c.label, c.key, "test", tuple(p["test"] for p in c.predictions.values())
        )
        for c in chosen
        if c is not None
    ]


def searched_predictions(results: Results, board: pd.DataFrame) -> list[Predicted]:
    """Return the validation predictions of the best configuration and references.

    Parameters
    ----------
    board : DataFrame
        As `tables.search.leaderboard` gives it.
    """
    chosen = board[(board.index == 0) | board["reference"].notna()]
    return [
        Predicted(label, key, "val", (results.predictions[run_id]["val"],))
        for label, key, run_id in zip(
            chosen["label"], chosen["config_id"], chosen["run_id"], strict=True
        )
        if "val" in results.predictions.get(run_id, {})
    ]


def confusion(models: Sequence[Predicted], class_names: Sequence[str]) -> pd.DataFrame:
    """Return how many reviews of each class were given each class, by model.

    Returns
    -------
    DataFrame with columns
        ``label, key, split, y_true, y_pred`` (class names), ``n`` (mean over
        trainings), ``share`` of the true class with ``ci_low, ci_high`` (95 % t
        interval over trainings; NaN for one), ``n_runs``
    """
    columns = ["label", "key", "split", "y_true", "y_pred", "n", "share"]
    columns += ["ci_low", "ci_high", "n_runs"]
    rows = []
    for model in models:
        counts = np.array([_counts(p, len(class_names)) for p in model.predictions])
        shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
        for i, y_true in enumerate(class_names):
            for j, y_pred in enumerate(class_names):
                share = mean_interval(shares[:, i, j]).within(0.0, 1.0)
                row: dict[str, Any] = {
                    "label": model.label,
                    "key": model.key,
                    "split": model.split,
                    "y_true": y_true,
                    "y_pred": y_pred,
                    "n": float(counts[:, i, j].mean()),
                    "share": share.estimate,
                    "ci_low": share.low,
                    "ci_high": share.high,
                    "n_runs": share.n,
                }
                rows.append(row)
    return pd.DataFrame(rows, columns=columns)


def _counts(prediction: Prediction, n_classes: int) -> FloatArray:
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (prediction.y_true, prediction.y_proba.argmax(axis=1)), 1)
    return counts


def probabilities(
    models: Sequence[Predicted], class_names: Sequence[str], n_bins: int = N_BINS
) -> pd.DataFrame:
    """Return how the probability of the last class spreads, by true class and model.

    Returns
    -------
    DataFrame with columns
        ``label, key, split, y_true`` (class name), ``p_low, p_high`` (bounds of the
        bin), ``share`` (of the class's reviews, trainings pooled), ``n`` (reviews
        times trainings of the class), ``n_runs``
    """
    columns = ["label", "key", "split", "y_true", "p_low", "p_high", "share", "n"]
    columns += ["n_runs"]
    edges = np.linspace(0, 1, n_bins + 1)
    rows = []
    for model in models:
        y_true = np.concatenate([p.y_true for p in model.predictions])
        proba = np.concatenate([p.y_proba[:, -1] for p in model.predictions])
        for i, name in enumerate(class_names):
            own = proba[y_true == i]
            counts, _ = np.histogram(own, edges)
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True):
                row: dict[str, Any] = {
                    "label": model.label,
                    "key": model.key,
                    "split": model.split,
                    "y_true": name,
                    "p_low": float(low),
                    "p_high": float(high),
                    "share": float(n / max(len(own), 1)),
                    "n": len(own),
                    "n_runs": len(model.predictions),
                }
                rows.append(row)
    return pd.DataFrame(rows, columns=columns)
