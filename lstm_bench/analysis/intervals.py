"""Confidence intervals: of a mean, a share, a difference of shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from lstm_bench.analysis.checks import (
    check_level,
    check_values,
    count_text,
    percent_text,
)
from lstm_bench.arrays import FloatArray

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes
    ----------
    estimate, low, high : float
        In the unit of the values; `low` and `high` are NaN where there are too few
        values for an interval.
    n : int
        Number of values the interval speaks of: seeds, or reviews.
    method : str
        In words, e.g. ``95 % t interval over 5 seeds``.
    """

    estimate: float
    low: float
    high: float
    n: int
    method: str

    def within(self, lowest: float, highest: float) -> Interval:
        """Return the interval cut at the range that values can have.

        A t interval of few values reaches beyond it: it knows no range. What is cut
        off holds no value that could be the true one, so the coverage stays.
        """
        low, high = max(self.low, lowest), min(self.high, highest)
        return replace(self, low=low, high=high)


def mean_interval(values: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """Give the t interval of the mean of scores over seeds.

    Parameters
    ----------
    values : array of shape (n_seeds,)
        One score per seed, in any unit.
    level : float in (0, 1)

    Returns
    -------
    Interval
        With NaN bounds for a single seed. Of values with a range, cut it with
        `Interval.within`.

    Raises
    ------
    ValueError
        No values, values that are not finite, or a level outside (0, 1).

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6(1), 1908.
    """
    scores = check_values("mean_interval", "values", values)
    check_level("mean_interval", level)
    return t_interval(scores, level, "t interval")


def geometric_mean_interval(values: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """Give the geometric mean of positive values, and its interval on the log scale.

    For what acts by its ratio, such as a temperature: 1/2 and 2 average to 1, and no
    bound reaches 0.

    Parameters
    ----------
    values : array of shape (n_seeds,), above 0
    level : float in (0, 1)

    Returns
    -------
    Interval
        `mean_interval` of the logarithms, taken back by the exponential.

    Raises
    ------
    ValueError
        As `mean_interval`, or a value that is not above 0.
    """
    where = "geometric_mean_interval"
    scores = check_values(where, "values", values)
    check_level(where, level)
    if scores.min() <= 0.0:
        raise ValueError(
            f"{where}: values: expected numbers above 0, got {float(scores.min())!r}"
        )
    logs = t_interval(np.log(scores), level, "t interval of the logarithm")
    return replace(
        logs,
        estimate=math.exp(logs.estimate),
        low=math.exp(logs.low),
        high=math.exp(logs.high),
    )


def wilson_interval(
    share: float, n: float, level: float = LEVEL
) -> tuple[float, float]:
    """Wilson score interval of a share of `n` independent yes-or-no outcomes.

    Parameters
    ----------
    share : float in [0, 1]
        ``share * n`` need not be whole: it may be the mean share of several runs.
    n : float
        Number of outcomes; below 1, or with a NaN share, the interval is NaN.
    level : float in (0, 1)

    Returns
    -------
    low, high : float
        In [0, 1], `share` between them.

    Raises
    ------
    ValueError
        A share outside [0, 1] or a level outside (0, 1).

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22(158), 1927.
    """
    low, high = wilson_intervals(np.array([share], dtype=float), n, level)
    return float(low[0]), float(high[0])


def wilson_intervals(
    shares: FloatArray, n: float, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """`wilson_interval` of each of `shares`, all of `n` outcomes.

    Parameters
    ----------
    shares : ndarray of shape (k,)
    n : float
    level : float in (0, 1)

    Returns
    -------
    low, high : ndarray of shape (k,)

    Raises
    ------
    ValueError
        As `wilson_interval`.
    """
    check_level("wilson_interval", level)
    if n < 1:
        return np.full(len(shares), np.nan), np.full(len(shares), np.nan)
    outside = shares[(shares < 0.0) | (shares > 1.0)]
    if len(outside):
        raise ValueError(
            "wilson_interval: share: expected a number in [0, 1], got "
            f"{float(outside[0])!r}"
        )
    return wilson_bounds(shares, np.array([n]), level)


def newcombe_interval(
    share_a: float, n_a: float, share_b: float, n_b: float, level: float = LEVEL
) -> Interval:
    """Newcombe's hybrid-score interval of the difference of two shares, ``a - b``.

    For shares of independent samples: of two accuracies on the same reviews it is
    as a rule too wide, since what is hard for one model is hard for the other.

    Parameters
    ----------
    share_a, share_b : float in [0, 1]
    n_a, n_b : float
        Number of outcomes of each; below 1, or with a NaN share, the bounds are NaN.
    level : float in (0, 1)

    Returns
    -------
    Interval
        In [-1, 1]; its `n` is that of the smaller sample.

    Raises
    ------
    ValueError
        A share outside [0, 1] or a level outside (0, 1).

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent
    proportions: comparison of eleven methods", Statistics in Medicine 17(8), 1998,
    method 10.
    """
    low_a, high_a = wilson_interval(share_a, n_a, level)
    low_b, high_b = wilson_interval(share_b, n_b, level)
    difference = share_a - share_b
    return Interval(
        difference,
        difference - math.hypot(share_a - low_a, high_b - share_b),
        difference + math.hypot(high_a - share_a, share_b - low_b),
        int(min(n_a, n_b)),
        f"{percent_text(level)} Newcombe interval over {n_a:,g} and {n_b:,g} outcomes",
    )


def t_interval(values: FloatArray, level: float, words: str) -> Interval:
    """Give the t interval of a mean, its method described by `words`."""
    n = len(values)
    mean = float(values.mean())
    method = f"{percent_text(level)} {words} over {count_text(values, 'seed')}"
    if n < 2:
        return Interval(mean, math.nan, math.nan, n, method)
    half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * standard_error(values)
    return Interval(mean, mean - half, mean + half, n, method)


def standard_error(values: FloatArray) -> float:
    """Return the standard error of a mean; NaN below two values."""
    n = len(values)
    if n < 2:
        return math.nan
    # The mean of equal values may be off in its last bit, and so their spread.
    return float(values.std(ddof=1)) / math.sqrt(n) if np.ptp(values) > 0 else 0.0


def wilson_bounds(
    share: FloatArray, n: npt.NDArray[Any], level: float
) -> tuple[FloatArray, FloatArray]:
    """Wilson bounds of shares of shape (k,), of `n` >= 1 outcomes each."""
    z = float(special.ndtri(0.5 + level / 2))
    shrink = 1.0 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    # At 0 and 1 rounding would leave the share just outside its interval.
    low = np.clip(np.minimum(centre - half, share), 0.0, 1.0)
    high = np.clip(np.maximum(centre + half, share), 0.0, 1.0)
    return low, high
