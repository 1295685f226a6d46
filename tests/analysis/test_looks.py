from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from results_builder import (
    CONFIRM_SUITE,
    CONFIRMED,
    TRIAL_2,
    TRIAL_3,
    is_of,
    make_confirmed_results,
)
from simulated_looks import (
    LOOKS,
    families_of_a_winner,
    lan_demets,
    normal_families,
    verdicts,
)

from lstm_bench.analysis import hypothesis_tests
from lstm_bench.analysis.comparisons import analyse, compare_two
from lstm_bench.analysis.hypothesis_tests import compare_paired, judge
from lstm_bench.analysis.intervals import LEVEL, level_of, mean_interval
from lstm_bench.analysis.looks import settle
from lstm_bench.analysis.verdicts import answers
from lstm_bench.report.sections.comparisons import comparisons_section
from lstm_bench.report.sections.confirmation import confirmation_section
from lstm_bench.report.view import make_view
from lstm_bench.suites.suite import MIN_FIRST_LOOK

CODES = {"better": 1, "worse": -1, "equivalent": 2, "undecided": 0}
UNTIL = CONFIRM_SUITE.replace(
    "n_replicates: 3", "n_replicates: 3\n  until: settled\n  max_replicates: 9"
)


def compared(differences, margin=0.0, n_there=None):
    """Return what `settle` asks for one comparison with these differences."""
    there = len(differences) if n_there is None else n_there

    def compare(n):
        if n > there:
            return None
        first = differences[:n]
        return compare_paired(
            first,
            np.zeros(n),
            margin=margin,
            higher_is_better=True,
            n_looks=len(LOOKS),
        )

    return compare


def test_settle_gives_what_the_simulation_gives():
    data = normal_families(40, [0.0, 0.7, 2.0], seed=5)
    said, n_used = verdicts(data, margin=0.7)
    for family, expected, n in zip(data, said, n_used, strict=True):
        found = settle(LOOKS, [compared(d, 0.7) for d in family.T])
        assert [CODES[judged.verdict] for _, judged in found] == expected.tolist()
        assert [LOOKS[look - 1] for look, _ in found] == n.tolist()
    assert set(np.unique(said)) >= {0, 1, 2}
    assert len(np.unique(n_used)) > 3


@pytest.mark.parametrize("m", [1, 3, 6])
def test_looking_often_makes_no_false_verdict_more_frequent(m):
    n = 10_000
    limit = 0.05 * n + 3 * math.sqrt(n * 0.05 * 0.95)
    said, _ = verdicts(normal_families(n, [0.0] * m, seed=m), margin=0.0)
    assert (said != 0).any(axis=1).sum() <= limit
    at_the_edge, _ = verdicts(normal_families(n, [1.0] * m, seed=m), margin=1.0)
    assert (at_the_edge == 2).any(axis=1).sum() <= limit
    assert (np.abs(at_the_edge) == 1).any(axis=1).sum() <= limit
    # Without a correction it would be more than three times as often.
    naive, _ = verdicts(
        normal_families(n, [0.0] * m, seed=m), 0.0, lambda a: np.full(6, a)
    )
    assert (naive != 0).any(axis=1).sum() > 2.5 * limit


def test_the_winner_of_the_first_look_is_compared_at_the_level():
    n = 10_000
    said, _ = verdicts(families_of_a_winner(n, seed=1), margin=0.0)
    assert (said != 0).any(axis=1).sum() <= 0.05 * n + 3 * math.sqrt(n * 0.05 * 0.95)


def test_large_and_no_differences_are_settled_with_few_seeds():
    _, large = verdicts(normal_families(2000, [3.0] * 3, seed=0), margin=1.0)
    assert large.mean() < 9.5
    said, none = verdicts(normal_families(2000, [0.0] * 3, seed=0), margin=2.0)
    assert none.mean() < 9.5
    assert (said == 2).mean() > 0.95


def test_lan_demets_spends_the_level_of_a_brownian_motion():
    # Pocock's spending function at a sixth of the time, exactly.
    assert lan_demets(0.05)[0] == pytest.approx(
        0.05 * math.log(1 + (math.e - 1) / 6), rel=1e-6
    )
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(200_000, 6))
    z = np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, 7))
    p = np.vectorize(math.erfc)(np.abs(z[:50_000]) / math.sqrt(2))
    assert (p < lan_demets(0.05)).any(axis=1).mean() == pytest.approx(0.05, abs=0.003)


def test_a_look_needs_every_replicate_of_what_is_open():
    rng = np.random.default_rng(3)
    large, small = 5 + rng.normal(size=30), 0.1 * rng.normal(size=30)
    (look, judged), (other, open_one) = settle(
        LOOKS, [compared(large), compared(small, n_there=12)]
    )
    # What is settled needs no more: its seeds are those of its look.
    assert (look, judged.verdict) == (1, "better")
    assert (other, open_one.verdict) == (2, "undecided")
    before = settle(LOOKS, [compared(large, n_there=4), compared(small)])
    assert [(look, judged.verdict) for look, judged in before] == [
        (0, "undecided"),
        (0, "undecided"),
    ]


def test_a_settled_verdict_stays():
    first = np.array([1.0, 1.01, 0.99, 1.02, 0.98])
    later = np.concatenate([first, np.full(25, -3.0)])
    ((look, judged),) = settle(LOOKS, [compared(later)])
    assert (look, judged.verdict) == (1, "better")


def test_equal_scores_are_settled_when_chance_would_not_make_them():
    # Of the exact sign-flip test: 6 * 2**-5 = 0.19, and 6 * 2**-10 = 0.006.
    ((look, judged),) = settle(LOOKS, [compared(np.zeros(30), margin=0.1)])
    assert (look, judged.verdict) == (2, "identical")
    by_chance = np.array([0.0] * 5 + [0.3, -0.2] * 12 + [0.1])
    ((look, judged),) = settle(LOOKS, [compared(by_chance, margin=0.05)])
    assert (look, judged.verdict) == (6, "undecided")


def test_corrected_p_values_count_the_looks_and_what_is_not_rejected():
    one = compare_paired(
        [0.90, 0.92, 0.94], [0.88] * 3, margin=0.1, higher_is_better=True
    )
    p, inside = one.p_beyond, one.p_equivalence
    (alone,) = judge([one], n_looks=6)
    assert alone.p_equivalence_holm == pytest.approx(6 * inside)
    assert alone.p_beyond_holm == min(1.0, 6 * p)
    # Settled as equivalent: no longer tested for that, still counted for the other.
    (beside,) = judge([one], settled=["equivalent"])
    assert beside.p_equivalence_holm == pytest.approx(inside)
    assert beside.p_beyond_holm == pytest.approx(min(1.0, 2 * p))
    (after,) = judge([one], n_looks=2, settled=["better", "worse", "identical"])
    assert after.p_equivalence_holm == pytest.approx(2 * 3 * inside)
    assert after.p_beyond_holm == pytest.approx(min(1.0, 2 * 2 * p))


def test_intervals_of_all_looks_have_the_level_together():
    assert level_of(1) == LEVEL
    assert level_of(5) == pytest.approx(0.99)
    # t of two degrees of freedom: 9.925 for 99 %.
    assert mean_interval([0.0, 1.0, 2.0], level_of(5)).high == pytest.approx(
        1 + 9.92484 / math.sqrt(3), rel=1e-5
    )
    data = normal_families(2000, [0.0], seed=2)[:, :, 0]
    missed = 0
    for row in data:
        intervals = [mean_interval(row[:n], level_of(len(LOOKS))) for n in LOOKS]
        missed += any(not i.low <= 0.0 <= i.high for i in intervals)
    assert missed / 2000 <= 0.05


def test_seeds_needed_count_the_looks():
    one = compare_paired(
        [0.90, 0.92, 0.94], [0.88] * 3, margin=0.0, higher_is_better=True
    )
    # Alone four seeds: see test_hypothesis_tests. In two looks p below 0.025, as of two
    # comparisons: five.
    assert judge([one])[0].n_seeds_needed == 4
    assert judge([one], n_looks=2)[0].n_seeds_needed == 5


def test_the_first_look_has_enough_seeds_for_a_verdict():
    assert MIN_FIRST_LOOK == hypothesis_tests.MIN_SEEDS


def with_more_seeds(margin="0.05", **more):
    """Return results of the looks' suite; `more` replaces right answers by label."""
    text = UNTIL.replace("margin: 0.05", f"margin: {margin}")
    right = {
        "best": (36, 37, 36),
        "second": (34, 35, 33),
        "old": (24, 20, 22),
        "pair": (20, 24, 21),
    } | more
    confirmed = tuple(
        (given, origin, seeds)
        for (given, origin, _), seeds in zip(CONFIRMED, right.values(), strict=True)
    )
    return make_confirmed_results(confirmed=confirmed, suite_text=text)


def test_comparisons_have_their_looks_and_the_seeds_of_them():
    table = analyse(
        with_more_seeds(
            best=(36, 37, 36, 35, 36, 37, 20), second=(34, 35, 33, 35, 33, 36)
        )
    ).comparisons
    (best,) = table[table["family"] == "best"].to_dict("records")
    assert (best["look"], best["n_looks"], best["n_seeds"]) == (2, 3, 6)
    assert best["verdict"] == "undecided"
    # Differences 2, 2, 3, 0, 3, 1 of 40; t of five degrees of freedom at 1 - 0.05 / 3.
    steps = np.array([2, 2, 3, 0, 3, 1]) / 40
    assert best["difference"] == pytest.approx(steps.mean())
    half = 3.5341 * steps.std(ddof=1) / math.sqrt(6)
    assert best["ci_low"] == pytest.approx(steps.mean() - half, rel=1e-3)
    assert best["both_low"] < best["ci_low"]
    (old,) = table[table["family"] == "references"].to_dict("records")
    assert (old["verdict"], old["look"], old["n_seeds"]) == ("better", 1, 3)
    # The share of the level is a third.
    assert old["p_beyond_holm"] == pytest.approx(3 * old["p_beyond"])


def test_without_looks_there_is_no_such_column():
    assert "look" not in analyse(make_confirmed_results()).comparisons


def test_the_winner_is_that_of_the_first_look():
    # Later seeds of the second are better, on validation, too.
    results = with_more_seeds(
        best=(36, 37, 36, 20, 20, 20), second=(34, 35, 33, 40, 40, 40)
    )
    assert analyse(results).winner.label == TRIAL_2
    first = with_more_seeds(best=(30, 31, 30), second=(34, 35, 33))
    assert analyse(first).winner.label == TRIAL_3


def test_seeds_beyond_the_last_whole_look_are_not_used():
    analysis = analyse(with_more_seeds(best=(36, 37, 36, 1, 1)))
    assert sorted(analysis.winner.test) == [1, 2, 3]
    (said,) = (a for a in answers(analysis) if "next best" in a.question)
    assert "over 3 paired seeds, after 1 of 3 looks" in said.text


def test_a_failed_training_has_ended_and_is_not_compared():
    results = with_more_seeds()
    failed = results.confirmed.copy()
    lost = is_of(results, failed, TRIAL_3) & (failed["replicate"] == 2)
    failed.loc[lost, "state"] = "failed"
    table = analyse(dataclasses.replace(results, confirmed=failed)).comparisons
    (best,) = table[table["family"] == "best"].to_dict("records")
    assert (best["look"], best["n_seeds"]) == (1, 2)


def test_before_the_first_look_nothing_is_decided():
    results = with_more_seeds(best=(36, 37), margin="0.0001")
    analysis = analyse(results)
    table = analysis.comparisons
    of_winner = table[table["family"] == "references"].iloc[0]
    assert (of_winner["look"], of_winner["verdict"]) == (0, "undecided")
    (said,) = (a for a in answers(analysis) if a.question == "against the reference")
    assert "the first of 3 looks is not complete" in said.text


def test_the_report_says_after_which_look():
    view = make_view(
        analyse(with_more_seeds(best=(36, 37, 36, 35, 36, 37), second=(34,) * 6))
    )
    section = comparisons_section(view)
    assert "in 3 looks at most (after 3, 6, 9 seeds)" in section.intro
    drawing, table = section.blocks
    assert "(all 3 looks together)" in drawing.caption
    assert "an interval has 98.33%" in table.caption
    names = [column.name for column in table.columns]
    assert names[names.index("n_seeds") + 1] == "look"
    note = confirmation_section(view).blocks[0]
    assert "got more until its comparisons were settled" in note.text


def test_two_of_a_study_with_looks_are_compared_at_its_level():
    analysis = analyse(with_more_seeds())
    a, b = analysis.contenders[0], analysis.contenders[2]
    suite = analysis.results.suite
    row = compare_two(a, b, suite, paired=True, n_looks=3)
    assert row["p_beyond_holm"] == pytest.approx(min(1.0, 3 * row["p_beyond"]))
    assert row["ci_low"] < compare_two(a, b, suite, paired=True)["ci_low"]
