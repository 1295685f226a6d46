"""Learning curves: planted power laws and crossings, and what their intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.learning_curve import (
    CROSSINGS,
    LAWS,
    ahead_from,
    common_scores,
    continued,
    crossing_of,
    draw_means,
    exponents,
    law_of,
    make_learning_curve,
)
from lstm_bench.analysis.verdicts import about, crossing_text
from lstm_bench.metrics import METRICS
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.load import SUBSET_COLUMNS

ACCURACY, MSE = METRICS["accuracy"], METRICS["mse"]
SIZES = [1000, 2000, 5000, 10_000, 20_000]


def rng():
    return np.random.default_rng(0)


def planted(b, c, noise=0.0, seeds=5, sizes=SIZES):
    """Return accuracies whose error is b n^-c, and a deviation by seed."""
    deviation = noise * (np.arange(seeds) - (seeds - 1) / 2)
    return {
        n: {r: 1 - b * n**-c + deviation[r - 1] for r in range(1, seeds + 1)}
        for n in sizes
    }


def law(by_size, metric=ACCURACY):
    row = law_of("a", "A", by_size, metric, rng())
    return None if row is None else dict(zip(LAWS, row, strict=True))


def crossing(by_size, other, metric=ACCURACY):
    row = crossing_of("a", "A", by_size, "B", other, metric, rng())
    return dict(zip(CROSSINGS, row, strict=True))


def test_exponents_recover_a_power_law():
    errors = np.array([[2 * n**-0.3 for n in SIZES], [0.1] * 5])
    np.testing.assert_allclose(exponents(SIZES, errors), [0.3, 0.0], atol=1e-12)


def test_exponents_fit_logarithms_by_least_squares():
    # Of three sizes in steps of e, the slope is half of the ends' difference.
    sizes = [1, math.e, math.e**2]
    assert exponents(sizes, np.exp([0.0, 5.0, -1.0])) == pytest.approx(0.5)


def test_continued_begins_at_the_last_error():
    errors = np.array([0.4, 0.2, 0.1])
    assert continued([1, 2, 4], errors, 8) == pytest.approx(0.05)


def test_law_predicts_twice_the_data_and_checks_itself():
    found = law(planted(2.0, 0.3))
    assert found["exponent"] == pytest.approx(0.3)
    assert (found["n_train"], found["n_more"]) == (20_000, 40_000)
    assert found["predicted"] == pytest.approx(1 - 2 * 40_000**-0.3)
    assert found["checked"] == pytest.approx(1 - 2 * 20_000**-0.3)
    # Without a deviation between the seeds the interval is a point.
    ends = found["predicted_low"], found["predicted_high"]
    assert ends == pytest.approx((found["predicted"],) * 2)


def test_law_of_a_loss_takes_the_score_as_the_error():
    by_size = {n: {1: 2 * n**-0.5, 2: 2 * n**-0.5} for n in SIZES}
    found = law(by_size, MSE)
    assert found["exponent"] == pytest.approx(0.5)
    assert found["predicted"] == pytest.approx(2 * 40_000**-0.5)


def test_law_needs_three_sizes_and_errors_above_zero():
    assert law(planted(2.0, 0.3, sizes=SIZES[:2])) is None
    assert law({n: {1: 1.0, 2: 1.0} for n in SIZES}) is None


def test_law_of_three_sizes_is_not_checked_and_of_one_seed_has_no_interval():
    assert math.isnan(law(planted(2.0, 0.3, sizes=SIZES[:3]))["checked"])
    found = law(planted(2.0, 0.3, seeds=1))
    assert found["predicted"] == pytest.approx(1 - 2 * 40_000**-0.3)
    assert math.isnan(found["predicted_low"])


def test_draws_of_one_mean_have_its_t_interval():
    scores = np.array([0.8, 0.83, 0.85, 0.81, 0.84])
    draws = draw_means(scores[:, None], rng())[:, 0]
    own = mean_interval(scores)
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (low, high) == pytest.approx((own.low, own.high), abs=0.003)


def test_draws_keep_the_pairs_of_a_seed():
    seeds = np.array([0.8, 0.83, 0.85])
    draws = draw_means(np.column_stack([seeds, seeds - 0.1]), rng())
    np.testing.assert_allclose(draws[:, 0] - draws[:, 1], 0.1)


def test_ahead_from_interpolates_in_the_logarithm():
    leads = np.array(
        [
            [-0.1, 0.1, 0.2],  # in the middle between 100 and 10,000: 1,000
            [0.1, 0.1, 0.2],
            [-0.1, -0.1, 0.0],
            [0.1, -0.1, 0.3],  # ahead again after a quarter of the last step
            [0.1, 0.2, -0.1],
        ]
    )
    found = ahead_from([100, 10_000, 1_000_000], leads)
    inf = math.inf
    np.testing.assert_allclose(found, [1000, 0, inf, 10_000 * 100**0.25, inf])


def test_crossing_of_planted_power_laws():
    # 4 n^-0.4 = 0.5 n^-0.15 at n = 8^4.
    found = crossing(planted(4.0, 0.4), planted(0.5, 0.15))
    assert found["ahead_from"] == pytest.approx(4096, rel=0.05)
    assert (found["leads_first"], found["leads_last"]) == (False, True)
    text = crossing_text(found, "reviews")
    assert text.startswith("A passes it at about 4,")


def test_crossing_has_an_interval_over_seeds():
    found = crossing(planted(4.0, 0.4, noise=0.01), planted(0.5, 0.15))
    assert found["from_low"] < found["ahead_from"] < found["from_high"]
    # Paired: with the deviation of a seed in both, the lead has none.
    both = crossing(planted(4.0, 0.4, 0.01), planted(0.5, 0.15, 0.01))
    assert both["from_low"] == pytest.approx(both["from_high"], rel=1e-6)


def test_crossing_outside_of_the_range_is_named():
    behind = crossing(planted(0.5, 0.1), planted(0.4, 0.1))
    assert math.isinf(behind["ahead_from"])
    assert crossing_text(behind, "reviews") == (
        "A does not pass it within 1,000 to 20,000 reviews (95 % beyond 20,000): it "
        "is behind with 20,000"
    )
    ahead = crossing(planted(0.4, 0.1), planted(0.5, 0.1))
    assert crossing_text(ahead, "reviews") == (
        "A is ahead with 1,000 reviews and at every larger size (95 % below 1,000)"
    )


def test_crossing_of_a_loss_is_where_it_is_lower():
    low, high = ({n: {1: v, 2: v} for n in SIZES} for v in (0.1, 0.2))
    assert crossing(low, high, MSE)["leads_last"]
    assert not crossing(high, low, MSE)["leads_last"]


def test_common_scores_take_sizes_and_seeds_of_both():
    a = {1: {1: 0.1, 2: 0.2}, 2: {2: 0.3, 3: 0.0}, 4: {1: 0.0}}
    b = {1: {2: 0.5}, 2: {1: 0.0, 2: 0.6}}
    sizes, scores = common_scores(a, b)
    assert sizes == [1, 2]
    np.testing.assert_array_equal(scores, [[[0.2, 0.3], [0.5, 0.6]]])


def test_about_keeps_two_digits():
    assert [about(n) for n in (3412.0, 96.4, 12_600)] == [3400, 96, 13_000]


def test_learning_curve_has_all_examples_and_leaves_failures_out():
    suite = Suite(
        "few",
        "description: q\ndataset: synthetic\nspace: {units: [1, 2]}\n"
        "confirm: {train_sizes: [10]}\n",
        "few.yaml",
    )
    one = Contender(
        "k", "K", "search", suite.defaults, ACCURACY, {}, {1: 0.9, 2: 0.8}, {}
    )
    subsets = pd.DataFrame(
        [
            {"key": "k", "n_train": 10, "replicate": 2, "state": "complete"}
            | {"test_accuracy": 0.6, "total_time_s": 2.0},
            {"key": "k", "n_train": 10, "replicate": 1, "state": "failed"}
            | {"test_accuracy": math.nan, "total_time_s": 1.0},
        ],
        columns=SUBSET_COLUMNS,
    )
    curve = make_learning_curve(suite, subsets, 20, [one], None)
    assert curve.scores[["n_train", "n_seeds", "mean"]].to_numpy().tolist() == [
        [10, 1, 0.6],
        [20, 2, pytest.approx(0.85)],
    ]
    assert (curve.n_trainings, curve.n_failed, curve.time_s) == (2, 1, 3.0)
    assert curve.laws.empty and curve.crossings.empty
    nothing = pd.DataFrame(columns=SUBSET_COLUMNS)
    assert make_learning_curve(suite, nothing, 20, [one], None) is None
