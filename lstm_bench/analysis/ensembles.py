"""Ensembles of a confirmation: means of stored predictions, scored without training.

An ensemble of n averages the predictions of n trainings for the same test examples.
With k seeds a confirmation has many choices of n, but only floor(k / n) of them at once
without a common training, and ensembles with common trainings differ less than those of
fresh seeds do. So the k seeds are divided at random into floor(k / n) groups of n, many
times. Scores are means over all of these ensembles, and their variance is that between
the groups of one division, averaged over the divisions. With a single group nothing
shows how other seeds would score: intervals are then over test examples alone, for the
ensemble as it is.

Test chooses nothing. Configurations are ranked on validation. Each seed has a
validation part of its own, so nearly every example was in the training part of some
member, and an ensemble has no validation score of its own. A baseline's weight is
therefore chosen with single trainings: each member is mixed with the baseline that was
fitted on the same split, both are scored on that split's validation part, which neither
was fitted on, and the weight with the best mean over the members is taken. A network's
early stopping saw that part, which favours the network a little; an ensemble errs less
than its members, so the best weight for them is rather too large for it.

References
----------
Hansen and Salamon, "Neural network ensembles", IEEE Transactions on Pattern Analysis
and Machine Intelligence 12(10), 1990.
Mesnil et al., "Ensemble of Generative and Discriminative Techniques for Sentiment
Analysis of Movie Reviews", ICLR 2015 workshop: recurrent networks and NB-weighted
n-grams, with weights chosen on validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis import bootstrap
from lstm_bench.analysis import hypothesis_tests as stats
from lstm_bench.analysis.contenders import (
    Contender,
    common_replicates,
    confirm_spec,
    ranked_on_validation,
)
from lstm_bench.analysis.intervals import Interval, standard_error, t_interval
from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.metrics import Metric
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.suite import Suite
from lstm_bench.training.result import Prediction

N_DIVISIONS = 50
"""Random divisions of the seeds. More change the means by less than the seeds do."""

WEIGHTS: FloatArray = np.linspace(0.0, 1.0, 21)
"""Weights of the baseline that are tried."""

SINGLE, OF_SEEDS, OF_BEST, WITH_BASELINE = "single", "seeds", "best", "baseline"
SEEDS, EXAMPLES = "seeds", "examples"
TABLE = (
    *("kind", "label", "n_members", "weight", "n_seeds", "n_ensembles", "test_mean"),
    *("seeds_low", "seeds_high", "examples_low", "examples_high"),
)
COLUMNS = (
    *("family", "label_a", "label_b", "kind_a", "mean_a", "mean_b", "difference"),
    *("seeds_low", "seeds_high", "examples_low", "examples_high", "n_ensembles"),
    *("verdict", "verdict_over", "p_beyond_holm", "p_equivalence_holm", "margin"),
)
AGAINST_SINGLE = "the winner's single seeds"
AGAINST_MEMBERS = "single members"
AGAINST_BASELINE = "the best baseline"
AGAINST_SEEDS = "the winner's ensemble"
FAMILIES = (AGAINST_SINGLE, AGAINST_MEMBERS, AGAINST_SEEDS, AGAINST_BASELINE)
"""What ensembles are compared with; p-values are corrected within each."""


@dataclass(frozen=True)
class Ensembles:
    """A confirmation's ensembles, from `make_ensembles`.

    Attributes
    ----------
    n : int
        Members of an ensemble.
    n_seeds : int
        Seeds on which the members and the baseline were all scored; below `n` the
        tables are empty.
    table : DataFrame
        A row for the winner's single seeds and for each kind of ensemble, with the
        columns `TABLE`: ``kind`` (SINGLE, OF_SEEDS, OF_BEST or WITH_BASELINE),
        ``weight`` (of the baseline, mean over the ensembles; NaN without), and
        ``n_ensembles``, how many have no training in common. ``test_mean`` is of the
        suite's metric; ``seeds_*`` is the 95 % interval over seeds (NaN for a single
        ensemble), ``examples_*`` that over test examples with these seeds as given (NaN
        for metrics not in `bootstrap.MEAN_METRICS`).
    comparisons : DataFrame
        With the columns `COLUMNS`: differences a - b on test of each ensemble and the
        mean of what is compared over the same seeds. ``verdict_over``: whether the
        verdict and its p-values, with Holm's correction in each family, are over SEEDS
        or, of a single ensemble, over EXAMPLES.
    """

    n: int
    n_seeds: int
    table: pd.DataFrame
    comparisons: pd.DataFrame


def divide(seeds: Sequence[int], n: int, rng: np.random.Generator) -> IntArray:
    """Divide seeds at random into groups of `n` without a common seed, many times.

    Returns
    -------
    int ndarray of shape (n_divisions, len(seeds) // n, n)
        `N_DIVISIONS`, in random order; one, in the given order, where there are just
        `n` seeds.
    """
    if len(seeds) == n:
        return np.array([[seeds]])
    n_groups = len(seeds) // n
    return np.stack(
        [
            rng.permutation(seeds)[: n_groups * n].reshape(n_groups, n)
            for _ in range(N_DIVISIONS)
        ]
    )


def groups_error(scores: FloatArray) -> float:
    """Return the standard error over seeds of the mean score of ensembles.

    The variance between the groups of a division is that of one ensemble's score, since
    its groups have no seed in common. The mean over all divisions varies no more than
    that over the groups of one, so the error is rather too large.

    Its mean over the divisions is as precise as a variance of k seeds: where a score is
    a mean of its members' scores, it is the variance of the k scores over n. So its t
    distribution has k - 1 degrees of freedom; the tests check the coverage.

    Parameters
    ----------
    scores : ndarray of shape (n_divisions, n_groups)

    Returns
    -------
    float
        NaN for fewer than two groups.
    """
    n_groups = scores.shape[1]
    if n_groups < 2:
        return math.nan
    squares = [standard_error(division) ** 2 for division in scores]
    return math.sqrt(float(np.mean(squares)))


def choose_weight(scores: FloatArray, metric: Metric) -> float:
    """Return the baseline's weight with the best mean score on validation.

    Parameters
    ----------
    scores : ndarray of shape (n_members, len(WEIGHTS))
        From `weighted_scores`.

    Returns
    -------
    float in [0, 1]
        The smallest of equally good ones.
    """
    return float(WEIGHTS[metric.order(scores.mean(axis=0))[0]])


def weighted_scores(
    network: Prediction, baseline: Prediction, metric: Metric
) -> FloatArray:
    """Score mixtures of two predictions of the same examples, by `WEIGHTS`."""
    return np.array(
        [metric.fn(network.y_true, _mixed(network, baseline, w)) for w in WEIGHTS]
    )


def _mixed(network: Prediction, baseline: Prediction, weight: float) -> FloatArray:
    return (1.0 - weight) * network.y_proba + weight * baseline.y_proba


@dataclass(frozen=True)
class _Scored:
    """An ensemble, or a mean of single trainings, scored on each group of seeds.

    Attributes
    ----------
    kind : str
        Empty for what is only compared with.
    by_group : ndarray of shape (n_divisions, n_groups)
    by_example : ndarray of shape (n_examples,)
        Mean over all groups; a metric that is no mean over examples has one value.
    """

    kind: str
    label: str
    n_members: int
    by_group: FloatArray
    by_example: FloatArray
    weight: float = math.nan

    @property
    def mean(self) -> float:
        return float(self.by_group.mean())


Values = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class _Scorer:
    """Scores means of predictions on groups of seeds.

    Attributes
    ----------
    groups : int ndarray of shape (n_divisions, n_groups, n)
    """

    metric: Metric
    groups: IntArray

    def scored(self, kind: str, label: str, n_members: int, values: Values) -> _Scored:
        """Score every group; `values` returns what the score is the mean of."""
        by_group = np.empty(self.groups.shape[:2])
        total: FloatArray = np.zeros(1)
        for place in np.ndindex(by_group.shape):
            each = values(self.groups[place])
            by_group[place] = each.mean()
            total = total + each
        return _Scored(kind, label, n_members, by_group, total / by_group.size)

    def of_mean(self, test: Prediction, parts: Sequence[FloatArray]) -> FloatArray:
        """Return the values of the mean of several predictions of `test`'s examples."""
        y_proba: FloatArray = np.mean(parts, axis=0)
        if self.metric.name in bootstrap.MEAN_METRICS:
            return bootstrap.example_scores(self.metric.name, test.y_true, y_proba)
        return np.array([self.metric.fn(test.y_true, y_proba)])

    def ensemble(self, kind: str, label: str, members: Sequence[Contender]) -> _Scored:
        """Score the mean of `members`, each with another seed of the group."""

        def values(group: IntArray) -> FloatArray:
            tests = [_test(c, r) for c, r in zip(members, group, strict=False)]
            return self.of_mean(tests[0], [test.y_proba for test in tests])

        return self.scored(kind, label, len(members), values)

    def alone(self, label: str, members: Sequence[Contender]) -> _Scored:
        """Score `members` alone, each with another seed of the group, on average."""
        by_training = {
            (c.key, int(r)): self.of_mean(_test(c, r), [_test(c, r).y_proba])
            for c in members
            for r in np.unique(self.groups)
        }

        def values(group: IntArray) -> FloatArray:
            pairs = zip(members, group, strict=False)
            parts = [by_training[c.key, int(r)] for c, r in pairs]
            mean: FloatArray = np.mean(parts, axis=0)
            return mean

        return self.scored("", label, 1, values)

    def mixture(self, label: str, network: Contender, baseline: Contender) -> _Scored:
        """Score the mean of a network's seeds, each mixed with its baseline."""
        on_val = {
            int(r): weighted_scores(
                network.predictions[r]["val"],
                baseline.predictions[r]["val"],
                self.metric,
            )
            for r in np.unique(self.groups)
        }
        weights = []

        def values(group: IntArray) -> FloatArray:
            weight = choose_weight(np.array([on_val[r] for r in group]), self.metric)
            weights.append(weight)
            tests = [(_test(network, r), _test(baseline, r)) for r in group]
            return self.of_mean(
                tests[0][0], [_mixed(own, other, weight) for own, other in tests]
            )

        n = self.groups.shape[2]
        scored = self.scored(WITH_BASELINE, label, n, values)
        return replace(scored, weight=float(np.mean(weights)))


def _test(contender: Contender, seed: int) -> Prediction:
    return contender.predictions[seed]["test"]


Compared = tuple[str, _Scored, _Scored]


def make_ensembles(
    suite: Suite,
    found: Sequence[Contender],
    winner: Contender | None,
    baseline: Contender | None,
) -> Ensembles | None:
    """Score the suite's ensembles; None where it has none, or nothing is confirmed.

    Parameters
    ----------
    found : sequence of Contender
        Of the confirmation.
    winner, baseline : Contender or None
        The best network and the best baseline on validation.
    """
    if suite.ensemble is None or winner is None:
        return None
    n, metric = suite.ensemble.n, suite.metric
    # Where seeds are added until all is settled, their number depends on the scores.
    first = confirm_spec(suite).chosen_on
    lstms = [c for c in found if not c.is_baseline]
    best = ranked_on_validation(lstms, metric, first)[:n]
    common = common_replicates([*best, *([] if baseline is None else [baseline])])
    seeds = [r for r in common if first is None or r <= first]
    if len(seeds) < n:
        return Ensembles(n, len(seeds), _frame([], TABLE), _frame([], COLUMNS))
    scorer = _Scorer(metric, divide(seeds, n, derive_rng(suite.study.seed, "divide")))
    # One member, on each seed: an ensemble of one.
    each_seed = _Scorer(metric, np.reshape(seeds, (1, len(seeds), 1)))
    one = f"{winner.label}, one seed"
    own = scorer.ensemble(OF_SEEDS, f"{winner.label}, {n} seeds", [winner] * n)
    alone = scorer.alone(one, [winner] * n)
    ensembles, compared = [own], [(AGAINST_SINGLE, own, alone)]
    if len(best) > 1:
        label = f"the best {len(best)} configurations"
        several = scorer.ensemble(OF_BEST, f"{label}, one seed each", best)
        ensembles.append(several)
        compared += [
            (AGAINST_SINGLE, several, alone),
            (AGAINST_MEMBERS, several, scorer.alone(f"{label}, each alone", best)),
            (AGAINST_SEEDS, several, own),
        ]
    if baseline is not None:
        mixed = scorer.mixture(f"{own.label}, with {baseline.label}", winner, baseline)
        ensembles.append(mixed)
        compared += [(AGAINST_SINGLE, mixed, alone), (AGAINST_SEEDS, mixed, own)]
        bag = scorer.alone(baseline.label, [baseline] * n)
        compared += [(AGAINST_BASELINE, each, bag) for each in ensembles]
    rows = [each_seed.ensemble(SINGLE, one, [winner]), *ensembles]
    test = _test(winner, seeds[0])
    return Ensembles(
        n,
        len(seeds),
        _frame([_row(each, len(seeds), suite, test) for each in rows], TABLE),
        _frame(
            [
                row
                for family in FAMILIES
                for row in _compare(family, compared, len(seeds), suite)
            ],
            COLUMNS,
        ),
    )


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def _row(
    scored: _Scored, n_seeds: int, suite: Suite, test: Prediction
) -> dict[str, Any]:
    metric, n_ensembles = suite.metric, scored.by_group.shape[1]
    seeds = t_interval(scored.mean, groups_error(scored.by_group), n_seeds)
    examples = Interval(scored.mean, math.nan, math.nan, 0)
    if metric.name in bootstrap.MEAN_METRICS:
        rng = derive_rng(suite.study.seed, "bootstrap", "ensemble", scored.kind)
        examples = bootstrap.examples_interval(scored.by_example, test, rng)
    return {
        "kind": scored.kind,
        "label": scored.label,
        "n_members": scored.n_members,
        "weight": scored.weight,
        "n_seeds": n_seeds,
        "n_ensembles": n_ensembles,
        "test_mean": scored.mean,
        **_bounds(seeds, examples, metric.bounds),
    }


def _bounds(
    seeds: Interval, examples: Interval, within: tuple[float, float]
) -> dict[str, float]:
    return {
        f"{name}_{end}": getattr(interval.within(*within), end)
        for name, interval in ((SEEDS, seeds), (EXAMPLES, examples))
        for end in ("low", "high")
    }


def _compare(
    family: str, compared: Sequence[Compared], n_seeds: int, suite: Suite
) -> list[dict[str, Any]]:
    """Return the rows of a family, with verdicts from Holm's p-values."""
    metric = suite.metric
    rows, tests = [], []
    for _, a, b in (each for each in compared if each[0] == family):
        groups = a.by_group - b.by_group
        examples = a.by_example - b.by_example
        errors = {
            SEEDS: (groups_error(groups), n_seeds),
            # NaN for a metric that is no mean over examples, which has one value.
            EXAMPLES: (standard_error(examples), len(examples)),
        }
        by_source = {
            source: stats.compare_estimates(
                a.mean,
                b.mean,
                error,
                n,
                margin=confirm_spec(suite).margin,
                higher_is_better=metric.higher_is_better,
            )
            for source, (error, n) in errors.items()
        }
        over = SEEDS if groups.shape[1] > 1 or len(examples) < 2 else EXAMPLES
        tests.append(by_source[over])
        rows.append(
            {
                "family": family,
                "kind_a": a.kind,
                "label_a": a.label,
                "label_b": b.label,
                "mean_a": a.mean,
                "mean_b": b.mean,
                "difference": by_source[over].difference.estimate,
                **_bounds(
                    by_source[SEEDS].difference,
                    by_source[EXAMPLES].difference,
                    metric.difference_bounds,
                ),
                "n_ensembles": groups.shape[1],
                "verdict_over": over,
                "margin": by_source[over].margin,
            }
        )
    p_beyond = stats.holm([test.p_beyond for test in tests])
    p_equivalence = stats.holm([test.p_equivalence for test in tests])
    for row, test, beyond, equivalence in zip(
        rows, tests, p_beyond, p_equivalence, strict=True
    ):
        row |= {
            "verdict": stats.verdict(test, float(beyond), float(equivalence)),
            "p_beyond_holm": float(beyond),
            "p_equivalence_holm": float(equivalence),
        }
    return rows
