"""Tests of `lstm_bench.analysis.budget`, by hand, against SciPy and simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_data import SCORE, rng_of

from lstm_bench.analysis import budget


def test_expected_best_by_hand():
    # Of two draws from 1, 2, 3 the larger is 1, 2, 3 in 1, 3, 5 of 9 cases: 22 / 9;
    # of three in 1, 7, 19 of 27: 72 / 27.
    assert budget.expected_best([3, 1, 2], True) == pytest.approx([2, 22 / 9, 72 / 27])
    assert budget.expected_best([3, 1, 2], False) == pytest.approx(
        [2, 4 - 22 / 9, 4 - 72 / 27]
    )
    # Ties: the larger of two draws from 0, 1, 1 is 0 in 1 of 9 cases.
    assert budget.expected_best([0, 1, 1], True)[1] == pytest.approx(8 / 9)


@pytest.mark.parametrize("n", [2, 39, 40, 41, 1000])
def test_expected_best_of_many_trials_leaves_nothing_out(n):
    values = np.random.default_rng(n).normal(size=n)
    shares = (np.arange(n + 1) / n)[:, np.newaxis] ** np.arange(1, n + 1)
    direct = np.sort(values) @ np.diff(shares, axis=0)
    assert budget.expected_best(values, True) == pytest.approx(direct, rel=1e-12)


def test_expected_best_is_what_drawing_trials_gives():
    values = rng_of(0).random(12)
    drawn = rng_of(1).choice(values, size=(40_000, 5)).min(axis=1)
    expected = budget.expected_best(values, False)[4]
    assert drawn.mean() == pytest.approx(expected, abs=5 * drawn.std() / 200)


@given(st.lists(SCORE, min_size=1, max_size=30), st.booleans())
def test_expected_best_rises_from_the_mean_and_never_passes_the_best(values, higher):
    curve = budget.expected_best(values, higher)
    sign = 1 if higher else -1
    assert curve[0] == pytest.approx(np.mean(values))
    assert (sign * np.diff(curve) >= -1e-12).all()
    assert sign * curve[-1] <= max(sign * v for v in values)
    assert budget.expected_best(values[::-1], higher).tolist() == curve.tolist()


@given(st.lists(SCORE, min_size=2, max_size=15), st.booleans())
@settings(max_examples=30, deadline=None)
def test_expected_best_interval_holds_the_curve(values, higher):
    low, high = budget.expected_best_interval(
        values, higher, rng=rng_of(0), n_resamples=40
    )
    curve = budget.expected_best(values, higher)
    assert (low <= curve).all() and (curve <= high).all()
    assert low.min() >= min(values) - 1e-12 and high.max() <= max(values) + 1e-12


def test_expected_best_interval_of_one_draw_is_that_of_the_mean():
    values = rng_of(0).normal(size=60)
    low, high = budget.expected_best_interval(values, True, rng=rng_of(1))
    half = 1.96 * values.std() / math.sqrt(60)
    assert (low[0], high[0]) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.15 * half
    )
    single = budget.expected_best_interval([0.5], True, rng=rng_of(1))
    assert np.isnan(single).all() and single[0].shape == (1,)


def test_budget_that_paid():
    curve = [0.5, 0.75, 0.79, 0.81]
    # 0.81 - 0.79 is the tolerance itself, but for rounding.
    assert budget.budget_that_paid(curve, 0.02) == 3
    assert budget.budget_that_paid([-v for v in curve], 0.02) == 3
    assert budget.budget_that_paid(curve, 0.0) == 4
    assert budget.budget_that_paid(curve, 1.0) == 1
    assert budget.budget_that_paid([0.7, 0.7], 0.0) == 1
