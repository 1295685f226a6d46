"""Confidence intervals of a mean, a share and a difference of shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from lstm_bench.arrays import FloatArray

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval, of 95 % unless another level is given.

    Attributes
    ----------
    estimate, low, high : float
        In the unit of the values; `low` and `high` are NaN with too few values for
        an interval.
    n : int
        Number of values: seeds, or examples.
    """

    estimate: float
    low: float
    high: float
    n: int

    def within(self, lowest: float, highest: float) -> Interval:
        """Return the interval cut at the range of possible values.

        A t interval of few values can extend beyond that range. The part that is cut
        off cannot contain the true value, so the coverage does not change.
        """
        low, high = max(self.low, lowest), min(self.high, highest)
        return replace(self, low=low, high=high)


def level_of(n_looks: int) -> float:
    """Return the level at which intervals of `n_looks` looks have 95 % together.

    By Bonferroni's inequality, whatever the dependence between the looks: the repeated
    confidence intervals of Jennison & Turnbull, "Interim analyses: the repeated
    confidence interval approach", Journal of the Royal Statistical Society B 51(3),
    1989.
    """
    return LEVEL if n_looks == 1 else 1.0 - (1.0 - LEVEL) / n_looks


def mean_interval(values: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """Return the mean of scores over seeds and its t interval.

    Parameters
    ----------
    values : array of shape (n_seeds,), n_seeds >= 1, all finite
        One score per seed, in any unit.
    level : float in (0, 1)
        Confidence level of the interval.

    Returns
    -------
    Interval
        With NaN bounds for a single seed. Cut it with `Interval.within` where values
        have a range.

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6(1), 1908.
    """
    scores = np.asarray(values, dtype=np.float64)
    return t_interval(float(scores.mean()), standard_error(scores), len(scores), level)


def t_interval(estimate: float, error: float, n: int, level: float = LEVEL) -> Interval:
    """Return an estimate's t interval, given its standard error.

    Parameters
    ----------
    error : float
        NaN below two values.
    n : int
        Number of values that the error is estimated from; the t distribution has
        ``n - 1`` degrees of freedom.
    """
    if n < 2:
        return Interval(estimate, math.nan, math.nan, n)
    half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * error
    return Interval(estimate, estimate - half, estimate + half, n)


def geometric_mean_interval(values: npt.ArrayLike) -> Interval:
    """Return the geometric mean of positive values and its 95 % interval.

    For ratios, such as temperatures: the mean of 1/2 and 2 is 1, and both bounds are
    positive.

    Parameters
    ----------
    values : array of shape (n_seeds,), n_seeds >= 1, above 0

    Returns
    -------
    Interval
        The exponential of the `mean_interval` of the logarithms.
    """
    logs = mean_interval(np.log(np.asarray(values, dtype=np.float64)))
    return Interval(
        math.exp(logs.estimate), math.exp(logs.low), math.exp(logs.high), logs.n
    )


def wilson_interval(
    share: npt.ArrayLike, n: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """95 % Wilson score intervals of shares of independent yes-or-no outcomes.

    Parameters
    ----------
    share : float or array of floats, in [0, 1]
        ``share * n`` need not be whole: it may be the mean share of several runs.
    n : float or array of floats
        Numbers of outcomes; below 1, or with a NaN share, the interval is NaN.

    Returns
    -------
    low, high : ndarray of the shape of `share` and `n` together
        In [0, 1], `share` between them.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22(158), 1927.
    """
    share, n = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    n = np.where(n < 1, np.nan, n)
    z = float(special.ndtri(0.5 + LEVEL / 2))
    shrink = 1.0 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    # At 0 and 1, rounding could exclude the share from its interval.
    low = np.clip(np.minimum(centre - half, share), 0.0, 1.0)
    high = np.clip(np.maximum(centre + half, share), 0.0, 1.0)
    return low, high


def newcombe_interval(
    share_a: float, n_a: float, share_b: float, n_b: float
) -> Interval:
    """Newcombe's 95 % hybrid-score interval of a difference of shares, ``a - b``.

    For shares of independent samples. For two accuracies on the same examples it is
    usually too wide, since examples hard for one model are hard for the other.

    Parameters
    ----------
    share_a, share_b : float in [0, 1]
    n_a, n_b : float
        Number of outcomes; below 1, or with a NaN share, the bounds are NaN.

    Returns
    -------
    Interval
        In [-1, 1]; `n` is the size of the smaller sample.

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent
    proportions: comparison of eleven methods", Statistics in Medicine 17(8), 1998,
    method 10.
    """
    (low_a, low_b), (high_a, high_b) = wilson_interval([share_a, share_b], [n_a, n_b])
    difference = share_a - share_b
    return Interval(
        difference,
        difference - math.hypot(share_a - low_a, high_b - share_b),
        difference + math.hypot(high_a - share_a, share_b - low_b),
        int(min(n_a, n_b)),
    )


def standard_error(values: FloatArray) -> float:
    """Return the standard error of a mean; NaN below two values."""
    n = len(values)
    if n < 2:
        return math.nan
    # The mean of equal values may have a rounding error, and so their deviation.
    return float(values.std(ddof=1)) / math.sqrt(n) if np.ptp(values) > 0 else 0.0
