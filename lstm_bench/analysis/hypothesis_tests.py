"""Compare two models over seeds: t tests, TOST, rank tests, McNemar, Holm, verdicts.

Arrays in, numbers and small records out. Arguments are not checked: `load_results`
rejects values that are not finite and predictions that are not probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

# Submodules of scipy that take over a second to import are imported where used.
from scipy import special

from lstm_bench.analysis.intervals import (
    LEVEL,
    Interval,
    level_of,
    mean_interval,
    standard_error,
    t_interval,
)
from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.metrics import merge_ties, rounding_of

# Mappings from verdicts to words or colours must have all of these.
Verdict = Literal["better", "worse", "equivalent", "identical", "undecided"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# The verdict on (b, a) by the verdict on (a, b).
SWAPPED: dict[Verdict, Verdict] = {
    "better": "worse",
    "worse": "better",
    "equivalent": "equivalent",
    "identical": "identical",
    "undecided": "undecided",
}

# No verdict from fewer. With two seeds the standard deviation has one degree of
# freedom: its estimate is below a tenth of the true value once in twelve times, with
# three seeds once in a hundred.
MIN_SEEDS = 3

MAX_SEEDS_NEEDED = 1000

# Significance level, matching the 95 % intervals shown.
ALPHA = 1.0 - LEVEL

# Largest number of splits of two groups to enumerate: 8 seeds against 8.
MAX_WAYS = 12_870


@dataclass(frozen=True)
class PairedComparison:
    """The difference between the scores of `a` and those of `b`: "a minus b".

    Attributes
    ----------
    n_seeds : int
        Seeds of both; of the smaller group when not `paired`.
    mean_a, mean_b : float
    difference : Interval
        t interval of ``mean_a - mean_b`` over seeds, in the metric's unit; of 95 %, or
        of what `level_of` gives for several looks.
    higher_is_better : bool
        Direction of the metric.
    margin : float
        Differences in ``[-margin, margin]`` are negligible; 0 for no margin.
    p_t, p_wilcoxon : float
        Two-sided p-values of the t test and of the rank test (Wilcoxon's signed
        ranks; Mann-Whitney U when not `paired`); NaN below two seeds.
    p_beyond : float
        Two-sided p-value of the t test for a difference larger than the margin:
        below 0.05 where the whole 95 % interval lies beyond the margin, and `p_t`
        without a margin; NaN below two seeds.
    p_equivalence : float
        Larger of the two one-sided p-values of TOST: small where the difference
        lies inside the margin; NaN below two seeds or without a margin.
    p_a_beats_b : float
        Share of all pairs of one run of `a` and one of `b` in which `a` scores
        better, a tie counting half: probability of improvement.
    sd, df_per_seed : float
        With n seeds (of each group when not `paired`) and the observed variance, the
        standard error would be ``sd / sqrt(n)`` with ``df_per_seed * (n - 1)`` degrees
        of freedom; NaN below two seeds.
    paired : bool
    identical : bool
        `paired`, and both have the same score on every seed, up to rounding.
    """

    n_seeds: int
    mean_a: float
    mean_b: float
    difference: Interval
    higher_is_better: bool
    margin: float
    p_t: float
    p_wilcoxon: float
    p_beyond: float
    p_equivalence: float
    p_a_beats_b: float
    sd: float
    df_per_seed: float
    paired: bool
    identical: bool


@dataclass(frozen=True)
class Judged:
    """The verdict on one comparison of a family, as `judge` returns it.

    Attributes
    ----------
    verdict : one of `VERDICTS`
    p_beyond_holm, p_equivalence_holm : float
        The p-values behind the verdict, with Holm's correction within the family, and
        with Bonferroni's for the looks.
    n_seeds_needed : int or None
        For "undecided": the smallest larger number of seeds at which the same
        rule would give another verdict, if the whole family had as many seeds and the
        observed means and variances; per group when not paired. None for other
        verdicts, below two seeds, or above `MAX_SEEDS_NEEDED`. A forecast, not a
        stopping rule: a variance from few seeds is itself uncertain.
    """

    verdict: Verdict
    p_beyond_holm: float
    p_equivalence_holm: float
    n_seeds_needed: int | None


@dataclass(frozen=True)
class McNemar:
    """Result of McNemar's test of two models on the same examples.

    Attributes
    ----------
    n_only_a, n_only_b : int
        Examples that only `a`, and only `b`, classifies correctly.
    p_exact, p_mid : float
        Two-sided p-values of the exact conditional and of the mid-p test.
    """

    n_only_a: int
    n_only_b: int
    p_exact: float
    p_mid: float


def compare_paired(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    margin: float,
    higher_is_better: bool,
    n_looks: int = 1,
) -> PairedComparison:
    """Compare two models trained with the same seeds, by the differences per seed.

    Where all differences are equal, such as on a small test set with few distinct
    scores, the t test has no variance. Its p-value is then that of the exact sign-flip
    test: ``2**(1 - n_seeds)``, and ``2**-n_seeds`` on either side of the margin; 1
    where the difference is zero.

    Parameters
    ----------
    a, b : array of shape (n_seeds,), finite
        Scores by seed, in the same order.
    margin : float, at least 0
        Largest negligible difference, in the metric's unit.
    higher_is_better : bool
    n_looks : int
        Looks at which the comparison may be made; they widen the interval.

    Returns
    -------
    PairedComparison

    References
    ----------
    Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1(6),
    1945. Schuirmann, "A comparison of the two one-sided tests procedure and the
    power approach", Journal of Pharmacokinetics and Biopharmaceutics 15(6), 1987.
    Agarwal et al., "Deep reinforcement learning at the edge of the statistical
    precipice", NeurIPS 2021, section 4.3 (probability of improvement).
    """
    scores_a, scores_b = (np.asarray(s, dtype=np.float64) for s in (a, b))
    n = len(scores_a)
    tolerance = rounding_of(scores_a, scores_b)
    tied_a, tied_b = _tied(scores_a, scores_b)
    differences = tied_a - tied_b
    # Ties are merged by absolute value, so that swapping a and b changes only the sign.
    differences = np.sign(differences) * merge_ties(np.abs(differences), tolerance)
    interval = mean_interval(differences, level_of(n_looks))
    spread = standard_error(differences)
    p_t, p_beyond, p_equivalence = _t_tests(
        interval.estimate, spread, n - 1, margin, tolerance, p_alike=0.5**n
    )
    return PairedComparison(
        n_seeds=n,
        mean_a=float(scores_a.mean()),
        mean_b=float(scores_b.mean()),
        difference=interval,
        higher_is_better=higher_is_better,
        margin=margin,
        p_t=float(p_t),
        p_wilcoxon=_signed_rank_p(differences),
        p_beyond=float(p_beyond),
        p_equivalence=float(p_equivalence),
        p_a_beats_b=_improvement(tied_a, tied_b, higher_is_better),
        sd=spread * math.sqrt(n),
        df_per_seed=1.0,
        paired=True,
        identical=not differences.any(),
    )


def compare_unpaired(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    margin: float,
    higher_is_better: bool,
    n_looks: int = 1,
) -> PairedComparison:
    """Compare two models trained with different seeds, by Welch's t test.

    Two groups without any variance get the p-values of the exact permutation test
    instead (compare `compare_paired`): one over the number of ways to split the
    scores into groups of these sizes, twice that for a two-sided test.

    Parameters
    ----------
    a : array of shape (n_seeds_a,), finite
    b : array of shape (n_seeds_b,), finite
    margin : float, at least 0
        Largest negligible difference, in the metric's unit.
    higher_is_better : bool
    n_looks : int
        As for `compare_paired`.

    Returns
    -------
    PairedComparison
        With `paired` False; `p_wilcoxon` is from Mann and Whitney's U test.

    References
    ----------
    Welch, "The generalization of Student's problem when several different
    population variances are involved", Biometrika 34(1-2), 1947. Mann and Whitney,
    "On a test of whether one of two random variables is stochastically larger than
    the other", Annals of Mathematical Statistics 18(1), 1947. Schuirmann 1987 and
    Agarwal et al. 2021 as in `compare_paired`.
    """
    scores_a, scores_b = (np.asarray(s, dtype=np.float64) for s in (a, b))
    n_a, n_b = len(scores_a), len(scores_b)
    tolerance = rounding_of(scores_a, scores_b)
    tied_a, tied_b = _tied(scores_a, scores_b)
    mean_a, mean_b = float(scores_a.mean()), float(scores_b.mean())
    mean = mean_a - mean_b if abs(mean_a - mean_b) > tolerance else 0.0
    low = high = spread = df = sd = df_per_seed = math.nan
    if min(n_a, n_b) >= 2:
        # Variances of the two means.
        parts = np.array([standard_error(s) ** 2 for s in (tied_a, tied_b)])
        sizes = np.array([n_a, n_b])
        spread, df = math.sqrt(parts.sum()), float(n_a + n_b - 2)
        variances = parts * sizes
        sd, df_per_seed = math.sqrt(variances.sum()), 2.0
        if spread > 0.0:
            df = _welch_df(parts / parts.sum(), sizes)
            df_per_seed = _welch_df(variances / variances.sum(), np.array([2, 2]))
        half = spread * float(special.stdtrit(df, 0.5 + level_of(n_looks) / 2))
        low, high = mean - half, mean + half
    p_t, p_beyond, p_equivalence = _t_tests(
        mean, spread, df, margin, tolerance, p_alike=1 / math.comb(n_a + n_b, n_a)
    )
    return PairedComparison(
        n_seeds=min(n_a, n_b),
        mean_a=mean_a,
        mean_b=mean_b,
        difference=Interval(mean, low, high, min(n_a, n_b)),
        higher_is_better=higher_is_better,
        margin=margin,
        p_t=float(p_t),
        p_wilcoxon=_rank_sum_p(tied_a, tied_b),
        p_beyond=float(p_beyond),
        p_equivalence=float(p_equivalence),
        p_a_beats_b=_improvement(tied_a, tied_b, higher_is_better),
        sd=sd,
        df_per_seed=df_per_seed,
        paired=False,
        identical=False,
    )


def compare_estimates(
    mean_a: float,
    mean_b: float,
    error: float,
    n: int,
    *,
    margin: float,
    higher_is_better: bool,
) -> PairedComparison:
    """Compare two models by a difference whose standard error is known.

    As `compare_paired`, where the error does not follow from one difference per seed.

    Parameters
    ----------
    error : float
        Standard error of ``mean_a - mean_b``; NaN below two values.
    n : int
        Number of independent differences that it is estimated from: groups of seeds,
        or examples.
    margin : float, at least 0
    higher_is_better : bool

    Returns
    -------
    PairedComparison
        `n_seeds` is `n`; `p_wilcoxon` and `p_a_beats_b` are NaN.
    """
    tolerance = rounding_of(np.array([mean_a, mean_b]))
    difference = mean_a - mean_b if abs(mean_a - mean_b) > tolerance else 0.0
    error = error if math.isnan(error) or error > tolerance else 0.0
    p_t, p_beyond, p_equivalence = _t_tests(
        difference, error, n - 1, margin, tolerance, p_alike=0.5**n
    )
    return PairedComparison(
        n_seeds=n,
        mean_a=mean_a,
        mean_b=mean_b,
        difference=t_interval(difference, error, n),
        higher_is_better=higher_is_better,
        margin=margin,
        p_t=float(p_t),
        p_wilcoxon=math.nan,
        p_beyond=float(p_beyond),
        p_equivalence=float(p_equivalence),
        p_a_beats_b=math.nan,
        sd=error * math.sqrt(n),
        df_per_seed=1.0,
        paired=True,
        identical=difference == 0.0 and error == 0.0,
    )


def mcnemar(
    correct_a: npt.NDArray[np.bool_], correct_b: npt.NDArray[np.bool_]
) -> McNemar:
    """Test whether two trained networks err equally often on the same examples.

    It compares these two networks only, without the variance over seeds.

    Parameters
    ----------
    correct_a, correct_b : bool array of shape (n_examples,)
        Whether each model classifies the example correctly.

    Returns
    -------
    McNemar
        Both p-values are 1 where the models are right on the same examples.

    References
    ----------
    Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data:
    mid-p and asymptotic are better than exact conditional", BMC Medical Research
    Methodology 13:91, 2013.
    """
    only_a = int(np.sum(correct_a & ~correct_b))
    only_b = int(np.sum(correct_b & ~correct_a))
    n, fewer = only_a + only_b, min(only_a, only_b)
    p_exact = p_mid = 1.0
    if n:
        from scipy.stats import binom

        p_exact = min(1.0, 2.0 * float(binom.cdf(fewer, n, 0.5)))
        point = float(binom.pmf(fewer, n, 0.5))
        # At equal counts both tails include the observed count.
        p_mid = p_exact - (0.5 * point if only_a == only_b else point)
    return McNemar(only_a, only_b, p_exact, p_mid)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust the p-values of a family of comparisons.

    Parameters
    ----------
    p_values : array of shape (..., n_comparisons), in [0, 1] or NaN
        Each row is a family. NaN stays NaN and is not counted.

    Returns
    -------
    ndarray of shape (..., n_comparisons)
        In [0, 1], none below its raw value. Rejecting where it is below alpha bounds
        the probability of any false rejection by alpha.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6(2), 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, axis=-1, kind="stable")
    n_asked = np.sum(~np.isnan(p), axis=-1, keepdims=True)
    # NaN is sorted to the end and is not changed.
    stepped = np.take_along_axis(p, order, -1) * (n_asked - np.arange(p.shape[-1]))
    adjusted = np.empty_like(p)
    np.put_along_axis(
        adjusted,
        order,
        np.minimum(1.0, np.maximum.accumulate(stepped, axis=-1)),
        axis=-1,
    )
    return adjusted


def judge(
    family: Sequence[PairedComparison],
    *,
    n_looks: int = 1,
    settled: Sequence[Verdict] = (),
) -> list[Judged]:
    """Return the verdict on every comparison of a family.

    Parameters
    ----------
    family : sequence of PairedComparison
        All comparisons that Holm's correction covers, but those that are settled.
    n_looks : int
        Looks that are planned: each has an equal share of the 5 %.
    settled : sequence of Verdict
        The verdicts of earlier looks on the family's other comparisons.

    Returns
    -------
    list of Judged
        In the order of `family`.
    """
    others = _settled_p_values(settled)
    found = [[c.p_beyond for c in family], [c.p_equivalence for c in family]]
    p_beyond, p_equivalence = _corrected(np.array(found), others, n_looks)
    verdicts = [
        verdict(c, beyond, equivalence)
        for c, beyond, equivalence in zip(family, p_beyond, p_equivalence, strict=True)
    ]
    is_open = [v == "undecided" for v in verdicts]
    needed = _seeds_needed(family, is_open, others, n_looks)
    return [
        Judged(v, float(beyond), float(equivalence), n)
        for v, beyond, equivalence, n in zip(
            verdicts, p_beyond, p_equivalence, needed, strict=True
        )
    ]


def _settled_p_values(settled: Sequence[Verdict]) -> FloatArray:
    """Return what settled comparisons add to their family, of shape (2, n_settled).

    NaN, which `holm` does not count, where the hypothesis is rejected; 1 where it is
    not and will not be: such a one still counts, or its end would make the test of
    those that go on less strict.
    """
    beyond = [math.nan if v in ("better", "worse") else 1.0 for v in settled]
    inside = [math.nan if v in ("equivalent", "identical") else 1.0 for v in settled]
    return np.array([beyond, inside])


def _corrected(p: FloatArray, others: FloatArray, n_looks: int) -> FloatArray:
    """Correct `p`, of shape (2, ..., n_comparisons), for the family and the looks."""
    shape = (*p.shape[:-1], others.shape[-1])
    beside = np.broadcast_to(others.reshape(2, *[1] * (p.ndim - 2), -1), shape)
    family = holm(np.concatenate([p, beside], axis=-1))[..., : p.shape[-1]]
    return np.minimum(1.0, n_looks * family)


def verdict(
    comparison: PairedComparison, p_beyond: float, p_equivalence: float
) -> Verdict:
    """Return the verdict on `a` against `b`, one of the `VERDICTS`.

    Parameters
    ----------
    comparison : PairedComparison
    p_beyond, p_equivalence : float
        Its attributes of these names, adjusted by `holm` over the family.

    Returns
    -------
    str
        "identical": the same score on every seed; else, from `MIN_SEEDS` seeds on,
        "better" or "worse": ``p_beyond < ALPHA``, by the sign of the difference and
        the metric's direction; "equivalent": ``p_equivalence < ALPHA``; otherwise,
        and for NaN, "undecided".
    """
    if comparison.identical:
        return "identical"
    if comparison.n_seeds < MIN_SEEDS:
        return "undecided"
    # NaN < ALPHA is False.
    if p_beyond < ALPHA:
        is_higher = comparison.difference.estimate > 0.0
        return "better" if is_higher == comparison.higher_is_better else "worse"
    return "equivalent" if p_equivalence < ALPHA else "undecided"


def _seeds_needed(
    family: Sequence[PairedComparison],
    is_open: Sequence[bool],
    others: FloatArray,
    n_looks: int,
) -> list[int | None]:
    """Return `Judged.n_seeds_needed` where `is_open`, None for the others."""
    if not any(is_open):
        return [None] * len(family)
    n = np.arange(MIN_SEEDS, MAX_SEEDS_NEEDED + 1)
    expected = np.array([_outlook(comparison, n) for comparison in family])
    # Of shape (2, seeds, comparisons): beyond the margin, and inside it.
    p_values = _corrected(np.moveaxis(expected, 0, -1), others, n_looks)
    decided: npt.NDArray[np.bool_] = np.any(p_values < ALPHA, axis=0)
    needed: list[int | None] = []
    for comparison, still, enough in zip(family, is_open, decided.T, strict=True):
        enough = n[enough & (n > comparison.n_seeds)]
        needed.append(int(enough[0]) if still and len(enough) else None)
    return needed


def _outlook(comparison: PairedComparison, n: IntArray) -> FloatArray:
    """Return the forecast of `p_beyond` and `p_equivalence` by number of seeds `n`.

    For at most the present number of seeds they are the observed p-values.

    Returns
    -------
    ndarray of shape (2, len(n))
    """
    if comparison.paired:
        p_alike = 0.5**n
    else:
        p_alike = np.exp(2 * special.gammaln(n + 1) - special.gammaln(2 * n + 1))
    _, p_beyond, p_equivalence = _t_tests(
        comparison.difference.estimate,
        comparison.sd / np.sqrt(n),
        comparison.df_per_seed * (n - 1),
        comparison.margin,
        rounding_of(np.array([comparison.mean_a, comparison.mean_b])),
        p_alike=p_alike,
    )
    found = n <= comparison.n_seeds
    return np.array(
        [
            np.where(found, comparison.p_beyond, p_beyond),
            np.where(found, comparison.p_equivalence, p_equivalence),
        ]
    )


def _welch_df(shares: FloatArray, sizes: npt.NDArray[np.integer]) -> float:
    """Welch and Satterthwaite's degrees of freedom from shares of the variance."""
    return float(1.0 / np.sum(shares**2 / (sizes - 1)))


def _t_tests(
    mean: float,
    standard_error: npt.ArrayLike,
    df: npt.ArrayLike,
    margin: float,
    tolerance: float,
    *,
    p_alike: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """p-values of a difference, of one beyond the margin, and of equivalence (TOST).

    The first two are two-sided. `p_alike` is the one-sided p-value where the standard
    error is zero. All arrays have one shape, which is that of the result.
    """
    # Not scipy's ttest_rel and ttest_ind: without variance they warn and return NaN,
    # and `_outlook` needs p-values for larger numbers of seeds.
    error, alike = np.asarray(standard_error, float), np.asarray(p_alike, float)
    inside = margin - abs(mean)
    if abs(inside) <= max(tolerance, rounding_of(np.array([margin]))):
        inside = 0.0
    without_spread = np.minimum(1.0, 2.0 * alike)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_t = 2.0 * special.stdtr(df, -abs(mean) / error)
        p_beyond = np.minimum(1.0, 2.0 * special.stdtr(df, inside / error))
        # The nearer bound has the larger of the two one-sided p-values.
        p_equivalence = special.stdtr(df, -inside / error)
    flat = error == 0.0
    p_t = np.where(flat, without_spread if mean != 0.0 else 1.0, p_t)
    p_beyond = np.where(flat, without_spread if inside < 0.0 else 1.0, p_beyond)
    p_equivalence = np.where(flat, alike if inside > 0.0 else 1.0, p_equivalence)
    return p_t, p_beyond, p_equivalence if margin > 0.0 else np.full_like(error, np.nan)


def _tied(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return both groups, with scores made equal that differ only by rounding."""
    merged = merge_ties(np.concatenate([a, b]))
    return merged[: len(a)], merged[len(a) :]


def smallest_rank_p(n_a: int, n_b: int | None = None) -> float:
    """Return the smallest two-sided p-value that a rank test can have.

    Parameters
    ----------
    n_a : int, at least 1
        Seeds with a non-zero difference; Wilcoxon's p-value is smallest where all
        have one sign. With `n_b`, seeds of the first group.
    n_b : int, optional
        Seeds of the second group if not paired; Mann and Whitney's p-value is
        smallest where all scores of one group are above all of the other.
    """
    ways = 2**n_a if n_b is None else math.comb(n_a + n_b, n_a)
    return min(1.0, 2 / ways)


def _signed_rank_p(differences: FloatArray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; zeros are left out."""
    if len(differences) < 2:
        return math.nan
    moved = differences[differences != 0.0]
    if not len(moved):
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(moved).pvalue)


def _rank_sum_p(a: FloatArray, b: FloatArray) -> float:
    """Two-sided p-value of the Mann-Whitney U test."""
    if min(len(a), len(b)) < 2:
        return math.nan
    both = np.concatenate([a, b])
    if np.ptp(both) == 0.0:
        return 1.0
    from scipy.stats import PermutationMethod, mannwhitneyu

    # With ties scipy uses the normal approximation, whose p-value can be below the
    # smallest possible one for few seeds: all splits are enumerated instead.
    has_ties = len(np.unique(both)) < len(both)
    n_ways = math.comb(len(both), len(a))
    method: Any = "auto"
    if has_ties and n_ways <= MAX_WAYS:
        method = PermutationMethod(n_resamples=n_ways)
    return float(mannwhitneyu(a, b, alternative="two-sided", method=method).pvalue)


def _improvement(a: FloatArray, b: FloatArray, higher_is_better: bool) -> float:
    """Share of pairs in which `a` is better; ties, up to rounding, count half."""
    gaps = a[:, np.newaxis] - b[np.newaxis, :]
    wins = gaps > 0.0 if higher_is_better else gaps < 0.0
    return float(np.mean(wins + 0.5 * (gaps == 0.0)))
