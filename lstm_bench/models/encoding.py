"""Encode sequences for a model: vocabulary size, length, truncation, padding."""

from __future__ import annotations

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Sequences, Values, places
from lstm_bench.inference import OUT_OF_VOCABULARY, heads_of
from lstm_bench.suites.config import TrialConfig


def encode(sequences: Sequences, config: TrialConfig) -> tuple[Values, IntArray]:
    """Cap the vocabulary, truncate and pad as `config` specifies.

    As `inference.batch_of`, for all sequences at once.

    Returns
    -------
    x : ndarray
        Token ids: int32 of shape (n_sequences, sequence_length), 0 where padded; ids of
        ``vocabulary_size`` and above become 2. Vectors: float32 of shape (n_sequences,
        sequence_length, n_channels + 1), whose last channel is 1 at a step and 0 where
        padded.
    lengths : int64 ndarray of shape (n_sequences,)
        Number of remaining steps of each sequence.
    """
    limit = config.sequence_length
    lengths = np.minimum(sequences.lengths, limit)
    column = np.arange(limit)
    if config.padding == "post":
        is_step = column < lengths[:, None]
    else:
        is_step = column >= limit - lengths[:, None]
    # Two runs of each sequence: its first steps, and its last.
    first = np.minimum(lengths, heads_of(limit, config.truncating))
    last = lengths - first
    starts = np.column_stack([sequences.starts, sequences.stops - last])
    runs = places(starts.ravel(), np.column_stack([first, last]).ravel())
    # Row-major order of the True elements is the order of the remaining steps.
    values = sequences.at(runs)
    if values.ndim == 2:
        vectors = np.zeros((len(sequences), limit, values.shape[1] + 1), np.float32)
        vectors[is_step, :-1] = values
        vectors[is_step, -1] = 1.0
        return vectors, lengths
    ids = np.where(values < config.vocabulary_size, values, OUT_OF_VOCABULARY)
    x = np.zeros((len(sequences), limit), np.int32)
    x[is_step] = ids
    return x, lengths
