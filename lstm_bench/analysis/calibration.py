"""Calibration: expected calibration error, reliability diagrams, temperatures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lstm_bench.analysis.intervals import wilson_interval
from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.metrics import EPSILON

MAX_TEMPERATURE = 20.0
TEMPERATURES = (1 / MAX_TEMPERATURE, MAX_TEMPERATURE)

MAX_BINS = 15
# In smaller bins, chance alone looks like miscalibration: the standard error of an
# accuracy is up to 0.07 for 50 examples and up to 0.18 for 8.
MIN_PER_BIN = 50


@dataclass(frozen=True)
class Reliability:
    """Points of a reliability diagram, by rising confidence.

    Attributes
    ----------
    confidence, accuracy : ndarray of shape (n_bins_used,)
        Mean probability of the predicted class, and share of examples classified
        correctly, both in [0, 1].
    low, high : ndarray of shape (n_bins_used,)
        Wilson's 95 % interval of `accuracy`.
    n : int ndarray of shape (n_bins_used,)
        Examples in the bin.
    """

    confidence: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray
    n: IntArray


def bins_for(n_examples: int) -> int:
    """Return the number of bins for `n_examples`: at most 15, with 50 or more in each.

    References
    ----------
    Roelofs et al., "Mitigating Bias in Calibration Error Estimation", AISTATS 2022:
    the error is biased upwards, more so with fewer examples per bin.
    """
    return max(1, min(MAX_BINS, n_examples // MIN_PER_BIN))


def expected_calibration_error(
    y_true: IntArray, y_proba: FloatArray, n_bins: int | None = None
) -> float:
    """Bin-weighted mean of |accuracy - confidence|, in [0, 1]; lower is better.

    Confidence is the probability of the predicted class. Bins have equally many
    examples, except that examples of equal confidence share a bin: bins may be unequal
    or fewer, and the order of the examples does not matter. The error is biased
    upwards where bins have few examples.

    Parameters
    ----------
    y_true : int ndarray of shape (n_examples,)
    y_proba : ndarray of shape (n_examples, n_classes), rows sum to 1
    n_bins : int, at least 1; by default `bins_for` the number of examples

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2;
    bins of equal mass from Nguyen and O'Connor, "Posterior calibration and
    exploratory analysis for natural language processing models", EMNLP 2015.
    """
    bins = reliability(y_true, y_proba, n_bins)
    gaps = np.abs(bins.accuracy - bins.confidence)
    return float(np.sum(bins.n * gaps) / np.sum(bins.n))


def reliability(
    y_true: IntArray, y_proba: FloatArray, n_bins: int | None = None
) -> Reliability:
    """Accuracy against confidence, in the bins of `expected_calibration_error`.

    Parameters
    ----------
    y_true : int ndarray of shape (n_examples,)
    y_proba : ndarray of shape (n_examples, n_classes), rows sum to 1
    n_bins : int, at least 1; by default `bins_for` the number of examples

    Returns
    -------
    Reliability

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    n_bins = bins_for(len(y_true)) if n_bins is None else n_bins
    levels, level_of, counts = np.unique(
        y_proba.max(axis=1), return_inverse=True, return_counts=True
    )
    correct = np.bincount(level_of.ravel(), weights=y_proba.argmax(axis=1) == y_true)
    # Equal confidences go to the bin of their middle rank.
    middle_twice = 2 * (np.cumsum(counts) - counts) + counts
    _, bin_of = np.unique(
        middle_twice * n_bins // (2 * len(y_true)), return_inverse=True
    )
    n = np.bincount(bin_of, weights=counts)
    confidence = np.bincount(bin_of, weights=levels * counts) / n
    accuracy = np.bincount(bin_of, weights=correct) / n
    low, high = wilson_interval(accuracy, n)
    return Reliability(confidence, accuracy, low, high, n.astype(np.int64))


def fit_temperature(y_true: IntArray, y_proba: FloatArray) -> float:
    """Temperature that minimises the log loss of ``softmax(log y_proba / T)``.

    Fit it on validation examples, never on those that it is evaluated on.

    Parameters
    ----------
    y_true : int ndarray of shape (n_examples,)
    y_proba : ndarray of shape (n_examples, n_classes), rows sum to 1
        Clipped to [EPSILON, 1 - EPSILON] before the logarithm.

    Returns
    -------
    float
        In [1/20, 20]: above 1 the model is overconfident, below 1 underconfident.
        1 where no other temperature has a lower loss. For a model that is always
        right it is near the lower bound.

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logits = _logits(y_proba)
    of_truth = float(logits[np.arange(len(y_true)), y_true].mean())

    def loss(log_temperature: float) -> float:
        inverse = math.exp(-log_temperature)
        partition = np.log(np.exp(inverse * logits).sum(axis=1))
        return float(partition.mean()) - inverse * of_truth

    # The loss is convex in 1 / T, so it has one minimum in log T.
    bound = math.log(MAX_TEMPERATURE)
    found = minimize_scalar(
        loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-7}
    )
    return math.exp(float(found.x)) if loss(float(found.x)) < loss(0.0) else 1.0


def apply_temperature(y_proba: FloatArray, temperature: float) -> FloatArray:
    """Soften (T > 1) or sharpen (T < 1) probabilities: ``softmax(log y_proba / T)``.

    The predicted classes do not change.

    Parameters
    ----------
    y_proba : ndarray of shape (n_examples, n_classes), rows sum to 1
        Clipped to [EPSILON, 1 - EPSILON] before the logarithm.
    temperature : float above 0

    Returns
    -------
    ndarray of shape (n_examples, n_classes), rows sum to 1

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    weights = np.exp(_logits(y_proba) / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def _logits(y_proba: FloatArray) -> FloatArray:
    """Log-probabilities, shifted so that the largest of each row is 0."""
    logits = np.log(np.clip(y_proba, EPSILON, 1.0 - EPSILON))
    return np.asarray(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
