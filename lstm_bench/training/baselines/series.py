"""Baselines for series of vectors, which are scaled as for the LSTMs."""

from __future__ import annotations

import numpy as np

from lstm_bench.data.dataset import Sequences
from lstm_bench.inference import NearestSeries, blocks_of, summarise
from lstm_bench.training.baselines.ngrams import RIDGE_ALPHA
from lstm_bench.training.baselines.predictor import Predictor

SUMMARY_C = 1.0
"""Inverse strength of the L2 penalty, scikit-learn's default."""
MAX_DTW_CELLS = 10_000_000_000
"""Most pairs of steps that a fit and its predictions may compare; see
`too_large_for_dtw`. A minute or two on one core."""
N_LEFT_OUT = 500
"""Most training series that are left out in turn to find how often 1-NN is right."""


def fit_summary_lr(train: Sequences, n_classes: int) -> Predictor:
    """Fit multinomial logistic regression on summary statistics of each channel.

    The statistics of `summarise`, standardised on `train`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    x = np.concatenate([summarise(block) for block in blocks_of(train)])
    scaler = StandardScaler().fit(x)
    classes = np.unique(train.y)
    coefficients = np.zeros((len(classes), x.shape[1]))
    intercepts = np.zeros(len(classes))
    if len(classes) > 1:
        model = LogisticRegression(C=SUMMARY_C, max_iter=10_000)
        # Beside the workers' threads, BLAS's wait for each other: 60 s in place of 2.
        with threadpool_limits(1, "blas"):
            model.fit(scaler.transform(x), train.y)
        # Of two classes scikit-learn has the last one's alone; the first's are 0.
        coefficients[-len(model.coef_) :] = model.coef_
        intercepts[-len(model.coef_) :] = model.intercept_
    fitted = {
        "mean": scaler.mean_,
        "std": scaler.scale_,
        "classes": classes,
        "coefficients": coefficients,
        "intercepts": intercepts,
    }
    return Predictor("summary_lr", fitted, n_classes, x.shape[1])


def fit_summary_ridge(train: Sequences, n_outputs: int) -> Predictor:
    """Fit ridge regression on summary statistics of each channel, for each output.

    The statistics of `summarise`, standardised on `train`.
    """
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    x = np.concatenate([summarise(block) for block in blocks_of(train)])
    scaler = StandardScaler().fit(x)
    with threadpool_limits(1, "blas"):
        model = Ridge(alpha=RIDGE_ALPHA).fit(scaler.transform(x), train.y)
    fitted = {
        "mean": scaler.mean_,
        "std": scaler.scale_,
        # Of one output scikit-learn has vectors.
        "coefficients": model.coef_.reshape(n_outputs, -1),
        "intercepts": np.reshape(model.intercept_, n_outputs),
    }
    return Predictor("summary_ridge", fitted, n_outputs, x.shape[1])


def fit_dtw_1nn(train: Sequences, n_classes: int) -> Predictor:
    """Store `train`, and find the probability of the nearest neighbour's class.

    It is (right + 1) / (n + 2), where `right` of the first n training series, at most
    `N_LEFT_OUT`, have the class of the nearest of all others; it is a little more than
    1 / n_classes at least, so that this class is always the likeliest.
    """
    series = train.copied()
    nearest = NearestSeries([series[i] for i in range(len(series))])
    n = min(len(series), N_LEFT_OUT) if len(series) > 1 else 0
    n_right = 0
    for i in range(n):
        distances = nearest.distances(series[i])
        distances[i] = np.inf
        n_right += int(series.y[distances.argmin()] == series.y[i])
    p_nearest = max((n_right + 1) / (n + 2), 1.01 / n_classes)
    fitted = {
        "values": series.values,
        "offsets": series.offsets,
        "y": series.y,
        "p_nearest": np.array(p_nearest),
    }
    return Predictor("dtw_1nn", fitted, n_classes)


def too_large_for_dtw(train: Sequences, parts: list[Sequences]) -> str | None:
    """Return why `fit_dtw_1nn` and the prediction of `parts` would take too long.

    Two series of n and m steps have n * m pairs of steps to compare.

    Returns
    -------
    str or None
        None where there are `MAX_DTW_CELLS` pairs at most.
    """
    n_train = int(train.lengths.sum())
    n_queries = int(train.lengths[:N_LEFT_OUT].sum())
    n_queries += sum(int(part.lengths.sum()) for part in parts)
    n_cells = n_train * n_queries
    if n_cells <= MAX_DTW_CELLS:
        return None
    return (
        f"{n_queries:,} steps times {n_train:,} steps of training series are "
        f"{n_cells:.2g} pairs of steps to compare, more than the limit of "
        f"{MAX_DTW_CELLS:.2g}"
    )
