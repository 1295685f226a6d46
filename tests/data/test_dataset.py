"""Datasets: what is shown of a sequence."""

from __future__ import annotations

import numpy as np

from lstm_bench.data.dataset import Dataset, Sequences


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
