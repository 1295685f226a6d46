"""Compare the confirmed configurations and baselines of a study, or of two.

Everything is computed from `Results`, so the report and the command line agree.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
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
# The columns that are attributes of `PairedComparison`.
SAME_NAME = (
    *("n_seeds", "mean_a", "mean_b", "p_t", "p_wilcoxon"),
    *("p_beyond", "p_equivalence", "p_a_beats_b", "margin"),
)


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
    winner = best_on_validation([c for c in found if not c.is_baseline], metric)
    baseline = best_on_validation([c for c in found if c.is_baseline], metric)
    return Analysis(
        results,
        tuple(found),
        winner,
        baseline,
        compare_all(results.suite, found, winner),
        selection_optimism(results, found),
    )


def compare_all(
    suite: Suite, found: Sequence[Contender], winner: Contender | None
) -> pd.DataFrame:
    """Return every comparison of the suite's families, with Holm's correction.

    Families (those in the suite): ``best``, the winner against the other
    configurations taken from the search; ``references``, the winner against the
    suite's references; ``pairs: <field>``, configurations that differ in one field,
    and the mean of all such pairs of equal values; ``baselines``, the winner against
    every baseline. The winner is the best on validation.

    Returns
    -------
    DataFrame with columns `COLUMNS`
        Differences are a - b on test, in the metric's unit. ``ci_*``: 95 % t interval
        over seeds; ``both_*``: 95 % interval over seeds and examples (NaN for metrics
        not in `bootstrap.MEAN_METRICS`); both are cut at the metric's largest
        possible difference. ``verdict``, ``p_beyond_holm``, ``p_equivalence_holm``,
        ``n_seeds_needed``: from `hypothesis_tests.judge`. McNemar's p-values are
        medians over the seeds; each seed's test compares the two models' errors on
        the same examples.
    """
    rows: list[dict[str, Any]] = []
    if winner is not None:
        for family in confirm_spec(suite).families:
            for name, members in _families(family, found, suite, winner):
                rows += _compare_family(name, members, suite)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n_seeds_needed": "Int64"})


def _families(
    family: str, found: Sequence[Contender], suite: Suite, winner: Contender
) -> Iterator[tuple[str, list[list[Pair]]]]:
    """Yield each family's name and comparisons, each a list of pairs to average."""
    others = [c for c in found if c is not winner]
    if family == "pairs":
        for field in suite.pairs:
            yield f"pairs: {field}", _flipped(found, field, suite)
        return
    origin = {"best": "search", "references": "reference", "baselines": "baseline"}
    chosen = [c for c in others if c.origin == origin[family]]
    yield family, [[(winner, other)] for other in chosen]


def _flipped(found: Sequence[Contender], field: str, suite: Suite) -> list[list[Pair]]:
    comparisons: list[list[Pair]] = []
    for a, b in itertools.combinations(suite.pairs[field], 2):
        pairs = twins(found, field, a, b)
        if len(pairs) > 1:
            comparisons.append(pairs)
        comparisons += [[pair] for pair in pairs]
    return comparisons


def _compare_family(
    family: str, members: Sequence[Sequence[Pair]], suite: Suite
) -> list[dict[str, Any]]:
    rows, comparisons = [], []
    for pairs in members:
        common = common_replicates([c for pair in pairs for c in pair])
        if not common:
            continue
        field = family.removeprefix("pairs: ") if family.startswith("pairs") else None
        row, comparison = _compare(pairs, common, suite, field)
        rows.append({"family": family, **row})
        comparisons.append(comparison)
    _judge(rows, comparisons)
    return rows


def _judge(
    rows: Sequence[dict[str, Any]], comparisons: Sequence[stats.PairedComparison]
) -> None:
    """Add verdicts to a family's rows, from p-values with Holm's correction."""
    for row, judged in zip(rows, stats.judge(comparisons), strict=True):
        row |= dataclasses.asdict(judged)


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
    a: Contender, b: Contender, suite: Suite, *, paired: bool
) -> dict[str, Any]:
    """Return one comparison as a row of `COLUMNS`; see `compare_each`."""
    return compare_each("two", [(a, b)], suite, paired=[paired])[0]


def compare_each(
    family: str, members: Sequence[Pair], suite: Suite, *, paired: Sequence[bool]
) -> list[dict[str, Any]]:
    """Return rows of `COLUMNS` for one family, by `suite`'s metric and margin.

    Parameters
    ----------
    paired : sequence of bool
        For each pair, whether equal replicates of both had equal splits and seeds.
        If not, or if they share no replicate, Welch's interval and test are used,
        without an interval over examples or McNemar's test.
    """
    rows, comparisons = [], []
    for (a, b), is_paired in zip(members, paired, strict=True):
        common = common_replicates([a, b]) if is_paired else []
        if common:
            row, comparison = _compare([(a, b)], common, suite, None)
        else:
            row, comparison = _compare_unpaired(a, b, suite)
        rows.append({**dict.fromkeys(COLUMNS, math.nan), **row, "family": family})
        comparisons.append(comparison)
    _judge(rows, comparisons)
    return rows


def _compare_unpaired(
    a: Contender, b: Contender, suite: Suite
) -> tuple[dict[str, Any], stats.PairedComparison]:
    scores = [np.array([c.test[r] for r in sorted(c.test)]) for c in (a, b)]
    comparison = stats.compare_unpaired(
        scores[0],
        scores[1],
        margin=confirm_spec(suite).margin,
        higher_is_better=suite.metric.higher_is_better,
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


def _compare(
    pairs: Sequence[Pair], replicates: Sequence[int], suite: Suite, field: str | None
) -> tuple[dict[str, Any], stats.PairedComparison]:
    """Compare a with b, each averaged over `pairs` within a replicate."""
    metric = suite.metric
    a = [float(np.mean([p[0].test[r] for p in pairs])) for r in replicates]
    b = [float(np.mean([p[1].test[r] for p in pairs])) for r in replicates]
    comparison = stats.compare_paired(
        np.array(a),
        np.array(b),
        margin=confirm_spec(suite).margin,
        higher_is_better=metric.higher_is_better,
    )
    both = _both_interval(pairs, replicates, suite)
    label_a, label_b = pairs[0][0].label, pairs[0][1].label
    if len(pairs) > 1 and field is not None:
        values = [
            value_label(getattr(contender.config, field)) for contender in pairs[0]
        ]
        label_a, label_b = (
            f"{field} {value}, mean of {len(pairs)} configurations" for value in values
        )
    id_a, id_b = (" ".join(pair[i].key for pair in pairs) for i in (0, 1))
    row = {
        **_row(label_a, label_b, id_a, id_b, comparison, metric),
        "both_low": both[0],
        "both_high": both[1],
        **_compare_errors(pairs, replicates, suite),
    }
    return row, comparison


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
    pairs: Sequence[Pair], replicates: Sequence[int], suite: Suite
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
        np.array(scores), test, rng
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
