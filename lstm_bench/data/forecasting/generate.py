"""Generate a series of known noise: trend, two seasons, and autoregressive noise."""

from __future__ import annotations

import math

import numpy as np

from lstm_bench.arrays import FloatArray


def seasonal_values(
    n: int,
    seasons: tuple[int, int],
    *,
    trend: float,
    noise: float,
    ar: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Return a straight line, two seasons of random shape, and AR(1) noise.

    Each season is the sum of its first three harmonics, with random phases and
    amplitudes of about 3 and 2 in total.

    Parameters
    ----------
    seasons : tuple of two int
        Their lengths in steps.
    trend : float
        Slope per step.
    noise : float
        Standard deviation of the innovations of the noise.
    ar : float
        Its autoregressive coefficient, in (-1, 1); 0 for white noise.

    Returns
    -------
    float64 ndarray of shape (n,)
    """
    t = np.arange(n)
    values = trend * t.astype(np.float64)
    for length, amplitude in zip(seasons, (3.0, 2.0), strict=True):
        for harmonic in (1, 2, 3):
            phase = 2 * np.pi * (harmonic * t / length + rng.random())
            values += amplitude / harmonic * np.sin(phase)
    innovations = noise * rng.standard_normal(n)
    # In its stationary state from the first step on.
    state = float(innovations[0]) / math.sqrt(1 - ar**2)
    for i in range(n):
        state = state if i == 0 else ar * state + float(innovations[i])
        values[i] += state
    return values


def noise_floor(horizon: int, noise: float, ar: float) -> FloatArray:
    """Return the standard deviation of the best forecast's error at each horizon step.

    The best forecast knows trend, seasons and the noise's law, and the series up to the
    origin. Its error is the part of the noise that is innovated after the origin,
    whose mean absolute value is sqrt(2 / pi) times the standard deviation.

    Returns
    -------
    float64 ndarray of shape (horizon,)

    References
    ----------
    Box, Jenkins and Reinsel, "Time Series Analysis: Forecasting and Control", 1994,
    section 5.1.
    """
    k = np.arange(horizon)
    deviations: FloatArray = noise * np.sqrt(np.cumsum(ar ** (2 * k)))
    return deviations
