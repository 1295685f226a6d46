"""Floating-point operations that a step of one LSTM layer cannot do without.

A multiplication and an addition are two operations. Counted are the matrix products
alone, on real tokens: padding, the gates' functions, the head (2 units operations a
review and output) and the optimizer are left out, so that the
GFLOP/s achieved are not overstated. With T tokens in a batch of n reviews, units H,
features D, and P different inputs to the gates,

    recurrence      2 * H * 4H * (T - n)     h_-1 is zero: a first token needs none
    inputs          2 * D * 4H * P

forward. P is the number of distinct tokens of the batch where all its reviews see the
same embedding, and of distinct pairs of review and token where inputs are dropped in
training, since each review then has a mask of its own.

Training computes the recurrence three times: forward, for the gradient of the state,
and for that of the recurrent kernel. The inputs' product is computed forward, for the
gradient of the kernel (both P), and for that of the embeddings: P times, or, with
``embedding_gradient: per_occurrence``, for each of the T tokens, since the optimizer
squares it at every occurrence before it sums it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from lstm_bench.packed.tiles import CELLS
from lstm_bench.suites.config import PER_OCCURRENCE, TrialConfig

N_GATES = CELLS["lstm"].n_gates


def layer_flop(
    n_tokens: int,
    n_reviews: int,
    n_inputs: int,
    *,
    units: int,
    features: int,
    training: bool,
    per_occurrence: bool,
) -> int:
    """Return the operations of one batch; see the module for the formula."""
    recurrence = 2 * units * N_GATES * units * (n_tokens - n_reviews)
    input_row = 2 * features * N_GATES * units
    if not training:
        return recurrence + input_row * n_inputs
    n_gradients = n_tokens if per_occurrence else n_inputs
    return 3 * recurrence + input_row * (2 * n_inputs + n_gradients)


def batches_flop(
    batches: Iterable[npt.NDArray[np.int32]], config: TrialConfig, training: bool
) -> int:
    """Return the operations of batches of token ids, 0 where padded."""
    by_review = training and config.dropout > 0
    total = 0
    for x in batches:
        is_token = x != 0
        if by_review:
            n_inputs = sum(len(np.unique(row[row != 0])) for row in x)
        else:
            n_inputs = len(np.unique(x[is_token]))
        total += layer_flop(
            int(is_token.sum()),
            int(is_token.any(axis=1).sum()),
            n_inputs,
            units=config.units,
            features=config.embedding_dim,
            training=training,
            per_occurrence=config.embedding_gradient == PER_OCCURRENCE,
        )
    return total
