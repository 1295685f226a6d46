"""Bootstrap intervals: over examples, and over seeds and examples together."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from lstm_bench.analysis.intervals import LEVEL, Interval, level_of, standard_error
from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.metrics import EPSILON, squared_errors
from lstm_bench.training.result import Prediction

MEAN_METRICS: tuple[str, ...] = (
    *("accuracy", "balanced_accuracy", "log_loss", "brier_score_loss"),
    *("mse", "mae", "mase"),
)
"""Metrics that are a mean over examples, each with the weight of its class."""

# Resampled examples held at once: 2**21 indices and values take 32 MiB.
_CHUNK = 2**21


def example_scores(
    name: str, y_true: Targets, y_proba: FloatArray, scale: FloatArray | None = None
) -> FloatArray:
    """Score of every example, for the metrics that are means of such scores.

    Parameters
    ----------
    name : one of `MEAN_METRICS`
    y_true : ndarray
        int classes of shape (n_examples,), or numbers of shape (n_examples, n_outputs).
    y_proba : ndarray
        Probabilities of shape (n_examples, n_classes), rows sum to 1; or numbers of the
        shape of `y_true`.
    scale : ndarray of shape (n_examples,), or None
        What mase divides errors by.

    Returns
    -------
    ndarray of shape (n_examples,)
        accuracy: 0 or 1; balanced_accuracy: 0, or the mean size of a class divided by
        that of the example's class; log_loss: nats; brier_score_loss: in [0, 1] for
        two classes, else in [0, 2]; mse, mae, mase: the mean over the outputs. The
        mean is the metric of that name in `lstm_bench.metrics`, also of examples
        resampled within their class.

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
    if name == "mase" and scale is not None:
        scaled: FloatArray = np.abs(y_proba - y_true).mean(axis=1) / scale
        return scaled
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


def examples_interval(
    scores: FloatArray, prediction: Prediction, rng: np.random.Generator
) -> Interval:
    """Return the interval over examples, or over windows, of a mean of their scores.

    Parameters
    ----------
    scores : ndarray of shape (n_examples,)
    prediction : Prediction
        Of the same examples: has their strata, or the windows' places in time.
    """
    if prediction.origin is not None:
        block = block_length(prediction.origin, prediction.y_true.shape[1])
        return windows_interval(scores, prediction.origin, block)
    return bootstrap_examples(scores, strata_of(prediction.y_true), rng=rng)


def seeds_and_examples_interval(
    scores: FloatArray,
    prediction: Prediction,
    rng: np.random.Generator,
    n_looks: int = 1,
) -> Interval:
    """Return the interval over seeds and examples, or windows, together.

    Parameters
    ----------
    scores : ndarray of shape (n_seeds, n_examples)
    prediction : Prediction
        As for `examples_interval`.
    n_looks : int
        Looks at which the interval may be taken: all of them together have the level
        of 95 %.
    """
    # As many draws in each tail as with one look.
    level, n = level_of(n_looks), 2000 * n_looks
    if prediction.origin is not None:
        block = block_length(prediction.origin, prediction.y_true.shape[1])
        return seeds_and_windows_interval(
            scores, prediction.origin, block, rng=rng, n_resamples=n, level=level
        )
    strata = strata_of(prediction.y_true)
    return bootstrap_seeds_and_examples(
        scores, strata, rng=rng, n_resamples=n, level=level
    )


def block_length(origin: IntArray, horizon: int) -> int:
    """Return how many successive origins make a block of the block bootstrap.

    Windows whose targets overlap are in one block, and blocks grow with the cube root
    of the number of origins, at which rate they are best.

    Parameters
    ----------
    origin : int64 ndarray of shape (n_windows,)
        Position in time of each window's first target.

    References
    ----------
    Hall, Horowitz and Jing, "On blocking rules for the bootstrap with dependent data",
    Biometrika 82(3), 1995.
    """
    origins = np.unique(origin)
    if len(origins) < 2:
        return 1
    overlapping = math.ceil(horizon / int(np.diff(origins).min()))
    # The computed cube root of 27 is a little more than 3.
    return max(overlapping, math.ceil(round(math.cbrt(len(origins)), 9)))


def windows_interval(scores: npt.ArrayLike, origin: IntArray, block: int) -> Interval:
    """95 % interval of a mean over windows of series, for other times.

    Windows near to each other in time are dependent, and those of one origin are,
    too: the units are origins, in blocks. The standard error is that of the circular
    block bootstrap, which has a closed form, with its factor (n - block) / n corrected;
    the quantiles are of the t distribution with as many degrees of freedom as there
    are separate blocks, less one.

    Parameters
    ----------
    scores : array of shape (n_windows,)
        Or differences of two models on the same windows.
    origin : int64 ndarray of shape (n_windows,)
        Position in time of each.
    block : int
        Origins of a block.

    Returns
    -------
    Interval
        With NaN bounds if there are fewer than two separate blocks.

    References
    ----------
    Künsch, "The jackknife and the bootstrap for general stationary observations",
    Annals of Statistics 17(3), 1989.
    Politis and Romano, "A circular block-resampling procedure for stationary data",
    1992.
    """
    values = np.asarray(scores, dtype=np.float64)
    estimate = float(values.mean())
    error, freedom = _blocked_error(values, origin, block)
    if math.isnan(error):
        return Interval(estimate, math.nan, math.nan, len(values))
    half = float(special.stdtrit(freedom, 0.5 + LEVEL / 2)) * error
    return Interval(estimate, estimate - half, estimate + half, len(values))


def _blocked_error(
    values: FloatArray, origin: IntArray, block: int
) -> tuple[float, float]:
    """Return the standard error of a mean over windows, and its degrees of freedom."""
    _, number, counts = np.unique(origin, return_inverse=True, return_counts=True)
    n = len(counts)
    if n < 2 * block:
        return math.nan, math.nan
    # How much each origin moves the mean, which is a ratio where numbers of windows
    # differ.
    sums = np.bincount(number, values - values.mean())
    moves = sums * n / len(values)
    ends = np.concatenate([moves, moves[: block - 1]])
    of_blocks = np.convolve(ends, np.ones(block), "valid")
    variance = float((of_blocks**2).mean()) / (n * block)
    return math.sqrt(variance * n / (n - block)), n / block - 1


def seeds_and_windows_interval(
    scores: npt.ArrayLike,
    origin: IntArray,
    block: int,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
    level: float = LEVEL,
) -> Interval:
    """Interval of a mean for new seeds and other times together.

    As `bootstrap_seeds_and_examples`, with the deviations of `windows_interval` in
    place of resampled examples. The interaction of seeds and windows is counted in
    both parts, so that the interval is a little too wide.

    Parameters
    ----------
    scores : array of shape (n_seeds, n_windows)

    Returns
    -------
    Interval
        `n` is the number of seeds. The bounds are NaN for a single seed, or fewer than
        two separate blocks.
    """
    table = np.asarray(scores, dtype=np.float64)
    n_seeds, estimate = len(table), float(table.mean())
    error, freedom = _blocked_error(table.mean(axis=0), origin, block)
    if n_seeds < 2 or math.isnan(error):
        return Interval(estimate, math.nan, math.nan, n_seeds)
    points = (np.arange(n_resamples) + 0.5) / n_resamples
    of_seeds = standard_error(table.mean(axis=1))
    seeds = of_seeds * special.stdtrit(n_seeds - 1, points)
    windows = error * special.stdtrit(freedom, points)
    draws = estimate + rng.permutation(seeds) + windows
    return _percentile_interval(draws, estimate, n_seeds, level)


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
    level: float = LEVEL,
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
    level : float in (0, 1)
        Confidence level of the interval.

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
    return _percentile_interval(draws, estimate, n_seeds, level)


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


def _percentile_interval(
    draws: FloatArray, estimate: float, n: int, level: float = LEVEL
) -> Interval:
    """Central part of the draws, extended to include the estimate."""
    tail = (1.0 - level) / 2
    low, high = np.quantile(draws, [tail, 1.0 - tail], method="hazen")
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), n)
