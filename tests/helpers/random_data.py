"""Random scores and examples for tests of statistics."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lstm_bench.analysis.intervals import Interval

# Scores with three decimals, so that ties and equal differences come up.
SCORE = st.integers(0, 1000).map(lambda k: k / 1000)
SCORES = st.lists(SCORE, min_size=2, max_size=6)
PAIRS = st.lists(st.tuples(SCORE, SCORE), min_size=2, max_size=6)
MARGIN = st.sampled_from([0.0, 0.005, 0.1])


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def two_classes(p_of_class_1: np.ndarray) -> np.ndarray:
    return np.column_stack([1.0 - p_of_class_1, p_of_class_1])


def holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def random_examples(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Give classes and probabilities that a decent model could have."""
    rng = rng_of(seed)
    y_true = rng.integers(2, size=n)
    logits = 2.0 * (2 * y_true - 1) + 2.0 * rng.standard_normal(n)
    return y_true, two_classes(1.0 / (1.0 + np.exp(-logits)))
