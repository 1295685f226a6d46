"""Ensembles: scores of means of predictions, and intervals from disjoint groups."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.ensembles import (
    AGAINST_BASELINE,
    AGAINST_MEMBERS,
    AGAINST_SEEDS,
    AGAINST_SINGLE,
    COLUMNS,
    TABLE,
    WEIGHTS,
    choose_weight,
    divide,
    groups_error,
    make_ensembles,
    weighted_scores,
)
from lstm_bench.analysis.intervals import t_interval
from lstm_bench.metrics import METRICS
from lstm_bench.suites.suite import Suite
from lstm_bench.training.result import Prediction

TEXT = """\
description: Does an ensemble help?
dataset: synthetic
space: {units: [1, 2, 3]}
study: {metric: accuracy}
confirm: {margin: 0.05}
ensemble: {n: 2}
"""
Y_TEST = np.array([1, 1, 1, 1])
Y_VAL = np.array([1, 1, 0, 0])


def make_suite(**changes):
    text = TEXT
    for old, new in changes.items():
        text = text.replace(old, new)
    return Suite("few", text, "few.yaml")


def make_contender(key, test, val, metric="accuracy", origin="search", y_test=Y_TEST):
    """Return a contender whose seeds from 1 have these probabilities of class 1."""
    predictions = {}
    for seed, (p_test, p_val) in enumerate(zip(test, val, strict=True), start=1):
        predictions[seed] = {}
        for split, y_true, p in (("test", y_test, p_test), ("val", Y_VAL, p_val)):
            y_proba = np.column_stack([1.0 - np.array(p), p])
            part = Prediction(split, np.arange(len(y_true)), y_true, y_proba)
            predictions[seed][split] = part
    fn = METRICS[metric].fn
    scores = {
        split: {
            r: fn(p[split].y_true, p[split].y_proba) for r, p in predictions.items()
        }
        for split in ("val", "test")
    }
    return Contender(
        key, key, origin, None, METRICS[metric], scores["val"], scores["test"],
        predictions,
    )  # fmt: skip


VAL = [0.9, 0.9, 0.1, 0.1]
# Each is right twice; their mean (0.65, 0.9, 0.65, 0.45) is right on three.
A = make_contender("a", [[0.9, 0.9, 0.4, 0.45], [0.4, 0.9, 0.9, 0.45]], [VAL, VAL])
# Worse on validation. Seed 2 is sure of the last example, which `a` misses.
WEAK = [0.9, 0.4, 0.1, 0.1]
B = make_contender("b", [[0.1] * 4, [0.4, 0.9, 0.4, 0.9]], [WEAK, WEAK])


def by_kind(frame, kind):
    (row,) = frame[frame["kind"] == kind].to_dict("records")
    return row


def compared(ensembles, family, kind):
    frame = ensembles.comparisons
    rows = frame[(frame["family"] == family) & (frame["kind_a"] == kind)]
    (row,) = rows.to_dict("records")
    return row


def test_divide_gives_groups_without_a_common_seed():
    divisions = divide([1, 2, 3, 4, 5, 6, 7], 3, np.random.default_rng(0))
    assert divisions.shape == (50, 2, 3)
    for division in divisions:
        assert len(np.unique(division)) == 6
    # In the long run every seed is used.
    assert set(np.unique(divisions)) == {1, 2, 3, 4, 5, 6, 7}
    again = divide([1, 2, 3, 4, 5, 6, 7], 3, np.random.default_rng(0))
    assert (divisions == again).all()


def test_divide_of_just_enough_seeds_is_one_group_in_order():
    assert divide([4, 2, 9], 3, np.random.default_rng(0)).tolist() == [[[4, 2, 9]]]


def test_groups_error_is_from_the_mean_variance_within_divisions():
    # Variances 0.005 and 0.02 between two groups; over 2, their mean is 0.00625.
    scores = np.array([[0.8, 0.9], [0.7, 0.9]])
    assert groups_error(scores) == pytest.approx(math.sqrt(0.00625))
    assert math.isnan(groups_error(np.array([[0.8], [0.9]])))


def test_groups_error_of_means_of_scores_is_that_of_the_seeds():
    x = np.array([0.1, 0.5, 0.6, 1.2])
    every = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    scores = np.array([[x[list(g)].mean() for g in division] for division in every])
    assert groups_error(scores) == pytest.approx(x.std(ddof=1) / 2)


def test_groups_error_covers_the_mean_score_of_ensembles_of_other_seeds():
    rng = np.random.default_rng(5)
    easy = rng.normal(0.8, 1.0, 100)

    def seeds(k):
        return easy + rng.normal(0, 1, (k, 100)) + rng.normal(0, 0.4, (k, 1))

    truth = np.mean([(seeds(2).mean(axis=0) > 0).mean() for _ in range(20_000)])
    n_covered, n_repeats = 0, 300
    for _ in range(n_repeats):
        outputs = seeds(4)
        groups = outputs[divide(range(4), 2, rng)]
        scores = (groups.mean(axis=2) > 0).mean(axis=2)
        interval = t_interval(scores.mean(), groups_error(scores), 4)
        n_covered += interval.low <= truth <= interval.high
    # 95 % of 300 is 285; three standard deviations are 11.
    assert n_covered >= 274


def test_weighted_scores_are_those_of_mixtures():
    network = Prediction("val", np.arange(2), np.array([1, 1]), np.eye(2))
    bag = Prediction("val", np.arange(2), np.array([1, 1]), np.array([[0.4, 0.6]] * 2))
    scores = weighted_scores(network, bag, METRICS["brier_score_loss"])
    # Of weight w the probabilities of class 1 are 0.6 w and 1 - 0.4 w.
    w = WEIGHTS
    assert scores == pytest.approx(((1 - 0.6 * w) ** 2 + (0.4 * w) ** 2) / 2)
    # Its minimum is at 0.6 / (0.36 + 0.16), beyond 1.
    assert choose_weight(scores[None], METRICS["brier_score_loss"]) == 1.0


def test_choose_weight_takes_the_best_mean_over_the_members_and_the_least_of_equals():
    scores = np.full((2, len(WEIGHTS)), 0.5)
    scores[0, 3], scores[1, [6, 8]] = 0.7, 0.9
    assert choose_weight(scores, METRICS["accuracy"]) == pytest.approx(0.3)
    assert choose_weight(1 - scores, METRICS["log_loss"]) == pytest.approx(0.3)


def test_an_ensemble_is_scored_by_the_mean_of_its_members_predictions():
    ensembles = make_ensembles(make_suite(), [A], A, None)
    assert ensembles.n == ensembles.n_seeds == 2
    single, own = (by_kind(ensembles.table, k) for k in ("single", "seeds"))
    assert (single["test_mean"], own["test_mean"]) == (0.5, 0.75)
    assert (single["n_ensembles"], own["n_ensembles"]) == (2, 1)
    # Both seeds have the same score; one ensemble shows no spread over seeds.
    assert (single["seeds_low"], single["seeds_high"]) == (0.5, 0.5)
    assert math.isnan(own["seeds_low"])
    assert 0.0 <= own["examples_low"] < 0.75 < own["examples_high"] <= 1.0
    assert set(ensembles.table["kind"]) == {"single", "seeds"}


def test_one_ensemble_is_compared_over_test_examples():
    row = compared(make_ensembles(make_suite(), [A], A, None), AGAINST_SINGLE, "seeds")
    # Right: 1, 1, 1, 0 against 0.5, 1, 0.5, 0 of the members.
    assert (row["mean_a"], row["mean_b"], row["difference"]) == (0.75, 0.5, 0.25)
    # sd of (0.5, 0, 0.5, 0) is 0.288675, over 2; t with 3 degrees: 3.182446.
    half = 3.182446 * 0.288675 / 2
    assert row["examples_low"] == pytest.approx(0.25 - half, abs=1e-5)
    assert row["examples_high"] == pytest.approx(0.25 + half, abs=1e-5)
    assert math.isnan(row["seeds_low"])
    assert (row["verdict_over"], row["verdict"]) == ("examples", "undecided")
    # Beyond the margin: t = (0.25 - 0.05) / 0.144338 = 1.385641, two-sided.
    assert row["p_beyond_holm"] == pytest.approx(0.25994, abs=1e-4)


def test_several_ensembles_are_compared_over_seeds():
    tests = [[0.9] * 4, [0.9] * 3 + [0.4], [0.9] * 3 + [0.05], [0.2] * 3 + [0.55]]
    four = make_contender("a", tests, [VAL] * 4)
    ensembles = make_ensembles(make_suite(), [four], four, None)
    own = by_kind(ensembles.table, "seeds")
    assert (own["n_seeds"], own["n_ensembles"]) == (4, 2)
    # Two seeds are right on all four if the first is one and the third is not, else on
    # three. So {12}{34} and {14}{23} score 1 and 0.75, and {13}{24} twice 0.75.
    share = (0.875 - own["test_mean"]) / 0.125
    assert 0 < share < 1
    # The squared errors are 1/64, 1/64 and 0; t with 3 degrees of freedom.
    half = 3.182446 * math.sqrt((1 - share) / 64)
    assert own["seeds_low"] == pytest.approx(own["test_mean"] - half, rel=1e-5)
    assert own["seeds_high"] == 1.0
    row = compared(ensembles, AGAINST_SINGLE, "seeds")
    assert row["verdict_over"] == "seeds"
    # Single seeds are right on 4, 3, 3 and 1.
    assert row["mean_b"] == pytest.approx(11 / 16)
    assert row["difference"] == pytest.approx(own["test_mean"] - 11 / 16)
    assert row["seeds_low"] < row["difference"] < row["seeds_high"]


def test_the_best_configurations_have_one_seed_each():
    ensembles = make_ensembles(make_suite(), [B, A], A, None)
    best = by_kind(ensembles.table, "best")
    # Seed 1 of a (0.9, 0.9, 0.4, 0.45) and seed 2 of b (0.4, 0.9, 0.4, 0.9).
    assert (best["n_members"], best["test_mean"]) == (2, 0.75)
    row = compared(ensembles, AGAINST_MEMBERS, "best")
    assert row["mean_b"] == pytest.approx((0.5 + 0.5) / 2)
    row = compared(ensembles, AGAINST_SEEDS, "best")
    # Right on all but the third, and on all but the last.
    assert (row["mean_a"], row["mean_b"], row["difference"]) == (0.75, 0.75, 0.0)


def test_a_configuration_that_ranks_below_n_is_no_member():
    worst = make_contender("c", [[0.9] * 4] * 2, [[0.1] * 4] * 2)
    ensembles = make_ensembles(make_suite(), [worst, B, A], A, None)
    assert by_kind(ensembles.table, "best")["test_mean"] == 0.75


def bag(val, test=(0.6, 0.6, 0.4, 0.6)):
    return make_contender(
        "baseline:bag", [list(test)] * 2, [val] * 2, origin="baseline"
    )


def test_a_baselines_weight_is_chosen_on_validation_alone():
    # a is wrong on the first of validation; with the bag from weight 0.15 on right:
    # 0.85 * 0.45 + 0.15 * 0.8 = 0.5025.
    val = [0.45, 0.9, 0.1, 0.1]
    a = make_contender("a", [[0.9, 0.9, 0.4, 0.45], [0.4, 0.9, 0.9, 0.45]], [val] * 2)
    helps = bag([0.8, 0.9, 0.1, 0.1])
    ensembles = make_ensembles(make_suite(), [a, helps], a, helps)
    mixed = by_kind(ensembles.table, "baseline")
    assert mixed["weight"] == pytest.approx(0.15)
    # Test: 0.85 * 0.45 + 0.15 * 0.6 = 0.4725 does not do, and 0.35 would have.
    assert mixed["test_mean"] == 0.75
    other_test = bag([0.8, 0.9, 0.1, 0.1], test=(0.1, 0.1, 0.1, 0.1))
    again = make_ensembles(make_suite(), [a, other_test], a, other_test)
    assert by_kind(again.table, "baseline")["weight"] == pytest.approx(0.15)
    useless = bag([0.1, 0.1, 0.9, 0.9])
    none = make_ensembles(make_suite(), [a, useless], a, useless)
    assert by_kind(none.table, "baseline")["weight"] == 0.0
    same = compared(none, AGAINST_SEEDS, "baseline")
    assert (same["verdict"], same["difference"]) == ("identical", 0.0)


def test_ensembles_are_compared_with_the_best_baseline():
    a_bag = bag(VAL)
    ensembles = make_ensembles(make_suite(), [A, a_bag], A, a_bag)
    row = compared(ensembles, AGAINST_BASELINE, "seeds")
    # Right on 1, 2, 3 against 1, 2, 4.
    assert (row["mean_a"], row["mean_b"], row["difference"]) == (0.75, 0.75, 0.0)
    kinds = set(
        ensembles.comparisons.loc[
            ensembles.comparisons["family"] == AGAINST_BASELINE, "kind_a"
        ]
    )
    assert kinds == {"seeds", "baseline"}


def test_a_metric_that_is_no_mean_over_examples_has_no_verdict_from_one_ensemble():
    y_test = np.array([1, 0, 1, 0])
    tests = [[0.9, 0.8, 0.4, 0.45], [0.4, 0.3, 0.9, 0.45]]
    a = make_contender("a", tests, [VAL, VAL], "roc_auc", y_test=y_test)
    suite = make_suite(**{"metric: accuracy": "metric: roc_auc"})
    ensembles = make_ensembles(suite, [a], a, None)
    # Means 0.65, 0.55, 0.65, 0.45: each positive is above each negative.
    own = by_kind(ensembles.table, "seeds")
    assert own["test_mean"] == 1.0
    assert math.isnan(own["examples_low"])
    row = compared(ensembles, AGAINST_SINGLE, "seeds")
    assert row["verdict"] == "undecided"
    assert math.isnan(row["examples_low"])


def test_ensembles_of_numbers_are_means_of_numbers():
    text = """\
description: x
dataset: {name: adding, options: {n_train: 100, n_test: 50, max_length: 33}}
defaults: {sequence_length: 20}
space: {units: [1, 2]}
confirm: {}
ensemble: {n: 2}
"""
    y_true = np.array([[1.0], [2.0]])
    predictions = {
        seed: {
            split: Prediction(split, np.arange(2), y_true, np.array(y_pred))
            for split in ("val", "test")
        }
        for seed, y_pred in ((1, [[2.0], [2.0]]), (2, [[1.0], [3.0]]))
    }
    scores = {1: 0.5, 2: 0.5}
    mse = METRICS["mse"]
    a = Contender("a", "a", "search", None, mse, scores, scores, predictions)
    ensembles = make_ensembles(Suite("sum", text, "sum.yaml"), [a], a, None)
    # Means 1.5 and 2.5: half the error, a quarter of its square.
    assert by_kind(ensembles.table, "single")["test_mean"] == 0.5
    assert by_kind(ensembles.table, "seeds")["test_mean"] == 0.25


def test_too_few_seeds_make_no_ensembles():
    suite = make_suite(**{"n: 2": "n: 3"})
    ensembles = make_ensembles(suite, [A], A, None)
    assert (ensembles.n, ensembles.n_seeds) == (3, 2)
    assert ensembles.table.empty and list(ensembles.table) == list(TABLE)
    assert ensembles.comparisons.empty and list(ensembles.comparisons) == list(COLUMNS)


def test_a_suite_without_ensembles_has_none():
    suite = make_suite(**{"ensemble: {n: 2}\n": ""})
    assert make_ensembles(suite, [A], A, None) is None
    assert make_ensembles(make_suite(), [], None, None) is None
