"""Metrics: of classes and probabilities, or of numbers and predicted numbers.

Names follow scikit-learn: for ``*_loss`` lower is better. All comparisons of scores use
this module: scores that differ only by rounding are tied in rankings, counts of wins
and choices of the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.tasks import CLASSIFICATION, FORECAST, REGRESSION, TaskName

# Probabilities are clipped to [EPSILON, 1 - EPSILON] before the logarithm, as
# Keras clips outputs in its cross-entropies, so that both agree.
EPSILON = 1e-7

IMBALANCED = 3
"""Classes are imbalanced if the largest has more than this many times the examples of
the smallest."""

# Scores closer than this, relative to the largest, differ only by rounding.
ROUNDING = 1e-12


def rounding_of(*values: FloatArray) -> float:
    """Return the largest difference of numbers of this size that is only rounding."""
    return ROUNDING * max(float(np.abs(v).max(initial=0.0)) for v in values)


def merge_ties(values: FloatArray, tolerance: float | None = None) -> FloatArray:
    """Return `values` with those that differ only by rounding made equal.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN and infinity are unchanged.
    tolerance : float, optional
        Default: `rounding_of` the values. Differences of scores have the rounding of
        the scores.

    Returns
    -------
    ndarray of shape (n,)
        Each value is the lowest of its ties, so that ``==``, ``>`` and ranks are
        exact.
    """
    finite = np.isfinite(values)
    known = values[finite]
    if tolerance is None:
        tolerance = rounding_of(known)
    distinct, index = np.unique(known, return_inverse=True)
    is_first = np.diff(distinct, prepend=-np.inf) > tolerance
    merged = values.copy()
    merged[finite] = distinct[is_first][np.cumsum(is_first) - 1][index]
    return merged


@dataclass(frozen=True)
class Metric:
    """A metric: its name, label, function, direction and tasks.

    For classification, ``fn(y_true, y_proba)`` takes int classes of shape (n,) and
    probabilities of shape (n, n_classes) whose rows sum to 1; for regression,
    ``fn(y_true, y_pred)`` takes numbers of shape (n, n_outputs). It returns a value
    within `bounds`, which is written with the format `form`. If `is_scaled`, both are
    divided by the scale of each example before.
    """

    name: str
    label: str
    fn: Callable[[Any, FloatArray], float]
    higher_is_better: bool
    bounds: tuple[float, float] = (0.0, 1.0)
    tasks: tuple[TaskName, ...] = (CLASSIFICATION,)
    form: str = ".4f"
    is_scaled: bool = False

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Direction of improvement, as Optuna names it."""
        return "maximize" if self.higher_is_better else "minimize"

    @property
    def difference_bounds(self) -> tuple[float, float]:
        """The range of the difference of two values."""
        width = self.bounds[1] - self.bounds[0]
        return -width, width

    def is_better(self, a: float, b: float) -> bool:
        """Whether value `a` is better than value `b` by more than rounding."""
        better = a > b if self.higher_is_better else a < b
        return better and not math.isclose(a, b, rel_tol=ROUNDING)

    def order(self, values: Sequence[float] | FloatArray) -> IntArray:
        """Return the positions of `values`, the best first; ties keep their order."""
        scores = merge_ties(np.asarray(values, dtype=np.float64))
        # NaN comes last in either direction.
        return np.argsort(-scores if self.higher_is_better else scores, kind="stable")

    def ranks(self, values: Sequence[float] | FloatArray) -> IntArray:
        """Return each value's rank from 1; ties share their best rank."""
        scores = merge_ties(np.asarray(values, dtype=np.float64))
        scores = -scores if self.higher_is_better else scores
        return np.searchsorted(np.sort(scores), scores).astype(np.int64) + 1


def accuracy(y_true: IntArray, y_proba: FloatArray) -> float:
    """Share of examples whose most probable class is the true one, in [0, 1].

    A tie goes to the class with the lower index, so a sigmoid output of exactly
    0.5 counts as class 0.
    """
    return float(np.mean(y_proba.argmax(axis=1) == y_true))


def log_loss(y_true: IntArray, y_proba: FloatArray) -> float:
    """Mean negative log-probability of the true class in nats; lower is better."""
    p = y_proba[np.arange(len(y_true)), y_true]
    return float(-np.mean(np.log(np.clip(p, EPSILON, 1.0 - EPSILON))))


def squared_errors(y_true: IntArray, y_proba: FloatArray) -> FloatArray:
    """Return the Brier score of every example; `brier_score_loss` is its mean.

    Returns
    -------
    ndarray of shape (n,)
        For two classes the squared error of one class's probability, in [0, 1];
        above two the sum over the classes, in [0, 2].
    """
    one_hot = np.eye(y_proba.shape[1])[y_true]
    total: FloatArray = np.sum((y_proba - one_hot) ** 2, axis=1)
    return total / 2 if y_proba.shape[1] == 2 else total


def brier_score_loss(y_true: IntArray, y_proba: FloatArray) -> float:
    """Brier score: mean squared error of the probabilities; lower is better.

    As in scikit-learn's function of this name, it is in [0, 1] for two classes, where
    Brier's own sum over both classes is twice as large, and in [0, 2] for more.

    References
    ----------
    Brier, "Verification of forecasts expressed in terms of probability",
    Monthly Weather Review 78(1), 1950, equation 2.
    """
    return float(np.mean(squared_errors(y_true, y_proba)))


def roc_auc(y_true: IntArray, y_proba: FloatArray) -> float:
    """Area under the ROC curve (one-vs-rest mean for more classes), in [0, 1].

    The mean is over the classes of `y_true`; NaN where that is a single one.
    """
    from sklearn.metrics import roc_auc_score

    classes = np.unique(y_true)
    if len(classes) < 2:
        return math.nan
    if y_proba.shape[1] == 2:
        return float(roc_auc_score(y_true, y_proba[:, 1]))
    areas = []
    for n, n_below, n_true, n_true_below, n_ties in _counts(y_true, y_proba):
        n_others = n - n_true
        below = n_below - n_true_below + n_ties / 2
        areas.append(below.sum() / (n_true * n_others))
    return float(np.mean(areas))


def f1(y_true: IntArray, y_proba: FloatArray) -> float:
    """F1, macro-averaged over the classes, in [0, 1]."""
    from sklearn.metrics import f1_score

    return float(f1_score(y_true, y_proba.argmax(axis=1), average="macro"))


def pr_auc(y_true: IntArray, y_proba: FloatArray) -> float:
    """Area under the precision-recall curve (average precision), in [0, 1].

    Of class 1; for more than two classes the one-vs-rest mean over the classes of
    `y_true`.
    """
    from sklearn.metrics import average_precision_score

    if y_proba.shape[1] == 2:
        return float(average_precision_score(y_true, y_proba[:, 1]))
    return float(
        np.mean(
            [
                np.mean((n_true - n_true_below) / (n - n_below))
                for n, n_below, n_true, n_true_below, _ in _counts(y_true, y_proba)
            ]
        )
    )


def _counts(
    y_true: IntArray, y_proba: FloatArray
) -> Iterator[tuple[int, IntArray, int, IntArray, IntArray]]:
    """Count for each class of `y_true` what its examples' probabilities exceed.

    Both areas follow from these counts; a thousand classes take scikit-learn a
    thousand validations of its arguments, several seconds after every epoch.

    Yields
    ------
    n : int
        Number of examples.
    n_below : int ndarray of shape (n_true,)
        For each example of the class, how many examples have a lower probability.
    n_true : int
        Number of examples of the class.
    n_true_below : int ndarray of shape (n_true,)
        As `n_below`, of the class alone.
    n_ties : int ndarray of shape (n_true,)
        How many examples of other classes have the same probability.
    """
    for label in np.unique(y_true).tolist():
        every = np.sort(y_proba[:, label])
        own = np.sort(y_proba[y_true == label, label])
        (below, upto), (own_below, own_upto) = (
            [np.searchsorted(among, own, side) for side in ("left", "right")]
            for among in (every, own)
        )
        ties = (upto - below) - (own_upto - own_below)
        yield len(every), below, len(own), own_below, ties


def balanced_accuracy(y_true: IntArray, y_proba: FloatArray) -> float:
    """Mean recall of the classes of `y_true`, in [0, 1]."""
    from sklearn.metrics import recall_score

    y_pred, classes = y_proba.argmax(axis=1), np.unique(y_true)
    return float(recall_score(y_true, y_pred, labels=classes, average="macro"))


def mse(y_true: FloatArray, y_pred: FloatArray) -> float:
    """Mean squared error over examples and outputs; lower is better."""
    return float(np.mean((y_pred - y_true) ** 2))


def rmse(y_true: FloatArray, y_pred: FloatArray) -> float:
    """Square root of `mse`, in the targets' unit; lower is better."""
    return math.sqrt(mse(y_true, y_pred))


def mae(y_true: FloatArray, y_pred: FloatArray) -> float:
    """Mean absolute error over examples and outputs; lower is better."""
    return float(np.mean(np.abs(y_pred - y_true)))


def mase(y_true: FloatArray, y_pred: FloatArray) -> float:
    """Mean absolute scaled error, of values that are divided by their scale.

    1 is the error, in train, of repeating the last season; lower is better.

    References
    ----------
    Hyndman and Koehler, "Another look at measures of forecast accuracy", International
    Journal of Forecasting 22(4), 2006.
    """
    return mae(y_true, y_pred)


def r2(y_true: FloatArray, y_pred: FloatArray) -> float:
    """Coefficient of determination, at most 1, its mean over the outputs.

    0 is the score of each output's mean over these examples. NaN where an output is
    constant.
    """
    total = np.sum((y_true - y_true.mean(axis=0)) ** 2, axis=0)
    if not total.all():
        return math.nan
    residual = np.sum((y_pred - y_true) ** 2, axis=0)
    return float(np.mean(1.0 - residual / total))


_UNBOUNDED = (0.0, math.inf)
_NUMBERS: tuple[TaskName, ...] = (REGRESSION, FORECAST)
# Errors have the targets' units, in which four decimals may be too few or too many.
DIGITS = "#.4g"
METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", "accuracy", accuracy, True),
        Metric("log_loss", "log loss (nats)", log_loss, False, _UNBOUNDED),
        # At most 1 for two classes, 2 for more.
        Metric("brier_score_loss", "Brier score", brier_score_loss, False, (0.0, 2.0)),
        Metric("roc_auc", "ROC AUC", roc_auc, True),
        Metric("pr_auc", "PR AUC", pr_auc, True),
        Metric("f1", "F1 (macro)", f1, True),
        Metric("balanced_accuracy", "balanced accuracy", balanced_accuracy, True),
        Metric("mse", "MSE", mse, False, _UNBOUNDED, (REGRESSION,), DIGITS),
        Metric("rmse", "RMSE", rmse, False, _UNBOUNDED, _NUMBERS, DIGITS),
        Metric("mae", "MAE", mae, False, _UNBOUNDED, _NUMBERS, DIGITS),
        Metric("r2", "R²", r2, True, (-math.inf, 1.0), (REGRESSION,)),
        Metric("mase", "MASE", mase, False, _UNBOUNDED, (FORECAST,), is_scaled=True),
    )
}


def follows_shares(metric: str, n_classes: int) -> bool:
    """Whether classes with few examples hardly change the metric of this name.

    PR AUC follows the classes' shares if there are two, as it is then class 1's alone.
    """
    return metric in ("accuracy", "log_loss", "brier_score_loss") or (
        metric == "pr_auc" and n_classes == 2
    )


def metrics_of(task: TaskName) -> dict[str, Metric]:
    """Return the metrics of a task by name."""
    return {name: metric for name, metric in METRICS.items() if task in metric.tasks}


def evaluate(
    y_true: Targets,
    y_pred: FloatArray,
    task: TaskName,
    scale: FloatArray | None = None,
) -> dict[str, float]:
    """Return the value of every metric of `task` by name.

    Parameters
    ----------
    y_pred : float64 ndarray
        Probabilities of shape (n, n_classes), or numbers of shape (n, n_outputs).
    scale : float64 ndarray of shape (n,), or None
        What each example's numbers are divided by for scaled metrics; None if the task
        has none.
    """
    return {
        name: m.fn(y_true / scale[:, None], y_pred / scale[:, None])
        if m.is_scaled and scale is not None
        else m.fn(y_true, y_pred)
        for name, m in metrics_of(task).items()
    }
