"""What is fitted on a split's training sequences: vocabulary, or scaling; targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lstm_bench.data.dataset import (
    VECTORS,
    Dataset,
    Scaling,
    Sequences,
    TargetScaling,
    Vocabulary,
    value_blocks,
)
from lstm_bench.inference import INDEX_FROM, OUT_OF_VOCABULARY


def preprocessed(dataset: Dataset, train: Sequences) -> Sequences:
    """Return `train` with the vocabulary or scaling, and targets' scaling, of its own.

    Parameters
    ----------
    train : Sequences
        The training sequences of a split of `dataset`, as stored.
    """
    fitted, targets = fit_preprocessing(dataset, train), None
    if dataset.is_numeric:
        targets = _fit_targets(train)
    return replace(train, fitted=fitted, target_scaling=targets)


def fit_preprocessing(
    dataset: Dataset, train: Sequences
) -> Vocabulary | Scaling | None:
    """Fit the vocabulary or the scaling of `train`.

    Parameters
    ----------
    train : Sequences
        The training sequences of a split of `dataset`, as stored.

    Returns
    -------
    Vocabulary, Scaling or None
        None for datasets whose ids come with the data.
    """
    if dataset.kind == VECTORS:
        if dataset.scales_channels:
            return _fit_scaling(train)
        n_channels = len(dataset.channels)
        return Scaling(
            np.zeros(n_channels, np.float32), np.ones(n_channels, np.float32)
        )
    return _fit_vocabulary(dataset, train) if dataset.fits_vocabulary else None


def _fit_vocabulary(dataset: Dataset, train: Sequences) -> Vocabulary:
    n_ids = INDEX_FROM + 1 + len(dataset.vocabulary)
    counts = np.zeros(n_ids, np.int64)
    for values in value_blocks(train):
        counts += np.bincount(values, minlength=n_ids)
    counts[: INDEX_FROM + 1] = 0
    # Stable: equally frequent words keep the dataset's order.
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    ids = np.full(n_ids, OUT_OF_VOCABULARY, np.int32)
    ids[:INDEX_FROM] = np.arange(INDEX_FROM)
    ids[order] = INDEX_FROM + 1 + np.arange(len(order))
    words = tuple(dataset.vocabulary[i - INDEX_FROM - 1] for i in order)
    return Vocabulary(words, ids)


def _fit_targets(train: Sequences) -> TargetScaling:
    y = train.y if train.units is None else train.units.scaled(train.y)
    mean, std = y.mean(axis=0), y.std(axis=0)
    # As for channels: a constant output's rounding is not blown up.
    std[std <= 1e-12 * np.abs(mean)] = 1.0
    std[std == 0.0] = 1.0
    return TargetScaling(mean, std)


def _fit_scaling(train: Sequences) -> Scaling:
    n_channels = train.values.shape[1]
    total, squares = np.zeros(n_channels), np.zeros(n_channels)
    n_steps = int(train.lengths.sum())
    for values in value_blocks(train):
        total += values.sum(axis=0, dtype=np.float64)
    mean = total / n_steps
    for values in value_blocks(train):
        squares += ((values - mean) ** 2).sum(axis=0)
    std = np.sqrt(squares / n_steps)
    # A constant channel stays zero; its rounding is not blown up.
    std[std <= 1e-6 * np.abs(mean)] = 1.0
    std[std == 0.0] = 1.0
    return Scaling(mean.astype(np.float32), std.astype(np.float32))
