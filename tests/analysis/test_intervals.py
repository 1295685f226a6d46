"""Tests of `lstm_bench.analysis.intervals`, by hand, against SciPy and simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_data import SCORES, holds, rng_of
from scipy import stats

from lstm_bench.analysis.intervals import (
    geometric_mean_interval,
    mean_interval,
    newcombe_interval,
    wilson_interval,
)


def test_mean_interval_of_one_two_three():
    # Mean 2, sd 1, standard error 1 / sqrt(3), t(0.975; 2) = 4.302653.
    interval = mean_interval([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert interval.estimate == 2.0
    assert interval.low == pytest.approx(2.0 - half, rel=1e-6)
    assert interval.high == pytest.approx(2.0 + half, rel=1e-6)
    assert interval.n == 3


def test_mean_interval_agrees_with_scipy():
    values = [0.81, 0.84, 0.79, 0.86]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_mean_interval_of_one_seed_has_no_bounds():
    interval = mean_interval([0.8])
    assert interval.estimate == 0.8
    assert math.isnan(interval.low) and math.isnan(interval.high)


@given(SCORES)
def test_mean_interval_holds_the_mean_whatever_the_order(values):
    forward = mean_interval(values)
    backward = mean_interval(values[::-1])
    assert forward.low <= forward.estimate <= forward.high
    assert (forward.low, forward.high) == pytest.approx((backward.low, backward.high))


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_mean_interval_covers_95_percent(n):
    draws = rng_of(n).normal(0.8, 0.01, size=(2000, n))
    covered = np.mean([holds(mean_interval(row), 0.8) for row in draws])
    assert 0.92 <= covered <= 0.98


def test_wilson_interval_of_half_of_one_hundred():
    # z^2 = 3.8415; centre 0.5; half = z / (1 + z^2 / 100)
    # * sqrt(0.25 / 100 + z^2 / 40,000) = 1.88746 * 0.0509516 = 0.0961702.
    low, high = wilson_interval(0.5, 100)
    assert (low, high) == pytest.approx((0.40383, 0.59617), abs=1e-5)


@pytest.mark.parametrize(("k", "n"), [(0, 7), (7, 7), (1, 30), (21_750, 25_000)])
def test_wilson_interval_agrees_with_scipy(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
    assert wilson_interval(k / n, n) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


def test_wilson_interval_of_several_shares_is_each_ones_interval():
    shares = np.array([0.0, 0.5, np.nan, 1.0])
    low, high = wilson_interval(shares, 10)
    each = [wilson_interval(share, 10) for share in shares]
    assert np.array_equal(np.transpose([low, high]), each, equal_nan=True)
    assert np.isnan(wilson_interval(shares, 0)).all()


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_newcombe_interval_gives_the_values_of_its_papers_table_ii(
    a, n_a, b, n_b, low, high
):
    interval = newcombe_interval(a / n_a, n_a, b / n_b, n_b)
    assert interval.estimate == pytest.approx(a / n_a - b / n_b)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)
    mirrored = newcombe_interval(b / n_b, n_b, a / n_a, n_a)
    assert (mirrored.low, mirrored.high) == pytest.approx(
        (-interval.high, -interval.low)
    )


def test_newcombe_interval_is_undefined_without_outcomes():
    interval = newcombe_interval(0.5, 0, 0.5, 10)
    assert interval.estimate == 0.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_wilson_interval_is_undefined_without_outcomes():
    assert all(map(math.isnan, wilson_interval(math.nan, 10)))
    assert all(map(math.isnan, wilson_interval(0.5, 0)))


@given(st.floats(0.0, 1.0), st.floats(1.0, 1e6))
def test_wilson_interval_holds_the_share_and_mirrors_it(share, n):
    low, high = wilson_interval(share, n)
    assert 0.0 <= low <= share <= high <= 1.0
    mirrored = wilson_interval(1.0 - share, n)
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low), abs=1e-9)


@pytest.mark.parametrize(("share", "n"), [(0.85, 60), (0.5, 40), (0.87, 5000)])
def test_wilson_interval_covers_95_percent(share, n):
    counts = rng_of(n).binomial(n, share, size=2000)
    bounds = [wilson_interval(k / n, n) for k in counts]
    covered = np.mean([low <= share <= high for low, high in bounds])
    assert 0.92 <= covered <= 0.98


def test_geometric_mean_of_a_half_and_two_is_one():
    interval = geometric_mean_interval([0.5, 2.0])
    # Logarithms -log 2 and log 2: standard error log 2, t of one degree 12.706.
    assert interval.estimate == pytest.approx(1.0)
    assert interval.low == pytest.approx(2.0 ** -stats.t.ppf(0.975, 1))
    assert interval.high == pytest.approx(2.0 ** stats.t.ppf(0.975, 1))
    assert interval.within(1 / 20, 20).low == 1 / 20
