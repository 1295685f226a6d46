"""N-gram evidence: what a linear model makes of the n-grams that end at each token.

For every n-gram of the training sequences there are, for each class (of two classes,
for the second), the weight that logistic regression on naive Bayes features gives it,
and its log-count ratio. A network with ``ngram_evidence`` reads them beside the words.

They are cross-fitted: a training sequence's come from the sequences of other folds, or
the network would learn to trust what the linear model has memorised. Validation's and
test's come from all training sequences.

References
----------
Wang and Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic
Classification", ACL 2012, for the features; Wolpert, "Stacked generalization", Neural
Networks 5(2), 1992, for a model that reads what others, fitted on other folds, say.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Evidence, Sequences, first_copies, sequences_digest
from lstm_bench.data.splits import folds
from lstm_bench.inference import (
    Arrays,
    blocks_of,
    capped,
    evidence_of,
    n_orders_of,
    ngram_keys,
    ngrams_at,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.baselines.ngrams import (
    NB_C,
    fit_one_against_rest,
    log_count_ratio,
)
from lstm_bench.training.fitted import fitted_once

N_FOLDS = 5
MIN_GROUPS = 3
"""An n-gram counts if it is in as many groups of training sequences, or in as many
different sequences where the data have no groups: rarer ones may be names."""

# Part of the cache key: increase it when the evidence changes.
_FORMAT = 1


@dataclass(frozen=True)
class FittedEvidence:
    """The evidence of a split's training sequences.

    Attributes
    ----------
    whole : mapping of str to ndarray
        Fitted on all of them; see `inference.evidence_of`.
    others : tuple of the same
        For each fold, fitted on the other folds.
    fold : int64 ndarray of shape (n_train,)
    size : int
        Of the vocabulary that the n-grams' words are from.
    """

    whole: Arrays
    others: tuple[Arrays, ...]
    fold: IntArray
    size: int

    def of_train(self, train: Sequences) -> Sequences:
        """Return the sequences that it was fitted on, each with the other folds'."""
        return _beside(train, self.others, self.fold, self.size)

    def of(self, part: Sequences) -> Sequences:
        """Return other sequences with the evidence of all that it was fitted on."""
        return _beside(part, (self.whole,), np.zeros(len(part), np.int64), self.size)


def fit_evidence(
    train: Sequences,
    config: TrialConfig,
    n_classes: int,
    on_wait: Callable[[], None] = lambda: None,
) -> FittedEvidence:
    """Fit the n-gram evidence of a split, or read an earlier fit from the cache.

    Parameters
    ----------
    train : Sequences
        n-grams have words of the configuration's vocabulary.
    on_wait : callable
        Called about every second while another process fits the same; may raise.
    """
    fold = folds(train, N_FOLDS)
    n, size = config.ngram_evidence, config.vocabulary_size
    version = importlib.metadata.version("scikit-learn")
    key = f"format {_FORMAT}\n{version}\n{n}\n{size}\n{sequences_digest(train)}\n"
    groups = b"" if train.groups is None else train.groups.tobytes()
    arrays = fitted_once(
        "evidence",
        key.encode() + fold.tobytes() + groups,
        lambda: _named(_fit(train, fold, config, n_classes)),
        on_wait,
    )
    return _of_arrays(arrays)


def _fit(
    train: Sequences, fold: IntArray, config: TrialConfig, n_classes: int
) -> FittedEvidence:
    tokens = _Tokens.of(train, config.vocabulary_size)
    n = config.ngram_evidence
    others = tuple(
        _tables(tokens.of_sequences(fold != k), n, n_classes)
        for k in range(int(fold.max()) + 1)
    )
    # Of root mean square 1 where there is any, as the training sequences have it.
    fitted = FittedEvidence(_tables(tokens, n, n_classes), others, fold, tokens.size)
    rows = _rows(train, fitted.others, fold, tokens.size).astype(np.float64)
    n_there = np.maximum((rows != 0).sum(axis=0), 1)
    scale = np.sqrt((rows**2).sum(axis=0) / n_there)
    scale[scale == 0] = 1.0
    whole, *others_scaled = (_scaled(each, scale) for each in (fitted.whole, *others))
    return replace(fitted, whole=whole, others=tuple(others_scaled))


@dataclass(frozen=True)
class _Tokens:
    """Sequences as one array of the ids of words that a model knows.

    Attributes
    ----------
    values : int64 ndarray of shape (n_tokens,)
    lengths, y, group : int64 ndarray of shape (n_sequences,)
    size : int
        Of the vocabulary.
    """

    values: IntArray
    lengths: IntArray
    y: IntArray
    group: IntArray
    size: int

    @classmethod
    def of(cls, part: Sequences, size: int) -> _Tokens:
        blocks = [np.concatenate(block) for block in blocks_of(part)]
        values = np.concatenate(blocks).astype(np.int64)
        group = first_copies(part) if part.groups is None else part.groups
        y = np.asarray(part.y, np.int64)
        return cls(capped(values, size), part.lengths, y, group, size)

    def of_sequences(self, is_taken: npt.NDArray[np.bool_]) -> _Tokens:
        return replace(
            self,
            values=self.values[np.repeat(is_taken, self.lengths)],
            lengths=self.lengths[is_taken],
            y=self.y[is_taken],
            group=self.group[is_taken],
        )


def _tables(tokens: _Tokens, n: int, n_classes: int) -> Arrays:
    """Fit the evidence of some sequences; its values are not scaled yet."""
    from scipy.sparse import csr_matrix

    row = np.repeat(np.arange(len(tokens.y)), tokens.lengths)
    ends = np.cumsum(tokens.lengths)
    index = np.zeros(0, np.int64)
    ngrams: list[IntArray] = []
    rows, columns, n_features = [], [], 0
    for _ in range(n):
        keys = ngram_keys(tokens.values, index, ends)
        is_there = keys >= 0
        ngrams.append(_frequent(keys[is_there], tokens.group[row[is_there]]))
        index = ngrams_at(ngrams[-1], tokens.values, index, ends)
        is_known = index >= 0
        rows.append(row[is_known])
        columns.append(index[is_known] + n_features)
        n_features += len(ngrams[-1])
    width = max(1, n_features)
    at = np.divmod(
        _distinct(np.concatenate(rows) * width + np.concatenate(columns)), width
    )
    x = csr_matrix((np.ones(len(at[0])), at), (len(tokens.y), n_features))
    weights = np.zeros((n_classes, n_features))
    ratios = np.zeros((n_classes, n_features))
    if n_features:
        fitted = fit_one_against_rest(x, tokens.y, NB_C, log_count_ratio)
        classes = fitted["classes"]
        # Of two that were seen there is one model, for the second.
        classes = classes if len(classes) > 2 else classes[1:]
        weights[classes] = fitted["coefficients"]
        for label in classes:
            ratios[label] = log_count_ratio(x, tokens.y == label)
    if n_classes == 2:
        weights, ratios = weights[1:], ratios[1:]
    values = np.concatenate([weights, ratios]).T.astype(np.float32)
    starts = np.cumsum([0, *(len(found) for found in ngrams)])
    return {
        name: array
        for i in range(n)
        for name, array in (
            (f"ngrams_{i + 1}", ngrams[i]),
            (f"values_{i + 1}", values[starts[i] : starts[i + 1]]),
        )
    }


def _frequent(keys: IntArray, group: IntArray) -> IntArray:
    """Return the distinct n-grams that are in `MIN_GROUPS` groups, ascending."""
    found, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    # Most are seen once or twice, which is not often enough in any case.
    is_often = counts[inverse] >= MIN_GROUPS
    size = int(group.max(initial=0)) + 1
    pairs = _distinct(inverse[is_often] * size + group[is_often])
    n_groups = np.bincount(pairs // size, minlength=len(found))
    return found[n_groups >= MIN_GROUPS]


def _distinct(values: IntArray) -> IntArray:
    """Return the distinct values, ascending: ``np.unique`` hashes, which is slower."""
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _scaled(tables: Arrays, scale: npt.NDArray[np.float64]) -> Arrays:
    n = n_orders_of(tables)
    parts = np.split(scale, n)
    return {
        **tables,
        **{
            f"values_{i + 1}": (tables[f"values_{i + 1}"] / part).astype(np.float32)
            for i, part in enumerate(parts)
        },
    }


def _rows(
    part: Sequences, tables: Sequence[Arrays], which: IntArray, size: int
) -> npt.NDArray[np.float32]:
    """Return each step's evidence, by the table `which` of its sequence."""
    ends = np.cumsum(part.lengths)
    found: npt.NDArray[np.float32] | None = None
    for k, table in enumerate(tables):
        for chosen in np.array_split(np.flatnonzero(which == k), 1 + len(part) // 1024):
            sequences = [capped(part[i], size) for i in chosen]
            steps = evidence_of(table, sequences)
            if found is None:
                found = np.zeros((int(ends[-1]), steps[0].shape[1]), np.float32)
            for i, values in zip(chosen, steps, strict=True):
                found[ends[i] - len(values) : ends[i]] = values
    if found is None:
        raise ValueError("expected sequences, got none")
    return found


def _beside(
    part: Sequences, tables: Sequence[Arrays], which: IntArray, size: int
) -> Sequences:
    starts = np.cumsum(part.lengths) - part.lengths
    return replace(part, evidence=Evidence(_rows(part, tables, which, size), starts))


def _named(fitted: FittedEvidence) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays by names of their own."""
    named = {f"whole/{name}": array for name, array in fitted.whole.items()}
    for k, tables in enumerate(fitted.others):
        named |= {f"{k}/{name}": array for name, array in tables.items()}
    return named | {"fold": fitted.fold, "size": np.array(fitted.size)}


def _of_arrays(arrays: Arrays) -> FittedEvidence:
    fold = arrays["fold"]
    whole, *others = (
        {
            name.partition("/")[2]: array
            for name, array in arrays.items()
            if name.startswith(f"{part}/")
        }
        for part in ("whole", *range(int(fold.max()) + 1))
    )
    return FittedEvidence(whole, tuple(others), fold, int(arrays["size"]))
