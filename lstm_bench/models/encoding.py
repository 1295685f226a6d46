"""Encode sequences for a model: vocabulary size, length, truncation, padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array, IntArray
from lstm_bench.data.dataset import Sequences, Values, places
from lstm_bench.inference import capped, heads_of
from lstm_bench.suites.config import TrialConfig


@dataclass(frozen=True)
class TokensWithEvidence:
    """Token ids and what is read beside them, which fills an array when it is taken.

    As one array it would be as large as all padding times the numbers of a token.

    Attributes
    ----------
    tokens : int32 ndarray of shape (n_sequences, sequence_length)
        0 where padded.
    values : float32 ndarray of shape (n_steps, n_values)
        Of all steps that are no padding.
    starts, lengths : int64 ndarray of shape (n_sequences,)
        Where each sequence's first step is in `values`, and its number of steps.
    """

    tokens: npt.NDArray[np.int32]
    values: Float32Array
    starts: IntArray
    lengths: IntArray

    @classmethod
    def of(
        cls,
        tokens: npt.NDArray[np.int32],
        lengths: IntArray,
        kept: IntArray,
        sequences: Sequences,
    ) -> TokensWithEvidence:
        """Take the evidence of the steps of `sequences` that are `kept`."""
        evidence = sequences.evidence
        if evidence is None:
            raise ValueError("expected sequences with evidence, got none")
        moved = np.repeat(evidence.starts - sequences.starts, lengths)
        starts = np.cumsum(lengths) - lengths
        return cls(tokens, evidence.values[kept + moved], starts, lengths)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the array that it stands for."""
        n, length = self.tokens.shape
        return n, length, self.values.shape[1] + 1

    def __getitem__(self, key: Any) -> Float32Array:
        """Return some rows, and of these some columns, which include all their steps.

        Returns
        -------
        float32 ndarray of shape (n_rows, n_columns, n_values + 1)
            The last number of a step is its token's id, 0 where padded.
        """
        rows = key[0] if isinstance(key, tuple) else key
        tokens = self.tokens[key]
        x = np.zeros((*tokens.shape, self.values.shape[1] + 1), np.float32)
        steps = places(self.starts[rows], self.lengths[rows])
        x[tokens != 0, :-1] = self.values[steps]
        x[:, :, -1] = tokens
        return x


def encode(
    sequences: Sequences, config: TrialConfig
) -> tuple[Values | TokensWithEvidence, IntArray]:
    """Cap the vocabulary, truncate and pad as `config` specifies.

    As `inference.batch_of`, for all sequences at once.

    Returns
    -------
    x : ndarray
        Token ids: int32 of shape (n_sequences, sequence_length), 0 where padded; ids of
        ``vocabulary_size`` and above become 2. Vectors: float32 of shape (n_sequences,
        sequence_length, n_channels + 1), whose last channel is 1 at a step and 0 where
        padded. Of a configuration with ``ngram_evidence``, what gives such vectors.
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
    # Row-major order of the True elements is the order of the remaining steps.
    kept = places(starts.ravel(), np.column_stack([first, last]).ravel())
    values = sequences.at(kept)
    if values.ndim == 2:
        vectors = np.zeros((len(sequences), limit, values.shape[1] + 1), np.float32)
        vectors[is_step, :-1] = values
        vectors[is_step, -1] = 1.0
        return vectors, lengths
    ids = capped(values, config.vocabulary_size)
    x = np.zeros((len(sequences), limit), np.int32)
    x[is_step] = ids
    if config.ngram_evidence:
        return TokensWithEvidence.of(x, lengths, kept, sequences), lengths
    return x, lengths
