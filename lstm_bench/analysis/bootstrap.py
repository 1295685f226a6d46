"""Bootstrap intervals: over examples, and over seeds and examples together."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from lstm_bench.analysis.intervals import LEVEL, Interval, standard_error
from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.metrics import EPSILON, squared_errors

MEAN_METRICS: tuple[str, ...] = (
    *("accuracy", "balanced_accuracy", "log_loss", "brier_score_loss"),
    *("mse", "mae"),
)
"""Metrics that are a mean over examples, each with the weight of its class."""

# Resampled examples held at once: 2**21 indices and values take 32 MiB.
_CHUNK = 2**21


def example_scores(name: str, y_true: Targets, y_proba: FloatArray) -> FloatArray:
    """Score of every example, for the metrics that are means of such scores.

    Parameters
    ----------
    name : one of `MEAN_METRICS`
    y_true : ndarray
        int classes of shape (n_examples,), or numbers of shape (n_examples, n_outputs).
    y_proba : ndarray
        Probabilities of shape (n_examples, n_classes), rows sum to 1; or numbers of the
        shape of `y_true`.

    Returns
    -------
    ndarray of shape (n_examples,)
        accuracy: 0 or 1; balanced_accuracy: 0, or the mean size of a class divided by
        that of the example's class; log_loss: nats; brier_score_loss: in [0, 1] for
        two classes, else in [0, 2]; mse, mae: the mean over the outputs. The mean is
        the metric of that name in `lstm_bench.metrics`, also of examples resampled
        within their class.

    Raises
    ------
    ValueError
        The metric is not a mean over examples.
    """
    rows = np.arange(len(y_true))
    if name in ("accuracy", "balanced_accuracy"):
        correct = np.asarray(y_proba.argmax(axis=1) == y_true, dtype=np.float64)
        if name == "accuracy":
            return correct
        _, class_of, sizes = np.unique(y_true, return_inverse=True, return_counts=True)
        weights: FloatArray = sizes.mean() / sizes
        return correct * weights[class_of]
    if name == "log_loss":
        clipped = np.clip(y_proba[rows, y_true], EPSILON, 1.0 - EPSILON)
        return np.asarray(-np.log(clipped), dtype=np.float64)
    if name == "brier_score_loss":
        return squared_errors(y_true, y_proba)
    if name in ("mse", "mae"):
        errors = np.abs(y_proba - y_true)
        each: FloatArray = (errors**2 if name == "mse" else errors).mean(axis=1)
        return each
    raise ValueError(
        f"example_scores: name: expected one of {', '.join(MEAN_METRICS)}, got {name!r}"
    )


def strata_of(y_true: Targets) -> IntArray:
    """Return within what examples are resampled: their class; numbers have one stratum.

    Returns
    -------
    int64 ndarray of shape (n_examples,)
    """
    if y_true.dtype.kind == "f":
        return np.zeros(len(y_true), np.int64)
    return y_true


def bootstrap_examples(
    scores: npt.ArrayLike,
    strata: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap over examples of a mean of example scores.

    Parameters
    ----------
    scores : array of shape (n_examples,)
        From `example_scores`, or differences of two of them on the same examples.
    strata : int array of shape (n_examples,)
        Class of each example. Examples are drawn within their class, so a class with
        one example adds no variance.
    rng : numpy.random.Generator
    n_resamples : int

    Returns
    -------
    Interval
        With NaN bounds for a single example.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    values, groups = np.asarray(scores, dtype=np.float64), np.asarray(strata)
    estimate = float(values.mean())
    if len(values) < 2:
        return Interval(estimate, math.nan, math.nan, len(values))
    draws = _resampled_means(values, groups, rng, n_resamples)
    return _percentile_interval(draws, estimate, len(values))


def bootstrap_seeds_and_examples(
    scores: npt.ArrayLike,
    strata: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> Interval:
    """Interval of a mean for new seeds and new examples together.

    All seeds share one test set, so a resample draws the examples once, within each
    class, and uses them for every seed; drawing them separately per seed would average
    out the error due to examples. A deviation due to seeds is added to the mean over
    seeds of the resample: drawn from the t distribution with ``n_seeds - 1`` degrees of
    freedom, scaled by the standard error of the seeds' means. Resampling the seeds
    instead would be too narrow for two reasons: its variance is (n - 1) / n of that of
    n new seeds, and three seeds have no tails.

    The interaction of seeds and examples would be counted in both parts. Its variance,
    estimated from the residuals of the seeds-by-examples table, is subtracted from the
    examples' part. No resampling of both rows and columns estimates this variance
    correctly (McCullagh 2000; Owen 2007 shows that it is counted three times).

    Parameters
    ----------
    scores : array of shape (n_seeds, n_examples)
        `example_scores` of each seed, or differences of two models by seed.
    strata : int array of shape (n_examples,)
        Class of each example.
    rng : numpy.random.Generator
    n_resamples : int

    Returns
    -------
    Interval
        `n` is the number of seeds. The bounds are NaN for a single seed or example.
        Without variance over examples it is the t interval over seeds.

    References
    ----------
    McCullagh, "Resampling and exchangeable arrays", Bernoulli 6(2), 2000.
    Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.
    Searle, Casella and McCulloch, "Variance Components", 1992, section 4.4 (the
    two-way table without replication).
    """
    table, groups = np.asarray(scores, dtype=np.float64), np.asarray(strata)
    n_seeds, n_examples = table.shape
    estimate = float(table.mean())
    if n_seeds < 2 or n_examples < 2:
        return Interval(estimate, math.nan, math.nan, n_seeds)
    by_example = table.mean(axis=0)
    centred = by_example - estimate
    examples = _resampled_means(centred, groups, rng, n_resamples)
    examples *= _example_scale(table, by_example, groups)
    of_seeds = standard_error(table.mean(axis=1))
    # Evenly spaced quantiles in random order: random draws of t with two degrees of
    # freedom would need far more resamples for the tails.
    points = (np.arange(n_resamples) + 0.5) / n_resamples
    seeds = of_seeds * special.stdtrit(n_seeds - 1, points)
    draws = estimate + rng.permutation(seeds) + examples
    return _percentile_interval(draws, estimate, n_seeds)


def _resampled_means(
    values: FloatArray, strata: IntArray, rng: np.random.Generator, n_resamples: int
) -> FloatArray:
    """Means of shape (n_resamples,) of values resampled within their stratum."""
    totals = np.zeros(n_resamples)
    for stratum in np.unique(strata):
        # Sorted, so that the order of the examples does not matter.
        part = np.sort(values[strata == stratum])
        n = len(part)
        distinct, counts = np.unique(part, return_counts=True)
        if 16 * len(distinct) <= n:
            # Drawing the count of each distinct score is faster than drawing examples.
            drawn = rng.multinomial(n, counts / n, size=n_resamples)
            totals += drawn @ distinct
            continue
        rows = max(1, _CHUNK // n)
        for start in range(0, n_resamples, rows):
            size = (min(rows, n_resamples - start), n)
            totals[start : start + rows] += part[rng.integers(n, size=size)].sum(axis=1)
    return totals / len(values)


def _example_scale(
    table: FloatArray, by_example: FloatArray, strata: IntArray
) -> float:
    """Factor that corrects the bootstrap's deviations due to examples.

    From the variance of the means by example, it subtracts that of the interaction of
    seeds and examples, and it corrects the bootstrap's factor (n - 1) / n.
    """
    n_seeds = len(table)
    corrected = drawn = 0.0
    for stratum in np.unique(strata):
        inside = strata == stratum
        n = int(inside.sum())
        if n < 2:
            continue
        part, means = table[:, inside], by_example[inside]
        residuals = part - means - part.mean(axis=1, keepdims=True) + means.mean()
        interaction = float(np.sum(residuals**2)) / ((n_seeds - 1) * (n - 1))
        variance = float(means.var(ddof=1))
        # Weight n / n_examples squared, over n: variance of this stratum's part.
        corrected += n * (variance - interaction / n_seeds)
        drawn += (n - 1) * variance
    return math.sqrt(max(0.0, corrected) / drawn) if drawn > 0.0 else 0.0


def _percentile_interval(draws: FloatArray, estimate: float, n: int) -> Interval:
    """Central 95 % of the draws, extended to include the estimate."""
    tail = (1.0 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1.0 - tail], method="hazen")
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), n)
