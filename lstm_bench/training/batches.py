"""Form batches of sequences, and limit how much padding is computed in each."""

from __future__ import annotations

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Values
from lstm_bench.models.encoding import TokensWithEvidence
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.engines import PACKED

WINDOW_BATCHES = 16
"""Batches per length-sorted window: few enough to keep the order random, enough for
the sequences of one batch to be of similar length."""

MIN_EVALUATION_BATCH = 256
MAX_EVALUATION_BATCH = 1024
EVALUATION_TOKENS = 2**18
"""Sequences per evaluation batch, and about how many tokens the packed engine computes
at a time: larger batches needed more memory and were no faster."""


def training_batches(
    lengths: IntArray, config: TrialConfig, rng: np.random.Generator
) -> list[IntArray]:
    """Return one epoch's batches as indices, every sequence once.

    With masking, the shuffled sequences are cut into windows of `WINDOW_BATCHES`
    batches, each window is sorted by length and cut into batches, and the batches
    are shuffled. Without masking, padding is computed in any case and the order is
    simply random.
    """
    n, size = len(lengths), config.batch_size
    order = rng.permutation(n)
    if not config.masking:
        return [order[i : i + size] for i in range(0, n, size)]
    batches = []
    for start in range(0, n, size * WINDOW_BATCHES):
        window = order[start : start + size * WINDOW_BATCHES]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[i : i + size] for i in range(0, len(window), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(
    lengths: IntArray, config: TrialConfig, engine: str
) -> list[IntArray]:
    """Return batches that cover every sequence once, sorted by length with masking.

    The stock engine computes a batch's padding, so its batches are the smallest.
    """
    order = np.arange(len(lengths))
    if config.masking:
        order = np.argsort(lengths, kind="stable")
    size = MIN_EVALUATION_BATCH
    if engine == PACKED:
        n_fit = EVALUATION_TOKENS // config.sequence_length
        size = min(max(size, n_fit), MAX_EVALUATION_BATCH)
    return [order[i : i + size] for i in range(0, len(order), size)]


def take_batch(
    x: Values | TokensWithEvidence,
    lengths: IntArray,
    index: IntArray,
    config: TrialConfig,
) -> Values:
    """Return the rows at `index`, with masking trimmed to the longest of them.

    Parameters
    ----------
    x : ndarray
        Token ids or vectors, as `encode` returns them.
    lengths : int64 ndarray of shape (n,)
    index : int64 ndarray of shape (batch,)

    Returns
    -------
    ndarray
        Of as many steps as the longest row has, without masking of all.
    """
    if not config.masking:
        return x[index]
    longest = max(1, int(lengths[index].max()))
    if config.padding == "post":
        return x[index, :longest]
    return x[index, x.shape[1] - longest :]


def jitter(batch: Values, config: TrialConfig, rng: np.random.Generator) -> Values:
    """Give the first segment of each sequence a random length, by padding before it.

    The length is uniform from half of ``chop_length``, rounded up, to all of it.

    Parameters
    ----------
    batch : ndarray
        From `take_batch`, of a configuration with ``chop_length``.

    Returns
    -------
    ndarray
        With as many more steps as the most padding.
    """
    n, n_steps = batch.shape[:2]
    n_most = (config.chop_length or 0) // 2
    n_before = rng.integers(0, n_most, size=(n, 1), endpoint=True)
    shape = (n, n_steps + int(n_before.max()), *batch.shape[2:])
    moved = np.zeros(shape, batch.dtype)
    moved[np.arange(n)[:, None], n_before + np.arange(n_steps)] = batch
    return moved
