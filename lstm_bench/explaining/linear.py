"""What each step of a series contributes to the score of a linear baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray
from lstm_bench.inference import SUMMARIES, Arrays, lagged, summarise


@dataclass(frozen=True)
class Sum:
    """A score as a sum: the score is `rest` plus the sum of either of the others.

    Attributes
    ----------
    by_channel : float64 ndarray of shape (n_steps, n_channels)
        Contribution of each channel at each step.
    by_summary : float64 ndarray of shape (7, n_channels)
        The same by statistic of `SUMMARIES` and channel; of shape (0, n_channels) where
        the baseline reads no statistics.
    rest : float
        Score of the series whose scaled values are all 0.
    """

    by_channel: FloatArray
    by_summary: FloatArray
    rest: float


def autoregression(arrays: Arrays, window: npt.NDArray[Any], target: int | None) -> Sum:
    """Return the parts of a forecast of ``linear_ar``, in the scale of the window.

    A missing value has the part of the one that is read in its place.

    Parameters
    ----------
    window : ndarray of shape (n_steps, 2)
        See `inference.scaled_windows`.
    target : int or None
        The step ahead, from 0; None: the mean of all.
    """
    coefficients, intercepts = arrays["coefficients"], arrays["intercepts"]
    if target is None:
        coefficients, intercepts = coefficients.mean(axis=0), intercepts.mean()
    else:
        coefficients, intercepts = coefficients[target], intercepts[target]
    by_channel = np.zeros(window.shape)
    by_channel[:, 0] = coefficients * lagged([window])[0]
    return Sum(by_channel, np.zeros((0, 2)), float(intercepts))


def summary_shares(series: npt.NDArray[Any]) -> FloatArray:
    """Return each step's share of the statistics of `summarise`.

    Twice the values have twice the statistics, so that by Euler's theorem values times
    derivatives add up to each. Along the straight line from 0 to the series the
    derivatives are constant: the shares are integrated gradients, without an error.

    Parameters
    ----------
    series : ndarray of shape (n_steps, n_channels)

    Returns
    -------
    float64 ndarray of shape (7, n_steps, n_channels)
        Sums over the steps are the statistics.
    """
    x = series.astype(np.float64)
    n, channels = len(x), np.arange(x.shape[1])
    slopes = np.zeros((len(SUMMARIES), *x.shape))
    slopes[0] = 1.0 / n
    std = x.std(axis=0)
    slopes[1] = (x - x.mean(axis=0)) / (n * np.where(std > 0.0, std, 1.0))
    slopes[2, x.argmin(axis=0), channels] = 1.0
    slopes[3, x.argmax(axis=0), channels] = 1.0
    slopes[4, 0], slopes[5, -1] = 1.0, 1.0
    signs = np.sign(np.diff(x, axis=0)) / max(1, n - 1)
    slopes[6, 1:] += signs
    slopes[6, :-1] -= signs
    shares: FloatArray = slopes * x
    return shares


def summary_sums(arrays: Arrays, series: npt.NDArray[Any]) -> list[Sum]:
    """Return the parts of each output of a linear function of `summarise`.

    Of ``summary_ridge`` these are its numbers, of ``summary_lr`` the margins of the
    classes that train has.
    """
    n_channels = series.shape[1]
    nothing = np.append(np.zeros(len(SUMMARIES) * n_channels), len(series))
    weights = arrays["coefficients"] / arrays["std"]
    rests = weights @ (nothing - arrays["mean"]) + arrays["intercepts"]
    shares = summary_shares(series)
    statistics = summarise([series])[0, :-1]
    return [
        Sum(
            (row[:-1].reshape(-1, 1, n_channels) * shares).sum(axis=0),
            (row[:-1] * statistics).reshape(-1, n_channels),
            float(rest),
        )
        for row, rest in zip(weights, rests, strict=True)
    ]


def log_odds_of(margins: list[Sum], target: int, n_points: int) -> Sum:
    """Return the integrated gradients of the log-odds of a softmax of some margins.

    Parameters
    ----------
    target : int
        Index of the class in `margins`.
    """
    own = margins[target]
    others = [margin for i, margin in enumerate(margins) if i != target]
    rests = np.array([other.rest for other in others])
    totals = np.array([other.by_channel.sum() for other in others])
    nodes, weights = np.polynomial.legendre.leggauss(n_points)
    along = rests + 0.5 * (nodes[:, None] + 1.0) * totals
    p = np.exp(along - along.max(axis=1, keepdims=True))
    shares = 0.5 * weights @ (p / p.sum(axis=1, keepdims=True))
    pairs = list(zip(shares, others, strict=True))
    return Sum(
        own.by_channel - sum(share * other.by_channel for share, other in pairs),
        own.by_summary - sum(share * other.by_summary for share, other in pairs),
        own.rest - float(np.logaddexp.reduce(rests)),
    )
