"""Tests of `lstm_bench.analysis.calibration`, by hand, against SciPy and simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_data import rng_of, two_classes

from lstm_bench.analysis import calibration
from lstm_bench.analysis.intervals import wilson_interval
from lstm_bench.metrics import log_loss


def test_calibration_error_by_hand():
    # Bins of two: confidence 0.6 with one of two right, 0.9 with two of two.
    y_true = np.array([1, 0, 1, 0])
    y_proba = two_classes(np.array([0.6, 0.6, 0.9, 0.1]))
    assert calibration.expected_calibration_error(
        y_true, y_proba, n_bins=2
    ) == pytest.approx(0.1)
    # In one bin accuracy 0.75 meets confidence 0.75.
    assert calibration.expected_calibration_error(
        y_true, y_proba, n_bins=1
    ) == pytest.approx(0.0)


def test_reliability_by_hand():
    y_true = np.array([1, 0, 1, 0])
    y_proba = two_classes(np.array([0.6, 0.6, 0.9, 0.1]))
    result = calibration.reliability(y_true, y_proba, n_bins=2)
    assert result.confidence == pytest.approx([0.6, 0.9])
    assert result.accuracy == pytest.approx([0.5, 1.0])
    assert result.n.tolist() == [2, 2]
    bounds = [wilson_interval(share, 2) for share in (0.5, 1.0)]
    assert list(zip(result.low, result.high, strict=True)) == bounds


def test_bins_hold_equally_many_examples():
    y_proba = two_classes(np.linspace(0.5, 0.99, 32))
    result = calibration.reliability(np.ones(32, dtype=int), y_proba, n_bins=15)
    assert sorted(set(result.n.tolist())) == [2, 3]
    assert result.n.sum() == 32
    # Confidences 0.51, 0.52, ... in bins of two.
    y_proba = two_classes(0.5 + np.arange(1, 31) / 100)
    result = calibration.reliability(np.ones(30, dtype=int), y_proba, n_bins=15)
    assert result.n.tolist() == [2] * 15
    assert result.confidence == pytest.approx(0.515 + 0.02 * np.arange(15))


def test_equal_confidences_share_a_bin():
    y_proba = two_classes(np.full(100, 0.8))
    y_true = np.repeat([1, 0], [70, 30])
    assert calibration.reliability(y_true, y_proba).n.tolist() == [100]
    assert calibration.expected_calibration_error(y_true, y_proba) == pytest.approx(0.1)


def test_few_examples_have_few_bins():
    assert [calibration.bins_for(n) for n in (1, 99, 120, 749, 25_000)] == [
        *(1, 1, 2, 14, 15),
    ]
    # A calibrated model, 120 examples at a time: in bins of 8 chance looks like an
    # error of 0.13, in bins of 60 like one of 0.05.
    rng = rng_of(0)
    found = {n_bins: [] for n_bins in (None, 15)}
    for _ in range(200):
        p = rng.uniform(0.5, 1.0, 120)
        y = (rng.uniform(size=120) < p).astype(int)
        for n_bins, errors in found.items():
            errors.append(
                calibration.expected_calibration_error(y, two_classes(p), n_bins)
            )
    assert np.mean(found[None]) < 0.06
    assert np.mean(found[15]) > 0.1


def test_a_perfect_model_has_no_calibration_error():
    y_true = np.array([0, 1, 1, 0, 1])
    assert calibration.expected_calibration_error(y_true, np.eye(2)[y_true]) == 0.0


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=60),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_calibration_does_not_depend_on_the_order(examples, n_bins, random):
    def error(rows):
        p, y = np.array(rows).T
        return calibration.expected_calibration_error(y, two_classes(p / 20), n_bins)

    first = error(examples)
    shuffled = random.sample(examples, len(examples))
    assert error(shuffled) == first
    assert 0.0 <= first <= 1.0


def test_temperature_by_hand():
    # Always 0.9 sure and right in 6 of 10: 9^(1/T) must be 0.6 / 0.4.
    y_true = np.repeat([1, 0], [6, 4])
    y_proba = two_classes(np.full(10, 0.9))
    temperature = calibration.fit_temperature(y_true, y_proba)
    assert temperature == pytest.approx(math.log(9) / math.log(1.5), rel=1e-4)
    # Square roots of 0.9 and 0.1 are as 3 to 1, squares as 81 to 1.
    one = np.array([[0.9, 0.1]])
    assert calibration.apply_temperature(one, 2.0) == pytest.approx(
        np.array([[0.75, 0.25]])
    )
    assert calibration.apply_temperature(one, 0.5) == pytest.approx(
        np.array([[81 / 82, 1 / 82]])
    )


def test_temperature_of_a_calibrated_model_is_one():
    # Right in 9 of 10 where 0.9 sure, in 6 of 10 where 0.6 sure.
    p = np.repeat([0.9, 0.6], 10)
    y_true = np.repeat([1, 0, 1, 0], [9, 1, 6, 4])
    assert calibration.fit_temperature(y_true, two_classes(p)) == pytest.approx(
        1.0, abs=1e-4
    )
    # Every temperature is alike: leave the model as it is.
    coin = two_classes(np.full(20, 0.5))
    assert calibration.fit_temperature(y_true, coin) == 1.0


def test_temperature_stays_within_bounds():
    y_true = np.ones(10, dtype=int)
    y_proba = two_classes(np.full(10, 0.9))
    # Below a temperature of about 0.06 the loss is 0 within rounding.
    assert 0.05 <= calibration.fit_temperature(y_true, y_proba) < 0.07
    assert calibration.fit_temperature(1 - y_true, y_proba) == pytest.approx(
        20.0, rel=1e-3
    )


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_temperature_undoes_a_scaled_logit(scale):
    rng = rng_of(0)
    logit = rng.normal(0.0, 1.5, 20_000)
    y_true = (rng.random(20_000) < 1.0 / (1.0 + np.exp(-logit))).astype(int)
    y_proba = two_classes(1.0 / (1.0 + np.exp(-scale * logit)))
    temperature = calibration.fit_temperature(y_true, y_proba)
    assert temperature == pytest.approx(scale, rel=0.05)
    scaled = calibration.apply_temperature(y_proba, temperature)
    assert log_loss(y_true, scaled) <= log_loss(y_true, y_proba)


@given(
    st.lists(
        st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=1, max_size=10
    ),
    st.floats(0.05, 20.0),
)
def test_temperature_keeps_the_predictions(weights, temperature):
    y_proba = np.array(weights, dtype=float)
    y_proba /= y_proba.sum(axis=1, keepdims=True)
    scaled = calibration.apply_temperature(y_proba, temperature)
    assert (scaled.argmax(axis=1) == y_proba.argmax(axis=1)).all()
    assert scaled.sum(axis=1) == pytest.approx(np.ones(len(weights)))
    assert calibration.apply_temperature(y_proba, 1.0) == pytest.approx(y_proba)
