"""Encode sequences for a model: vocabulary size, length, truncation, padding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import OUT_OF_VOCABULARY, Sequences, places
from lstm_bench.suites.config import TrialConfig


def encode(
    sequences: Sequences, config: TrialConfig
) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Cap the vocabulary, truncate and pad as `config` specifies.

    Returns
    -------
    x : int32 ndarray of shape (n_sequences, sequence_length)
        0 where padded; ids of ``vocabulary_size`` and above become 2.
    lengths : int64 ndarray of shape (n_sequences,)
        Number of remaining tokens of each sequence.
    """
    limit = config.sequence_length
    lengths = np.minimum(sequences.lengths, limit)
    column = np.arange(limit)
    if config.padding == "post":
        is_token = column < lengths[:, None]
    else:
        is_token = column >= limit - lengths[:, None]
    starts = sequences.starts
    if config.truncating == "pre":
        starts = sequences.stops - lengths
    # Row-major order of the True elements is the order of the remaining tokens.
    ids = sequences.tokens[places(starts, lengths)]
    x = np.zeros((len(sequences), limit), np.int32)
    x[is_token] = np.where(ids < config.vocabulary_size, ids, OUT_OF_VOCABULARY)
    return x, lengths
