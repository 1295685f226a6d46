"""Classification metrics, all from class indices and probabilities.

Names follow scikit-learn: ``*_loss`` and ``brier`` are better when lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lstm_bench.heads import FloatArray, IntArray

# Probabilities are clipped to [EPSILON, 1 - EPSILON] before the logarithm, as
# Keras clips outputs in its cross-entropies, so that both agree.
EPSILON = 1e-7


@dataclass(frozen=True)
class Metric:
    """A metric: its name, label, function and direction.

    ``fn(y_true, y_proba)`` takes int classes of shape (n,) and probabilities of
    shape (n, n_classes) whose rows sum to 1, and returns 0 to `highest`.
    """

    name: str
    label: str
    fn: Callable[[IntArray, FloatArray], float]
    higher_is_better: bool
    highest: float = 1.0

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Optuna's word for what is better."""
        return "maximize" if self.higher_is_better else "minimize"

    def is_better(self, a: float, b: float) -> bool:
        """Whether value `a` is strictly better than value `b`."""
        return a > b if self.higher_is_better else a < b


def accuracy(y_true: IntArray, y_proba: FloatArray) -> float:
    """Share of reviews whose most probable class is the true one, in [0, 1].

    A tie goes to the class with the lower index, so a sigmoid output of exactly
    0.5 counts as class 0.
    """
    return float(np.mean(y_proba.argmax(axis=1) == y_true))


def log_loss(y_true: IntArray, y_proba: FloatArray) -> float:
    """Mean negative log-probability of the true class in nats; lower is better."""
    p = y_proba[np.arange(len(y_true)), y_true]
    return float(-np.mean(np.log(np.clip(p, EPSILON, 1.0 - EPSILON))))


def brier(y_true: IntArray, y_proba: FloatArray) -> float:
    """Mean squared distance to the one-hot truth, in [0, 2]; lower is better.

    References
    ----------
    Brier, "Verification of forecasts expressed in terms of probability",
    Monthly Weather Review 78(1), 1950, equation 2.
    """
    one_hot = np.eye(y_proba.shape[1])[y_true]
    return float(np.mean(np.sum((y_proba - one_hot) ** 2, axis=1)))


def roc_auc(y_true: IntArray, y_proba: FloatArray) -> float:
    """Area under the ROC curve (one-vs-rest mean above two classes), in [0, 1]."""
    from sklearn.metrics import roc_auc_score

    if y_proba.shape[1] == 2:
        return float(roc_auc_score(y_true, y_proba[:, 1]))
    return float(roc_auc_score(y_true, y_proba, multi_class="ovr"))


def f1(y_true: IntArray, y_proba: FloatArray) -> float:
    """F1, macro-averaged over the classes, in [0, 1]."""
    from sklearn.metrics import f1_score

    return float(f1_score(y_true, y_proba.argmax(axis=1), average="macro"))


def pr_auc(y_true: IntArray, y_proba: FloatArray) -> float:
    """Area under the precision-recall curve (average precision), in [0, 1].

    Of class 1; above two classes the mean over classes, one against the rest.
    """
    from sklearn.metrics import average_precision_score

    if y_proba.shape[1] == 2:
        return float(average_precision_score(y_true, y_proba[:, 1]))
    one_hot = np.eye(y_proba.shape[1])[y_true]
    return float(average_precision_score(one_hot, y_proba))


def balanced_accuracy(y_true: IntArray, y_proba: FloatArray) -> float:
    """Mean over the classes of the share recognised (recall), in [0, 1]."""
    from sklearn.metrics import recall_score

    return float(recall_score(y_true, y_proba.argmax(axis=1), average="macro"))


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", "accuracy", accuracy, True),
        Metric("log_loss", "log loss (nats)", log_loss, False, math.inf),
        Metric("brier", "Brier score", brier, False, 2.0),
        Metric("roc_auc", "ROC AUC", roc_auc, True),
        Metric("pr_auc", "PR AUC", pr_auc, True),
        Metric("f1", "F1 (macro)", f1, True),
        Metric("balanced_accuracy", "balanced accuracy", balanced_accuracy, True),
    )
}


def evaluate_proba(y_true: IntArray, y_proba: FloatArray) -> dict[str, float]:
    """Return every metric of `METRICS` by name."""
    return {name: metric.fn(y_true, y_proba) for name, metric in METRICS.items()}
