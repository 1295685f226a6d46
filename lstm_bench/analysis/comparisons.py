"""Compare the confirmed configurations and baselines of a study, or of two.

Everything is computed from `Results`, so the report and the command line agree.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis import bootstrap
from lstm_bench.analysis import hypothesis_tests as stats
from lstm_bench.analysis.contenders import (
    Contender,
    Pair,
    best_on_validation,
    common_replicates,
    confirm_spec,
    find_contenders,
    twins,
)
from lstm_bench.analysis.ensembles import Ensembles, make_ensembles
from lstm_bench.analysis.formatting import value_label
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.learning_curve import LearningCurve, make_learning_curve
from lstm_bench.analysis.looks import settle
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import Metric
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE

ERRORS = (
    *("n_only_a", "n_only_b", "p_mcnemar_exact", "p_mcnemar_mid"),
    "n_mcnemar_below_5_percent",
)
COLUMNS = (
    *("family", "label_a", "label_b", "id_a", "id_b", "n_seeds", "mean_a", "mean_b"),
    *("difference", "ci_low", "ci_high", "both_low", "both_high"),
    *("p_t", "p_wilcoxon", "p_beyond", "p_beyond_holm"),
    *("p_equivalence", "p_equivalence_holm", "p_a_beats_b"),
    *ERRORS,
    *("margin", "verdict", "n_seeds_needed"),
)
# Beside them, where seeds are added until all is settled.
LOOK_COLUMNS = ("look", "n_looks")
# The columns that are attributes of `PairedComparison`.
SAME_NAME = (
    *("n_seeds", "mean_a", "mean_b", "p_t", "p_wilcoxon"),
    *("p_beyond", "p_equivalence", "p_a_beats_b", "margin"),
)


@dataclass(frozen=True)
class Standing:
    """A declared comparison and its verdict.

    Attributes
    ----------
    pairs : sequence of Pair
        What is compared: the mean of all of them.
    replicates : sequence of int
        On which it is compared.
    look : int or None
        Where seeds are added, the look that settled it, or else the last that was
        taken, 0 before the first; None otherwise.
    """

    family: str
    pairs: Sequence[Pair]
    replicates: Sequence[int]
    comparison: stats.PairedComparison
    judged: stats.Judged
    look: int | None = None

    @property
    def labels(self) -> tuple[str, str]:
        """The names of a and b."""
        return _labels(self.pairs, self.family)


@dataclass(frozen=True)
class Analysis:
    """A study's results with all comparisons, from `analyse`.

    Attributes
    ----------
    contenders : tuple of Contender
        Confirmed configurations, then the baselines scored on the same splits.
    winner, baseline : Contender or None
        The best network and the best baseline, both on validation.
    comparisons : DataFrame
        From `compare_all`.
    optimism : DataFrame
        From `selection_optimism`.
    """

    results: Results
    contenders: tuple[Contender, ...]
    winner: Contender | None
    baseline: Contender | None
    comparisons: pd.DataFrame
    optimism: pd.DataFrame

    @cached_property
    def ensembles(self) -> Ensembles | None:
        """The ensembles of the confirmation; None where the suite declares none."""
        return make_ensembles(
            self.results.suite, self.contenders, self.winner, self.baseline
        )

    @cached_property
    def learning_curve(self) -> LearningCurve | None:
        """The scores by number of training examples; None without subsets."""
        n_train = self.results.dataset.get("n_used_train")
        if n_train is None:
            # The file with it is lost, which the report says.
            return None
        subsets = self.results.subsets
        return make_learning_curve(
            self.results.suite, subsets, n_train, self.contenders, self.baseline
        )

    @property
    def n_trainings(self) -> int:
        """Number of trainings of the search and of the confirmation, at all sizes."""
        curve = self.learning_curve
        n_all = len(self.results.runs) + len(self.results.confirmed)
        return n_all + (0 if curve is None else curve.n_trainings)

    @property
    def against_baseline(self) -> dict[str, Any] | None:
        """The row of `comparisons` for the winner against the best baseline, if any."""
        table = self.comparisons
        if self.baseline is None:
            return None
        rows = table[
            (table["family"] == "baselines") & (table["id_b"] == self.baseline.key)
        ]
        return None if rows.empty else {str(k): v for k, v in rows.iloc[0].items()}


def analyse(results: Results) -> Analysis:
    """Compare all configurations and baselines of the confirmation in `results`."""
    found = find_contenders(results)
    metric = results.suite.metric
    first = confirm_spec(results.suite).chosen_on
    winner = find_winner(results.suite, found)
    baseline = best_on_validation([c for c in found if c.is_baseline], metric, first)
    return Analysis(
        results,
        tuple(found),
        winner,
        baseline,
        compare_all(results.suite, found, winner),
        selection_optimism(results, found),
    )


def find_winner(suite: Suite, found: Sequence[Contender]) -> Contender | None:
    """Return the configuration that is best on validation, None if there is none."""
    lstms = [c for c in found if not c.is_baseline]
    return best_on_validation(lstms, suite.metric, confirm_spec(suite).chosen_on)


def compare_all(
    suite: Suite, found: Sequence[Contender], winner: Contender | None
) -> pd.DataFrame:
    """Return every comparison of the suite's families, with Holm's correction.

    Families (those in the suite): ``best``, the winner against the other
    configurations taken from the search; ``references``, the winner against the
    suite's references, or one of these against the others; ``pairs: <field>``,
    configurations that differ in one field, and the mean of all such pairs of equal
    values; ``baselines``, the winner against every baseline. The winner is the best on
    validation.

    Returns
    -------
    DataFrame with columns `COLUMNS`
        Differences are a - b on test, in the metric's unit. ``ci_*``: 95 % t interval
        over seeds; ``both_*``: 95 % interval over seeds and examples (NaN for metrics
        not in `bootstrap.MEAN_METRICS`); both are cut at the metric's largest
        possible difference. ``verdict``, ``p_beyond_holm``, ``p_equivalence_holm``,
        ``n_seeds_needed``: from `hypothesis_tests.judge`. McNemar's p-values are
        medians over the seeds; each seed's test compares the two models' errors on
        the same examples. Where seeds are added until all is settled, also `look` and
        `n_looks`; p-values with Holm's correction and intervals then allow for all
        looks.
    """
    spec, columns = confirm_spec(suite), list(COLUMNS)
    if spec.until is not None:
        columns += LOOK_COLUMNS
    rows = [
        _row_of(standing, suite)
        for standing in (() if winner is None else standings(suite, found, winner))
    ]
    return pd.DataFrame(rows, columns=columns).astype({"n_seeds_needed": "Int64"})


def standings(
    suite: Suite, found: Sequence[Contender], winner: Contender
) -> Iterator[Standing]:
    """Yield the comparisons of the suite's families, as `compare_all` names them."""
    for family in confirm_spec(suite).families:
        for name, members in _families(family, found, suite, winner):
            yield from _judge_family(name, members, suite)


def _families(
    family: str, found: Sequence[Contender], suite: Suite, winner: Contender
) -> Iterator[tuple[str, list[list[Pair]]]]:
    """Yield each family's name and comparisons, each a list of pairs to average."""
    if family == "pairs":
        for field in suite.pairs:
            yield f"pairs: {field}", _flipped(found, field, suite)
        return
    against = confirm_spec(suite).against
    if family == "references" and against is not None:
        yield family, _against(suite.references[against].config_id, found, winner)
        return
    origin = {"best": "search", "references": "reference", "baselines": "baseline"}
    chosen = [c for c in found if c is not winner and c.origin == origin[family]]
    yield family, [[(winner, other)] for other in chosen]


def _against(
    key: str, found: Sequence[Contender], winner: Contender
) -> list[list[Pair]]:
    """Return the comparisons of one reference with the others, and of the winner's.

    A winner that is no reference is compared with that one, too.
    """
    base = next((c for c in found if c.key == key), None)
    if base is None:
        return []
    others = [c for c in found if c.origin == "reference" and c is not base]
    first = [] if winner is base or winner in others else [[(winner, base)]]
    return [*first, *([(base, other)] for other in others)]


def _flipped(found: Sequence[Contender], field: str, suite: Suite) -> list[list[Pair]]:
    comparisons: list[list[Pair]] = []
    for a, b in itertools.combinations(suite.pairs[field], 2):
        pairs = twins(found, field, a, b)
        if len(pairs) > 1:
            comparisons.append(pairs)
        comparisons += [[pair] for pair in pairs]
    return comparisons


def _judge_family(
    family: str, members: Sequence[Sequence[Pair]], suite: Suite
) -> Iterator[Standing]:
    spec = confirm_spec(suite)
    # With looks, those of the first: a comparison has some of them or is none.
    first = [(pairs, _common(pairs, spec.chosen_on)) for pairs in members]
    shared = [(pairs, common) for pairs, common in first if common]
    compared = [_paired(pairs, common, suite) for pairs, common in shared]
    if spec.until is None:
        for (pairs, common), comparison, judged in zip(
            shared, compared, stats.judge(compared), strict=True
        ):
            yield Standing(family, pairs, common, comparison, judged)
        return
    at_looks = [_at_looks(pairs, suite) for pairs, _ in shared]
    for (pairs, common), comparison, (look, judged) in zip(
        shared, compared, settle(spec.looks, at_looks), strict=True
    ):
        if look > 1:
            common = _common(pairs, spec.looks[look - 1])
            comparison = _paired(pairs, common, suite)
        yield Standing(family, pairs, common, comparison, judged, look)


def _common(pairs: Sequence[Pair], last: int | None) -> list[int]:
    """Return the replicates that all of `pairs` have, up to `last`."""
    common = common_replicates([c for pair in pairs for c in pair])
    return [r for r in common if last is None or r <= last]


def _at_looks(
    pairs: Sequence[Pair], suite: Suite
) -> Callable[[int], stats.PairedComparison | None]:
    """Return what compares `pairs` on their first n replicates, for `settle`."""
    n_ended = min(c.n_ended for pair in pairs for c in pair)

    def compare(n: int) -> stats.PairedComparison | None:
        return _paired(pairs, _common(pairs, n), suite) if n <= n_ended else None

    return compare


def same_test_data(a: Results, b: Results) -> bool:
    """Whether two studies have the same test examples; False where unknown."""
    digest = a.dataset.get("digest")
    return digest is not None and digest == b.dataset.get("digest")


def same_seeds(a: Results, b: Results) -> bool:
    """Whether equal replicates of two studies had equal splits and seeds."""
    return (
        same_test_data(a, b)
        and a.suite.study.seed == b.suite.study.seed
        and a.suite.dataset == b.suite.dataset
    )


def compare_two(
    a: Contender, b: Contender, suite: Suite, *, paired: bool, n_looks: int = 1
) -> dict[str, Any]:
    """Return one comparison as a row of `COLUMNS`; see `compare_each`."""
    return compare_each("two", [(a, b)], suite, paired=[paired], n_looks=n_looks)[0]


def compare_each(
    family: str,
    members: Sequence[Pair],
    suite: Suite,
    *,
    paired: Sequence[bool],
    n_looks: int = 1,
) -> list[dict[str, Any]]:
    """Return rows of `COLUMNS` for one family, by `suite`'s metric and margin.

    Parameters
    ----------
    paired : sequence of bool
        For each pair, whether equal replicates of both had equal splits and seeds.
        If not, or if they share no replicate, Welch's interval and test are used,
        without an interval over examples or McNemar's test.
    n_looks : int
        Numbers of seeds at which one of them could have ended: see `looks_of`.
    """
    rows, comparisons = [], []
    for (a, b), is_paired in zip(members, paired, strict=True):
        common = common_replicates([a, b]) if is_paired else []
        if common:
            comparison = _paired([(a, b)], common, suite, n_looks)
            row = _paired_row(family, [(a, b)], common, comparison, suite, n_looks)
        else:
            row, comparison = _compare_unpaired(a, b, suite, n_looks)
        row |= {"family": family, "n_looks": n_looks}
        rows.append({**dict.fromkeys(COLUMNS, math.nan), **row})
        comparisons.append(comparison)
    judged = stats.judge(comparisons, n_looks=n_looks)
    for row, one in zip(rows, judged, strict=True):
        row |= dataclasses.asdict(one)
    return rows


def looks_of(*suites: Suite) -> int:
    """Return at how many numbers of seeds a comparison across studies could be made.

    Parameters
    ----------
    suites
        Of the studies, each once.
    """
    return math.prod(len(confirm_spec(suite).looks) for suite in suites)


def _compare_unpaired(
    a: Contender, b: Contender, suite: Suite, n_looks: int
) -> tuple[dict[str, Any], stats.PairedComparison]:
    scores = [np.array([c.test[r] for r in sorted(c.test)]) for c in (a, b)]
    comparison = stats.compare_unpaired(
        scores[0],
        scores[1],
        margin=confirm_spec(suite).margin,
        higher_is_better=suite.metric.higher_is_better,
        n_looks=n_looks,
    )
    row = _row(a.label, b.label, a.key, b.key, comparison, suite.metric)
    return row, comparison


def _row(
    label_a: str,
    label_b: str,
    id_a: str,
    id_b: str,
    comparison: stats.PairedComparison,
    metric: Metric,
) -> dict[str, Any]:
    interval = comparison.difference.within(*metric.difference_bounds)
    return {
        "label_a": label_a,
        "label_b": label_b,
        "id_a": id_a,
        "id_b": id_b,
        "difference": interval.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        **{name: getattr(comparison, name) for name in SAME_NAME},
    }


def _paired(
    pairs: Sequence[Pair],
    replicates: Sequence[int],
    suite: Suite,
    n_looks: int | None = None,
) -> stats.PairedComparison:
    """Compare a with b, each averaged over `pairs` within a replicate.

    Parameters
    ----------
    n_looks : int or None
        None: those of the suite's confirmation.
    """
    metric = suite.metric
    a = [float(np.mean([p[0].test[r] for p in pairs])) for r in replicates]
    b = [float(np.mean([p[1].test[r] for p in pairs])) for r in replicates]
    return stats.compare_paired(
        np.array(a),
        np.array(b),
        margin=confirm_spec(suite).margin,
        higher_is_better=metric.higher_is_better,
        n_looks=n_looks or looks_of(suite),
    )


def _labels(pairs: Sequence[Pair], family: str) -> tuple[str, str]:
    """Return the names of a and b: of several pairs, the value of their field."""
    a, b = pairs[0]
    if len(pairs) == 1:
        return a.label, b.label
    field, many = family.removeprefix("pairs: "), f"mean of {len(pairs)} configurations"
    values = [value_label(getattr(contender.config, field)) for contender in (a, b)]
    return f"{field} {values[0]}, {many}", f"{field} {values[1]}, {many}"


def _row_of(standing: Standing, suite: Suite) -> dict[str, Any]:
    n_looks = looks_of(suite)
    row = _paired_row(
        standing.family,
        standing.pairs,
        standing.replicates,
        standing.comparison,
        suite,
        n_looks,
    )
    looks = {"look": standing.look, "n_looks": n_looks}
    return {
        "family": standing.family,
        **row,
        **dataclasses.asdict(standing.judged),
        **({} if standing.look is None else looks),
    }


def _paired_row(
    family: str,
    pairs: Sequence[Pair],
    replicates: Sequence[int],
    comparison: stats.PairedComparison,
    suite: Suite,
    n_looks: int,
) -> dict[str, Any]:
    both = _both_interval(pairs, replicates, suite, n_looks)
    label_a, label_b = _labels(pairs, family)
    id_a, id_b = (" ".join(pair[i].key for pair in pairs) for i in (0, 1))
    return {
        **_row(label_a, label_b, id_a, id_b, comparison, suite.metric),
        "both_low": both[0],
        "both_high": both[1],
        **_compare_errors(pairs, replicates, suite),
    }


def _compare_errors(
    pairs: Sequence[Pair], replicates: Sequence[int], suite: Suite
) -> dict[str, float]:
    """Return McNemar's test of each seed, summed up; NaN where there are no classes."""
    if suite.task.is_numeric:
        return dict.fromkeys(ERRORS, math.nan)
    tests = [_mcnemar(x, y, r) for x, y in pairs for r in replicates]
    p_mid = [test.p_mid for test in tests]
    return {
        "n_only_a": float(np.median([test.n_only_a for test in tests])),
        "n_only_b": float(np.median([test.n_only_b for test in tests])),
        "p_mcnemar_exact": float(np.median([test.p_exact for test in tests])),
        "p_mcnemar_mid": float(np.median(p_mid)),
        "n_mcnemar_below_5_percent": sum(p < 0.05 for p in p_mid),
    }


def _both_interval(
    pairs: Sequence[Pair], replicates: Sequence[int], suite: Suite, n_looks: int
) -> tuple[float, float]:
    """Return the interval of the difference over seeds and examples."""
    name = suite.metric.name
    if name not in bootstrap.MEAN_METRICS:
        return math.nan, math.nan
    scores = []
    for replicate in replicates:
        each = [
            _example_scores(x, replicate, name) - _example_scores(y, replicate, name)
            for x, y in pairs
        ]
        scores.append(np.mean(each, axis=0))
    test = pairs[0][0].predictions[replicates[0]]["test"]
    keys = [c.key for pair in pairs for c in pair]
    rng = derive_rng(suite.study.seed, "bootstrap", *keys)
    interval = bootstrap.seeds_and_examples_interval(
        np.array(scores), test, rng, n_looks
    ).within(*suite.metric.difference_bounds)
    return interval.low, interval.high


def _example_scores(contender: Contender, replicate: int, name: str) -> FloatArray:
    prediction = contender.predictions[replicate]["test"]
    return bootstrap.example_scores(
        name, prediction.y_true, prediction.y_proba, prediction.scale
    )


def _mcnemar(a: Contender, b: Contender, replicate: int) -> stats.McNemar:
    correct = [
        _example_scores(contender, replicate, "accuracy").astype(bool)
        for contender in (a, b)
    ]
    return stats.mcnemar(correct[0], correct[1])


def selection_optimism(results: Results, found: Sequence[Contender]) -> pd.DataFrame:
    """Return by how much each configuration's selection scores were optimistic.

    Returns
    -------
    DataFrame with columns
        ``label, config_id, n_seeds, search`` (the search's one validation score),
        ``val_mean, test_mean, search_minus_val`` (due to selecting the best of many
        noisy scores), ``val_minus_test`` with ``ci_low, ci_high``: positive where
        validation was better than test
    """
    metric = results.suite.metric
    sign = 1.0 if metric.higher_is_better else -1.0
    searched = results.runs[results.runs["state"] == "complete"]
    rows = []
    for contender in found:
        if contender.is_baseline:
            continue
        own = searched.loc[searched["config_id"] == contender.key, OBJECTIVE]
        search = float(own.iloc[0]) if len(own) else math.nan
        replicates = sorted(contender.test)
        gaps = [sign * (contender.val[r] - contender.test[r]) for r in replicates]
        gap = mean_interval(np.array(gaps)).within(*metric.difference_bounds)
        rows.append(
            {
                "label": contender.label,
                "config_id": contender.key,
                "n_seeds": len(replicates),
                "search": search,
                "val_mean": contender.mean_val,
                "test_mean": contender.mean_test,
                "search_minus_val": sign * (search - contender.mean_val),
                "val_minus_test": gap.estimate,
                "ci_low": gap.low,
                "ci_high": gap.high,
            }
        )
    columns = ["label", "config_id", "n_seeds", "search", "val_mean", "test_mean"]
    columns += ["search_minus_val", "val_minus_test", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)
