"""Intervals by resampling: over reviews, and over seeds and reviews together."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from lstm_bench.analysis.checks import (
    as_floats,
    check_classified,
    check_finite,
    check_resampling,
    check_strata,
    check_values,
    count_text,
    is_correct,
    percent_text,
)
from lstm_bench.analysis.intervals import LEVEL, Interval, standard_error
from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.metrics import EPSILON, squared_errors

MEAN_METRICS: tuple[str, ...] = ("accuracy", "log_loss", "brier_score_loss")

# Resampled reviews held at once: 2**21 indices and values take 32 MiB.
_CHUNK = 2**21


def review_scores(name: str, y_true: IntArray, y_proba: FloatArray) -> FloatArray:
    """Score of every review, for the metrics that are means of such scores.

    Parameters
    ----------
    name : one of `MEAN_METRICS`
    y_true : int ndarray of shape (n_reviews,)
    y_proba : ndarray of shape (n_reviews, n_classes), rows sum to 1

    Returns
    -------
    ndarray of shape (n_reviews,)
        accuracy: 0 or 1; log_loss: nats; brier_score_loss: in [0, 1] for two
        classes, else in [0, 2]. Its mean is the metric of that name in
        `lstm_bench.metrics`.

    Raises
    ------
    ValueError
        A metric that is no mean over reviews, or arrays that do not fit.
    """
    y_true, y_proba = check_classified("review_scores", y_true, y_proba)
    rows = np.arange(len(y_true))
    if name == "accuracy":
        return is_correct(y_true, y_proba).astype(np.float64)
    if name == "log_loss":
        clipped = np.clip(y_proba[rows, y_true], EPSILON, 1.0 - EPSILON)
        return as_floats(-np.log(clipped))
    if name == "brier_score_loss":
        return squared_errors(y_true, y_proba)
    raise ValueError(
        f"review_scores: name: expected one of {', '.join(MEAN_METRICS)}, got "
        f"{name!r}; what is no mean over reviews goes through bootstrap_reviews"
    )


def bootstrap_reviews(
    fn: Callable[[IntArray, FloatArray], float],
    y_true: IntArray,
    y_proba: FloatArray,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    level: float = LEVEL,
) -> Interval:
    """Percentile bootstrap over reviews of any metric of one trained network.

    Reviews are drawn with replacement within each class, so that every resample has
    the classes of the test set. For the `MEAN_METRICS`, `bootstrap_review_scores`
    of `review_scores` gives the same in a fraction of the time.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_proba)`` -> float, called ``n_resamples + 1`` times.
    y_true : int ndarray of shape (n_reviews,)
    y_proba : ndarray of shape (n_reviews, n_classes)
    rng : numpy.random.Generator
    n_resamples : int
    level : float in (0, 1)

    Returns
    -------
    Interval
        Of all such networks only this one: it does not know about other seeds. NaN
        bounds for a single review. Widened to hold the estimate where `fn` is
        biased upwards by resampling, as the calibration error is.

    Raises
    ------
    ValueError
        Arrays that do not fit, no resamples, or a level outside (0, 1).

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    where = "bootstrap_reviews"
    y_true, y_proba = check_classified(where, y_true, y_proba)
    check_resampling(where, n_resamples, level)
    estimate = float(fn(y_true, y_proba))
    method = (
        f"{percent_text(level)} bootstrap interval over {count_text(y_true, 'review')}"
    )
    if len(y_true) < 2:
        return Interval(estimate, math.nan, math.nan, len(y_true), method)
    members = [np.flatnonzero(y_true == label) for label in np.unique(y_true)]
    draws = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = np.concatenate([m[rng.integers(len(m), size=len(m))] for m in members])
        draws[i] = fn(y_true[drawn], y_proba[drawn])
    low, high = percentiles(draws, estimate, level)
    return Interval(estimate, low, high, len(y_true), method)


def bootstrap_review_scores(
    scores: npt.ArrayLike,
    strata: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = LEVEL,
) -> Interval:
    """Percentile bootstrap over reviews of a mean of review scores.

    Parameters
    ----------
    scores : array of shape (n_reviews,)
        From `review_scores`, or differences of two of them on the same reviews.
    strata : int array of shape (n_reviews,)
        Class of each review; reviews are drawn within their class, so a class of a
        single review adds no spread.
    rng : numpy.random.Generator
    n_resamples : int
    level : float in (0, 1)

    Returns
    -------
    Interval
        With NaN bounds for a single review.

    Raises
    ------
    ValueError
        Arrays that do not fit or are not finite, no resamples, or a level outside
        (0, 1).

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    where = "bootstrap_review_scores"
    values = check_values(where, "scores", scores)
    groups = check_strata(where, strata, len(values))
    check_resampling(where, n_resamples, level)
    estimate = float(values.mean())
    method = (
        f"{percent_text(level)} bootstrap interval over {count_text(values, 'review')}"
    )
    if len(values) < 2:
        return Interval(estimate, math.nan, math.nan, len(values), method)
    draws = _resampled_means(values, groups, rng, n_resamples)
    low, high = percentiles(draws, estimate, level)
    return Interval(estimate, low, high, len(values), method)


def bootstrap_seeds_and_reviews(
    scores: npt.ArrayLike,
    strata: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = LEVEL,
) -> Interval:
    """Interval of a mean for new seeds and new reviews together.

    All seeds share one test set, so a resample draws the reviews once, within each
    class, and uses them for every seed; drawing them anew per seed would average
    the reviews' part of the error away. To the mean over seeds of such a resample a
    deviation of the seeds is added, drawn from the t distribution with
    ``n_seeds - 1`` degrees of freedom, scaled by the standard error of the seeds'
    means. Resampling the seeds instead would be too narrow twice: n drawn seeds
    vary by (n - 1) / n of what n new ones do, and three have no tails.

    What a seed does to single reviews (the interaction) would be counted in both
    parts; its variance, known from the residuals of the seeds-by-reviews table, is
    taken out of the reviews' part. No resampling of both rows and columns gets this
    variance right (McCullagh 2000; Owen 2007 finds it counted three times).

    Parameters
    ----------
    scores : array of shape (n_seeds, n_reviews)
        `review_scores` of each seed, or differences of two models by seed.
    strata : int array of shape (n_reviews,)
        Class of each review.
    rng : numpy.random.Generator
    n_resamples : int
    level : float in (0, 1)

    Returns
    -------
    Interval
        `n` counts the seeds. NaN bounds for a single seed or review. Without spread
        over reviews it is the t interval over seeds.

    Raises
    ------
    ValueError
        Arrays that do not fit or are not finite, no resamples, or a level outside
        (0, 1).

    References
    ----------
    McCullagh, "Resampling and exchangeable arrays", Bernoulli 6(2), 2000.
    Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.
    Searle, Casella and McCulloch, "Variance Components", 1992, section 4.4 (the
    two-way table without replication).
    """
    where = "bootstrap_seeds_and_reviews"
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(
            f"{where}: scores: expected shape (n_seeds, n_reviews), got {table.shape}"
        )
    check_finite(where, "scores", table)
    n_seeds, n_reviews = table.shape
    groups = check_strata(where, strata, n_reviews)
    check_resampling(where, n_resamples, level)
    estimate = float(table.mean())
    method = (
        f"{percent_text(level)} interval over {count_text(table, 'seed')} and "
        f"{count_text(groups, 'review')} (t and bootstrap)"
    )
    if n_seeds < 2 or n_reviews < 2:
        return Interval(estimate, math.nan, math.nan, n_seeds, method)
    by_review = table.mean(axis=0)
    centred = by_review - estimate
    reviews = _resampled_means(centred, groups, rng, n_resamples)
    reviews *= _review_scale(table, by_review, groups)
    of_seeds = standard_error(table.mean(axis=1))
    # Evenly spaced quantiles in random order: the tails of t with two degrees of
    # freedom would need far more draws.
    points = (np.arange(n_resamples) + 0.5) / n_resamples
    seeds = of_seeds * special.stdtrit(n_seeds - 1, points)
    draws = estimate + rng.permutation(seeds) + reviews
    low, high = percentiles(draws, estimate, level)
    return Interval(estimate, low, high, n_seeds, method)


def _resampled_means(
    values: FloatArray, strata: IntArray, rng: np.random.Generator, n_resamples: int
) -> FloatArray:
    """Means of shape (n_resamples,) of values drawn again within their stratum."""
    totals = np.zeros(n_resamples)
    for stratum in np.unique(strata):
        # Sorted, so that the order of the reviews does not matter.
        part = np.sort(values[strata == stratum])
        n = len(part)
        distinct, counts = np.unique(part, return_counts=True)
        if 16 * len(distinct) <= n:
            # Drawing how often each score comes up beats drawing single reviews.
            drawn = rng.multinomial(n, counts / n, size=n_resamples)
            totals += drawn @ distinct
            continue
        rows = max(1, _CHUNK // n)
        for start in range(0, n_resamples, rows):
            size = (min(rows, n_resamples - start), n)
            totals[start : start + rows] += part[rng.integers(n, size=size)].sum(axis=1)
    return totals / len(values)


def _review_scale(table: FloatArray, by_review: FloatArray, strata: IntArray) -> float:
    """Factor that turns the bootstrap's review deviations into those without seeds.

    Of the variance of the means by review, the part of the interaction of seeds and
    reviews is taken out, and the bootstrap's (n - 1) / n is made up for.
    """
    n_seeds = len(table)
    wanted = drawn = 0.0
    for stratum in np.unique(strata):
        inside = strata == stratum
        n = int(inside.sum())
        if n < 2:
            continue
        part, means = table[:, inside], by_review[inside]
        residuals = part - means - part.mean(axis=1, keepdims=True) + means.mean()
        interaction = float(np.sum(residuals**2)) / ((n_seeds - 1) * (n - 1))
        variance = float(means.var(ddof=1))
        # Weight n / n_reviews squared, over n: variance of this stratum's part.
        wanted += n * (variance - interaction / n_seeds)
        drawn += (n - 1) * variance
    return math.sqrt(max(0.0, wanted) / drawn) if drawn > 0.0 else 0.0


def percentiles(
    draws: FloatArray, estimate: float, level: float
) -> tuple[float, float]:
    """Central share `level` of the draws, widened to hold the estimate."""
    tail = (1.0 - level) / 2
    low, high = np.quantile(draws, [tail, 1.0 - tail], method="hazen")
    return min(float(low), estimate), max(float(high), estimate)
