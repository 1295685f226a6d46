"""Examples on which an exported model is compared with the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstm_bench.data.dataset import VECTORS, Values
from lstm_bench.inference import INDEX_FROM, START
from lstm_bench.seeding import derive_rng

N_EXAMPLES = 256
SEED = 0
"""Root of the seed named ``export`` of random examples."""

LONGEST_BASELINE = 200


def random_sequences(about: Mapping[str, Any], n: int = N_EXAMPLES) -> list[Values]:
    """Return random sequences of every length that a model reads.

    Parameters
    ----------
    about : mapping
        The content of a model folder's ``about.json``.
    n : int
        Number of sequences. Their lengths go in equal steps from 1 to
        ``sequence_length`` (for a baseline to 200).

    Returns
    -------
    list of ndarray
        Token ids that begin with the start token, each of the vocabulary's words and
        "out of vocabulary" equally probable; or standard normal vectors.
    """
    rng = derive_rng(SEED, "export")
    config = about["config"]
    longest = config["sequence_length"] if config else LONGEST_BASELINE
    lengths = np.linspace(1, longest, n).round().astype(int)
    if about["kind"] == VECTORS:
        shape = len(about["channels"])
        return [rng.normal(size=(k, shape)).astype(np.float32) for k in lengths]
    n_ids = INDEX_FROM + 1 + len(about["vocabulary"])
    if config and not about["vocabulary"]:
        n_ids = config["vocabulary_size"]
    # 3 is no word's id.
    ids = np.setdiff1d(np.arange(START + 1, n_ids), [INDEX_FROM])
    return [
        np.concatenate([[START], rng.choice(ids, k - 1)]).astype(np.int32)
        for k in lengths
    ]
