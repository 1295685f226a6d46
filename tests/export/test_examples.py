"""Random examples for the comparison of exports."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.export.examples import examples_of, inputs_of, random_sequences
from lstm_bench.suites.suite import load_suite
from lstm_bench.training.prepare import prepare

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


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        ("words", ["on \ue000 off", ""]),
        ("characters", ["on\ue000off", ""]),
        ("categories", [["on", "\ue000", "off"], []]),
    ],
)
def test_inputs_are_the_words_of_ids(tokenizer, expected):
    sequences = [np.array([1, 4, 2, 5], np.int32), np.array([1], np.int32)]
    assert inputs_of(TOKENS | {"tokenizer": tokenizer}, sequences) == expected


def test_inputs_are_vectors_before_scaling():
    scaling = {"mean": [1.0, 2.0], "std": [2.0, 4.0]}
    about = {"kind": "vectors", "scaling": scaling}
    sequences = [np.array([[0.0, 1.0], [-1.0, 0.5]], np.float32)]
    assert inputs_of(about, sequences) == [[[1.0, 6.0], [-1.0, 4.0]]]


def test_examples_are_those_of_validation(tiny_suite):
    examples = examples_of(TOKENS | {"replicate": 2}, tiny_suite, None)
    val = prepare(tiny_suite, None).at(2).splits.val
    assert examples.what == f"{len(val)} validation examples"
    pairs = zip(examples.sequences, val, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_examples_are_random_where_the_data_would_be_downloaded(monkeypatch):
    monkeypatch.delenv("LSTM_BENCH_DATA", raising=False)
    examples = examples_of(TOKENS, load_suite("imdb_small"), None)
    assert len(examples.sequences) == 256
    assert examples.what == (
        "256 random sequences of 1 to 9 steps (seed 0; no --data-dir is given)"
    )


def test_examples_are_random_where_the_data_are_missing(tmp_path):
    examples = examples_of(TOKENS, load_suite("imdb_small"), tmp_path)
    assert examples.what.startswith("256 random sequences of 1 to 9 steps (seed 0; ")
    assert "aclImdb" in examples.what
