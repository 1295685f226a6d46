"""Intervals and comparisons: arrays in, numbers and small records out.

Two things make a test score uncertain: the seed a network was trained with, and
the reviews it happened to be tested on. `mean_interval` and `compare_paired` speak
of the first, `wilson_interval` and the bootstraps over reviews of the second, and
`bootstrap_seeds_and_reviews` of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

# The parts of scipy that take over a second to import are imported where used.
from scipy import special

from lstm_bench.checks import (
    ROUNDING,
    check_level,
    check_margin,
    check_values,
    count_text,
    largest,
    percent_text,
)
from lstm_bench.heads import FloatArray

LEVEL = 0.95

VERDICTS: tuple[str, ...] = ("better", "worse", "equivalent", "not enough data")

MAX_SEEDS_NEEDED = 1000


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes
    ----------
    estimate, low, high : float
        In the unit of the values; `low` and `high` are NaN where there are too few
        values for an interval.
    n : int
        Number of values the interval speaks of: seeds, or reviews.
    method : str
        In words, e.g. ``95 % t interval over 5 seeds``.
    """

    estimate: float
    low: float
    high: float
    n: int
    method: str

    def within(self, lowest: float, highest: float) -> Interval:
        """Return the interval cut at the range that values can have.

        A t interval of few values reaches beyond it: it knows no range.
        """
        low, high = max(self.low, lowest), min(self.high, highest)
        return replace(self, low=low, high=high)


@dataclass(frozen=True)
class PairedComparison:
    """How the scores of `a` differ from those of `b`: "a minus b".

    Attributes
    ----------
    n_seeds : int
        Seeds of both; of the smaller group when not `paired`.
    mean_a, mean_b : float
    difference : Interval
        t interval of ``mean_a - mean_b`` over seeds, in the metric's unit.
    higher_is_better : bool
        Direction of the metric.
    margin : float
        Differences in ``[-margin, margin]`` do not matter in practice; 0 for none.
    p_t, p_wilcoxon : float
        Two-sided p-values of the t test and of the rank test (Wilcoxon's signed
        ranks; Mann-Whitney U when not `paired`); NaN below two seeds.
    p_equivalence : float
        Larger of the two one-sided p-values of TOST: small where the difference
        lies inside the margin; NaN below two seeds or without a margin.
    p_a_beats_b : float
        Share of all pairs of one run of `a` and one of `b` in which `a` scores
        better, a tie counting half: probability of improvement.
    n_seeds_needed : int or None
        Smallest number of seeds, at least 2, at which the half-width of the
        interval would be below the distance from the difference to the edge of the
        margin, if mean and spread stayed as seen; per group when not `paired`. None
        below two seeds or above `MAX_SEEDS_NEEDED`.
    paired : bool
    """

    n_seeds: int
    mean_a: float
    mean_b: float
    difference: Interval
    higher_is_better: bool
    margin: float
    p_t: float
    p_wilcoxon: float
    p_equivalence: float
    p_a_beats_b: float
    n_seeds_needed: int | None
    paired: bool


@dataclass(frozen=True)
class McNemar:
    """Two models on the same reviews: where only one of them is right.

    Attributes
    ----------
    n_reviews, n_only_a, n_only_b : int
        All reviews; those that only `a`, and only `b`, classifies correctly.
    p_exact, p_mid : float
        Two-sided p-values of the exact conditional and of the mid-p test.
    """

    n_reviews: int
    n_only_a: int
    n_only_b: int
    p_exact: float
    p_mid: float


def mean_interval(values: npt.ArrayLike, level: float = LEVEL) -> Interval:
    """Give the t interval of the mean of scores over seeds.

    Parameters
    ----------
    values : array of shape (n_seeds,)
        One score per seed, in any unit.
    level : float in (0, 1)

    Returns
    -------
    Interval
        With NaN bounds for a single seed. Not cut at the metric's range: with few
        seeds a bound above 1 says that little is known.

    Raises
    ------
    ValueError
        No values, values that are not finite, or a level outside (0, 1).

    References
    ----------
    Student, "The probable error of a mean", Biometrika 6(1), 1908.
    """
    scores = check_values("mean_interval", "values", values)
    check_level("mean_interval", level)
    return _t_interval(scores, level, "t interval")


def wilson_interval(
    share: float, n: float, level: float = LEVEL
) -> tuple[float, float]:
    """Wilson score interval of a share of `n` independent yes-or-no outcomes.

    Parameters
    ----------
    share : float in [0, 1]
        ``share * n`` need not be whole: it may be the mean share of several runs.
    n : float
        Number of outcomes; below 1, or with a NaN share, the interval is NaN.
    level : float in (0, 1)

    Returns
    -------
    low, high : float
        In [0, 1], `share` between them.

    Raises
    ------
    ValueError
        A share outside [0, 1] or a level outside (0, 1).

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22(158), 1927.
    """
    low, high = wilson_intervals(np.array([share], dtype=float), n, level)
    return float(low[0]), float(high[0])


def wilson_intervals(
    shares: FloatArray, n: float, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """`wilson_interval` of each of `shares`, all of `n` outcomes.

    Parameters
    ----------
    shares : ndarray of shape (k,)
    n : float
    level : float in (0, 1)

    Returns
    -------
    low, high : ndarray of shape (k,)

    Raises
    ------
    ValueError
        As `wilson_interval`.
    """
    check_level("wilson_interval", level)
    if n < 1:
        return np.full(len(shares), np.nan), np.full(len(shares), np.nan)
    outside = shares[(shares < 0.0) | (shares > 1.0)]
    if len(outside):
        raise ValueError(
            "wilson_interval: share: expected a number in [0, 1], got "
            f"{float(outside[0])!r}"
        )
    return wilson_bounds(shares, np.array([n]), level)


def newcombe_interval(
    share_a: float, n_a: float, share_b: float, n_b: float, level: float = LEVEL
) -> Interval:
    """Newcombe's hybrid-score interval of the difference of two shares, ``a - b``.

    For shares of independent samples: of two accuracies on the same reviews it is
    as a rule too wide, since what is hard for one model is hard for the other.

    Parameters
    ----------
    share_a, share_b : float in [0, 1]
    n_a, n_b : float
        Number of outcomes of each; below 1, or with a NaN share, the bounds are NaN.
    level : float in (0, 1)

    Returns
    -------
    Interval
        In [-1, 1]; its `n` is that of the smaller sample.

    Raises
    ------
    ValueError
        A share outside [0, 1] or a level outside (0, 1).

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent
    proportions: comparison of eleven methods", Statistics in Medicine 17(8), 1998,
    method 10.
    """
    low_a, high_a = wilson_interval(share_a, n_a, level)
    low_b, high_b = wilson_interval(share_b, n_b, level)
    difference = share_a - share_b
    return Interval(
        difference,
        difference - math.hypot(share_a - low_a, high_b - share_b),
        difference + math.hypot(high_a - share_a, share_b - low_b),
        int(min(n_a, n_b)),
        f"{percent_text(level)} Newcombe interval over {n_a:,g} and {n_b:,g} outcomes",
    )


def compare_paired(
    a: npt.ArrayLike, b: npt.ArrayLike, *, margin: float, higher_is_better: bool
) -> PairedComparison:
    """Compare two models trained with the same seeds, on the differences by seed.

    Differences that are all alike leave the t test without a spread, as they do
    when a small test set makes scores coarse. Its p-value is then that of the exact
    sign-flip test: ``2**(1 - n_seeds)``, and ``2**-n_seeds`` on either side of the
    margin; 1 where the difference is zero.

    Parameters
    ----------
    a, b : array of shape (n_seeds,)
        Scores by seed, in the same order.
    margin : float, at least 0
        Largest difference that does not matter, in the metric's unit.
    higher_is_better : bool

    Returns
    -------
    PairedComparison

    Raises
    ------
    ValueError
        Groups that are empty, unlike in length or not finite, or a margin below 0.

    References
    ----------
    Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6),
    1945. Schuirmann, "A comparison of the two one-sided tests procedure and the
    power approach", Journal of Pharmacokinetics and Biopharmaceutics 15(6), 1987.
    Agarwal et al., "Deep reinforcement learning at the edge of the statistical
    precipice", NeurIPS 2021, section 4.3 (probability of improvement).
    """
    where = "compare_paired"
    scores_a, scores_b = check_values(where, "a", a), check_values(where, "b", b)
    if len(scores_a) != len(scores_b):
        raise ValueError(
            f"{where}: a and b: expected one score per seed in both, got "
            f"{len(scores_a)} and {len(scores_b)}; use compare_unpaired for other seeds"
        )
    check_margin(where, margin)
    n = len(scores_a)
    tolerance = ROUNDING * largest(scores_a, scores_b)
    differences = scores_a - scores_b
    differences[np.abs(differences) <= tolerance] = 0.0
    alike = float(np.ptp(differences)) <= tolerance
    if alike:
        differences[:] = differences[0]
    interval = _t_interval(differences, LEVEL, "paired t interval")
    spread = standard_error(differences)
    p_t, p_equivalence = _t_tests(
        interval.estimate, spread, n - 1, margin, p_alike=0.5**n
    )
    return PairedComparison(
        n_seeds=n,
        mean_a=float(scores_a.mean()),
        mean_b=float(scores_b.mean()),
        difference=interval,
        higher_is_better=higher_is_better,
        margin=margin,
        p_t=p_t,
        p_wilcoxon=_signed_rank_p(differences, tolerance),
        p_equivalence=p_equivalence,
        p_a_beats_b=_improvement(scores_a, scores_b, higher_is_better),
        n_seeds_needed=None
        if n < 2
        else seeds_needed(
            spread * math.sqrt(n), abs(abs(interval.estimate) - margin), LEVEL
        ),
        paired=True,
    )


def compare_unpaired(
    a: npt.ArrayLike, b: npt.ArrayLike, *, margin: float, higher_is_better: bool
) -> PairedComparison:
    """Compare two models trained with different seeds, by Welch's t test.

    Two groups without any spread get the p-values of the exact permutation test
    instead (compare `compare_paired`): one over the number of ways to split the
    scores into groups of these sizes, twice that for both sides.

    Parameters
    ----------
    a : array of shape (n_seeds_a,)
    b : array of shape (n_seeds_b,)
    margin : float, at least 0
        Largest difference that does not matter, in the metric's unit.
    higher_is_better : bool

    Returns
    -------
    PairedComparison
        With `paired` False; `p_wilcoxon` is that of Mann and Whitney's U.

    Raises
    ------
    ValueError
        Groups that are empty or not finite, or a margin below 0.

    References
    ----------
    Welch, "The generalization of Student's problem when several different
    population variances are involved", Biometrika 34(1-2), 1947. Mann and Whitney,
    "On a test of whether one of two random variables is stochastically larger than
    the other", Annals of Mathematical Statistics 18(1), 1947. Schuirmann 1987 and
    Agarwal et al. 2021 as in `compare_paired`.
    """
    where = "compare_unpaired"
    scores_a, scores_b = check_values(where, "a", a), check_values(where, "b", b)
    check_margin(where, margin)
    n_a, n_b = len(scores_a), len(scores_b)
    tolerance = ROUNDING * largest(scores_a, scores_b)
    mean_a, mean_b = float(scores_a.mean()), float(scores_b.mean())
    mean = mean_a - mean_b if abs(mean_a - mean_b) > tolerance else 0.0
    method = (
        f"{percent_text(LEVEL)} Welch t interval over "
        f"{n_a:,} and {count_text(scores_b, 'seed')}"
    )
    low = high = spread = df = math.nan
    needed = None
    if min(n_a, n_b) >= 2:
        # Variances of the two means, freed of what is rounding only.
        parts = [
            0.0 if np.ptp(s) <= tolerance else standard_error(s) ** 2
            for s in (scores_a, scores_b)
        ]
        spread = math.sqrt(sum(parts))
        df = float(n_a + n_b - 2)
        sizes = np.array([n_a, n_b])
        if spread > 0.0:
            df = _welch_df(np.array(parts) / sum(parts), sizes)
        half = spread * float(special.stdtrit(df, 0.5 + LEVEL / 2))
        low, high = mean - half, mean + half
        variances = np.array(parts) * sizes
        needed = _seeds_needed(
            math.sqrt(variances.sum()),
            abs(abs(mean) - margin),
            LEVEL,
            df_per_seed=_welch_df(variances / variances.sum(), np.array([2, 2]))
            if spread > 0.0
            else 2.0,
        )
    p_t, p_equivalence = _t_tests(
        mean, spread, df, margin, p_alike=1.0 / math.comb(n_a + n_b, n_a)
    )
    return PairedComparison(
        n_seeds=min(n_a, n_b),
        mean_a=mean_a,
        mean_b=mean_b,
        difference=Interval(mean, low, high, min(n_a, n_b), method),
        higher_is_better=higher_is_better,
        margin=margin,
        p_t=p_t,
        p_wilcoxon=_rank_sum_p(scores_a, scores_b),
        p_equivalence=p_equivalence,
        p_a_beats_b=_improvement(scores_a, scores_b, higher_is_better),
        n_seeds_needed=needed,
        paired=False,
    )


def mcnemar(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> McNemar:
    """Test whether two trained networks err equally often on the same reviews.

    Of these two networks only: it does not know about other seeds.

    Parameters
    ----------
    correct_a, correct_b : bool array of shape (n_reviews,)
        Whether each model classifies the review correctly.

    Returns
    -------
    McNemar
        Both p-values are 1 where the models are right on the same reviews.

    Raises
    ------
    ValueError
        Arrays that are not boolean, not one-dimensional, empty or unlike in length.

    References
    ----------
    Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data:
    mid-p and asymptotic are better than exact conditional", BMC Medical Research
    Methodology 13:91, 2013.
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.dtype != bool or b.dtype != bool:
        raise ValueError(
            f"mcnemar: correct_a, correct_b: expected bool, got {a.dtype}, {b.dtype}"
        )
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(
            "mcnemar: correct_a, correct_b: expected the same shape (n_reviews,), "
            f"got {a.shape} and {b.shape}"
        )
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    n, fewer = only_a + only_b, min(only_a, only_b)
    p_exact = p_mid = 1.0
    if n:
        from scipy.stats import binom

        p_exact = min(1.0, 2.0 * float(binom.cdf(fewer, n, 0.5)))
        point = float(binom.pmf(fewer, n, 0.5))
        # At equal counts the two tails overlap in the point itself.
        p_mid = p_exact - (0.5 * point if only_a == only_b else point)
    return McNemar(len(a), only_a, only_b, p_exact, p_mid)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values for having asked several questions.

    Parameters
    ----------
    p_values : array of shape (n_questions,), in [0, 1] or NaN
        NaN where a question could not be asked; it stays NaN and does not count.

    Returns
    -------
    ndarray of shape (n_questions,)
        In [0, 1], none below its raw value. Rejecting where it is below alpha keeps
        the chance of any false rejection at alpha.

    Raises
    ------
    ValueError
        Not one-dimensional, or a number outside [0, 1].

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6(2), 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"holm: p_values: expected shape (n,), got {p.shape}")
    asked = np.flatnonzero(~np.isnan(p))
    outside = p[asked][(p[asked] < 0.0) | (p[asked] > 1.0)]
    if len(outside):
        raise ValueError(
            f"holm: p_values: expected numbers in [0, 1] or NaN, got {outside[0]!r}"
        )
    adjusted = np.full(len(p), np.nan)
    order = asked[np.argsort(p[asked], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted


def verdict(
    comparison: PairedComparison,
    p_difference: float,
    p_equivalence: float,
    alpha: float = 1.0 - LEVEL,
) -> str:
    """Say in one of the `VERDICTS` how `a` compares with `b`.

    Parameters
    ----------
    comparison : PairedComparison
    p_difference, p_equivalence : float
        Its `p_t` and `p_equivalence`, adjusted by `holm` over the family asked.
    alpha : float in (0, 1)
        Error rate; 0.05 goes with the 95 % interval of the difference.

    Returns
    -------
    str
        "better": the whole interval lies beyond the margin on the side that is
        better for the metric, and ``p_difference < alpha``; "worse": the other
        side; "equivalent": ``p_equivalence < alpha`` and neither of these;
        otherwise "not enough data", which also stands for NaN.

    Raises
    ------
    ValueError
        An alpha outside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"verdict: alpha: expected a number in (0, 1), got {alpha!r}")
    low, high = comparison.difference.low, comparison.difference.high
    if not comparison.higher_is_better:
        low, high = -high, -low
    # Every comparison with NaN is false.
    if p_difference < alpha:
        if low > comparison.margin:
            return "better"
        if high < -comparison.margin:
            return "worse"
    return "equivalent" if p_equivalence < alpha else "not enough data"


def seeds_needed(sd: float, distance: float, level: float = LEVEL) -> int | None:
    """Smallest number of seeds whose t interval is narrower than a distance.

    Parameters
    ----------
    sd : float, at least 0
        Standard deviation over seeds (of the differences, for a paired comparison).
    distance : float, at least 0
        What the half-width of the interval must stay below, in the unit of `sd`.
    level : float in (0, 1)

    Returns
    -------
    int or None
        At least 2; None above `MAX_SEEDS_NEEDED`. An outlook, not a stopping rule:
        `sd` from few seeds is itself uncertain.

    Raises
    ------
    ValueError
        A number below 0 or NaN, or a level outside (0, 1).
    """
    for name, value in (("sd", sd), ("distance", distance)):
        if not value >= 0.0:
            raise ValueError(
                f"seeds_needed: {name}: expected a number of at least 0, got {value!r}"
            )
    check_level("seeds_needed", level)
    return _seeds_needed(sd, distance, level, df_per_seed=1.0)


def _seeds_needed(
    sd: float, distance: float, level: float, df_per_seed: float
) -> int | None:
    """`seeds_needed` with ``df_per_seed * (n - 1)`` degrees of freedom."""
    n = np.arange(2, MAX_SEEDS_NEEDED + 1)
    half = special.stdtrit(df_per_seed * (n - 1), 0.5 + level / 2) * sd / np.sqrt(n)
    enough = np.flatnonzero(half < distance)
    return int(n[enough[0]]) if len(enough) else None


def _t_interval(values: FloatArray, level: float, words: str) -> Interval:
    """Give the t interval of a mean, its method described by `words`."""
    n = len(values)
    mean = float(values.mean())
    method = f"{percent_text(level)} {words} over {count_text(values, 'seed')}"
    if n < 2:
        return Interval(mean, math.nan, math.nan, n, method)
    half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * standard_error(values)
    return Interval(mean, mean - half, mean + half, n, method)


def standard_error(values: FloatArray) -> float:
    """Return the standard error of a mean; NaN below two values."""
    n = len(values)
    if n < 2:
        return math.nan
    # The mean of equal values may be off in its last bit, and so their spread.
    return float(values.std(ddof=1)) / math.sqrt(n) if np.ptp(values) > 0 else 0.0


def _welch_df(shares: FloatArray, sizes: npt.NDArray[np.integer]) -> float:
    """Welch and Satterthwaite's degrees of freedom from shares of the variance."""
    return float(1.0 / np.sum(shares**2 / (sizes - 1)))


def _t_tests(
    mean: float, standard_error: float, df: float, margin: float, *, p_alike: float
) -> tuple[float, float]:
    """Two-sided p-value of a difference, and p-value of equivalence (TOST).

    `p_alike` is the one-sided p-value where the standard error is zero.
    """
    if math.isnan(standard_error):
        return math.nan, math.nan
    inside = margin - abs(mean)
    if standard_error == 0.0:
        p_t = 1.0 if mean == 0.0 else min(1.0, 2.0 * p_alike)
        p_equivalence = p_alike if inside > 0.0 else 1.0
    else:
        p_t = 2.0 * float(special.stdtr(df, -abs(mean) / standard_error))
        # The nearer edge has the larger of the two one-sided p-values.
        p_equivalence = float(special.stdtr(df, -inside / standard_error))
    return p_t, p_equivalence if margin > 0.0 else math.nan


def _signed_rank_p(differences: FloatArray, tolerance: float) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; zeros are left out."""
    if len(differences) < 2:
        return math.nan
    moved = differences[differences != 0.0]
    if not len(moved):
        return 1.0
    from scipy.stats import wilcoxon

    # Differences that are equal but for rounding must tie.
    step = tolerance or 1.0
    return float(wilcoxon(np.round(moved / step) * step).pvalue)


def _rank_sum_p(a: FloatArray, b: FloatArray) -> float:
    """Two-sided p-value of the Mann-Whitney U test."""
    if min(len(a), len(b)) < 2:
        return math.nan
    if np.ptp(np.concatenate([a, b])) == 0.0:
        return 1.0
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(a, b, alternative="two-sided").pvalue)


def _improvement(a: FloatArray, b: FloatArray, higher_is_better: bool) -> float:
    """Share of pairs in which `a` is better, ties counting half."""
    gaps = a[:, np.newaxis] - b[np.newaxis, :]
    wins = gaps > 0.0 if higher_is_better else gaps < 0.0
    return float(np.mean(wins + 0.5 * (gaps == 0.0)))


def wilson_bounds(
    share: FloatArray, n: npt.NDArray[Any], level: float
) -> tuple[FloatArray, FloatArray]:
    """Wilson bounds of shares of shape (k,), of `n` >= 1 outcomes each."""
    z = float(special.ndtri(0.5 + level / 2))
    shrink = 1.0 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    # At 0 and 1 rounding would leave the share just outside its interval.
    low = np.clip(np.minimum(centre - half, share), 0.0, 1.0)
    high = np.clip(np.maximum(centre + half, share), 0.0, 1.0)
    return low, high


def pareto_front(
    time: FloatArray, score: FloatArray, higher_is_better: bool
) -> npt.NDArray[np.bool_]:
    """Return where no other is at least as good in both and better in one.

    Parameters
    ----------
    time : float ndarray of shape (n,), lower is better
    score : float ndarray of shape (n,)

    Returns
    -------
    bool ndarray of shape (n,)
    """
    loss = -score if higher_is_better else score
    on_front = np.zeros(len(time), dtype=bool)
    best = (np.inf, np.inf)
    # By time, ties by loss: one is on the front if it beats all that are faster, or
    # equals the last that did.
    for i in np.lexsort((loss, time)):
        point = (loss[i], time[i])
        if loss[i] < best[0] or point == best:
            on_front[i], best = True, point
    return on_front
