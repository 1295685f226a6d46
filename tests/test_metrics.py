import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from lstm_bench.metrics import (
    METRICS,
    accuracy,
    brier_score_loss,
    evaluate,
    follows_shares,
    log_loss,
    merge_ties,
    metrics_of,
)

CLASSES = "classification"
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


def test_brier_score_loss_of_two_classes_is_that_of_scikit_learn():
    # The squared error of one class's probability; the sum over both is 1.32 / 4.
    expected = (0.01 + 0.04 + 0.36 + 0.25) / 4
    assert brier_score_loss(Y, PROBA) == pytest.approx(expected)
    theirs = sklearn_metrics.brier_score_loss(Y, PROBA[:, 1])
    assert brier_score_loss(Y, PROBA) == pytest.approx(theirs)


def test_brier_score_loss_of_three_classes_is_the_sum_over_them():
    y, proba = np.array([0, 2]), np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    # 0.09 + 0.04 + 0.01, and 0.25 + 0.25 + 1.
    assert brier_score_loss(y, proba) == pytest.approx((0.14 + 1.5) / 2)
    theirs = sklearn_metrics.brier_score_loss(y, proba, labels=[0, 1, 2])
    assert brier_score_loss(y, proba) == pytest.approx(theirs)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m.name)
def test_bounds_hold_for_the_best_and_the_worst_prediction(metric):
    low, high = metric.bounds
    y = np.array([0, 1])
    for proba in (np.eye(2), np.eye(2)[::-1]):
        assert low <= metric.fn(y, proba) <= high
    assert metric.difference_bounds == (low - high, high - low)


def test_merge_ties_makes_equal_what_differs_by_rounding():
    values = np.array([0.5, 0.1 + 0.2, np.nan, 0.3, 0.3 + 1e-9, np.inf])
    merged = merge_ties(values)
    assert merged[1] == merged[3] == 0.3
    assert merged[[0, 4, 5]].tolist() == [0.5, 0.3 + 1e-9, np.inf]
    assert np.isnan(merged[2])
    assert merge_ties(np.array([])).tolist() == []


def test_scores_are_compared_up_to_rounding_wherever_one_is_chosen():
    up, down = METRICS["accuracy"], METRICS["log_loss"]
    assert not up.is_better(0.1 + 0.2, 0.3)
    assert up.is_better(0.3 + 1e-9, 0.3)
    assert down.is_better(0.3, np.inf)
    scores = [0.3, 0.1 + 0.2, 0.5, np.nan]
    # The first of two that tie comes first; NaN is last.
    assert up.order(scores).tolist() == [2, 0, 1, 3]
    assert down.order(scores[::-1]).tolist() == [2, 3, 1, 0]
    assert up.ranks(scores[:3]).tolist() == [2, 2, 1]
    assert down.ranks(scores[:3]).tolist() == [1, 1, 3]


def test_roc_auc_is_the_share_of_pairs_in_order():
    # Positives 0.8, 0.4 against negatives 0.1, 0.5: 3 of 4 pairs are in order.
    assert METRICS["roc_auc"].fn(Y, PROBA) == pytest.approx(0.75)


@pytest.mark.parametrize("metric", metrics_of(CLASSES).values(), ids=lambda m: m.name)
def test_every_metric_prefers_the_better_prediction(metric):
    good = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.8, 0.2]])
    assert metric.is_better(metric.fn(Y, good), metric.fn(Y, good[:, ::-1]))


def test_evaluate_gives_every_metric():
    assert set(evaluate(Y, PROBA, CLASSES)) == set(metrics_of(CLASSES))


def test_macro_averages_are_over_the_classes_that_occur():
    # Class 2 has no example; one of class 0 is taken for it.
    y_true = np.array([0, 0, 1, 1])
    y_proba = np.array(
        [[0.8, 0.1, 0.1], [0.3, 0.2, 0.5], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]
    )
    scores = evaluate(y_true, y_proba, CLASSES)
    assert scores["balanced_accuracy"] == 0.5
    # Class 0: 0.8, 0.3 against 0.2, 0.6: 3 of 4 pairs; class 1: 0.7, 0.3 against 0.1,
    # 0.2: 4 of 4.
    assert scores["roc_auc"] == pytest.approx((0.75 + 1) / 2)
    # Precision at each found example of class 0: 1 and 2/3; of class 1: 1 and 1.
    assert scores["pr_auc"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)


def test_roc_auc_of_examples_of_one_class_is_not_a_number():
    assert np.isnan(METRICS["roc_auc"].fn(Y * 0, PROBA))
    assert np.isnan(METRICS["roc_auc"].fn(Y * 0, np.full((4, 3), 1 / 3)))


def test_areas_of_many_classes_are_scikit_learns():
    rng = np.random.default_rng(0)
    y_true = np.arange(200) % 5
    # Rounded, so that many are equal.
    y_proba = rng.dirichlet(np.ones(5), size=200).round(1)
    y_proba[:, 0] += 1 - y_proba.sum(axis=1)
    scores = evaluate(y_true, y_proba, CLASSES)
    assert scores["roc_auc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(y_true, y_proba, multi_class="ovr")
    )
    assert scores["pr_auc"] == pytest.approx(
        sklearn_metrics.average_precision_score(np.eye(5)[y_true], y_proba)
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", metrics_of(CLASSES))
def test_a_metric_follows_shares_if_a_lost_small_class_hardly_changes_it(
    name, n_classes
):
    # The first class has 2 % of the examples, the others equally many.
    y = (
        np.array([0] * 6 + [1, 2] * 147)
        if n_classes == 3
        else np.repeat([0, 1], [6, 294])
    )
    right = np.full((len(y), n_classes), 0.1 / (n_classes - 1))
    right[np.arange(len(y)), y] = 0.9
    lost = np.where((y == 0)[:, None], right[6], right)
    change = abs(METRICS[name].fn(y, right) - METRICS[name].fn(y, lost))
    assert (change < 0.1) == follows_shares(name, n_classes)


def test_metrics_of_numbers_are_scikit_learns():
    rng = np.random.default_rng(1)
    y_true = rng.normal(5, [1, 10], (50, 2))
    y_pred = y_true + rng.normal(0.3, [0.5, 2], (50, 2))
    scores = evaluate(y_true, y_pred, "regression")
    assert set(scores) == {"mse", "rmse", "mae", "r2"}
    mse = sklearn_metrics.mean_squared_error(y_true, y_pred)
    assert scores["mse"] == pytest.approx(mse)
    assert scores["rmse"] == pytest.approx(math.sqrt(mse))
    mae = sklearn_metrics.mean_absolute_error(y_true, y_pred)
    assert scores["mae"] == pytest.approx(mae)
    assert scores["r2"] == pytest.approx(sklearn_metrics.r2_score(y_true, y_pred))


@pytest.mark.parametrize(
    "metric", metrics_of("regression").values(), ids=lambda m: m.name
)
def test_every_metric_of_numbers_prefers_the_better_prediction(metric):
    y_true = np.array([[1.0], [2.0], [4.0]])
    near, far = (metric.fn(y_true, y_true + d) for d in (0.5, -1.5))
    assert metric.is_better(near, far)
    low, high = metric.bounds
    assert low <= min(near, far) and max(near, far) <= high
    exact = metric.fn(y_true, y_true)
    assert exact == (1.0 if metric.higher_is_better else 0.0)


def test_r2_of_a_constant_is_not_a_number():
    y_true = np.array([[3.0], [3.0]])
    assert np.isnan(METRICS["r2"].fn(y_true, y_true + 1))
