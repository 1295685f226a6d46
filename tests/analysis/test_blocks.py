import math

import numpy as np
import pytest

from lstm_bench.analysis.bootstrap import (
    block_length,
    example_scores,
    seeds_and_windows_interval,
    windows_interval,
)


def test_block_length_covers_overlapping_targets():
    origins = np.arange(0, 27 * 13, 13)
    assert block_length(origins, 13) == 3
    assert block_length(origins, 26) == 3
    assert block_length(origins, 65) == 5
    # Windows of several series at one origin do not make more origins.
    assert block_length(np.repeat(origins, 50), 65) == 5


def test_windows_interval_has_the_standard_error_of_the_block_bootstrap():
    rng = np.random.default_rng(0)
    x = rng.normal(size=30).cumsum()
    origin, block = np.arange(30) * 2, 3
    starts = rng.integers(30, size=(40_000, 10))
    places = (starts[:, :, None] + np.arange(block)).reshape(-1, 30) % 30
    resampled = x[places].mean(axis=1).std() * math.sqrt(30 / 27)
    interval = windows_interval(x, origin, block)
    # t with 9 degrees of freedom
    assert (interval.high - interval.low) / 2 == pytest.approx(
        2.2622 * resampled, rel=0.02
    )


def test_windows_interval_covers_95_percent_of_overlapping_windows():
    rng, n_inside = np.random.default_rng(1), 0
    for _ in range(500):
        e = rng.normal(size=61)
        interval = windows_interval(e[1:] + e[:-1], np.arange(60), 4)
        n_inside += interval.low <= 0 <= interval.high
    assert 0.92 <= n_inside / 500 <= 0.98


def test_windows_interval_counts_origins_and_not_series():
    rng = np.random.default_rng(2)
    by_origin = rng.normal(size=20)
    one = windows_interval(by_origin, np.arange(20), 2)
    many = windows_interval(np.repeat(by_origin, 50), np.repeat(np.arange(20), 50), 2)
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_windows_interval_needs_two_blocks():
    assert math.isnan(windows_interval(np.arange(5.0), np.arange(5), 3).low)


def test_seeds_and_windows_interval_is_wider_than_either():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(5, 1)) + rng.normal(size=40)
    origin = np.arange(40)
    both = seeds_and_windows_interval(scores, origin, 4, rng=rng)
    windows = windows_interval(scores.mean(axis=0), origin, 4)
    assert both.low < windows.low
    assert both.high > windows.high
    same = seeds_and_windows_interval(scores[[0, 0, 0]], origin, 4, rng=rng)
    of_one = windows_interval(scores[0], origin, 4)
    assert (same.low, same.high) == pytest.approx((of_one.low, of_one.high), abs=0.02)


def test_example_scores_mase_divides_by_each_scale():
    y, scale = np.array([[1.0, 2.0], [10.0, 20.0]]), np.array([1.0, 10.0])
    scores = example_scores("mase", y, y + np.array([[1, 3], [10, 30]]), scale)
    assert scores.tolist() == [2.0, 2.0]
