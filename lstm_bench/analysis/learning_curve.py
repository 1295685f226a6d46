"""Scores by the number of training examples: what more data would give.

The smaller sizes are nested subsets of what the confirmation trains on, the same for
all configurations of a seed. The error is the distance of a score from the best
possible one. It is assumed to fall as a power law, b n^-c, over the measured sizes and
up to twice the largest: so many test errors of deep networks (Hestness et al. 2017) and
of other learners (Viering and Loog 2021). The exponent c is the least-squares slope of
the logarithm of the mean error over that of the size. From the largest size the error
is continued by the factor 2^-c for twice the examples, so that the prediction begins at
a measured score. A floor, a + b n^-c, is not fitted: so few sizes hardly determine
three numbers. Where the error nears a floor the prediction is therefore optimistic; as
a check, the largest size is predicted from the smaller ones in the same way.

Intervals are for other seeds, with the test examples as they are. All means over the
seeds are drawn together from a multivariate t distribution with the seeds' covariance
over their number: of anything linear in the means, this is the t interval. Resampling a
few seeds would be too narrow, as in `bootstrap.bootstrap_seeds_and_examples`.

References
----------
Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017,
arXiv:1712.00409, section 2: the generalization error as a power of the number of
examples.
Viering and Loog, "The Shape of Learning Curves: A Review", IEEE Transactions on Pattern
Analysis and Machine Intelligence 45(6), 2023 (arXiv:2103.10948), section 3.
Kotz and Nadarajah, "Multivariate t Distributions and Their Applications", 2004.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lstm_bench.analysis.contenders import ENDED, Contender
from lstm_bench.analysis.intervals import LEVEL, mean_interval
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import Metric
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.suite import Suite
from lstm_bench.training.result import metric_key

N_DRAWS = 4000
MIN_SIZES = 3
"""Sizes that a power law takes: two determine it without a remainder."""

NOT_LEARNING = ("baseline:majority", "baseline:train_mean")
"""Their scores hardly depend on the number of examples: they follow no such law."""

SCORES = ("key", "label", "n_train", "n_seeds", "mean", "low", "high")
LAWS = (
    *("key", "label", "n_train", "n_sizes", "n_seeds", "exponent"),
    *("exponent_low", "exponent_high", "mean", "n_more", "predicted"),
    *("predicted_low", "predicted_high", "checked"),
)
CROSSINGS = (
    *("key", "label", "label_b", "n_seeds", "smallest", "largest", "ahead_from"),
    *("from_low", "from_high", "leads_first", "leads_last"),
)

BySize = Mapping[int, Mapping[int, float]]
"""Test scores by number of training examples, then replicate."""


@dataclass(frozen=True)
class LearningCurve:
    """A confirmation's scores by the number of training examples.

    Attributes
    ----------
    scores : DataFrame
        A row for each contender and size, with the columns `SCORES`: the mean on test
        and its 95 % t interval over seeds.
    laws : DataFrame
        A row for each contender with `MIN_SIZES` sizes, with the columns `LAWS`:
        ``exponent``, c; ``mean``, the score at the largest size, ``n_train``;
        ``predicted``, that for ``n_more`` examples, twice as many; ``checked``, what
        the smaller sizes predict for the largest (NaN where they are too few).
    crossings : DataFrame
        A row for each network, with the columns `CROSSINGS`: from how many examples on
        it is ahead of the best baseline. ``ahead_from`` and its interval are 0 where it
        is ahead at every size, infinite where it is not ahead at the largest.
        ``leads_first`` and ``leads_last``: whether it is ahead at the smallest and the
        largest size.
    n_trainings, n_failed : int
        Of networks on subsets.
    time_s : float
        Of all trainings of networks on subsets.
    """

    scores: pd.DataFrame
    laws: pd.DataFrame
    crossings: pd.DataFrame
    n_trainings: int
    n_failed: int
    time_s: float


def make_learning_curve(
    suite: Suite,
    subsets: pd.DataFrame,
    n_train: int,
    found: Sequence[Contender],
    baseline: Contender | None,
) -> LearningCurve | None:
    """Return the scores by size; None where nothing was trained on a subset.

    Parameters
    ----------
    subsets : DataFrame
        `Results.subsets`.
    n_train : int
        Examples that the contenders were trained on.
    baseline : Contender or None
        The best baseline on validation with all examples.
    """
    metric = suite.metric
    of = [(c, _scores_of(c, subsets, n_train, metric)) for c in found]
    curves = [(c, by_size) for c, by_size in of if len(by_size) > 1]
    if not curves:
        return None
    rng = derive_rng(suite.study.seed, "learning_curve")
    laws = [
        law_of(c.key, c.label, by_size, metric, rng)
        for c, by_size in curves
        if c.key not in NOT_LEARNING
    ]
    crossings = [
        crossing_of(c.key, c.label, by_size, baseline.label, other, metric, rng)
        for b, other in curves
        for c, by_size in curves
        if baseline is not None and b.key == baseline.key and not c.is_baseline
    ]
    networks = subsets[~subsets["key"].str.startswith("baseline:")]
    ended = networks[networks["state"].isin(ENDED)]
    return LearningCurve(
        pd.DataFrame(
            [row for c, by_size in curves for row in _score_rows(c, by_size)],
            columns=list(SCORES),
        ),
        pd.DataFrame([law for law in laws if law], columns=list(LAWS)),
        pd.DataFrame([row for row in crossings if row], columns=list(CROSSINGS)),
        len(ended),
        int((ended["state"] == "failed").sum()),
        float(ended["total_time_s"].sum()),
    )


def _scores_of(
    contender: Contender, subsets: pd.DataFrame, n_train: int, metric: Metric
) -> dict[int, dict[int, float]]:
    """Return a contender's test scores by size and replicate, both ascending."""
    test = metric_key("test", metric.name)
    own = subsets[(subsets["key"] == contender.key) & (subsets["state"] == "complete")]
    own = own[own[test].notna()].sort_values(["n_train", "replicate"])
    by_size: dict[int, dict[int, float]] = {}
    for size, replicate, score in zip(
        own["n_train"], own["replicate"], own[test], strict=True
    ):
        by_size.setdefault(int(size), {})[int(replicate)] = float(score)
    return by_size | {n_train: dict(sorted(contender.test.items()))}


def _score_rows(contender: Contender, by_size: BySize) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for size, scores in by_size.items():
        test = mean_interval(list(scores.values())).within(*contender.metric.bounds)
        mean, low, high = test.estimate, test.low, test.high
        rows.append((contender.key, contender.label, size, test.n, mean, low, high))
    return rows


def common_scores(*curves: BySize) -> tuple[list[int], FloatArray]:
    """Return the sizes of all of `curves`, and their scores on common replicates.

    Returns
    -------
    sizes : list of int
    scores : ndarray of shape (n_replicates, n_curves, n_sizes)
    """
    sizes = sorted(set.intersection(*(set(curve) for curve in curves)))
    each = [set(curve[size]) for curve in curves for size in sizes]
    replicates = sorted(set.intersection(*each)) if each else []
    scores = [
        [[curve[size][r] for size in sizes] for curve in curves] for r in replicates
    ]
    return sizes, np.reshape(scores, (len(replicates), len(curves), len(sizes)))


def draw_means(scores: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw means over seeds as other seeds would give them.

    Parameters
    ----------
    scores : ndarray of shape (n_seeds, ...), n_seeds >= 2

    Returns
    -------
    ndarray of shape (N_DRAWS, ...)
        From the multivariate t distribution with n_seeds - 1 degrees of freedom.
    """
    n = len(scores)
    mean = scores.mean(axis=0)
    normal = rng.standard_normal((N_DRAWS, n))
    freedom = rng.chisquare(n - 1, N_DRAWS) / (n - 1)
    weights = normal / np.sqrt(freedom * n * (n - 1))[:, None]
    draws: FloatArray = mean + np.tensordot(weights, scores - mean, axes=1)
    return draws


def exponents(sizes: Sequence[int], errors: FloatArray) -> FloatArray:
    """Return c of the power law b n^-c that fits errors best.

    Parameters
    ----------
    sizes : sequence of int
    errors : ndarray of shape (..., n_sizes), above 0

    Returns
    -------
    ndarray of shape (...)
        By least squares of the logarithms.
    """
    x = np.log(np.asarray(sizes, dtype=np.float64))
    x = x - x.mean()
    slopes: FloatArray = -(np.log(errors) @ x) / float(x @ x)
    return slopes


def continued(sizes: Sequence[int], errors: FloatArray, n: int) -> FloatArray:
    """Return the error at `n` examples: that at the last size, along the power law.

    Parameters
    ----------
    errors : ndarray of shape (..., n_sizes), above 0
    """
    factor = (n / sizes[-1]) ** -exponents(sizes, errors)
    last: FloatArray = errors[..., -1]
    return last * factor


def law_of(
    key: str, label: str, by_size: BySize, metric: Metric, rng: np.random.Generator
) -> tuple[object, ...] | None:
    """Return a row of `LAWS`; None with too few sizes, or an error of 0."""
    sizes, scores = common_scores(by_size)
    errors = _errors(scores[:, 0], metric)
    if len(sizes) < MIN_SIZES or not len(errors):
        return None
    mean = errors.mean(axis=0)
    if not (mean > 0).all():
        return None
    n_more = 2 * sizes[-1]
    predicted = _scores(continued(sizes, mean, n_more), metric)
    checked = math.nan
    if len(sizes) > MIN_SIZES:
        checked = float(_scores(continued(sizes[:-1], mean[:-1], sizes[-1]), metric))
    c_low = c_high = low = high = math.nan
    if len(errors) > 1:
        # An error cannot be negative, and the t distribution is not bounded.
        draws = np.maximum(draw_means(errors, rng), mean / 1000)
        c_low, c_high = _interval(exponents(sizes, draws))
        low, high = _interval(_scores(continued(sizes, draws, n_more), metric))
        low, high = max(low, metric.bounds[0]), min(high, metric.bounds[1])
    return (
        *(
            key,
            label,
            sizes[-1],
            len(sizes),
            len(errors),
            float(exponents(sizes, mean)),
        ),
        *(c_low, c_high, float(_scores(mean[-1], metric)), n_more, float(predicted)),
        *(low, high, checked),
    )


def crossing_of(
    key: str,
    label: str,
    by_size: BySize,
    label_b: str,
    other: BySize,
    metric: Metric,
    rng: np.random.Generator,
) -> tuple[object, ...] | None:
    """Return a row of `CROSSINGS`: from which size on a network is ahead of another.

    None where no seed has scores of both at two sizes.
    """
    sizes, scores = common_scores(by_size, other)
    if len(sizes) < 2 or not len(scores):
        return None
    leads = scores[:, 0] - scores[:, 1]
    if not metric.higher_is_better:
        leads = -leads
    mean = leads.mean(axis=0)
    low = high = math.nan
    if len(leads) > 1:
        low, high = _interval(ahead_from(sizes, draw_means(leads, rng)), "nearest")
    return (
        *(key, label, label_b, len(leads), sizes[0], sizes[-1]),
        *(float(ahead_from(sizes, mean[None])[0]), low, high),
        *(bool(mean[0] > 0), bool(mean[-1] > 0)),
    )


def ahead_from(sizes: Sequence[int], leads: FloatArray) -> FloatArray:
    """Return from how many examples on each of several leads is positive.

    Between two sizes, a lead is linear in the logarithm of the size.

    Parameters
    ----------
    leads : ndarray of shape (n, n_sizes)

    Returns
    -------
    ndarray of shape (n,)
        0 where the lead is positive at every size, infinite where it is not at the
        largest.
    """
    x = np.log(np.asarray(sizes, dtype=np.float64))
    found = np.zeros(len(leads))
    for i in range(len(sizes) - 1):
        passes = (leads[:, i] <= 0) & (leads[:, i + 1] > 0)
        behind, ahead = leads[passes, i], leads[passes, i + 1]
        share = -behind / (ahead - behind)
        found[passes] = np.exp(x[i] + share * (x[i + 1] - x[i]))
    found[leads[:, -1] <= 0] = math.inf
    return found


def _errors(scores: FloatArray, metric: Metric) -> FloatArray:
    """Return the distances from the best possible score."""
    low, high = metric.bounds
    return high - scores if metric.higher_is_better else scores - low


def _scores(errors: FloatArray, metric: Metric) -> FloatArray:
    low, high = metric.bounds
    return high - errors if metric.higher_is_better else low + errors


def _interval(draws: FloatArray, method: str = "linear") -> tuple[float, float]:
    ends = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
    low, high = np.quantile(draws, ends, method=method)  # type: ignore[call-overload]
    return float(low), float(high)
