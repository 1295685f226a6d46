"""Datasets: what is shown of a sequence."""

from __future__ import annotations

import dataclasses

import numpy as np

from lstm_bench.data.dataset import (
    Dataset,
    Scaling,
    Sequences,
    Vocabulary,
    from_lists,
    joined,
)


def series(values: np.ndarray) -> tuple[Dataset, Sequences]:
    stored = Sequences(values, np.array([0, 1, len(values)]), np.array([0, 1]))
    channels = tuple(map(str, range(values.shape[1])))
    dataset = Dataset(
        *("d", "", stored, stored, ("a", "b"), (), "", ""),
        kind="vectors",
        channels=channels,
    )
    return dataset, stored


def test_thinned_has_the_unscaled_values_with_four_digits():
    values = np.array([[0, 0], [1.23456, -2e-7], [3, 4]], np.float32)
    dataset, stored = series(values)
    assert dataset.thinned(stored, 1) == [[1.235, -2e-7], [3, 4]]


def test_thinned_takes_evenly_spaced_steps_and_channels():
    values = np.add.outer(np.arange(1002), np.arange(100) / 1000).astype(np.float32)
    dataset, stored = series(values)
    few = dataset.thinned(stored, 1, max_steps=5, max_channels=3)
    assert [step[0] for step in few] == [1, 251, 501, 751, 1001]
    assert few[0] == [1, 1.05, 1.099]
    assert len(dataset.thinned(stored, 1)) == 64


def test_joined_has_the_sequences_of_both_as_stored():
    whole = from_lists([[1, 5], [1, 6, 7], [1], [1, 8]], [0, 1, 0, 1])
    double = Vocabulary((), np.arange(0, 20, 2, dtype=np.int32))
    parts = [
        dataclasses.replace(whole.take(np.array(index)), fitted=double)
        for index in ([2, 0], [3])
    ]
    other = from_lists([[1, 9, 9]], [1])
    for second, expected in (
        (parts[1], [[1], [1, 5], [1, 8]]),
        (other, [[1], [1, 5], [1, 9, 9]]),
    ):
        both = joined(parts[0], second)
        assert [both[i].tolist() for i in range(3)] == expected
        assert both.y.tolist() == [0, 0, 1]
        assert both.fitted is None


def test_raw_is_what_a_user_would_give():
    values = np.ones((2, 1), np.float32)
    vectors, stored = series(values)
    scaling = Scaling(np.ones(1, np.float32), np.ones(1, np.float32))
    scaled = dataclasses.replace(stored, fitted=scaling)
    assert vectors.raw(scaled, 0) == [[1.0]]
    sequences = from_lists([[1, 5, 4, 2]], [0])
    words = ("one", "two", "three")
    tokens = dataclasses.replace(vectors, kind="tokens", vocabulary=words)
    for tokenizer, expected in (
        ("words", "two one ?"),
        ("characters", "twoone?"),
        ("categories", ["two", "one", "?"]),
    ):
        named = dataclasses.replace(tokens, tokenizer=tokenizer)
        assert named.raw(sequences, 0) == expected
