"""Forecasts without a network, fitted on the windows of train alone."""

from __future__ import annotations

import numpy as np

from lstm_bench.data.dataset import Sequences, Units
from lstm_bench.inference import blocks_of, lagged
from lstm_bench.training.baselines.predictor import Predictor

RIDGE_ALPHAS = tuple(float(10.0**k) for k in range(-4, 5))
"""Strengths of the L2 penalty that leave-one-out errors in train choose from."""


def fit_naive(train: Sequences, horizon: int) -> Predictor:
    """Return the last known value for every step."""
    return Predictor("naive", {"last": np.zeros(horizon)}, horizon)


def fit_seasonal_naive(train: Sequences, horizon: int) -> Predictor:
    """Return the value one season before, or the next earlier season that is known."""
    season = np.array(_units(train).season)
    return Predictor("seasonal_naive", {"season": season}, horizon)


def fit_linear_ar(train: Sequences, horizon: int) -> Predictor:
    """Fit a ridge regression of each step on the values of the window.

    Values are differences from the last known one in the scale of their series, so that
    a level that train has not seen is no extrapolation. The penalty is chosen by the
    leave-one-out errors in train, the same for all steps.
    """
    from sklearn.linear_model import RidgeCV
    from threadpoolctl import threadpool_limits

    x = np.concatenate([lagged(block) for block in blocks_of(train)])
    y = _units(train).scaled(train.y)
    with threadpool_limits(1, "blas"):
        model = RidgeCV(RIDGE_ALPHAS).fit(x, y)
    fitted = {
        # Of one output scikit-learn has vectors.
        "coefficients": np.reshape(model.coef_, (horizon, -1)),
        "intercepts": np.reshape(model.intercept_, horizon),
        "alpha": np.array(model.alpha_),
    }
    return Predictor("linear_ar", fitted, horizon, x.shape[1])


def _units(train: Sequences) -> Units:
    if train.units is None:
        raise ValueError("expected windows of series, got sequences without units")
    return train.units
