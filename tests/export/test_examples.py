"""Random examples for the comparison of exports."""

from __future__ import annotations

import numpy as np

from lstm_bench.export.examples import random_sequences

TOKENS = {
    "kind": "tokens",
    "vocabulary": ["on", "off"],
    "config": {"sequence_length": 9, "vocabulary_size": 50},
}


def test_random_sequences_have_every_length_and_every_id():
    sequences = random_sequences(TOKENS, 90)
    assert {len(s) for s in sequences} == set(range(1, 10))
    assert all(s[0] == 1 and s.dtype == np.int32 for s in sequences)
    rest = np.concatenate([s[1:] for s in sequences])
    # Out of vocabulary, "on" and "off".
    assert set(rest.tolist()) == {2, 4, 5}
    again = random_sequences(TOKENS, 90)
    assert all((a == b).all() for a, b in zip(sequences, again, strict=True))


def test_random_sequences_without_words_have_the_ids_of_the_vocabulary_size():
    sequences = random_sequences(TOKENS | {"vocabulary": []}, 2000)
    ids = set(np.concatenate(sequences).tolist())
    assert ids == {1, 2, *range(4, 50)}


def test_random_vectors_have_the_channels():
    config = {"sequence_length": 4}
    about = {"kind": "vectors", "channels": ["x", "y"], "config": config}
    sequences = random_sequences(about, 8)
    assert {s.shape for s in sequences} == {(n, 2) for n in range(1, 5)}
    assert sequences[0].dtype == np.float32
