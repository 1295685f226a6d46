"""What each n-gram of a text contributes to a linear baseline's score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.inference import START, Arrays, count_ngrams, ngrams_of


@dataclass(frozen=True)
class Contributions:
    """The score of one class as a sum.

    Attributes
    ----------
    ngrams : int64 ndarray of shape (n,)
        Those in the text that the baseline knows, as in `ngrams_of`.
    counts : int64 ndarray of shape (n,)
    values : float64 ndarray of shape (n,)
        Coefficient times value of the feature, of each.
    intercept : float
        The rest of the score: score = intercept + sum of `values`.
    by_step : float64 ndarray of shape (n_steps,)
        The same by token: an n-gram's value is divided equally among its occurrences
        and their tokens.
    """

    ngrams: IntArray
    counts: IntArray
    values: FloatArray
    intercept: float
    by_step: FloatArray


def contributions(
    name: str, arrays: Arrays, sequence: npt.NDArray[Any], target: int
) -> Contributions:
    """Return the contributions to a number, or a class's score before normalisation.

    Of two classes the score is the class's log-odds; of more, the log-odds of that
    class against the rest, by its own logistic regression.

    Parameters
    ----------
    name : {"tfidf_lr", "nb_lr", "tfidf_ridge"}
    arrays : mapping
        What fitting the baseline resulted in.
    sequence : int ndarray of shape (n_steps,)
        Token ids.
    """
    known = arrays["ngrams"]
    _, columns, counts = count_ngrams([sequence], known)
    features = np.ones(len(columns))
    if name != "nb_lr":
        features = (1.0 + np.log(counts)) * arrays["idf"][columns]
        features = features / np.sqrt((features**2).sum())
    coefficients, intercept = _row(arrays, target)
    values = features * coefficients[columns]
    by_step = np.zeros(len(sequence))
    words = np.flatnonzero(sequence != START)
    # As `ngrams_of` lists them: the words, then the pairs of neighbours.
    found, _ = ngrams_of([sequence])
    first = np.concatenate([words, words[:-1]])
    last = np.concatenate([words, words[1:]])
    at = np.minimum(np.searchsorted(known[columns], found), max(0, len(columns) - 1))
    for ngram, k, a, b in zip(found, at, first, last, strict=True):
        if len(columns) and known[columns[k]] == ngram:
            share = values[k] / counts[k] / 2
            by_step[a] += share
            by_step[b] += share
    return Contributions(known[columns], counts, values, intercept, by_step)


def _row(arrays: Arrays, target: int) -> tuple[FloatArray, float]:
    """Return the coefficients and the intercept of a number or a class's score."""
    if "classes" not in arrays:
        return arrays["coefficients"][target], float(arrays["intercepts"][target])
    classes = arrays["classes"].tolist()
    n_models = len(arrays["coefficients"])
    n_features = len(arrays["ngrams"])
    if target not in classes or n_models == 0:
        return np.zeros(n_features), 0.0
    row = classes.index(target) - (len(classes) - n_models)
    # Of two classes, the last has a model, and the first its negative.
    sign = 1.0 if row >= 0 else -1.0
    row = max(row, 0)
    return sign * arrays["coefficients"][row], sign * float(arrays["intercepts"][row])
