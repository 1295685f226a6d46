"""Tests of `lstm_bench.analysis.bootstrap`, by hand, against SciPy and simulated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_data import holds, random_examples, rng_of
from scipy import stats
from sklearn.metrics import log_loss as sklearn_log_loss

from lstm_bench.analysis import bootstrap, budget
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.metrics import METRICS

OF_CLASSES, OF_NUMBERS = (
    [name for name in bootstrap.MEAN_METRICS if task in METRICS[name].tasks]
    for task in ("classification", "regression")
)
SAMPLERS: dict[str, Callable[[np.random.Generator], Any]] = {
    "bootstrap_examples": lambda rng: bootstrap.bootstrap_examples(
        rng_of(8).random(50), np.arange(50) % 2, rng=rng, n_resamples=50
    ),
    "bootstrap_examples of 0 and 1": lambda rng: bootstrap.bootstrap_examples(
        np.arange(500) % 7 == 0, np.arange(500) % 2, rng=rng, n_resamples=50
    ),
    "bootstrap_seeds_and_examples": lambda rng: bootstrap.bootstrap_seeds_and_examples(
        rng_of(8).random((4, 50)) + rng_of(9).random(50),
        np.arange(50) % 2,
        rng=rng,
        n_resamples=50,
    ),
    "expected_best_interval": lambda rng: np.concatenate(
        budget.expected_best_interval(
            rng_of(8).random(20), True, rng=rng, n_resamples=50
        )
    ).tolist(),
}


Y = np.array([0, 1, 1, 0])
PROBA = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])


def test_example_scores_by_hand():
    assert bootstrap.example_scores("accuracy", Y, PROBA).tolist() == [1, 1, 0, 1]
    # (1 - p)^2 of the true class: scikit-learn halves the sum over two classes.
    assert bootstrap.example_scores("brier_score_loss", Y, PROBA) == pytest.approx(
        [0.01, 0.04, 0.36, 0.25]
    )
    assert bootstrap.example_scores("log_loss", Y, PROBA) == pytest.approx(
        [-math.log(p) for p in (0.9, 0.8, 0.4, 0.5)]
    )


@pytest.mark.parametrize("name", OF_CLASSES)
def test_mean_of_example_scores_is_the_metric(name):
    y_true, y_proba = random_examples(0)
    scores = bootstrap.example_scores(name, y_true, y_proba)
    assert scores.mean() == pytest.approx(METRICS[name].fn(y_true, y_proba))


def test_example_scores_agree_with_sklearn():
    y_true, y_proba = random_examples(1)
    scores = bootstrap.example_scores("log_loss", y_true, y_proba)
    assert scores.mean() == pytest.approx(sklearn_log_loss(y_true, y_proba))


def test_example_scores_refuse_what_is_no_mean_over_examples():
    with pytest.raises(ValueError, match=r"expected one of accuracy.*got 'f1'"):
        bootstrap.example_scores("f1", Y, PROBA)


def test_bootstrap_of_two_examples_reaches_from_the_one_to_the_other():
    # Resampled means of 0 and 1 are 0, 1/2 and 1 with chances 1/4, 1/2 and 1/4.
    interval = bootstrap.bootstrap_examples([0, 1], [0, 0], rng=rng_of(0))
    assert (interval.low, interval.estimate, interval.high) == (0.0, 0.5, 1.0)


def test_bootstrap_draws_within_classes():
    # Each class has one score only, so every resample is the test set again.
    interval = bootstrap.bootstrap_examples([0, 0, 1, 1], [0, 0, 1, 1], rng=rng_of(0))
    assert (interval.low, interval.high) == (0.5, 0.5)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_bootstrap_agrees_with_resampled_examples(name):
    # Few distinct scores (accuracy) and many (the others) are drawn differently.
    y_true, y_proba = random_examples(2)
    scores = bootstrap.example_scores(name, y_true, y_proba)
    fast = bootstrap.bootstrap_examples(scores, y_true, rng=rng_of(0), n_resamples=4000)
    rng, classes = rng_of(1), [np.flatnonzero(y_true == label) for label in (0, 1)]
    draws = []
    for _ in range(4000):
        drawn = np.concatenate([rng.choice(c, len(c)) for c in classes])
        draws.append(METRICS[name].fn(y_true[drawn], y_proba[drawn]))
    low, high = np.quantile(draws, [0.025, 0.975])
    assert fast.estimate == pytest.approx(METRICS[name].fn(y_true, y_proba))
    assert fast.low == pytest.approx(low, abs=0.06 * (high - low))
    assert fast.high == pytest.approx(high, abs=0.06 * (high - low))


def test_bootstrap_examples_agrees_with_scipy():
    scores = rng_of(3).exponential(size=200)
    expected = stats.bootstrap(
        (scores,), np.mean, n_resamples=5000, method="percentile", rng=rng_of(0)
    ).confidence_interval
    interval = bootstrap.bootstrap_examples(
        scores, np.zeros(200, dtype=int), rng=rng_of(1), n_resamples=5000
    )
    width = expected.high - expected.low
    assert interval.low == pytest.approx(expected.low, abs=0.05 * width)
    assert interval.high == pytest.approx(expected.high, abs=0.05 * width)


def test_bootstrap_in_chunks_has_the_spread_of_the_mean(monkeypatch):
    scores = rng_of(5).normal(size=400)
    monkeypatch.setattr(bootstrap, "_CHUNK", 1200)  # three resamples at a time
    interval = bootstrap.bootstrap_examples(
        scores, np.zeros(400, dtype=int), rng=rng_of(0)
    )
    # The mean of 400 normal scores: 2 * 1.96 * sd / 20.
    expected = 2 * 1.96 * scores.std() / 20
    assert interval.high - interval.low == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("scores", [[0.5], [[0.5, 0.7]], [[0.5], [0.6]]])
def test_too_few_examples_or_seeds_have_no_bounds(scores):
    table = np.array(scores)
    strata = np.zeros(table.shape[-1], dtype=int)
    interval = (
        bootstrap.bootstrap_examples(table, strata, rng=rng_of(0))
        if table.ndim == 1
        else bootstrap.bootstrap_seeds_and_examples(table, strata, rng=rng_of(0))
    )
    assert interval.estimate == pytest.approx(table.mean())
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_without_spread_over_examples_both_is_the_t_interval():
    # Seeds score 1, 2 and 3 on both examples: 2 +- 4.302653 / sqrt(3), as above.
    interval = bootstrap.bootstrap_seeds_and_examples(
        [[1, 1], [2, 2], [3, 3]], [0, 0], rng=rng_of(0)
    )
    half = 4.302653 / math.sqrt(3)
    assert (interval.low, interval.high) == pytest.approx(
        (2.0 - half, 2.0 + half), rel=1e-3
    )
    assert interval.n == 3


def test_without_spread_over_seeds_both_is_the_bootstrap_over_examples():
    y_true, y_proba = random_examples(6)
    scores = bootstrap.example_scores("log_loss", y_true, y_proba)
    both = bootstrap.bootstrap_seeds_and_examples(
        np.tile(scores, (5, 1)), y_true, rng=rng_of(0)
    )
    examples = bootstrap.bootstrap_examples(scores, y_true, rng=rng_of(1))
    width = examples.high - examples.low
    assert both.low == pytest.approx(examples.low, abs=0.08 * width)
    assert both.high == pytest.approx(examples.high, abs=0.08 * width)


def test_more_seeds_do_not_average_the_examples_away():
    # The examples' part, with standard error 1 / sqrt(100), stays for 50 seeds.
    rng = rng_of(7)
    table = rng.standard_normal(100) + 0.01 * rng.standard_normal((50, 1))
    interval = bootstrap.bootstrap_seeds_and_examples(
        table, np.zeros(100, dtype=int), rng=rng
    )
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 10, rel=0.2)


@given(st.integers(2, 5), st.integers(2, 40), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_bootstraps_hold_the_estimate_whatever_the_order(n_seeds, n, coarse, seed):
    rng = rng_of(seed)
    table = rng.random((n_seeds, n))
    table = np.round(table) if coarse else table
    strata = rng.integers(2, size=n)
    order = rng.permutation(n)
    for fn, scores in (
        (bootstrap.bootstrap_examples, table[0]),
        (bootstrap.bootstrap_seeds_and_examples, table),
    ):
        first = fn(scores, strata, rng=rng_of(1), n_resamples=60)
        again = fn(scores[..., order], strata[order], rng=rng_of(1), n_resamples=60)
        assert first.low <= first.estimate <= first.high
        assert (first.low, first.high) == pytest.approx((again.low, again.high))


@pytest.mark.parametrize("sample", SAMPLERS.values(), ids=SAMPLERS)
def test_seeds_decide_the_result(sample):
    assert sample(rng_of(1)) == sample(rng_of(1))
    assert sample(rng_of(1)) != sample(rng_of(2))


@pytest.mark.parametrize("kind", ["accuracy", "log_loss"])
def test_bootstrap_over_examples_covers_95_percent(kind):
    # Right with chance 0.9 and 0.8 by class; losses exponential, means 0.3 and 0.5.
    rng = rng_of(10)
    strata = np.repeat([0, 1], 100)
    truth = {"accuracy": 0.85, "log_loss": 0.4}[kind]
    covered = 0
    for _ in range(1000):
        if kind == "accuracy":
            scores = (rng.random(200) < np.where(strata, 0.8, 0.9)).astype(float)
        else:
            scores = rng.exponential(np.where(strata, 0.5, 0.3))
        covered += holds(
            bootstrap.bootstrap_examples(scores, strata, rng=rng, n_resamples=500),
            truth,
        )
    assert 920 <= covered <= 980


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize(
    "spreads",
    [(1, 15, 5), (1, 5, 5), (0, 1, 10)],
    ids=["both", "mostly seeds", "interaction only"],
)
def test_interval_over_seeds_and_examples_covers_95_percent(n_seeds, spreads):
    # Score = seed + example + interaction, all normal. Over 200 examples an example
    # spread of 15 adds a standard error of 15 / sqrt(200) = 1.06 to the mean.
    seed_sd, example_sd, interaction_sd = spreads
    rng = rng_of(n_seeds)
    strata = np.repeat([0, 1], 100)
    covered = 0
    for _ in range(1000):
        table = (
            seed_sd * rng.standard_normal((n_seeds, 1))
            + example_sd * rng.standard_normal(200)
            + interaction_sd * rng.standard_normal((n_seeds, 200))
        )
        covered += holds(
            bootstrap.bootstrap_seeds_and_examples(
                table, strata, rng=rng, n_resamples=400
            ),
            0.0,
        )
    assert 920 <= covered <= 980


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_interval_of_an_accuracy_covers_95_percent(n_seeds):
    # Right where shift + seed + example + noise > 0, sds 0.1, 1 and 1: by class the
    # chance is Phi(shift / sqrt(0.01 + 1 + 1)).
    rng = rng_of(100 + n_seeds)
    strata = np.repeat([0, 1], 200)
    shift = np.where(strata, 1.2, 1.8)
    truth = float(np.mean(stats.norm.cdf(shift / math.sqrt(2.01))))
    both = seeds_only = 0
    for _ in range(1000):
        latent = (
            shift
            + 0.1 * rng.standard_normal((n_seeds, 1))
            + rng.standard_normal(400)
            + rng.standard_normal((n_seeds, 400))
        )
        table = (latent > 0).astype(float)
        both += holds(
            bootstrap.bootstrap_seeds_and_examples(
                table, strata, rng=rng, n_resamples=400
            ),
            truth,
        )
        seeds_only += holds(mean_interval(table.mean(axis=1)), truth)
    assert 920 <= both <= 980
    if n_seeds == 10:
        # What forgetting the examples would cost: t has no wide tails to hide it.
        assert seeds_only < 850


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_mean_of_the_errors_of_numbers_is_the_metric(name):
    rng = rng_of(5)
    y_true, y_pred = rng.normal(size=(2, 40, 3))
    scores = bootstrap.example_scores(name, y_true, y_pred)
    assert scores.shape == (40,)
    assert scores.mean() == pytest.approx(METRICS[name].fn(y_true, y_pred))


def test_numbers_are_resampled_without_strata():
    y_true = rng_of(6).normal(size=(200, 1))
    scores = bootstrap.example_scores("mse", y_true, np.zeros_like(y_true))
    interval = bootstrap.bootstrap_examples(
        scores, bootstrap.strata_of(y_true), rng=rng_of(0), n_resamples=4000
    )
    half = 1.96 * scores.std(ddof=1) / math.sqrt(200)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    classes = np.array([0, 1, 1])
    assert bootstrap.strata_of(classes) is classes
