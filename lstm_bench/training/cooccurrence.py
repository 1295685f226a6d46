"""Word vectors from the training sequences alone: which words stand near each other.

Words that stand near the same words get similar vectors: the count of each pair within
`WINDOW` words of each other, weighted by the reciprocal of their distance, becomes its
positive pointwise mutual information, and a singular value decomposition makes vectors
of the matrix. The labels are not read.

References
----------
Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", NeurIPS
2014, for the decomposition; Levy, Goldberg and Dagan, "Improving Distributional
Similarity with Lessons Learned from Word Embeddings", TACL 3, 2015, for the smoothed
contexts and the square root of the singular values; Pennington, Socher and Manning,
"GloVe", EMNLP 2014, for the weight of a distance.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array
from lstm_bench.data.dataset import Sequences, sequences_digest
from lstm_bench.inference import (
    INDEX_FROM,
    OUT_OF_VOCABULARY,
    Arrays,
    blocks_of,
    capped,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.fitted import fitted_once

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WINDOW = 5
SMOOTHING = 0.75
"""Exponent of the contexts' counts, which makes rare contexts count for less."""
STANDARD_DEVIATION = 0.2
"""Of the numbers of all vectors."""

# Part of the cache key: increase it when the vectors change.
_FORMAT = 1


def fit_cooccurrence(
    train: Sequences,
    config: TrialConfig,
    seed: int,
    on_wait: Callable[[], None] = lambda: None,
) -> tuple[npt.NDArray[np.int32], Float32Array]:
    """Fit the vectors of a model's words, or read an earlier fit from the cache.

    Parameters
    ----------
    train : Sequences
        Of tokens, each read whole.
    config : TrialConfig
        `vocabulary_size` says which words have vectors, `embedding_dim` their length.
    seed : int
        Of the decomposition, which begins with random vectors.
    on_wait : callable
        Called about every second while another process fits the same; may raise.

    Returns
    -------
    ids : int32 ndarray of shape (n_rows,)
        Token ids below `vocabulary_size` of the words that stand near others.
    vectors : float32 ndarray of shape (n_rows, n_numbers)
        `n_numbers` is `embedding_dim`, or the number of words if there are fewer.
    """
    size, dim = config.vocabulary_size, config.embedding_dim
    version = importlib.metadata.version("scikit-learn")
    key = f"format {_FORMAT}\n{version}\n{size}\n{dim}\n{seed}\n"
    fitted = fitted_once(
        "cooccurrence",
        (key + sequences_digest(train)).encode(),
        lambda: _fit(train, size, dim, seed),
        on_wait,
    )
    return fitted["ids"], fitted["vectors"]


def _fit(train: Sequences, size: int, dim: int, seed: int) -> Arrays:
    from sklearn.utils.extmath import randomized_svd

    near = _near(train, size)
    ids = np.flatnonzero(near.sum(axis=0))
    if not len(ids):
        return {"ids": ids.astype(np.int32), "vectors": np.zeros((0, dim), np.float32)}
    near = near[ids][:, ids].tocoo()
    total = np.asarray(near.sum(axis=1)).ravel()
    context = total**SMOOTHING
    information = np.log(
        near.data * context.sum() / (total[near.row] * context[near.col])
    )
    near.data = np.maximum(information, 0)
    left, singular, _ = randomized_svd(
        near.tocsr(), n_components=min(dim, len(ids)), random_state=seed
    )
    vectors = left * np.sqrt(singular)
    spread = vectors.std()
    if spread > 0:
        vectors *= STANDARD_DEVIATION / spread
    return {"ids": ids.astype(np.int32), "vectors": vectors.astype(np.float32)}


def _near(train: Sequences, size: int) -> csr_matrix:
    """Return a matrix of shape (size, size): how near each pair of words stands.

    The sum of 1 / distance over the places where they are within `WINDOW` words.
    """
    from scipy.sparse import csr_matrix

    near = csr_matrix((size, size))
    gap = np.full(WINDOW, OUT_OF_VOCABULARY)
    for block in blocks_of(train):
        parts = [part for ids in block for part in (capped(ids, size), gap)]
        tokens = np.concatenate(parts)
        firsts, seconds, weights = [], [], []
        for distance in range(1, WINDOW + 1):
            first, second = tokens[:-distance], tokens[distance:]
            is_pair = (first > INDEX_FROM) & (second > INDEX_FROM)
            firsts.append(first[is_pair])
            seconds.append(second[is_pair])
            weights.append(np.full(is_pair.sum(), 1 / distance))
        pairs = (np.concatenate(firsts), np.concatenate(seconds))
        near += csr_matrix((np.concatenate(weights), pairs), shape=near.shape)
    return near + near.T
