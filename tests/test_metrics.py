import math

import numpy as np
import pytest

from lstm_bench.metrics import METRICS, accuracy, brier, evaluate_proba, log_loss

Y = np.array([0, 1, 1, 0])
PROBA = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])


def test_accuracy_counts_a_tie_as_the_first_class():
    assert accuracy(Y, PROBA) == 0.75


def test_log_loss_is_the_mean_negative_log_probability():
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.4) + math.log(0.5)) / 4
    assert log_loss(Y, PROBA) == pytest.approx(expected)


def test_log_loss_of_a_certain_error_is_finite():
    assert log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(
        -math.log(1e-7)
    )


def test_brier_is_the_mean_squared_distance():
    assert brier(Y, PROBA) == pytest.approx((0.02 + 0.08 + 0.72 + 0.5) / 4)


def test_roc_auc_is_the_share_of_pairs_in_order():
    # Positives 0.8, 0.4 against negatives 0.1, 0.5: 3 of 4 pairs are in order.
    assert METRICS["roc_auc"].fn(Y, PROBA) == pytest.approx(0.75)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m.name)
def test_every_metric_prefers_the_better_prediction(metric):
    good = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.8, 0.2]])
    assert metric.is_better(metric.fn(Y, good), metric.fn(Y, good[:, ::-1]))


def test_evaluate_gives_every_metric():
    assert set(evaluate_proba(Y, PROBA)) == set(METRICS)
