"""Sizes of the classes, and what always naming the most frequent one scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.metrics import IMBALANCED, accuracy, balanced_accuracy
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import Prediction


@dataclass(frozen=True)
class Balance:
    """The largest and the smallest class of the training examples.

    Attributes
    ----------
    sizes : mapping of str to int
        Number of training examples by class name.
    """

    sizes: Mapping[str, int]

    @property
    def largest(self) -> str:
        """Name of the class with most examples."""
        return max(self.sizes, key=self.sizes.__getitem__)

    @property
    def smallest(self) -> str:
        """Name of the class with fewest examples."""
        return min(self.sizes, key=self.sizes.__getitem__)

    @property
    def ratio(self) -> float:
        """Examples of the largest class for each of the smallest."""
        least = self.sizes[self.smallest]
        return self.sizes[self.largest] / least if least else float("inf")

    @property
    def is_uneven(self) -> bool:
        """Whether metrics that follow the classes' shares hide small classes."""
        return self.ratio > IMBALANCED


def balance_of(results: Results) -> Balance | None:
    """Return the sizes of the training classes; None where they were not recorded."""
    sizes = (results.dataset.get("train") or {}).get("classes") or {}
    return Balance(sizes) if any(sizes.values()) else None


@dataclass(frozen=True)
class Shares:
    """Accuracy and balanced accuracy of the winner and of the most frequent class.

    Attributes
    ----------
    split : str
        "test" for a confirmed winner, else "validation".
    majority, majority_balanced : float
        Of always naming the most frequent class of train.
    winner, winner_balanced : float
        Mean over the winner's trainings.
    """

    split: str
    majority: float
    majority_balanced: float
    winner: float
    winner_balanced: float


def shares_of(analysis: Analysis, best_run: str | None) -> Shares | None:
    """Return the scores of winner and most frequent class; None where unknown.

    Parameters
    ----------
    best_run : str or None
        Run of the search's best configuration, for a study without a winner.
    """
    results, balance = analysis.results, balance_of(analysis.results)
    if analysis.winner is not None:
        split = "test"
        found = [parts["test"] for parts in analysis.winner.predictions.values()]
    else:
        split = "validation"
        parts = results.predictions.get(best_run or "", {})
        found = [parts["val"]] if "val" in parts else []
    if balance is None or not found:
        return None
    names = list(results.dataset["class_names"])
    majority = _always(names.index(balance.largest), found[0])
    scores = [
        [fn(p.y_true, p.y_proba) for p in found] for fn in (accuracy, balanced_accuracy)
    ]
    return Shares(
        split,
        accuracy(majority.y_true, majority.y_proba),
        balanced_accuracy(majority.y_true, majority.y_proba),
        float(np.mean(scores[0])),
        float(np.mean(scores[1])),
    )


def _always(label: int, prediction: Prediction) -> Prediction:
    """Return `prediction` as if class `label` had been named for each example."""
    y_proba = np.zeros_like(prediction.y_proba)
    y_proba[:, label] = 1.0
    return Prediction(prediction.split, prediction.index, prediction.y_true, y_proba)
