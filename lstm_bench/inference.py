"""From a text or a series to a model's probabilities, or numbers.

Training and every logged model use these functions, so that a served model reads a text
as it was read in training. A logged model has a copy of this file, which is why it
imports nothing of this package; it needs NumPy, and Keras only where the model is one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

PAD, START, OUT_OF_VOCABULARY, INDEX_FROM = 0, 1, 2, 3
"""Reserved token ids, as in `keras.datasets.imdb`: the word of frequency rank r
(from 1) has id r + INDEX_FROM."""

TOKENIZERS = ("words", "words_and_punctuation", "whitespace", "characters")
"""Ways to divide a text: as Keras's tokenizer does by default (lower case, punctuation
removed); in lower case with each punctuation mark as a token, and HTML line breaks as
white space; at white space only; or into single characters."""

_FILTERED = {ord(c): " " for c in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'}


_LINE_BREAK = re.compile(r"<br\s*/?>")
_PIECE = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s]|_")


def spaced(text: str) -> str:
    """Return `text` in lower case, with spaces for what is no part of a word."""
    return text.lower().translate(_FILTERED)


def tokenize(text: str, tokenizer: str) -> list[str]:
    """Return the tokens of `text`.

    Parameters
    ----------
    tokenizer : str
        One of `TOKENIZERS`.

    Raises
    ------
    ValueError
        No such tokenizer.

    Examples
    --------
    >>> tokenize("Not bad, at all!", "words")
    ['not', 'bad', 'at', 'all']
    >>> tokenize("Don't<br />go!", "words_and_punctuation")
    ["don't", 'go', '!']
    >>> tokenize("Not bad, at all!", "whitespace")
    ['Not', 'bad,', 'at', 'all!']
    >>> tokenize("Not", "characters")
    ['N', 'o', 't']
    """
    if tokenizer == "words":
        return [word for word in spaced(text).split(" ") if word]
    if tokenizer == "words_and_punctuation":
        return _PIECE.findall(_LINE_BREAK.sub(" ", text.lower()))
    if tokenizer == "whitespace":
        return text.split()
    if tokenizer == "characters":
        return list(text)
    raise ValueError(
        f"tokenizer: expected one of {', '.join(TOKENIZERS)}, got {tokenizer!r}"
    )


def index_of(vocabulary: Iterable[str]) -> dict[str, int]:
    """Return each word's token id, given the words in the order of their rank."""
    return {word: rank + INDEX_FROM for rank, word in enumerate(vocabulary, start=1)}


def ids_of(words: Sequence[str], index: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Return the token ids of `words` after `START`.

    Parameters
    ----------
    index : mapping
        From `index_of`; other words become `OUT_OF_VOCABULARY`.

    Returns
    -------
    int32 ndarray of shape (n_words + 1,)
    """
    ids = (index.get(word, OUT_OF_VOCABULARY) for word in words)
    return np.fromiter((START, *ids), np.int32, len(words) + 1)


CUT_FROM = {"pre": "start", "post": "end", "head_tail": "middle"}
"""By ``truncating``, the part of a longer sequence that is cut off."""


def heads_of(limit: int, truncating: str) -> int:
    """Return how many of `limit` steps are a longer sequence's first; others its last.

    Parameters
    ----------
    truncating : {"pre", "post", "head_tail"}
        See `CUT_FROM`; with head_tail half of the steps, rounded down, are the first.

    References
    ----------
    Sun et al., "How to Fine-Tune BERT for Text Classification?", CCL 2019, section
    5.3.1: head+tail.
    """
    return {"pre": 0, "post": limit, "head_tail": limit // 2}[truncating]


def capped(ids: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return token ids, those outside of a vocabulary of `size` as unknown."""
    return np.where(ids < size, ids, OUT_OF_VOCABULARY)


def kept_of(length: int, limit: int, truncating: str) -> npt.NDArray[np.int64]:
    """Return which of `length` steps remain of at most `limit`, in their order.

    Parameters
    ----------
    truncating : {"pre", "post", "head_tail"}
        See `heads_of`.
    """
    if length <= limit:
        return np.arange(length)
    n_first = heads_of(limit, truncating)
    n_last = limit - n_first
    return np.concatenate([np.arange(n_first), np.arange(length - n_last, length)])


def batch_of(
    sequences: Sequence[npt.NDArray[Any]],
    config: Mapping[str, Any],
    kind: str,
    evidence: Arrays | None = None,
) -> npt.NDArray[Any]:
    """Return sequences as one input of a network.

    Parameters
    ----------
    sequences : sequence of ndarray
        Token ids, int32 of shape (length,), or vectors, float32 of shape (length,
        n_channels), already scaled.
    config : mapping
        ``sequence_length``, ``truncating``, ``padding``, ``masking`` and, for tokens,
        ``vocabulary_size``, as in a suite.
    kind : {"tokens", "vectors"}
    evidence : mapping of str to ndarray, or None
        Of a network that reads n-gram evidence, its content of `EVIDENCE`.

    Returns
    -------
    ndarray
        Tokens: int32 of shape (n, n_timesteps), `PAD` where padded. Vectors: float32
        of shape (n, n_timesteps, n_channels + 1), whose last channel is 1 at a step
        and 0 where padded. Tokens with evidence: as vectors, of the evidence's numbers,
        and the last channel is the token id. n_timesteps is the length of the longest,
        or without masking ``sequence_length``.
    """
    if evidence is not None:
        return _with_evidence(sequences, config, evidence)
    limit = config["sequence_length"]
    kept = [s[kept_of(len(s), limit, config["truncating"])] for s in sequences]
    longest = max((len(s) for s in kept), default=0)
    n_timesteps = max(1, longest) if config["masking"] else limit
    if kind == "tokens":
        x: npt.NDArray[Any] = np.zeros((len(kept), n_timesteps), np.int32)
    else:
        n_channels = sequences[0].shape[1]
        x = np.zeros((len(kept), n_timesteps, n_channels + 1), np.float32)
    for row, steps in zip(x, kept, strict=True):
        length = len(steps)
        first = n_timesteps - length if config["padding"] == "pre" else 0
        if kind == "tokens":
            row[first : first + length] = capped(steps, config["vocabulary_size"])
        else:
            row[first : first + length, :-1] = steps
            row[first : first + length, -1] = 1.0
    return x


def _with_evidence(
    sequences: Sequence[npt.NDArray[Any]],
    config: Mapping[str, Any],
    evidence: Arrays,
) -> npt.NDArray[np.float32]:
    """Return token ids as one input of a network that reads n-gram evidence."""
    size = config["vocabulary_size"]
    known = [capped(s, size) for s in sequences]
    ids = [s[:, None].astype(np.float32) for s in known]
    steps = [
        np.concatenate(pair, axis=1)
        for pair in zip(evidence_of(evidence, known), ids, strict=True)
    ]
    x = batch_of(steps, config, "vectors")
    # Without the channel that is 1 at a step: there is no token 0.
    return np.ascontiguousarray(x[:, :, :-1])


def evidence_of(
    evidence: Arrays, sequences: Sequence[npt.NDArray[Any]]
) -> list[npt.NDArray[np.float32]]:
    """Return what the n-grams that end at each token say.

    Parameters
    ----------
    evidence : mapping of str to ndarray
        For n = 1, 2, ...: ``ngrams_<n>``, int64 of shape (n_ngrams,), ascending, and
        ``values_<n>``, float32 of shape (n_ngrams, n_values). A word's number is its
        token id; that of a longer n-gram is ``a * 2**31 + b``, where a is the index in
        ``ngrams_<n - 1>`` of the n-gram without its last word, whose id is b.
    sequences : sequence of int ndarray of shape (length,)
        Token ids.

    Returns
    -------
    list of float32 ndarray of shape (length, n_orders * n_values)
        First the values for n = 1; 0 where an n-gram is not known.
    """
    values = np.concatenate([np.zeros(0, np.int64), *sequences]).astype(np.int64)
    lengths = [len(s) for s in sequences]
    ends = np.cumsum(lengths, dtype=np.int64)
    parts, index = [], np.zeros(0, np.int64)
    for n in range(1, n_orders_of(evidence) + 1):
        index = ngrams_at(evidence[f"ngrams_{n}"], values, index, ends)
        table = evidence[f"values_{n}"]
        # The last row is for what is not known.
        parts.append(np.append(table, np.zeros((1, table.shape[1]), table.dtype), 0))
        parts[-1] = parts[-1][index]
    return np.split(np.concatenate(parts, axis=1), ends[:-1])


def n_orders_of(evidence: Arrays) -> int:
    """Return the largest n of `evidence_of`'s n-grams."""
    return sum(name.startswith("ngrams_") for name in evidence)


def ngrams_at(
    ngrams: Integers, values: Integers, before: Integers, ends: Integers
) -> Integers:
    """Return the index in `ngrams` of the n-gram that ends at each token.

    Parameters
    ----------
    ngrams : int64 ndarray of shape (n_ngrams,)
        As in `evidence_of`.
    values : int64 ndarray of shape (n_tokens,)
        Token ids of concatenated sequences.
    before : int64 ndarray
        The same of the n-grams that are one word shorter; of shape (0,) for words.
    ends : int64 ndarray of shape (n_sequences,)
        Where each sequence ends.

    Returns
    -------
    int64 ndarray of shape (n_tokens,)
        -1 where the n-gram is not known.
    """
    keys = ngram_keys(values, before, ends)
    index = np.searchsorted(ngrams, keys)
    found: Integers = np.where(np.append(ngrams, -1)[index] == keys, index, -1)
    return np.where(keys < 0, -1, found)


def ngram_keys(values: Integers, before: Integers, ends: Integers) -> Integers:
    """Return the number of the n-gram that ends at each token, -1 where is none.

    The parameters are those of `ngrams_at`.
    """
    if not len(before):
        return np.where(values > OUT_OF_VOCABULARY, values, -1)
    keys = np.full(len(values), -1)
    keys[1:] = np.where(
        (before[:-1] >= 0) & (values[1:] > OUT_OF_VOCABULARY),
        (before[:-1] << 31) | values[1:],
        -1,
    )
    # What begins a sequence follows no word.
    keys[ends[ends < len(keys)]] = -1
    keys[:1] = -1
    return keys


def proba_of(
    outputs: npt.NDArray[np.floating],
    head: str,
    target_scaling: Mapping[str, Any] | None = None,
) -> npt.NDArray[np.float64]:
    """Return probabilities, or numbers, given a network's outputs.

    Parameters
    ----------
    outputs : ndarray of shape (n, head units)
    head : {"sigmoid", "softmax", "linear"}
    target_scaling : mapping or None
        ``mean`` and ``std`` of each output, with which targets were scaled in training;
        None of probabilities, or to leave numbers scaled.

    Returns
    -------
    float64 ndarray
        Of shape (n, n_classes), rows sum to 1; of the head "linear" numbers of shape
        (n, n_outputs).
    """
    if head == "linear":
        numbers = outputs.astype(np.float64)
        if target_scaling is None:
            return numbers
        mean, std = (np.asarray(target_scaling[name]) for name in ("mean", "std"))
        unscaled: npt.NDArray[np.float64] = numbers * std + mean
        return unscaled
    if head == "sigmoid":
        p = outputs.reshape(-1).astype(np.float64)
        return np.column_stack([1.0 - p, p])
    proba = outputs.astype(np.float64)
    normalised: npt.NDArray[np.float64] = proba / proba.sum(axis=1, keepdims=True)
    return normalised


# Baselines: fitted by `lstm_bench.training.baselines`, computed here.


class Ragged(Protocol):
    """A list of sequences, or what looks like one."""

    def __len__(self) -> int:
        """Return the number of sequences."""

    def __getitem__(self, i: int, /) -> npt.NDArray[Any]:
        """Return the token ids or vectors of sequence `i`."""


N_TOGETHER = 1024
"""Sequences that are computed together: more take memory and save no time."""


def blocks_of(sequences: Ragged) -> Iterator[list[npt.NDArray[Any]]]:
    """Yield all sequences in their order, at most `N_TOGETHER` at a time."""
    for start in range(0, len(sequences), N_TOGETHER):
        stop = min(start + N_TOGETHER, len(sequences))
        yield [sequences[i] for i in range(start, stop)]


def baseline_proba(
    name: str, arrays: Arrays, sequences: Ragged, n_targets: int
) -> Floats:
    """Return the probabilities, or the numbers, that a fitted baseline gives.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    arrays : mapping of str to ndarray
        What fitting it resulted in.
    sequences : sequence of ndarray
        Token ids of shape (length,), or scaled vectors of shape (length, n_channels)
        and length 1 at least.

    n_targets : int
        Number of classes, or of numbers to predict.

    Returns
    -------
    float64 ndarray of shape (n, n_targets)
        Rows of probabilities sum to 1.

    Raises
    ------
    ValueError
        No such baseline.
    """
    if name not in BASELINES:
        raise ValueError(
            f"baseline: expected one of {', '.join(BASELINES)}, got {name!r}"
        )
    predicted = [BASELINES[name](arrays, s, n_targets) for s in blocks_of(sequences)]
    return np.concatenate([np.zeros((0, n_targets)), *predicted])


def _majority_proba(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_classes: int
) -> Floats:
    return np.tile(arrays["shares"], (len(sequences), 1))


def _train_mean(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_outputs: int
) -> Floats:
    return np.tile(arrays["mean"], (len(sequences), 1))


def ngrams_of(sequences: list[npt.NDArray[Any]]) -> tuple[Integers, Integers]:
    """Return one number for each 1- and each 2-gram of some sequences.

    Parameters
    ----------
    sequences : list of int ndarray of shape (length,)
        Token ids below 2**31; the start token is left out.

    Returns
    -------
    ngrams : int64 ndarray of shape (n_ngrams,)
        ``a`` for word a, ``a * 2**31 + b`` for word a followed by word b; all words
        first.
    rows : int64 ndarray of shape (n_ngrams,)
        The sequence of each.
    """
    words = np.concatenate([np.zeros(0, np.int64), *sequences]).astype(np.int64)
    rows = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    is_word = words != START
    words, rows = words[is_word], rows[is_word]
    # No id is 0 (padding), so a pair's number exceeds every word's.
    pairs = (words[:-1] << 31) | words[1:]
    is_pair = rows[:-1] == rows[1:]
    return (
        np.concatenate([words, pairs[is_pair]]),
        np.concatenate([rows, rows[1:][is_pair]]),
    )


def count_ngrams(
    sequences: list[npt.NDArray[Any]], known: Integers
) -> tuple[Integers, Integers, Integers]:
    """Return how often each known n-gram is in each sequence.

    Parameters
    ----------
    known : int64 ndarray of shape (n_features,)
        n-grams as in `ngrams_of`, ascending; others are left out.

    Returns
    -------
    rows, columns, counts : int64 ndarray of shape (n_counts,)
        Sequence, index in `known`, and how often, at least 1; by row, then column.
    """
    ngrams, rows = ngrams_of(sequences)
    distinct, inverse = np.unique(ngrams, return_inverse=True)
    columns = np.searchsorted(known, distinct)
    is_known = np.append(known, -1)[columns] == distinct
    kept = is_known[inverse]
    n_features = max(1, len(known))
    pairs, counts = np.unique(
        rows[kept] * n_features + columns[inverse[kept]], return_counts=True
    )
    rows, columns = np.divmod(pairs, n_features)
    return rows, columns, counts


def _tfidf_lr_proba(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_classes: int
) -> Floats:
    rows, columns, weights = _tfidf(arrays, sequences)
    return _one_against_rest(arrays, rows, columns, weights, len(sequences), n_classes)


def _tfidf_ridge(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_outputs: int
) -> Floats:
    rows, columns, weights = _tfidf(arrays, sequences)
    sums = [
        np.bincount(rows, weights * coefficients[columns], len(sequences))
        for coefficients in arrays["coefficients"]
    ]
    predicted: Floats = np.asarray(sums, np.float64).T + arrays["intercepts"]
    return predicted


def _tfidf(
    arrays: Arrays, sequences: list[npt.NDArray[Any]]
) -> tuple[Integers, Integers, Floats]:
    """Return row, column and weight of each known n-gram; rows have length 1."""
    rows, columns, counts = count_ngrams(sequences, arrays["ngrams"])
    weights = (1.0 + np.log(counts)) * arrays["idf"][columns]
    squares = np.bincount(rows, weights**2, len(sequences))
    weights /= np.sqrt(squares[rows])
    return rows, columns, weights


def _nb_lr_proba(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_classes: int
) -> Floats:
    rows, columns, _ = count_ngrams(sequences, arrays["ngrams"])
    return _one_against_rest(
        arrays, rows, columns, np.ones(len(rows)), len(sequences), n_classes
    )


def _one_against_rest(
    arrays: Arrays,
    rows: Integers,
    columns: Integers,
    weights: Floats,
    n: int,
    n_classes: int,
) -> Floats:
    """Return probabilities from one logistic regression per class.

    Parameters
    ----------
    arrays : mapping
        ``classes`` of shape (n_seen,), those in train; the others get 0.
        ``coefficients`` of shape (n_models, n_features) and ``intercepts``: of two
        classes the last alone has a model, of one none.
    rows, columns, weights : ndarray of shape (n_weights,)
        The entries of the feature matrix that are not 0.
    n : int
        Number of its rows.
    """
    classes = arrays["classes"]
    scores = np.ones((n, len(classes)))
    n_models = len(arrays["coefficients"])
    for i, coefficients in enumerate(arrays["coefficients"]):
        products = np.bincount(rows, weights * coefficients[columns], n)
        margin = products + arrays["intercepts"][i]
        scores[:, i - n_models] = np.exp(-np.logaddexp(0.0, -margin))
    if len(classes) == 2:
        scores[:, 0] -= scores[:, 1]
    # Avoid division by zero where all of them underflow.
    scores = np.maximum(scores, np.finfo(np.float64).tiny)
    return _of_all_classes(scores, classes, n_classes)


def _of_all_classes(scores: Floats, classes: Integers, n: int) -> Floats:
    """Return scores of some classes as probabilities of all `n`."""
    y_proba = np.zeros((len(scores), n))
    y_proba[:, classes] = scores / scores.sum(axis=1, keepdims=True)
    return y_proba


SUMMARIES = (
    "mean",
    "standard deviation",
    "minimum",
    "maximum",
    "first value",
    "last value",
    "mean absolute difference of neighbours",
)
"""Statistics of each channel in `summarise`."""


def summarise(sequences: list[npt.NDArray[Any]]) -> Floats:
    """Return the `SUMMARIES` of each channel, and the length, of some series.

    Parameters
    ----------
    sequences : list of ndarray of shape (length, n_channels), length 1 at least

    Returns
    -------
    float64 ndarray of shape (n, 7 * n_channels + 1)
        By statistic, then by channel; the length is last. Of a series of one step, the
        difference of neighbours is 0.
    """
    rows = []
    for series in sequences:
        x = series.astype(np.float64)
        steps = np.abs(np.diff(x, axis=0)).sum(axis=0) / max(1, len(x) - 1)
        rows.append(
            np.concatenate(
                [
                    *(x.mean(axis=0), x.std(axis=0), x.min(axis=0), x.max(axis=0)),
                    *(x[0], x[-1], steps, [len(x)]),
                ]
            )
        )
    return np.stack(rows)


def _summary_lr_proba(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_classes: int
) -> Floats:
    """Return the softmax of a linear function of standardised summaries."""
    x = (summarise(sequences) - arrays["mean"]) / arrays["std"]
    margins = x @ arrays["coefficients"].T + arrays["intercepts"]
    scores = np.exp(margins - margins.max(axis=1, keepdims=True))
    return _of_all_classes(scores, arrays["classes"], n_classes)


def _summary_ridge(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_outputs: int
) -> Floats:
    """Return a linear function of standardised summaries."""
    x = (summarise(sequences) - arrays["mean"]) / arrays["std"]
    predicted: Floats = x @ arrays["coefficients"].T + arrays["intercepts"]
    return predicted


# Windows of series: the last known value is 0, and a second channel is 1 where missing.


def seasonal_errors(values: Floats, season: int) -> float:
    """Return the mean absolute difference of values one season apart.

    Of the training part, it is the unit of the mean absolute scaled error: what the
    seasonal naive forecast is wrong by one season ahead, in sample.

    Parameters
    ----------
    values : float64 ndarray of shape (n_steps,)
        NaN where missing; pairs with a missing value are left out.
    season : int
        Steps of a season; 1 for none.

    Returns
    -------
    float
        NaN if no pair of values is a season apart.

    References
    ----------
    Hyndman and Koehler, "Another look at measures of forecast accuracy", International
    Journal of Forecasting 22(4), 2006.
    """
    differences = np.abs(values[season:] - values[:-season])
    known = differences[~np.isnan(differences)]
    return float(known.mean()) if len(known) else float("nan")


def scaled_windows(known: Floats, scale: Floats) -> tuple[Floats32, Floats]:
    """Return windows of values as a network reads them, and each one's level.

    Parameters
    ----------
    known : float64 ndarray of shape (n, window)
        NaN where missing.
    scale : float64 ndarray of shape (n,)
        `seasonal_errors` of each window's series.

    Returns
    -------
    values : float32 ndarray of shape (n, window, 2)
        ``(value - level) / scale``, 0 where missing; and 1 where missing, else 0.
    level : float64 ndarray of shape (n,)
        The last known value; NaN if none is known.
    """
    n, window = known.shape
    is_known = ~np.isnan(known)
    last = window - 1 - is_known[:, ::-1].argmax(axis=1)
    level = known[np.arange(n), last]
    scaled = np.where(is_known, (known - level[:, None]) / scale[:, None], 0.0)
    return np.stack([scaled, ~is_known], axis=2).astype(np.float32), level


def _naive(arrays: Arrays, sequences: list[npt.NDArray[Any]], horizon: int) -> Floats:
    return np.zeros((len(sequences), horizon))


def _seasonal_naive(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], horizon: int
) -> Floats:
    """Return the value one season before, or of an earlier one if it is missing."""
    season = int(arrays["season"])
    found = np.zeros((len(sequences), horizon))
    for row, window in zip(found, sequences, strict=True):
        row[:] = window[repeated_steps(window, horizon, season), 0]
    return found


def repeated_steps(
    window: npt.NDArray[Any], horizon: int, season: int
) -> npt.NDArray[np.int64]:
    """Return for each step ahead the last known one of the same step of the season.

    Where none is known, it is the last known one of all.

    Parameters
    ----------
    window : ndarray of shape (n_steps, 2)
        See `scaled_windows`; one value is known at least.
    """
    known = np.flatnonzero(window[:, 1] == 0)
    found = np.full(horizon, known[-1])
    for k in range(horizon):
        same = known[(len(window) + k - known) % season == 0]
        if len(same):
            found[k] = same[-1]
    return found


def lagged(sequences: list[npt.NDArray[Any]]) -> Floats:
    """Return the values of windows, those that are missing as the one before.

    Returns
    -------
    float64 ndarray of shape (n, n_steps)
    """
    windows = np.stack(sequences).astype(np.float64)
    known = windows[:, :, 1] == 0
    latest = np.maximum.accumulate(
        np.where(known, np.arange(known.shape[1]), -1), axis=1
    )
    filled = np.take_along_axis(windows[:, :, 0], np.maximum(latest, 0), axis=1)
    # Before the first known value, the last one.
    return np.where(latest < 0, 0.0, filled)


def _linear_ar(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], horizon: int
) -> Floats:
    forecasts: Floats = lagged(sequences) @ arrays["coefficients"].T
    return forecasts + arrays["intercepts"]


class NearestSeries:
    """Finds the nearest of some series by dynamic time warping.

    The channels are warped together, the local cost is the squared Euclidean distance
    of two steps, and the warping has no window.

    Parameters
    ----------
    series : list of ndarray of shape (length, n_channels), length 1 at least

    References
    ----------
    DTW_D in Shokoohi-Yekta et al., "Generalizing DTW to the multi-dimensional case
    requires an adaptive approach", Data Mining and Knowledge Discovery 31, 2017; a
    baseline of Bagnall et al., "The UEA multivariate time series classification
    archive, 2018", arXiv:1811.00075.
    """

    # Steps that are compared together with a step of the query.
    N_STEPS = 2**13

    def __init__(self, series: list[npt.NDArray[Any]]) -> None:
        self.n_series = len(series)
        lengths = np.array([len(s) for s in series])
        # Series of similar lengths together: the end of each is padded.
        order = np.argsort(-lengths, kind="stable")
        self.blocks = []
        while len(order):
            n = max(1, self.N_STEPS // int(lengths[order[0]]))
            chosen, order = order[:n], order[n:]
            # `_warped` needs two at least.
            n_columns = max(2, int(lengths[chosen[0]]))
            shape = (series[0].shape[1], n_columns, len(chosen))
            padded = np.zeros(shape, np.float32)
            for k, i in enumerate(chosen):
                padded[:, : lengths[i], k] = series[i].T
            self.blocks.append((chosen, lengths[chosen], padded))

    def distances(self, query: npt.NDArray[Any]) -> Floats32:
        """Return the distance of `query` to each of the series.

        Parameters
        ----------
        query : ndarray of shape (length, n_channels), length 1 at least

        Returns
        -------
        float32 ndarray of shape (n_series,)
            Sums of squares along the best path, with no root taken.
        """
        distances = np.empty(self.n_series, np.float32)
        # Scaled values are far smaller; the squares of larger ones would overflow.
        query = np.clip(query, -1e12, 1e12).astype(np.float32)
        for chosen, lengths, padded in self.blocks:
            ends = _warped(query, padded)
            distances[chosen] = ends[lengths - 1, np.arange(len(chosen))]
        return distances


def _warped(query: Floats32, series: Floats32) -> Floats32:
    """Return the DTW distance of `query` to the beginnings of some series.

    Parameters
    ----------
    query : float32 ndarray of shape (n, n_channels)
    series : float32 ndarray of shape (n_channels, n_columns, n_series), n_columns > 1

    Returns
    -------
    float32 ndarray of shape (n_columns, n_series)
        To the first step, the first two, ...
    """
    n, (n_channels, n_columns, n_series) = len(query), series.shape
    steps = series.reshape(n_channels, -1)
    # (a - b)^2 = a^2 - 2 a b + b^2; rounding can make it negative. The matrices are
    # so narrow that the threads of a matrix product cost more than they save.
    costs: Floats32 = np.einsum("ic,ck->ik", -2.0 * query, steps)
    costs += (query**2).sum(axis=1)[:, None]
    costs += (steps**2).sum(axis=0)
    np.maximum(costs, 0.0, out=costs)
    # Step i of the query against step j is row i * n_columns + j, so that an
    # anti-diagonal, whose cells depend on earlier ones alone, is every
    # (n_columns - 1)-th row.
    costs = costs.reshape(n * n_columns, n_series)
    # Row i + 1: cell (i, d - i) of the anti-diagonals d, d - 1, d - 2. Row 0 and cells
    # outside of the table remain infinite.
    now, last, before = np.full((3, n + 1, n_series), np.inf, np.float32)
    ends = np.empty((n_columns, n_series), np.float32)
    for d in range(n + n_columns - 1):
        low, high = max(0, d - n_columns + 1), min(n - 1, d)
        first, stop = (d + i * (n_columns - 1) for i in (low, high))
        cells = now[low + 1 : high + 2]
        if d > 0:
            np.minimum(last[low : high + 1], last[low + 1 : high + 2], out=cells)
            np.minimum(cells, before[low : high + 1], out=cells)
            cells += costs[first : stop + 1 : n_columns - 1]
        else:
            cells[:] = costs[0]
        if d >= n - 1:
            ends[d - n + 1] = now[n]
        now, last, before = before, now, last
    return ends


def _dtw_1nn_proba(
    arrays: Arrays, sequences: list[npt.NDArray[Any]], n_classes: int
) -> Floats:
    """Return ``p_nearest`` for the nearest series' class; the others share the rest."""
    train = NearestSeries(np.split(arrays["values"], arrays["offsets"][1:-1]))
    nearest = [int(train.distances(query).argmin()) for query in sequences]
    p = float(arrays["p_nearest"])
    y_proba = np.full((len(sequences), n_classes), (1.0 - p) / (n_classes - 1))
    y_proba[np.arange(len(sequences)), arrays["y"][nearest]] = p
    return y_proba


BASELINES: Mapping[str, Callable[[Arrays, list[npt.NDArray[Any]], int], Floats]] = {
    "majority": _majority_proba,
    "tfidf_lr": _tfidf_lr_proba,
    "nb_lr": _nb_lr_proba,
    "summary_lr": _summary_lr_proba,
    "dtw_1nn": _dtw_1nn_proba,
    "train_mean": _train_mean,
    "tfidf_ridge": _tfidf_ridge,
    "summary_ridge": _summary_ridge,
    "naive": _naive,
    "seasonal_naive": _seasonal_naive,
    "linear_ar": _linear_ar,
}
"""Probabilities, or numbers, of each baseline, given its arrays and some sequences."""


# A model folder

ABOUT, NETWORK, ARRAYS = "about.json", "model.keras", "arrays.npz"
"""Files of a model folder: what the model is and how it reads its input, and either
the Keras model or the arrays of a baseline."""
EVIDENCE = "evidence.npz"
"""File of a model folder whose network reads n-gram evidence; see `evidence_of`."""

FORMAT = 1

MEMBERS = "members"
"""Folder of the members in the model folder of an ensemble: model folders 0, 1, ..."""

NETWORKS = ("lstm", "gru", "simple_rnn")
"""Names of the models that are Keras's; all others are baselines."""
BATCH = 256

Forward = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Maps an input of a network, from `batch_of`, to its outputs."""


@dataclass(frozen=True)
class Model:
    """A trained model that reads texts, lists of categories, or series.

    Attributes
    ----------
    about : dict
        The content of ``about.json``: among others ``kind`` ("tokens" or "vectors"),
        ``tokenizer``, ``model`` (one of `NETWORKS`, or the name of a baseline),
        ``task`` ("classification", "regression" or "forecast"), ``class_names``,
        ``output_names``, ``config``, ``vocabulary``, ``scaling``, ``target_scaling``,
        ``channels``, ``forecast`` (``window``, ``horizon``, ``season`` and, by series,
        ``scales``), and ``why``, a sentence on which of a study's models it is.
    """

    about: Mapping[str, Any]
    _proba: Callable[[list[npt.NDArray[Any]]], Floats]
    _index: Mapping[str, int] = field(default_factory=dict)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return list(self.about["class_names"])

    @property
    def output_names(self) -> list[str]:
        """Names of the numbers that are predicted, in their order; [] of classes."""
        return list(self.about.get("output_names", ()))

    def predict_proba(self, inputs: Sequence[Any]) -> Floats:
        """Return each input's probabilities, or the numbers that are predicted for it.

        Parameters
        ----------
        inputs : sequence
            Texts; for the tokenizer "categories", lists of str; for vectors, series
            of shape (length, n_channels), or (length,) of one channel; for forecasts
            as in `Forecaster`.

        Returns
        -------
        float64 ndarray
            Of shape (n, n_classes), rows sum to 1; or of shape (n, n_outputs), in the
            data's units.

        Raises
        ------
        ValueError
            An input is not of the kind that this model reads.
        """
        return self.proba_of(self.read(inputs))

    def columns(self, y_proba: Floats) -> dict[str, Any]:
        """Return what is predicted as named columns.

        Returns
        -------
        dict of str to list or ndarray
            ``label``, the most probable classes, and one ``p_<class>`` each. Of numbers
            ``prediction``, or of several ``prediction_<output>`` each; of forecasts
            ``prediction_<k>`` for the k-th next step.
        """
        outputs = self.output_names
        if self.about.get("forecast"):
            return {f"prediction_{k}": y for k, y in enumerate(y_proba.T, start=1)}
        if len(outputs) == 1:
            return {"prediction": y_proba[:, 0]}
        if outputs:
            return {f"prediction_{n}": y_proba[:, i] for i, n in enumerate(outputs)}
        names = self.class_names
        labels = [names[i] for i in y_proba.argmax(axis=1)]
        return {
            "label": labels,
            **{f"p_{name}": y_proba[:, i] for i, name in enumerate(names)},
        }

    def read(self, inputs: Sequence[Any]) -> list[npt.NDArray[Any]]:
        """Return inputs as token ids, or as scaled vectors.

        Raises
        ------
        ValueError
            An input is not of the kind that this model reads.
        """
        is_tokens = self.about["kind"] == "tokens"
        return [
            ids_of(self._words(value, i), self._index)
            if is_tokens
            else self._vectors(value, i)
            for i, value in enumerate(inputs)
        ]

    def proba_of(self, sequences: list[npt.NDArray[Any]]) -> Floats:
        """Return the predictions for what `read` has returned."""
        if not sequences:
            return np.zeros((0, len(self.class_names or self.output_names)))
        return self._proba(sequences)

    def unknown_share(self, value: Any) -> float:
        """Return the share of a text's words, or of categories, that the model lacks.

        NaN for an empty text, 0 for a series of numbers.
        """
        return self.unknown_of(self.read([value])[0])

    def unknown_of(self, sequence: npt.NDArray[Any]) -> float:
        """Return the same of what `read` has returned for one input."""
        if self.about["kind"] != "tokens":
            return 0.0
        words = sequence[1:]
        if not len(words):
            return float("nan")
        return float(np.mean(words == OUT_OF_VOCABULARY))

    def _words(self, value: Any, i: int) -> Sequence[str]:
        tokenizer = self.about["tokenizer"]
        if not self._index:
            raise ValueError(
                "this model reads ids of words, and its data came without the words "
                "that they stand for: it cannot read texts"
            )
        if tokenizer == "categories":
            is_list = isinstance(value, (list, tuple, np.ndarray))
            if not is_list or not all(isinstance(v, str) for v in value):
                raise ValueError(
                    f"input {i + 1}: expected a list of categories as str, got "
                    f"{_shown(value)}"
                )
            categories: Sequence[str] = value
            return categories
        if not isinstance(value, str):
            raise ValueError(f"input {i + 1}: expected a text, got {_shown(value)}")
        return tokenize(value, tokenizer)

    def _vectors(self, value: Any, i: int) -> npt.NDArray[np.float32]:
        n_channels = len(self.about["channels"])
        try:
            series = np.asarray(value, np.float64)
        except (ValueError, TypeError):
            series = np.zeros(0)
        if series.ndim == 1 and n_channels == 1:
            series = series[:, None]
        if series.ndim != 2 or series.shape[1] != n_channels or not len(series):
            raise ValueError(
                f"input {i + 1}: expected a series of steps with {n_channels} "
                f"number{'' if n_channels == 1 else 's'} each, got {_shown(value)}"
            )
        if not np.isfinite(series).all():
            raise ValueError(f"input {i + 1}: expected finite numbers, got NaN or inf")
        scaling = self.about["scaling"]
        scaled = series.astype(np.float32)
        scaled -= np.asarray(scaling["mean"], np.float32)
        scaled /= np.asarray(scaling["std"], np.float32)
        return scaled


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


@dataclass(frozen=True)
class Window:
    """The last values of a series, as a network reads them.

    Attributes
    ----------
    values : float32 ndarray of shape (window, 2)
        See `scaled_windows`.
    level, scale : float
        What forecasts are to be added to, after they were multiplied by `scale`.
    """

    values: Floats32
    level: float
    scale: float


@dataclass(frozen=True)
class Forecaster(Model):
    """A trained model that forecasts the next values of series.

    An input is a list of a series' values in time order, or a dict with these as
    ``values`` and the series' name as ``unique_id``. A missing value is None or NaN.
    The last ``window`` values are read. A series of the model's study has the scale
    that it had there, another one that of its own differences from season to season.
    """

    def read(self, inputs: Sequence[Any]) -> list[Any]:
        """Return inputs as `Window`.

        Raises
        ------
        ValueError
            An input is no series of numbers, is shorter than the window, or has no
            known value in it, or no scale.
        """
        return [self._window(value, i) for i, value in enumerate(inputs)]

    def proba_of(self, sequences: list[Any]) -> Floats:
        """Return the next values, of shape (n, horizon), in each series' own unit."""
        predicted = super().proba_of([each.values for each in sequences])
        scale = np.array([each.scale for each in sequences])[:, None]
        level = np.array([each.level for each in sequences])[:, None]
        forecasts: Floats = predicted * scale + level
        return forecasts

    def _window(self, value: Any, i: int) -> Window:
        about = self.about["forecast"]
        is_named = isinstance(value, dict) and set(value) <= {"unique_id", "values"}
        name = str(value.get("unique_id") or "") if is_named else ""
        given = value.get("values") if is_named else value
        what = f"series {name!r}" if name else f"input {i + 1}"
        try:
            # None becomes NaN.
            values = np.asarray(given, np.float64)
        except (ValueError, TypeError):
            values = np.zeros((0, 0))
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1 or np.isinf(values).any():
            raise ValueError(
                f"{what}: expected a list of numbers, None where one is missing, got "
                f"{_shown(given)}"
            )
        if len(values) < about["window"]:
            raise ValueError(
                f"{what}: expected {about['window']:,} values at least, the window "
                f"that the model was trained on, got {len(values):,}"
            )
        scale = about["scales"].get(name)
        if scale is None:
            scale = seasonal_errors(values, about["season"])
            if not scale > 0:
                raise ValueError(
                    f"{what}: expected values that differ from those a season of "
                    f"{about['season']:,} before, which its scale comes from, or a "
                    "series of the model's study; give more values"
                )
        known = values[None, -about["window"] :]
        scaled, level = scaled_windows(known, np.array([scale]))
        if np.isnan(level[0]):
            raise ValueError(
                f"{what}: expected a known value among the last {about['window']:,}, "
                "got none"
            )
        return Window(scaled[0], float(level[0]), scale)


@dataclass(frozen=True)
class Ensemble(Model):
    """The mean of what several models predict.

    Each member reads the inputs itself: its vocabulary or scaling is that of its own
    training part.
    """

    members: Sequence[Model] = ()

    def read(self, inputs: Sequence[Any]) -> list[Any]:
        """Return inputs as every member reads them.

        Returns
        -------
        list of list of ndarray
            By input, then by member.
        """
        by_member = [member.read(inputs) for member in self.members]
        return [list(each) for each in zip(*by_member, strict=True)]

    def unknown_of(self, sequence: Any) -> float:
        """Return the mean over the members of `Model.unknown_of`."""
        pairs = zip(self.members, sequence, strict=True)
        return float(np.mean([member.unknown_of(own) for member, own in pairs]))


def _ensemble(about: Mapping[str, Any], members: Sequence[Model]) -> Ensemble:
    def mean_proba(sequences: list[Any]) -> Floats:
        by_member = zip(members, zip(*sequences, strict=True), strict=True)
        predicted = [member.proba_of(list(own)) for member, own in by_member]
        mean: Floats = np.mean(predicted, axis=0)
        return mean

    return Ensemble(about, mean_proba, members=members)


def load(
    folder: str | os.PathLike[str],
    make_forward: Callable[[Any, Mapping[str, Any]], Forward] | None = None,
) -> Model:
    """Load the model of a model folder, or the ensemble.

    Parameters
    ----------
    make_forward : callable or None
        Given the Keras model and its configuration, returns the function that computes
        outputs; None: Keras itself.

    Raises
    ------
    OSError
        The folder has not the files of a model.
    """
    path = Path(folder)
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    if (path / MEMBERS).is_dir():
        folders = [path / MEMBERS / str(i) for i in range(about["n_members"])]
        return _ensemble(about, [load(each, make_forward) for each in folders])
    index = index_of(about["vocabulary"])
    n_targets = len(about["class_names"] or about["output_names"])
    model_class = Forecaster if about.get("forecast") else Model
    if about["model"] not in NETWORKS:
        arrays = arrays_of(path / ARRAYS)

        def proba_of_baseline(sequences: list[npt.NDArray[Any]]) -> Floats:
            return baseline_proba(about["model"], arrays, sequences, n_targets)

        return model_class(about, proba_of_baseline, index)
    model = _load_network(path / NETWORK)
    config, kind = about["config"], about["kind"]
    forward = (make_forward or _forward_of_keras)(model, config)
    scaling = about.get("target_scaling")
    evidence = evidence_in(path)

    def network_proba(sequences: list[npt.NDArray[Any]]) -> Floats:
        # Of similar length, so that little is padded.
        order = np.argsort([len(s) for s in sequences], kind="stable")
        proba = np.empty((len(sequences), n_targets))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            x = batch_of([sequences[i] for i in part], config, kind, evidence)
            proba[part] = proba_of(forward(x), config["head"], scaling)
        return proba

    return model_class(about, network_proba, index)


def evidence_in(folder: Path) -> Arrays | None:
    """Return the n-gram evidence of a model folder, None if its network reads none."""
    file = folder / EVIDENCE
    return arrays_of(file) if file.exists() else None


def arrays_of(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file that was written with `np.savez`."""
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def _load_network(file: Path) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    return keras.models.load_model(file, compile=False)


def _forward_of_keras(model: Any, config: Mapping[str, Any]) -> Forward:
    # Not `predict`, which prints, nor a call, which runs each step from Python.
    return lambda x: np.asarray(model.predict_on_batch(x))
