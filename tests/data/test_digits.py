"""scikit-learn's digits as series of rows and of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from lstm_bench.data.registry import load_dataset


@pytest.mark.parametrize(("step", "shape"), [("row", (8, 8)), ("pixel", (64, 1))])
def test_the_halves_are_those_of_scikit_learns_example(step: str, shape: tuple):
    data = load_dataset("digits", {"step": step})
    images, y = load_digits(return_X_y=True)
    halves = train_test_split(images, y, test_size=0.5, shuffle=False)
    for part, x, labels in (
        (data.train, halves[0], halves[2]),
        (data.test, halves[1], halves[3]),
    ):
        assert len(part) == len(x)
        assert part.y.tolist() == labels.tolist()
        for i in (0, len(x) - 1):
            np.testing.assert_array_equal(part[i], x[i].reshape(shape))
    assert len(data.channels) == shape[1]
    assert data.class_names == tuple("0123456789")
