"""Expected best score by number of random trials (Dodge et al. 2019)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lstm_bench.analysis.intervals import LEVEL
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import rounding_of

# exp(-40) is 4e-18, a fiftieth of the rounding error at 1.
NEGLIGIBLE = 40.0


def expected_best(values: npt.ArrayLike, higher_is_better: bool) -> FloatArray:
    """Score expected of the best of 1, 2, ... n_trials random trials.

    Trials are drawn with replacement from those observed. With F the share of trials
    that score at most v, the best of n draws is v with probability
    ``F(v)**n - F(v-)**n``; lower-is-better scores are mirrored.

    Parameters
    ----------
    values : array of shape (n_trials,)
        Score of each trial of a *random* search, in any unit and order.
    higher_is_better : bool

    Returns
    -------
    ndarray of shape (n_trials,)
        From the mean towards the best trial, which it never exceeds.

    References
    ----------
    Dodge et al., "Show Your Work: Improved Reporting of Experimental Results",
    EMNLP 2019, section 3.2.
    """
    trials = np.asarray(values, dtype=np.float64)
    curve: FloatArray = _expected_best(trials[np.newaxis], higher_is_better)[0]
    return curve


def expected_best_interval(
    values: npt.ArrayLike,
    higher_is_better: bool,
    *,
    rng: np.random.Generator,
    n_resamples: int = 1000,
) -> tuple[FloatArray, FloatArray]:
    """Percentile bootstrap over trials of `expected_best`, separately by budget.

    Neither the curve nor its interval can exceed the best observed trial. At budgets
    near the number of trials they are lower bounds of what more search may find.

    Parameters
    ----------
    values : array of shape (n_trials,)
    higher_is_better : bool
    rng : numpy.random.Generator
    n_resamples : int

    Returns
    -------
    low, high : ndarray of shape (n_trials,)
        In the unit of `values`; NaN for a single trial.

    References
    ----------
    Dodge et al. 2019 as in `expected_best`; Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, section 13.3.
    """
    trials = np.asarray(values, dtype=np.float64)
    n = len(trials)
    if n < 2:
        return np.full(n, np.nan), np.full(n, np.nan)
    estimate = _expected_best(trials[np.newaxis], higher_is_better)[0]
    # Sorted, so that the order of the trials does not matter.
    drawn = np.sort(trials)[rng.integers(n, size=(n_resamples, n))]
    curves = _expected_best(drawn, higher_is_better)
    tail = (1.0 - LEVEL) / 2
    low, high = np.quantile(
        curves, [tail, 1.0 - tail], axis=0, method="hazen", overwrite_input=True
    )
    return np.minimum(low, estimate), np.maximum(high, estimate)


def budget_that_paid(expected: npt.ArrayLike, tolerance: float) -> int:
    """Smallest number of trials whose expected best is within `tolerance` of the last.

    Parameters
    ----------
    expected : array of shape (n_trials,)
        From `expected_best`, in either direction.
    tolerance : float, at least 0
        Difference that is negligible, in the metric's unit.

    Returns
    -------
    int
        From 1 to n_trials.
    """
    curve = np.asarray(expected, dtype=np.float64)
    slack = tolerance + rounding_of(curve)
    return int(np.argmax(np.abs(curve - curve[-1]) <= slack)) + 1


def _expected_best(values: FloatArray, higher_is_better: bool) -> FloatArray:
    """`expected_best` of each row of values of shape (n_rows, n_trials)."""
    n = values.shape[1]
    ranked = np.sort(values, axis=1)
    if not higher_is_better:
        ranked = ranked[:, ::-1]
    best = ranked[:, -1:]
    # Relative to the best, so that rounding cannot raise the curve above it.
    gaps = ranked - best
    curves = np.empty_like(gaps)
    first = 1
    while first <= n:
        # Budgets double from block to block. The worst trials can be skipped: the total
        # probability of those below `begin` is less than the rounding error.
        last = min(2 * first - 1, n)
        begin = int(n * math.exp(-NEGLIGIBLE / first))
        budgets = np.arange(first, last + 1)
        # Equal values need no special case: their terms telescope.
        below_or_at = (np.arange(begin, n + 1) / n)[:, np.newaxis] ** budgets
        curves[:, first - 1 : last] = gaps[:, begin:] @ np.diff(below_or_at, axis=0)
        first = last + 1
    curves += best
    return np.asarray(curves, dtype=np.float64)
