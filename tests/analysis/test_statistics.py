"""Checks of the statistics: by hand, against scipy and sklearn, and by simulation.

The simulations ask of every interval what its name says: that 95 % of them hold the
truth. Their seeds are fixed; 1,000 data sets put 92 % to 98 % well within chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import log_loss as sklearn_log_loss

from lstm_bench.analysis import bootstrap, budget, calibration, hypothesis_tests
from lstm_bench.analysis.hypothesis_tests import PairedComparison
from lstm_bench.analysis.intervals import (
    Interval,
    geometric_mean_interval,
    mean_interval,
    newcombe_interval,
    wilson_interval,
)
from lstm_bench.analysis.tables.cost import pareto_front
from lstm_bench.metrics import METRICS, log_loss

Y = np.array([0, 1, 1, 0])
PROBA = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])

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


# --- intervals ------------------------------------------------------------------


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


# --- scores of single examples ---------------------------------------------------


def test_example_scores_by_hand():
    assert bootstrap.example_scores("accuracy", Y, PROBA).tolist() == [1, 1, 0, 1]
    # (1 - p)^2 of the true class: scikit-learn halves the sum over two classes.
    assert bootstrap.example_scores("brier_score_loss", Y, PROBA) == pytest.approx(
        [0.01, 0.04, 0.36, 0.25]
    )
    assert bootstrap.example_scores("log_loss", Y, PROBA) == pytest.approx(
        [-math.log(p) for p in (0.9, 0.8, 0.4, 0.5)]
    )


@pytest.mark.parametrize("name", bootstrap.MEAN_METRICS)
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


# --- bootstraps -----------------------------------------------------------------


def test_bootstrap_of_two_examples_reaches_from_the_one_to_the_other():
    # Resampled means of 0 and 1 are 0, 1/2 and 1 with chances 1/4, 1/2 and 1/4.
    interval = bootstrap.bootstrap_examples([0, 1], [0, 0], rng=rng_of(0))
    assert (interval.low, interval.estimate, interval.high) == (0.0, 0.5, 1.0)


def test_bootstrap_draws_within_classes():
    # Each class has one score only, so every resample is the test set again.
    interval = bootstrap.bootstrap_examples([0, 0, 1, 1], [0, 0, 1, 1], rng=rng_of(0))
    assert (interval.low, interval.high) == (0.5, 0.5)


@pytest.mark.parametrize("name", bootstrap.MEAN_METRICS)
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


# --- comparisons ----------------------------------------------------------------


def test_paired_comparison_by_hand():
    # Differences 0.02, 0.04, 0.06: mean 0.04, sd 0.02, standard error 0.02 / sqrt(3),
    # t = 2 sqrt(3). With two degrees of freedom P(|T| > t) = 1 - t / sqrt(2 + t^2),
    # here 1 - sqrt(12 / 14); towards the margin t = 3 sqrt(3), one side of it
    # (1 - sqrt(27 / 29)) / 2. Three differences of one sign: Wilcoxon's p = 2 / 8.
    result = hypothesis_tests.compare_paired(
        [0.90, 0.92, 0.94], [0.88, 0.88, 0.88], margin=0.1, higher_is_better=True
    )
    half = 4.302653 * 0.02 / math.sqrt(3)
    assert result.difference.estimate == pytest.approx(0.04)
    assert result.difference.low == pytest.approx(0.04 - half, rel=1e-6)
    assert result.difference.high == pytest.approx(0.04 + half, rel=1e-6)
    assert result.p_t == pytest.approx(1 - math.sqrt(12 / 14))
    assert result.p_equivalence == pytest.approx((1 - math.sqrt(27 / 29)) / 2)
    assert result.p_wilcoxon == pytest.approx(0.25)
    assert result.p_a_beats_b == 1.0
    assert (result.mean_a, result.mean_b) == pytest.approx((0.92, 0.88))
    assert (result.n_seeds, result.paired) == (3, True)


def judged(a, b, margin=0.0, n_times=1):
    """Judge a comparison that is asked `n_times` in its family."""
    one = hypothesis_tests.compare_paired(a, b, margin=margin, higher_is_better=True)
    return hypothesis_tests.judge([one] * n_times)[0]


def test_seeds_needed_by_a_comparison():
    # Differences 0.02, 0.04, 0.06: sd 0.02. Half-width of three seeds 4.3027 * 0.02 /
    # sqrt(3) = 0.0497 > 0.04, of four 3.1824 * 0.02 / 2 = 0.0318.
    a, b = [0.90, 0.92, 0.94], [0.88, 0.88, 0.88]
    assert judged(a, b).n_seeds_needed == 4
    # Twice the same question: p below 0.025. Four seeds: t = 4, p = 0.0280; five:
    # t = 4.472, p = 0.0111.
    assert judged(a, b, n_times=2).n_seeds_needed == 5
    # At the edge of the margin no number of seeds decides.
    assert judged(a, b, margin=0.04).n_seeds_needed is None
    # Hundreds of seeds: at a distance of 0.00124 from the margin it would take
    # (1.9624 * 0.02 / 0.00124)^2 = 1,001.8, and at 0.00125 it takes 985.9.
    assert judged(a, b, margin=0.04 - 0.00124).n_seeds_needed is None
    assert judged(a, b, margin=0.04 - 0.00125).n_seeds_needed == 986


def test_seeds_needed_are_more_than_there_are():
    # The interval of three seeds, 0.0467 -+ 0.0379, lies beyond the margin, so p is
    # below 0.05, but not twice p.
    a, b = [0.90, 0.92, 0.93], [0.87, 0.87, 0.87]
    alone = judged(a, b, margin=0.005)
    assert (alone.verdict, alone.n_seeds_needed) == ("better", None)
    twice = judged(a, b, margin=0.005, n_times=2)
    assert twice.verdict == "not enough data"
    assert twice.p_beyond_holm == pytest.approx(2 * alone.p_beyond_holm)
    assert twice.n_seeds_needed == 4


@given(PAIRS, MARGIN, st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_only_what_is_open_needs_seeds_and_more_of_them(pairs, margin, n_times):
    a, b = map(list, zip(*pairs, strict=True))
    said = judged(a, b, margin, n_times)
    if said.n_seeds_needed is not None:
        assert said.verdict == "not enough data"
        assert said.n_seeds_needed > len(a)
        assert said.n_seeds_needed >= hypothesis_tests.MIN_SEEDS


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize(
    "compare", [hypothesis_tests.compare_paired, hypothesis_tests.compare_unpaired]
)
def test_two_seeds_decide_nothing(compare, higher):
    # Two equal differences of a tenth, up to 1e-5: p is 0.0001 and says little.
    two = compare([0.9, 0.90001], [0.8, 0.8], margin=0.01, higher_is_better=higher)
    near = compare([0.8, 0.80001], [0.8, 0.8], margin=0.1, higher_is_better=higher)
    assert two.p_beyond < 0.001
    assert near.p_equivalence < 0.001
    for one in (two, near):
        (said,) = hypothesis_tests.judge([one])
        assert (said.verdict, said.n_seeds_needed) == ("not enough data", 3)


@given(PAIRS, MARGIN)
@settings(deadline=None)
def test_the_interval_lies_beyond_the_margin_where_p_says_so(pairs, margin):
    a, b = map(list, zip(*pairs, strict=True))
    one = hypothesis_tests.compare_paired(a, b, margin=margin, higher_is_better=True)
    if one.sd > 1e-6 and abs(one.p_beyond - 0.05) > 1e-6:
        low, high = one.difference.low, one.difference.high
        assert (one.p_beyond < 0.05) == (low > margin or high < -margin)


def test_scores_that_tie_up_to_rounding_are_no_wins():
    # 0.1 + 0.2 ties with 0.3: of four pairs a wins one (0.5 > 0.3) and ties one.
    a, b = [0.1 + 0.2, 0.5], [0.3, 0.7]
    for compare in (hypothesis_tests.compare_paired, hypothesis_tests.compare_unpaired):
        result = compare(a, b, margin=0.0, higher_is_better=True)
        assert result.p_a_beats_b == 0.375
        again = compare(a, b, margin=0.0, higher_is_better=False)
        assert again.p_a_beats_b == 0.625


def test_ranks_tie_up_to_rounding():
    # Differences -0.1, +0.1 and +0.2 of which the first two differ in size by their
    # last bit: ranks 1.5, 1.5, 3. All 8 signs: the sum 1.5 or less comes up 3 times.
    result = hypothesis_tests.compare_paired(
        [0.7, 0.9, 0.3], [0.8, 0.8, 0.1], margin=0.0, higher_is_better=True
    )
    assert result.p_wilcoxon == pytest.approx(6 / 8)
    front = pareto_front(np.array([1.0, 2.0]), np.array([0.3, 0.1 + 0.2]), True)
    assert front.tolist() == [True, False]


def test_no_rank_test_goes_below_what_its_seeds_can_give():
    assert [hypothesis_tests.smallest_rank_p(n) for n in (1, 3, 6)] == [
        1.0,
        0.25,
        1 / 32,
    ]
    # Two of the C(6, 3) = 20 ways to split six scores are as extreme.
    assert hypothesis_tests.smallest_rank_p(3, 3) == 0.1
    for a in ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]):
        groups = hypothesis_tests.compare_unpaired(
            a, [4.0, 4.0, 4.0], margin=0.0, higher_is_better=True
        )
        assert groups.p_wilcoxon == pytest.approx(0.1)
        pairs = hypothesis_tests.compare_paired(
            a, [4.0, 4.0, 4.0], margin=0.0, higher_is_better=True
        )
        assert pairs.p_wilcoxon == pytest.approx(0.25)


def test_geometric_mean_of_a_half_and_two_is_one():
    interval = geometric_mean_interval([0.5, 2.0])
    # Logarithms -log 2 and log 2: standard error log 2, t of one degree 12.706.
    assert interval.estimate == pytest.approx(1.0)
    assert interval.low == pytest.approx(2.0 ** -stats.t.ppf(0.975, 1))
    assert interval.high == pytest.approx(2.0 ** stats.t.ppf(0.975, 1))
    assert interval.within(1 / 20, 20).low == 1 / 20


def test_paired_comparison_agrees_with_scipy():
    rng = rng_of(0)
    a, b = rng.normal(0.86, 0.01, 9), rng.normal(0.85, 0.01, 9)
    result = hypothesis_tests.compare_paired(a, b, margin=0.02, higher_is_better=True)
    assert result.p_t == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert result.p_wilcoxon == pytest.approx(stats.wilcoxon(a, b).pvalue)
    sides = (
        stats.ttest_rel(a, b - 0.02, alternative="greater").pvalue,
        stats.ttest_rel(a, b + 0.02, alternative="less").pvalue,
    )
    assert result.p_equivalence == pytest.approx(max(sides))
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (result.difference.low, result.difference.high) == pytest.approx((low, high))
    u = stats.mannwhitneyu(a, b).statistic
    assert result.p_a_beats_b == pytest.approx(u / 81)


def test_equal_scores_give_no_evidence_of_a_difference():
    # The same up to the last bit.
    scores, again = [0.8, 0.3, 0.85], [0.8, 0.1 + 0.2, 0.85]
    result = hypothesis_tests.compare_paired(
        scores, again, margin=0.01, higher_is_better=True
    )
    assert (result.p_t, result.p_wilcoxon, result.p_a_beats_b) == (1.0, 1.0, 0.5)
    # Three signs agree by chance in 1 of 8 cases.
    assert result.p_equivalence == 1 / 8
    assert judged(scores, again, 0.01).verdict == "identical"
    assert judged([0.9], [0.9]).verdict == "identical"
    # Other seeds may have the same scores by chance.
    groups = hypothesis_tests.compare_unpaired(
        [0.8] * 5, [0.8] * 5, margin=0.01, higher_is_better=True
    )
    assert hypothesis_tests.judge([groups])[0].verdict == "equivalent"


def test_equal_differences_are_not_certainty():
    # 0.9 - 0.8 and 0.8 - 0.7 differ in their last bit only.
    result = hypothesis_tests.compare_paired(
        [0.9, 0.8], [0.8, 0.7], margin=0.0, higher_is_better=True
    )
    assert result.difference.low == pytest.approx(0.1)
    assert result.p_t == 0.5
    assert result.p_beyond == 0.5
    groups = hypothesis_tests.compare_unpaired(
        [0.9, 0.9], [0.8, 0.8], margin=0.0, higher_is_better=True
    )
    # Six ways to split four scores into two pairs, both sides.
    assert groups.p_t == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    "compare", [hypothesis_tests.compare_paired, hypothesis_tests.compare_unpaired]
)
def test_one_seed_decides_nothing(compare):
    result = compare([0.9], [0.8], margin=0.01, higher_is_better=True)
    assert result.difference.estimate == pytest.approx(0.1)
    numbers = (
        result.difference.low,
        result.difference.high,
        result.p_t,
        result.p_wilcoxon,
        result.p_equivalence,
    )
    assert all(map(math.isnan, numbers))
    (said,) = hypothesis_tests.judge([result])
    assert (said.verdict, said.n_seeds_needed) == ("not enough data", None)


def test_without_a_margin_equivalence_is_undefined():
    result = hypothesis_tests.compare_paired(
        [0.8, 0.9], [0.7, 0.9], margin=0.0, higher_is_better=True
    )
    assert math.isnan(result.p_equivalence)


def test_unpaired_comparison_by_hand():
    # Means 2 and 4, variances 1 and 4 of three seeds each: standard error
    # sqrt(5 / 3), df = (5/3)^2 / ((1/9 + 16/9) / 2) = 50 / 17. Of nine pairs a wins
    # one (3 > 2) and ties one (2 = 2): 1.5 / 9.
    result = hypothesis_tests.compare_unpaired(
        [1.0, 2.0, 3.0], [2.0, 4.0, 6.0], margin=0.0, higher_is_better=True
    )
    half = stats.t.ppf(0.975, 50 / 17) * math.sqrt(5 / 3)
    assert result.difference.low == pytest.approx(-2 - half)
    assert result.difference.high == pytest.approx(-2 + half)
    assert result.p_a_beats_b == pytest.approx(1 / 6)
    # df = 25 / 17 * (n - 1). Six per group: 2.342 * sqrt(5 / 6) = 2.14 is above the
    # distance 2, seven per group: 2.269 * sqrt(5 / 7) = 1.92 below.
    assert hypothesis_tests.judge([result])[0].n_seeds_needed == 7
    assert result.paired is False


def test_unpaired_comparison_agrees_with_scipy():
    rng = rng_of(1)
    a, b = rng.normal(0.3, 0.01, 5), rng.normal(0.32, 0.03, 8)
    result = hypothesis_tests.compare_unpaired(
        a, b, margin=0.05, higher_is_better=False
    )
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert result.p_t == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (result.difference.low, result.difference.high) == pytest.approx((low, high))
    assert result.p_wilcoxon == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
    sides = (
        stats.ttest_ind(a, b - 0.05, equal_var=False, alternative="greater").pvalue,
        stats.ttest_ind(a, b + 0.05, equal_var=False, alternative="less").pvalue,
    )
    assert result.p_equivalence == pytest.approx(max(sides))
    assert result.n_seeds == 5


def assert_opposite(first: PairedComparison, second: PairedComparison) -> None:
    assert second.difference.estimate == -first.difference.estimate
    assert (second.difference.low, second.difference.high) == (
        -first.difference.high,
        -first.difference.low,
    )
    assert second.p_t == first.p_t
    assert second.p_wilcoxon == pytest.approx(first.p_wilcoxon)
    assert second.p_equivalence == pytest.approx(first.p_equivalence, nan_ok=True)
    assert second.p_a_beats_b == pytest.approx(1.0 - first.p_a_beats_b)
    (said,), (other,) = (
        hypothesis_tests.judge([first]),
        hypothesis_tests.judge([second]),
    )
    assert other.n_seeds_needed == said.n_seeds_needed
    assert other.verdict == hypothesis_tests.SWAPPED[said.verdict]


@given(PAIRS, MARGIN, st.booleans())
@settings(deadline=None)
def test_swapping_paired_models_swaps_the_verdict(pairs, margin, higher):
    a, b = map(list, zip(*pairs, strict=True))
    options = {"margin": margin, "higher_is_better": higher}
    first = hypothesis_tests.compare_paired(a, b, **options)
    assert_opposite(first, hypothesis_tests.compare_paired(b, a, **options))
    assert first.difference.low <= first.difference.estimate <= first.difference.high
    shuffled = hypothesis_tests.compare_paired(a[::-1], b[::-1], **options)
    assert shuffled.p_t == pytest.approx(first.p_t, abs=1e-9)
    assert shuffled.p_wilcoxon == pytest.approx(first.p_wilcoxon)


@given(SCORES, SCORES, MARGIN, st.booleans())
@settings(deadline=None)
def test_swapping_unpaired_models_swaps_the_verdict(a, b, margin, higher):
    options = {"margin": margin, "higher_is_better": higher}
    first = hypothesis_tests.compare_unpaired(a, b, **options)
    assert_opposite(first, hypothesis_tests.compare_unpaired(b, a, **options))
    assert first.difference.low <= first.difference.estimate <= first.difference.high


@given(PAIRS, MARGIN)
@settings(deadline=None)
def test_mirroring_the_metric_keeps_the_verdict(pairs, margin):
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    score = hypothesis_tests.compare_paired(a, b, margin=margin, higher_is_better=True)
    loss = hypothesis_tests.compare_paired(
        -a, -b, margin=margin, higher_is_better=False
    )
    (by_score,), (by_loss,) = (
        hypothesis_tests.judge([score]),
        hypothesis_tests.judge([loss]),
    )
    assert by_score.verdict == by_loss.verdict
    assert score.p_a_beats_b == pytest.approx(loss.p_a_beats_b)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_paired_interval_covers_95_percent(n):
    rng = rng_of(n)
    covered = 0
    for _ in range(1000):
        # What the seed does to both models cancels.
        shared = rng.normal(0.0, 0.05, n)
        a = 0.86 + shared + rng.normal(0.0, 0.01, n)
        b = 0.85 + shared + rng.normal(0.0, 0.01, n)
        result = hypothesis_tests.compare_paired(
            a, b, margin=0.0, higher_is_better=True
        )
        covered += holds(result.difference, 0.01)
    assert 920 <= covered <= 980


# --- verdicts -------------------------------------------------------------------


def comparison(low: float, high: float, higher: bool = True) -> PairedComparison:
    """Make a comparison of which only the interval and the direction matter."""
    return PairedComparison(
        n_seeds=5,
        mean_a=0.0,
        mean_b=0.0,
        difference=Interval((low + high) / 2, low, high, 5),
        higher_is_better=higher,
        margin=0.01,
        p_t=math.nan,
        p_wilcoxon=math.nan,
        p_beyond=math.nan,
        p_equivalence=math.nan,
        p_a_beats_b=0.5,
        sd=math.nan,
        df_per_seed=1.0,
        paired=True,
        identical=False,
    )


@pytest.mark.parametrize(
    ("low", "high", "higher", "p_beyond", "p_equivalence", "expected"),
    [
        (0.02, 0.04, True, 0.01, 0.9, "better"),
        (0.02, 0.04, False, 0.01, 0.9, "worse"),
        (-0.04, -0.02, True, 0.01, 0.9, "worse"),
        (-0.04, -0.02, False, 0.01, 0.9, "better"),
        # Beyond the margin if asked alone, but not after Holm.
        (0.02, 0.04, True, 0.06, 0.9, "not enough data"),
        # A difference that is certain and does not matter.
        (0.001, 0.004, True, 1.0, 0.01, "equivalent"),
        (-0.004, 0.004, True, 0.9, 0.01, "equivalent"),
        (0.005, 0.02, True, 0.7, 0.3, "not enough data"),
        (-0.05, 0.05, True, 0.9, 0.9, "not enough data"),
        (math.nan, math.nan, True, math.nan, math.nan, "not enough data"),
    ],
)
def test_verdict(low, high, higher, p_beyond, p_equivalence, expected):
    said = hypothesis_tests.verdict(
        comparison(low, high, higher), p_beyond, p_equivalence
    )
    assert said == expected
    assert said in hypothesis_tests.VERDICTS


def false_positives(margin: float, difference: float, n_questions: int) -> float:
    """Share of 300 families in which some verdict is "better" or "worse"."""
    rng = rng_of(n_questions)
    wrong = 0
    for _ in range(300):
        results = []
        for _ in range(n_questions):
            a = rng.normal(0.85 + difference, 0.004, 5)
            b = rng.normal(0.85, 0.004, 5)
            results.append(
                hypothesis_tests.compare_paired(
                    a, b, margin=margin, higher_is_better=True
                )
            )
        said = {one.verdict for one in hypothesis_tests.judge(results)}
        wrong += bool({"better", "worse"} & said)
    return wrong / 300


def test_verdicts_seldom_invent_a_difference():
    # A true rate of 5 % stays below 9 % in 300 families (3 standard errors).
    assert false_positives(margin=0.0, difference=0.0, n_questions=1) < 0.09
    assert false_positives(margin=0.0, difference=0.0, n_questions=3) < 0.09
    # With a margin of about the spread it takes more than chance.
    assert false_positives(margin=0.005, difference=0.0, n_questions=3) < 0.01
    # A difference that only just does not matter: 2.5 % on its side.
    assert false_positives(margin=0.005, difference=0.005, n_questions=1) < 0.05


def test_equivalence_is_seldom_claimed_at_the_edge_of_the_margin():
    rng = rng_of(0)
    claimed = 0
    for _ in range(1000):
        d = rng.normal(0.01, 0.004, 5)
        result = hypothesis_tests.compare_paired(
            d, np.zeros(5), margin=0.01, higher_is_better=True
        )
        claimed += (
            hypothesis_tests.verdict(result, 1.0, result.p_equivalence) == "equivalent"
        )
    assert 30 <= claimed <= 72  # 5 % of 1,000, three standard errors of 7 each way


def test_verdicts_find_a_difference_that_matters():
    rng = rng_of(0)
    found = 0
    for _ in range(200):
        a, b = rng.normal(0.88, 0.004, 5), rng.normal(0.85, 0.004, 5)
        result = hypothesis_tests.compare_paired(
            a, b, margin=0.005, higher_is_better=True
        )
        found += hypothesis_tests.verdict(result, result.p_beyond, 1.0) == "better"
    assert found > 190


# --- McNemar and Holm -----------------------------------------------------------


def test_mcnemar_of_the_published_example():
    # Bentur et al. 2009 in Fagerland et al. 2013: 1 against 7 discordant pairs.
    # Exact: 2 (1 + 8) / 2^8 = 0.0703; mid-p: less 8 / 2^8, 0.0391.
    a = np.array([True] * 1 + [False] * 7 + [True] * 5 + [False] * 8)
    b = np.array([False] * 1 + [True] * 7 + [True] * 5 + [False] * 8)
    result = hypothesis_tests.mcnemar(a, b)
    assert (result.n_only_a, result.n_only_b) == (1, 7)
    assert result.p_exact == pytest.approx(18 / 256)
    assert result.p_mid == pytest.approx(10 / 256)


def test_mcnemar_at_equal_counts():
    # 1 against 1: exact 1, mid-p 1 - (1/2) (2 / 4).
    a = np.array([True, False])
    result = hypothesis_tests.mcnemar(a, ~a)
    assert (result.p_exact, result.p_mid) == (1.0, pytest.approx(0.75))


def test_mcnemar_without_disagreement():
    a = np.array([True, False])
    result = hypothesis_tests.mcnemar(a, a)
    assert (result.p_exact, result.p_mid) == (1.0, 1.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_agrees_with_the_binomial_test_and_is_symmetric(only_a, only_b):
    if only_a + only_b == 0:
        return
    a = np.repeat([True, False], [only_a, only_b])
    result, swapped = hypothesis_tests.mcnemar(a, ~a), hypothesis_tests.mcnemar(~a, a)
    expected = stats.binomtest(only_a, only_a + only_b).pvalue
    assert result.p_exact == pytest.approx(expected)
    assert 0.0 < result.p_mid < result.p_exact <= 1.0
    assert (swapped.p_exact, swapped.p_mid) == (result.p_exact, result.p_mid)


def test_holm_by_hand():
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, and 0.04 raised to 0.06.
    assert hypothesis_tests.holm([0.01, 0.04, 0.03]) == pytest.approx(
        [0.03, 0.06, 0.06]
    )


def test_holm_leaves_out_what_was_not_asked():
    adjusted = hypothesis_tests.holm([0.02, math.nan, 0.6, 0.8])
    # 0.02 * 3, then 0.6 * 2 cut at 1.
    assert adjusted == pytest.approx([0.06, math.nan, 1.0, 1.0], nan_ok=True)
    assert len(hypothesis_tests.holm([])) == 0


@given(st.lists(st.one_of(st.floats(0.0, 1.0), st.just(math.nan)), max_size=8))
def test_holm_only_raises_and_keeps_the_order(p_values):
    raw = np.array(p_values)
    adjusted = hypothesis_tests.holm(raw)
    asked = ~np.isnan(raw)
    assert (np.isnan(adjusted) == ~asked).all()
    assert (adjusted[asked] >= raw[asked]).all() and (adjusted[asked] <= 1.0).all()
    assert (np.diff(adjusted[asked][np.argsort(raw[asked])]) >= 0.0).all()
    assert hypothesis_tests.holm(raw[::-1])[::-1] == pytest.approx(
        adjusted, nan_ok=True
    )


# --- search ---------------------------------------------------------------------


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


# --- calibration ----------------------------------------------------------------


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
