"""Checks of the statistics: by hand, against scipy and sklearn, and by simulation.

The simulations ask of every interval what its name says: that 95 % of them hold the
truth. Their seeds are fixed; 1,000 data sets put 92 % to 98 % well within chance.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_data import MARGIN, PAIRS, SCORES, holds, rng_of
from scipy import stats

from lstm_bench.analysis import hypothesis_tests
from lstm_bench.analysis.hypothesis_tests import PairedComparison
from lstm_bench.analysis.intervals import (
    Interval,
)
from lstm_bench.analysis.tables.cost import pareto_front


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
    assert twice.verdict == "undecided"
    assert twice.p_beyond_holm == pytest.approx(2 * alone.p_beyond_holm)
    assert twice.n_seeds_needed == 4


@given(PAIRS, MARGIN, st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_only_what_is_open_needs_seeds_and_more_of_them(pairs, margin, n_times):
    a, b = map(list, zip(*pairs, strict=True))
    said = judged(a, b, margin, n_times)
    if said.n_seeds_needed is not None:
        assert said.verdict == "undecided"
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
        assert (said.verdict, said.n_seeds_needed) == ("undecided", 3)


@given(PAIRS, MARGIN)
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
    assert (said.verdict, said.n_seeds_needed) == ("undecided", None)


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
def test_swapping_unpaired_models_swaps_the_verdict(a, b, margin, higher):
    options = {"margin": margin, "higher_is_better": higher}
    first = hypothesis_tests.compare_unpaired(a, b, **options)
    assert_opposite(first, hypothesis_tests.compare_unpaired(b, a, **options))
    assert first.difference.low <= first.difference.estimate <= first.difference.high


@given(PAIRS, MARGIN)
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
        (0.02, 0.04, True, 0.06, 0.9, "undecided"),
        # A difference that is certain and does not matter.
        (0.001, 0.004, True, 1.0, 0.01, "equivalent"),
        (-0.004, 0.004, True, 0.9, 0.01, "equivalent"),
        (0.005, 0.02, True, 0.7, 0.3, "undecided"),
        (-0.05, 0.05, True, 0.9, 0.9, "undecided"),
        (math.nan, math.nan, True, math.nan, math.nan, "undecided"),
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
