"""Classifiers without a network, to compare the LSTMs with.

They read whole sequences with the full vocabulary, as bags of n-grams, and are fitted
on exactly the training sequences of a replicate. Their settings are fixed here; where
a paper gives none, they were chosen on held-out training reviews of IMDB, never on its
test set.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.data.dataset import Dataset, Sequences, Values, sequences_digest
from lstm_bench.data.splits import Splits
from lstm_bench.inference import START
from lstm_bench.system.files import replacing
from lstm_bench.system.folders import cache_folder
from lstm_bench.training.result import Prediction

# Part of the cache key: increase it when a baseline's results change.
_FORMAT = 1

TFIDF_C, NB_C = 100.0, 1.0
"""Inverse strength of the L2 penalty of the logistic regressions.

TF-IDF: the best of 1, 10 and 100 by log loss on 5,000 training reviews of IMDB, fitted
on the other 20,000. NB: LIBLINEAR's default, as in Mesnil et al.
"""
NB_ALPHA = 1.0
"""Added to the count of every n-gram in every class, as in Wang and Manning."""


@dataclass(frozen=True)
class Predictor:
    """A fitted baseline.

    Attributes
    ----------
    n_features : int
        Number of distinct n-grams with a weight.
    predict_proba : callable
        Maps n sequences to a float64 ndarray of shape (n, n_classes), rows sum to 1.
    """

    n_features: int
    predict_proba: Callable[[Sequences], FloatArray]


@dataclass(frozen=True)
class Baseline:
    """A baseline: its name, label, description, source and fit function.

    ``fit(train, n_classes)`` is deterministic.
    """

    name: str
    label: str
    description: str
    source: str
    fit: Callable[[Sequences, int], Predictor]


@dataclass(frozen=True)
class BaselineResult:
    """The result of one baseline.

    Attributes
    ----------
    predictions : tuple of Prediction
        On "val", and on "test" if it was scored.
    n_features : int
        Distinct n-grams of the training sequences; 0 for the majority class.
    train_time_s : float
        Time of counting n-grams and fitting; of the original fit if `cached`.
    cached : bool
        Whether it was read from disk and not fitted now.
    notes : tuple of str
        Remarks for readers of the results.
    """

    name: str
    predictions: tuple[Prediction, ...]
    n_features: int
    train_time_s: float
    cached: bool
    notes: tuple[str, ...] = ()


def run_baseline(
    name: str, dataset: Dataset, splits: Splits, *, score_test: bool
) -> BaselineResult:
    """Fit baseline `name` on ``splits.train``, or read an earlier fit's predictions.

    Probabilities are cached in `cache_folder`; if the cache cannot be written, the
    result has a note.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    dataset : Dataset
        The dataset that `splits` was made from.
    score_test : bool
        Whether to predict ``splits.test``, too; otherwise it is not used.

    Raises
    ------
    ValueError
        No such baseline.
    """
    if name not in BASELINES:
        raise ValueError(
            f"baseline: expected one of {', '.join(BASELINES)}, got {name!r}"
        )
    parts = {"val": (splits.val, splits.val_index)}
    if score_test:
        parts["test"] = (splits.test, np.arange(len(splits.test)))
    key = _cache_key(name, dataset, splits)
    files = {split: cache_folder("baselines", f"{key}-{split}.npz") for split in parts}
    found = {split: _read_cache(file) for split, file in files.items()}
    fits = {split: fit for split, fit in found.items() if fit is not None}
    cached = len(fits) == len(parts)
    notes = []
    if not cached:
        # Import now: import time is not fitting time.
        for module in ("sklearn.feature_extraction.text", "sklearn.linear_model"):
            importlib.import_module(module)
        start = time.perf_counter()
        predictor = BASELINES[name].fit(splits.train, dataset.n_classes)
        train_time_s = time.perf_counter() - start
        # Rewrite all splits, so that the files of one key come from one fit.
        for split, (part, _) in parts.items():
            y_proba = predictor.predict_proba(part)
            fits[split] = _Fit(y_proba, predictor.n_features, train_time_s)
        try:
            for split, fit in fits.items():
                _write_cache(files[split], fit)
        except OSError as error:
            notes.append(
                f"The predictions of baseline {name} could not be cached: "
                f"{error.strerror or type(error).__name__}."
            )
    return BaselineResult(
        name,
        tuple(
            Prediction(split, index, part.y, fits[split].y_proba)
            for split, (part, index) in parts.items()
        ),
        fits["val"].n_features,
        fits["val"].train_time_s,
        cached,
        tuple(notes),
    )


# The baselines


def fit_majority(train: Sequences, n_classes: int) -> Predictor:
    """Return the class shares of `train` as the probabilities of every sequence."""
    shares = np.bincount(train.y, minlength=n_classes) / len(train)
    return Predictor(0, lambda sequences: np.tile(shares, (len(sequences), 1)))


def fit_tfidf_lr(train: Sequences, n_classes: int) -> Predictor:
    """Fit logistic regression on TF-IDF of the 1- and 2-grams of `train`.

    Weight of an n-gram: (1 + ln tf) (1 + ln((1 + n) / (1 + df))), rows of length 1
    (scikit-learn's smoothed IDF).

    References
    ----------
    Salton and Buckley, "Term-weighting approaches in automatic text retrieval",
    Information Processing & Management 24(5), 1988.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    vectorizer, counts = _count(train, binary=False)
    tfidf = TfidfTransformer(sublinear_tf=True)
    # In place: the counts of 25,000 reviews need as much memory as the weights.
    classifier = _OneAgainstRest.fit(
        tfidf.fit(counts).transform(counts, copy=False),
        train.y,
        n_classes,
        TFIDF_C,
    )

    def predict_proba(sequences: Sequences) -> FloatArray:
        counts = vectorizer.transform(_as_list(sequences))
        return classifier.predict_proba(tfidf.transform(counts, copy=False))

    return Predictor(counts.shape[1], predict_proba)


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
    vectorizer, x = _count(train, binary=True)
    classifier = _OneAgainstRest.fit(x, train.y, n_classes, NB_C, log_count_ratio)
    return Predictor(
        x.shape[1],
        lambda sequences: classifier.predict_proba(
            vectorizer.transform(_as_list(sequences))
        ),
    )


BASELINES: dict[str, Baseline] = {
    b.name: b
    for b in (
        Baseline(
            "majority",
            "majority class",
            "Gives every example the class shares of the training examples: what "
            "knowing nothing but the classes' frequencies achieves.",
            "scikit-learn calls it DummyClassifier(strategy='prior')",
            fit_majority,
        ),
        Baseline(
            "tfidf_lr",
            "TF-IDF + logistic regression",
            "Logistic regression on TF-IDF weights of all 1- and 2-grams of whole "
            f"sequences (sublinear tf, smoothed idf, L2 penalty, C = {TFIDF_C:g}).",
            "Salton and Buckley, Information Processing & Management 24(5), 1988",
            fit_tfidf_lr,
        ),
        Baseline(
            "nb_lr",
            "NB + logistic regression",
            "Logistic regression on all 1- and 2-grams of whole sequences, each there "
            "or not, scaled by naive Bayes's log-count ratios (alpha = "
            f"{NB_ALPHA:g}, L2 penalty, C = {NB_C:g}).",
            "Wang and Manning, Baselines and Bigrams, ACL 2012; logistic regression "
            "as in Mesnil et al., ICLR 2015 workshop",
            fit_nb_lr,
        ),
    )
}


# Features and classifier; sparse matrices and scikit-learn's objects have no types


def ngrams(tokens: npt.NDArray[np.integer]) -> list[int]:
    """Return one int for each 1- and each 2-gram of a sequence.

    Parameters
    ----------
    tokens : int ndarray of shape (n_tokens,)
        Token ids, below 2**31; the start token is left out.

    Returns
    -------
    list of int
        ``a`` for word a, ``a * 2**31 + b`` for word a followed by word b.
    """
    words = tokens[tokens != START].astype(np.int64)
    # No id is 0 (padding), so a pair's number exceeds every word's.
    pairs = (words[:-1] << 31) | words[1:]
    return [*words.tolist(), *pairs.tolist()]


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


@dataclass(frozen=True)
class _OneAgainstRest:
    """One logistic regression per class; for two classes, one in total.

    Attributes
    ----------
    classes : int64 ndarray
        Classes of the training data; the others get probability 0.
    models : tuple of (factors, model)
        A float64 ndarray of shape (n_features,) that multiplies the features, or
        None, and the LogisticRegression that reads the product.
    """

    n_classes: int
    classes: IntArray
    models: tuple[tuple[FloatArray | None, Any], ...]

    @classmethod
    def fit(
        cls,
        x: Any,
        y: IntArray,
        n_classes: int,
        c: float,
        scale: Callable[[Any, npt.NDArray[np.bool_]], FloatArray] | None = None,
    ) -> _OneAgainstRest:
        from sklearn.linear_model import LogisticRegression

        classes = np.unique(y)
        models = []
        # One class: nothing to fit. Two: one model, for the last class, is enough.
        for label in classes if len(classes) > 2 else classes[1:]:
            factors = scale(x, y == label) if scale is not None else None
            # lbfgs stops where the gradient is small, which it is everywhere with a
            # million features: the probabilities are worse.
            model = LogisticRegression(C=c, solver="liblinear", max_iter=1000)
            models.append((factors, model.fit(_scaled(x, factors), y == label)))
        return cls(n_classes, classes, tuple(models))

    def predict_proba(self, x: Any) -> FloatArray:
        """Return probabilities of shape (n, n_classes)."""
        scores = np.ones((x.shape[0], len(self.classes)))
        for i, (factors, model) in enumerate(self.models):
            scores[:, i - len(self.models)] = model.predict_proba(_scaled(x, factors))[
                :, 1
            ]
        if len(self.classes) == 2:
            scores[:, 0] -= scores[:, 1]
        # Avoid division by zero where all of them underflow.
        scores = np.maximum(scores, np.finfo(np.float64).tiny)
        y_proba = np.zeros((x.shape[0], self.n_classes))
        y_proba[:, self.classes] = scores / scores.sum(axis=1, keepdims=True)
        return y_proba


def _scaled(x: Any, factors: FloatArray | None) -> Any:
    """Return the CSR matrix `x` with column j multiplied by ``factors[j]``."""
    if factors is None:
        return x
    scaled = x.copy()
    scaled.data *= factors[x.indices]
    return scaled


def _count(train: Sequences, *, binary: bool) -> tuple[Any, Any]:
    """Return the vectorizer of the n-grams of `train`, and their counts."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=ngrams, binary=binary, dtype=np.float64)
    return vectorizer, vectorizer.fit_transform(_as_list(train))


def _as_list(sequences: Sequences) -> list[Values]:
    return [sequences[i] for i in range(len(sequences))]


# Cache of predictions


@dataclass(frozen=True)
class _Fit:
    y_proba: FloatArray
    n_features: int
    train_time_s: float


def _cache_key(name: str, dataset: Dataset, splits: Splits) -> str:
    # Without importing scikit-learn, which takes longer than reading the cache.
    version = importlib.metadata.version("scikit-learn")
    used = sequences_digest(splits.train, splits.val)
    key = f"format {_FORMAT}\n{name}\n{version}\n{dataset.digest}\n{used}\n"
    return hashlib.sha256(key.encode()).hexdigest()


def _write_cache(file: Path, fit: _Fit) -> None:
    with replacing(file) as partial, partial.open("wb") as stream:
        np.savez(stream, **vars(fit))


def _read_cache(file: Path) -> _Fit | None:
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return _Fit(
            arrays["y_proba"],
            int(arrays["n_features"]),
            float(arrays["train_time_s"]),
        )
