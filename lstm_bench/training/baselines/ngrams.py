"""Logistic and ridge regression on bags of n-grams of whole sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.data.dataset import Sequences
from lstm_bench.inference import blocks_of, count_ngrams, ngrams_of
from lstm_bench.training.baselines.predictor import Predictor

TFIDF_C, NB_C = 100.0, 1.0
"""Inverse strength of the L2 penalty of the logistic regressions.

TF-IDF: the best of 1, 10 and 100 by log loss on 5,000 training reviews of IMDB, fitted
on the other 20,000. NB: LIBLINEAR's default, as in Mesnil et al.
"""
RIDGE_ALPHA = 1.0
"""Strength of the L2 penalty of ridge regression, scikit-learn's default."""
NB_ALPHA = 1.0
"""Added to the count of every n-gram in every class, as in Wang and Manning."""


def fit_tfidf_lr(train: Sequences, n_classes: int) -> Predictor:
    """Fit logistic regression on TF-IDF of the 1- and 2-grams of `train`.

    Weight of an n-gram: (1 + ln tf) (1 + ln((1 + n) / (1 + df))), rows of length 1
    (scikit-learn's smoothed IDF).

    References
    ----------
    Salton and Buckley, "Term-weighting approaches in automatic text retrieval",
    Information Processing & Management 24(5), 1988.
    """
    weights, fitted = _tfidf(train)
    fitted |= fit_one_against_rest(weights, train.y, TFIDF_C)
    return Predictor("tfidf_lr", fitted, n_classes, weights.shape[1])


def fit_tfidf_ridge(train: Sequences, n_outputs: int) -> Predictor:
    """Fit ridge regression on TF-IDF as of `fit_tfidf_lr`, for each output."""
    from sklearn.linear_model import Ridge

    weights, fitted = _tfidf(train)
    # A direct solver would make the features' matrix of products, a million squared.
    model = Ridge(alpha=RIDGE_ALPHA, solver="sparse_cg", tol=1e-6)
    model.fit(weights, train.y)
    fitted |= {
        # Of one output scikit-learn has vectors.
        "coefficients": model.coef_.reshape(n_outputs, -1),
        "intercepts": np.reshape(model.intercept_, n_outputs),
    }
    return Predictor("tfidf_ridge", fitted, n_outputs, weights.shape[1])


def _tfidf(train: Sequences) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    """Return TF-IDF weights of shape (n, n_features), and what they are made with."""
    from sklearn.feature_extraction.text import TfidfTransformer

    ngrams, counts = count(train)
    tfidf = TfidfTransformer(sublinear_tf=True)
    # In place: the counts of 25,000 reviews need as much memory as the weights.
    weights = tfidf.fit(counts).transform(counts, copy=False)
    return weights, {"ngrams": ngrams, "idf": tfidf.idf_}


def fit_nb_lr(train: Sequences, n_classes: int) -> Predictor:
    """Fit logistic regression on 1- and 2-grams scaled by naive Bayes ratios.

    An n-gram counts once in a sequence, times its log-count ratio. Above two classes,
    each is separated from all others and the probabilities are scaled to sum to 1.

    References
    ----------
    Wang and Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic
    Classification", ACL 2012, sections 2.1 and 2.3. As Mesnil et al., "Ensemble of
    Generative and Discriminative Techniques for Sentiment Analysis of Movie
    Reviews", ICLR 2015 workshop: logistic regression in place of the SVM, and no
    interpolation of the weights.
    """
    ngrams, counts = count(train)
    counts.data[:] = 1.0
    fitted = fit_one_against_rest(counts, train.y, NB_C, log_count_ratio)
    return Predictor("nb_lr", fitted | {"ngrams": ngrams}, n_classes, len(ngrams))


# scikit-learn's objects and sparse matrices have no types.


def count(train: Sequences) -> tuple[IntArray, Any]:
    """Return the distinct n-grams of `train`, ascending, and how often each is there.

    Returns
    -------
    ngrams : int64 ndarray of shape (n_features,)
        As in `ngrams_of`.
    counts : float64 CSR matrix of shape (n, n_features)
    """
    from scipy.sparse import csr_matrix, vstack

    found = [np.unique(ngrams_of(block)[0]) for block in blocks_of(train)]
    ngrams = np.unique(np.concatenate(found))
    parts = []
    for block in blocks_of(train):
        rows, columns, counts = count_ngrams(block, ngrams)
        shape = (len(block), len(ngrams))
        parts.append(csr_matrix((counts.astype(np.float64), (rows, columns)), shape))
    return ngrams, vstack(parts, format="csr")


def log_count_ratio(x: Any, is_class: npt.NDArray[np.bool_]) -> FloatArray:
    """Return how much likelier each n-gram is in a class than outside of it.

    Parameters
    ----------
    x : sparse matrix of shape (n, n_features)
        1 where the sequence has the n-gram.
    is_class : bool ndarray of shape (n,)

    Returns
    -------
    float64 ndarray of shape (n_features,)
        r = ln((p / |p|) / (q / |q|)), where p and q are `NB_ALPHA` plus the number
        of sequences with the n-gram, in the class and outside of it, and |.| sums.

    References
    ----------
    Wang and Manning, ACL 2012, section 2.1.
    """
    p, q = (NB_ALPHA + x.T @ mask.astype(np.float64) for mask in (is_class, ~is_class))
    ratio: FloatArray = np.log(p / p.sum()) - np.log(q / q.sum())
    return ratio


def fit_one_against_rest(
    x: Any,
    y: IntArray,
    c: float,
    scale: Callable[[Any, npt.NDArray[np.bool_]], FloatArray] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Fit one logistic regression per class; for two classes, one in total.

    Parameters
    ----------
    x : CSR matrix of shape (n, n_features)
    y : int64 ndarray of shape (n,)
    c : float
        Inverse strength of the L2 penalty.
    scale : callable or None
        From `x` and the members of a class to factors of the features, of shape
        (n_features,).

    Returns
    -------
    dict of str to ndarray
        ``classes`` of shape (n_seen,), those in `y`; ``coefficients`` of shape
        (n_models, n_features), the factors included; ``intercepts``. One class needs
        no model; two need one, for the last class.
    """
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(y)
    labels = classes if len(classes) > 2 else classes[1:]
    coefficients = np.zeros((len(labels), x.shape[1]))
    intercepts = np.zeros(len(labels))
    for i, label in enumerate(labels):
        factors = scale(x, y == label) if scale is not None else None
        # lbfgs stops where the gradient is small, which it is everywhere with a
        # million features: the probabilities are worse.
        model = LogisticRegression(C=c, solver="liblinear", max_iter=1000)
        model.fit(_scaled(x, factors), y == label)
        coefficients[i] = model.coef_[0] * (1.0 if factors is None else factors)
        intercepts[i] = model.intercept_[0]
    return {"classes": classes, "coefficients": coefficients, "intercepts": intercepts}


def _scaled(x: Any, factors: FloatArray | None) -> Any:
    """Return the CSR matrix `x` with column j multiplied by ``factors[j]``."""
    if factors is None:
        return x
    scaled = x.copy()
    scaled.data *= factors[x.indices]
    return scaled
