"""Which words a score rests on: deletion, faithfulness, turns, agreement; any model.

A score is the log-odds of one class, so that contributions add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray

Steps = npt.NDArray[Any]
Score = Callable[[list[Steps]], FloatArray]
"""From sequences of token ids or vectors to their log-odds of the explained class."""
Without = Callable[[IntArray], Steps]
"""From places to the sequence without the steps there."""

DELETED = (1, 2, 3, 5, 10, 20, 50)
"""How many words are deleted together in `faithfulness`."""
N_DRAWS = 20
SENTENCE_K = 5
"""The number of words that the sentence on faithfulness is about, if there are."""


def log_odds(proba: FloatArray, target: int) -> FloatArray:
    """Return the log-odds of class `target`, given rows of probabilities."""
    with np.errstate(divide="ignore"):
        p = np.log(proba[:, target])
        rest = np.log(np.delete(proba, target, axis=1).sum(axis=1))
    odds: FloatArray = p - rest
    return odds


def turn(proba: FloatArray) -> int | None:
    """Return the step since which the most probable class is the final one.

    Parameters
    ----------
    proba : ndarray of shape (n_steps, n_classes)
        Probabilities after each step.

    Returns
    -------
    int or None
        None: it is the final class from the first step on.
    """
    classes = proba.argmax(axis=1)
    others = np.flatnonzero(classes != classes[-1])
    return int(others[-1]) + 1 if len(others) else None


def deletion(score: Score, without: Without, places: IntArray) -> FloatArray:
    """Return how much the score falls when each word is left out.

    Parameters
    ----------
    without : callable
        Returns the sequence without the steps at some places.
    places : int64 ndarray of shape (n,)
        The steps to leave out, one at a time.

    Returns
    -------
    float64 ndarray of shape (n,)
        Score of the whole sequence minus score without the step: positive where the
        word speaks for the class.

    References
    ----------
    "Erasure" in Li, Monroe and Jurafsky, "Understanding neural networks through
    representation erasure", arXiv:1612.08220.
    """
    deleted = [without(places[i : i + 1]) for i in range(len(places))]
    scores = score([without(places[:0]), *deleted])
    fall: FloatArray = scores[0] - scores[1:]
    return fall


@dataclass(frozen=True)
class Faithfulness:
    """What deleting several words at once does to the score.

    Attributes
    ----------
    k : list of int
        Numbers of deleted words.
    top : list of float
        Score without the k words of the highest attribution.
    random_mean, random_low, random_high : list of float
        Mean, lowest and highest score without k words drawn at random.
    n_draws : int
    """

    k: list[int]
    top: list[float]
    random_mean: list[float]
    random_low: list[float]
    random_high: list[float]
    n_draws: int

    @property
    def at(self) -> int | None:
        """Index of the k that a sentence is about; None if there is none."""
        fitting = [i for i, k in enumerate(self.k) if k <= SENTENCE_K]
        return fitting[-1] if fitting else None


def faithfulness(
    score: Score,
    without: Without,
    places: IntArray,
    values: FloatArray,
    rng: np.random.Generator,
) -> Faithfulness:
    """Delete the k most telling words, and k words at random.

    Parameters
    ----------
    without : callable
        As in `deletion`.
    places : int64 ndarray of shape (n,)
        The steps that may be left out.
    values : ndarray of shape (n,)
        Their attributions.
    """
    ks = [k for k in DELETED if 2 * k <= len(places)]
    ranked = places[np.argsort(-values, kind="stable")]
    chosen = [ranked[:k] for k in ks]
    chosen += [rng.choice(places, k, replace=False) for k in ks for _ in range(N_DRAWS)]
    scores = np.zeros(0)
    if ks:
        scores = score([without(gone) for gone in chosen])
    drawn = scores[len(ks) :].reshape(len(ks), N_DRAWS)
    return Faithfulness(
        ks,
        scores[: len(ks)].tolist(),
        drawn.mean(axis=1).tolist(),
        drawn.min(axis=1, initial=np.inf).tolist(),
        drawn.max(axis=1, initial=-np.inf).tolist(),
        N_DRAWS,
    )


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None where it is not defined."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)
