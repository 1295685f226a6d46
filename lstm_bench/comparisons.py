"""Who is better than whom, by how much and how sure: verdicts on a confirmation.

Everything is computed from `Results`, so that a report and the command line give
the same verdicts, years later too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench import bootstrap
from lstm_bench import statistics as stats
from lstm_bench.cells import config_of_row, plain, value_label
from lstm_bench.heads import FloatArray
from lstm_bench.metrics import Metric
from lstm_bench.records import OBJECTIVE, Prediction, Results, metric_key
from lstm_bench.seeding import derive_rng
from lstm_bench.space import TrialConfig
from lstm_bench.suite import ConfirmSpec, Suite

COLUMNS = (
    *("family", "label_a", "label_b", "id_a", "id_b", "n_seeds", "mean_a", "mean_b"),
    *("difference", "ci_low", "ci_high", "both_low", "both_high"),
    *("p_t", "p_t_holm", "p_wilcoxon", "p_equivalence_holm", "p_a_beats_b"),
    *("n_only_a", "n_only_b", "p_mcnemar_exact", "p_mcnemar_mid"),
    *("n_mcnemar_below_5_percent", "margin", "verdict", "n_seeds_needed"),
)


@dataclass(frozen=True)
class Contender:
    """A configuration or baseline with its scores by replicate.

    Attributes
    ----------
    key : str
        The configuration's id, or ``baseline:<name>``.
    origin : str
        "search", "reference", "pair" or "baseline".
    config : TrialConfig or None
        None for a baseline.
    val, test : mapping of int to float
        The suite's metric by replicate.
    predictions : mapping of int to mapping of str to Prediction
        By replicate, then split.
    """

    key: str
    label: str
    origin: str
    config: TrialConfig | None
    val: Mapping[int, float]
    test: Mapping[int, float]
    predictions: Mapping[int, Mapping[str, Prediction]]

    @property
    def is_baseline(self) -> bool:
        """Whether this is no LSTM."""
        return self.origin == "baseline"

    @property
    def mean_val(self) -> float:
        """Mean over replicates of the metric on validation."""
        return float(np.mean(list(self.val.values())))

    @property
    def mean_test(self) -> float:
        """Mean over replicates of the metric on test."""
        return float(np.mean(list(self.test.values())))


@dataclass(frozen=True)
class Analysis:
    """What a study's results come to; made once by `analyse`, read by many.

    Attributes
    ----------
    contenders : tuple of Contender
        Confirmed configurations, then the baselines scored beside them.
    winner, baseline : Contender or None
        The best LSTM and the best baseline on validation: test has no say in it.
    comparisons : DataFrame
        As `compare_all` gives it.
    optimism : DataFrame
        As `selection_optimism` gives it.
    """

    results: Results
    contenders: tuple[Contender, ...]
    winner: Contender | None
    baseline: Contender | None
    comparisons: pd.DataFrame
    optimism: pd.DataFrame


def analyse(results: Results) -> Analysis:
    """Compare everything that the confirmation round of `results` has scored."""
    found = find_contenders(results)
    metric = results.suite.metric
    winner = _best([c for c in found if not c.is_baseline], metric)
    baseline = _best([c for c in found if c.is_baseline], metric)
    return Analysis(
        results,
        tuple(found),
        winner,
        baseline,
        compare_all(results.suite, found, winner),
        selection_optimism(results, found),
    )


def confirm_spec(suite: Suite) -> ConfirmSpec:
    """Return the suite's declaration of a round, or its defaults."""
    return suite.confirm or ConfirmSpec()


def find_contenders(results: Results) -> list[Contender]:
    """Return every confirmed configuration, then the baselines scored beside them."""
    name = results.suite.metric.name
    val, test = metric_key("val", name), metric_key("test", name)
    runs = results.confirmed
    complete = runs[(runs["state"] == "complete") & runs[test].notna()]
    found = [
        _contender(results, group, str(key), val, test)
        for key, group in complete.groupby("config_id", sort=False)
    ]
    scored = results.baselines
    scored = scored[(scored["replicate"] > 0) & scored[test].notna()]
    if found:
        found += [
            _contender(results, group, f"baseline:{key}", val, test)
            for key, group in scored.groupby("baseline", sort=False)
        ]
    return found


def _contender(
    results: Results, group: pd.DataFrame, key: str, val: str, test: str
) -> Contender:
    first = group.iloc[0]
    replicates = [int(r) for r in group["replicate"].tolist()]
    is_baseline = key.startswith("baseline:")
    return Contender(
        key,
        str(first["label"]),
        "baseline" if is_baseline else str(first["origin"]),
        None if is_baseline else config_of_row(first),
        dict(zip(replicates, group[val].tolist(), strict=True)),
        dict(zip(replicates, group[test].tolist(), strict=True)),
        {
            replicate: results.predictions.get(run_id, {})
            for replicate, run_id in zip(
                replicates, group["run_id"].tolist(), strict=True
            )
        },
    )


def _best(chosen: Sequence[Contender], metric: Metric) -> Contender | None:
    sign = 1.0 if metric.higher_is_better else -1.0
    return max(chosen, key=lambda c: sign * c.mean_val, default=None)


def compare_all(
    suite: Suite, found: Sequence[Contender], winner: Contender | None
) -> pd.DataFrame:
    """Return every comparison of the suite's families, with Holm's correction.

    Families (those the suite names): ``best``, the winner against the other
    configurations taken from the search; ``references``, the winner against the
    suite's references; ``pairs: <field>``, configurations that differ in one field,
    and the mean of all such pairs of equal values; ``baselines``, the winner against
    every baseline. The winner is the best on validation.

    Returns
    -------
    DataFrame with columns `COLUMNS`
        Differences are a - b on test, in the metric's unit. ``ci_*``: 95 % t interval
        over seeds; ``both_*``: 95 % interval over seeds and reviews (NaN for metrics
        that are no means over reviews). McNemar's p-values are medians over the
        seeds, each seed's test compares the two models' errors review by review.
    """
    rows: list[dict[str, Any]] = []
    if winner is not None:
        for family in confirm_spec(suite).families:
            for name, members in _families(family, found, suite, winner):
                rows += _compare_family(name, members, suite)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n_seeds_needed": "Int64"})


Pair = tuple[Contender, Contender]


def _families(
    family: str, found: Sequence[Contender], suite: Suite, winner: Contender
) -> Iterator[tuple[str, list[list[Pair]]]]:
    """Yield each family's name and comparisons: a list of pairs that are averaged."""
    others = [c for c in found if c is not winner]
    if family == "pairs":
        for field in suite.pairs:
            yield f"pairs: {field}", _flipped(found, field, suite)
        return
    origin = {"best": "search", "references": "reference", "baselines": "baseline"}
    wanted = [c for c in others if c.origin == origin[family]]
    yield family, [[(winner, other)] for other in wanted]


def _flipped(found: Sequence[Contender], field: str, suite: Suite) -> list[list[Pair]]:
    comparisons: list[list[Pair]] = []
    for a, b in itertools.combinations(suite.pairs[field], 2):
        pairs = twins(found, field, a, b)
        if len(pairs) > 1:
            comparisons.append(pairs)
        comparisons += [[pair] for pair in pairs]
    return comparisons


def twins(found: Sequence[Contender], field: str, a: Any, b: Any) -> list[Pair]:
    """Return the configurations confirmed with `field` at `a` and at `b`, as pairs."""
    by_rest: dict[str, dict[Any, Contender]] = {}
    for contender in found:
        if contender.config is not None:
            key = contender.config.model_dump_json(exclude={field})
            value = getattr(contender.config, field)
            by_rest.setdefault(key, {})[value] = contender
    return [(t[a], t[b]) for t in by_rest.values() if a in t and b in t]


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
    p_t = stats.holm([c.p_t for c in comparisons])
    p_equivalence = stats.holm([c.p_equivalence for c in comparisons])
    for i, (row, comparison) in enumerate(zip(rows, comparisons, strict=True)):
        row["p_t_holm"] = float(p_t[i])
        row["p_equivalence_holm"] = float(p_equivalence[i])
        row["verdict"] = stats.verdict(
            comparison, float(p_t[i]), float(p_equivalence[i])
        )
    return rows


def common_replicates(members: Sequence[Contender]) -> list[int]:
    """Return the replicates on which every one of `members` was scored."""
    return sorted(set.intersection(*(set(c.test) for c in members)))


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
    reviews = [_mcnemar(x, y, r) for x, y in pairs for r in replicates]
    tests = [test for test in reviews if test is not None]
    p_mid = [test.p_mid for test in tests]
    label_a, label_b = pairs[0][0].label, pairs[0][1].label
    if len(pairs) > 1 and field is not None:
        values = [
            value_label(getattr(contender.config, field)) for contender in pairs[0]
        ]
        label_a, label_b = (
            f"{field} {value}, mean of {len(pairs)} configurations" for value in values
        )
    row = {
        "label_a": label_a,
        "label_b": label_b,
        "id_a": " ".join(x.key for x, _ in pairs),
        "id_b": " ".join(y.key for _, y in pairs),
        "n_seeds": len(replicates),
        "mean_a": comparison.mean_a,
        "mean_b": comparison.mean_b,
        "difference": comparison.difference.estimate,
        "ci_low": comparison.difference.low,
        "ci_high": comparison.difference.high,
        "both_low": both[0],
        "both_high": both[1],
        "p_t": comparison.p_t,
        "p_wilcoxon": comparison.p_wilcoxon,
        "p_a_beats_b": comparison.p_a_beats_b,
        "n_only_a": _median([test.n_only_a for test in tests]),
        "n_only_b": _median([test.n_only_b for test in tests]),
        "p_mcnemar_exact": _median([test.p_exact for test in tests]),
        "p_mcnemar_mid": _median(p_mid),
        "n_mcnemar_below_5_percent": sum(p < 0.05 for p in p_mid),
        "margin": comparison.margin,
        "n_seeds_needed": comparison.n_seeds_needed,
    }
    return row, comparison


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _both_interval(
    pairs: Sequence[Pair], replicates: Sequence[int], suite: Suite
) -> tuple[float, float]:
    """Return the interval of the difference over seeds and reviews."""
    name = suite.metric.name
    if name not in bootstrap.MEAN_METRICS:
        return math.nan, math.nan
    scores = []
    for replicate in replicates:
        each = [
            _review_scores(x, replicate, name) - _review_scores(y, replicate, name)
            for x, y in pairs
        ]
        scores.append(np.mean(each, axis=0))
    strata = pairs[0][0].predictions[replicates[0]]["test"].y_true
    keys = [c.key for pair in pairs for c in pair]
    rng = derive_rng(suite.study.seed, "bootstrap", *keys)
    interval = bootstrap.bootstrap_seeds_and_reviews(np.array(scores), strata, rng=rng)
    return interval.low, interval.high


def _review_scores(contender: Contender, replicate: int, name: str) -> FloatArray:
    prediction = contender.predictions[replicate]["test"]
    return bootstrap.review_scores(name, prediction.y_true, prediction.y_proba)


def _mcnemar(a: Contender, b: Contender, replicate: int) -> stats.McNemar | None:
    if "test" not in a.predictions[replicate] or "test" not in b.predictions[replicate]:
        return None
    correct = [
        _review_scores(contender, replicate, "accuracy").astype(bool)
        for contender in (a, b)
    ]
    return stats.mcnemar(correct[0], correct[1])


def selection_optimism(results: Results, found: Sequence[Contender]) -> pd.DataFrame:
    """Return how much the scores that chose each configuration flattered it.

    Returns
    -------
    DataFrame with columns
        ``label, config_id, n_seeds, search`` (the search's one validation score),
        ``val_mean, test_mean, search_minus_val`` (what choosing the luckiest trial
        added), ``val_minus_test`` with ``ci_low, ci_high``: positive means that the
        score which chose was better than the one that counts
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
        gap = stats.mean_interval(np.array(gaps))
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


def answers(analysis: Analysis) -> list[str]:
    """Return the answer in sentences: who won, by how much, against what, how sure."""
    return [*_confirmed_answers(analysis), *_baseline_answer(analysis)]


def _confirmed_answers(analysis: Analysis) -> Iterator[str]:
    metric, winner = analysis.results.suite.metric, analysis.winner
    if winner is None:
        return
    test = stats.mean_interval(np.array(list(winner.test.values())))
    yield (
        f"Best confirmed LSTM (by validation): {winner.label}, test {metric.label} "
        f"{_with_interval(test.estimate, test.low, test.high)} over {test.n} "
        f"{'seed' if test.n == 1 else 'seeds'}."
    )
    table = analysis.comparisons
    for family in table["family"].unique():
        rows = table[table["family"] == family]
        if family.startswith("pairs"):
            # The first row of several pairs is their mean.
            yield describe(rows.iloc[0], metric)
        elif family == "references":
            for _, row in rows.iterrows():
                yield describe(row, metric)
        else:
            # The strongest opponent on validation; the table has all of them.
            by_key = {c.key: c for c in analysis.contenders}
            opponents = [by_key[key] for key in rows["id_b"].tolist()]
            strongest = _best(opponents, metric)
            row = rows[rows["id_b"] == (strongest.key if strongest else None)]
            yield describe(row.iloc[0], metric)
    rows = analysis.optimism
    own = rows[rows["config_id"] == winner.key].iloc[0]
    text = (
        f"Selection optimism of {winner.label}: validation minus test "
        f"{own['val_minus_test']:+.4f}"
    )
    if not math.isnan(own["search_minus_val"]):
        text += (
            "; search score minus mean validation over fresh seeds "
            f"{own['search_minus_val']:+.4f}"
        )
    yield text + " (positive: flattered)."


def _baseline_answer(analysis: Analysis) -> Iterator[str]:
    """Say plainly whether an LSTM beats the best baseline."""
    results, best = analysis.results, analysis.baseline
    metric = results.suite.metric
    if best is not None:
        lstms = [c for c in analysis.contenders if not c.is_baseline]
        if not any(metric.is_better(c.mean_test, best.mean_test) for c in lstms):
            yield (
                f"No LSTM beats the baseline {best.label} "
                f"({metric.label} {best.mean_test:.4f} on test)."
            )
        return
    baselines = results.baselines[results.baselines["replicate"] == 0]
    runs = results.runs[results.runs["state"] == "complete"]
    key = metric_key("val", metric.name)
    if baselines.empty or runs.empty:
        return
    ascending = not metric.higher_is_better
    row = baselines.sort_values(key, ascending=ascending, kind="stable").iloc[0]
    values = runs[OBJECTIVE]
    value = float(values.max() if metric.higher_is_better else values.min())
    yield (
        f"Best baseline on the same validation reviews: {row['label']} "
        f"{float(row[key]):.4f}; "
        + (
            f"the best LSTM's {value:.4f} is ahead of it."
            if metric.is_better(value, float(row[key]))
            else f"no LSTM of the search beats it (best {value:.4f})."
        )
    )


def describe(row: Mapping[str, Any] | pd.Series[Any], metric: Metric) -> str:
    """Return one comparison as a sentence with verdict, interval and seeds."""
    n = int(row["n_seeds"])
    text = (
        f"{row['label_a']} against {row['label_b']}: {row['verdict']}; test "
        f"{metric.label} {row['mean_a']:.4f} against {row['mean_b']:.4f}, difference "
        f"{_with_interval(row['difference'], row['ci_low'], row['ci_high'], '+.4f')} "
        f"over {n} paired {'seed' if n == 1 else 'seeds'}, margin {row['margin']:g}"
    )
    if row["verdict"] == "not enough data":
        needed = row["n_seeds_needed"]
        text += (
            "; it would take more than 1,000 seeds"
            if needed is pd.NA or needed is None
            else f"; it would take about {max(int(needed), n + 1):,} seeds"
        )
    return text + "."


def _with_interval(
    estimate: float, low: float, high: float, written: str = ".4f"
) -> str:
    if math.isnan(low):
        return f"{estimate:{written}}"
    return f"{estimate:{written}} (95 % {low:{written}} to {high:{written}})"


def confirmation_summary(
    analysis: Analysis,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the round's metrics for MLflow, and its verdicts as plain JSON types."""
    suite, winner = analysis.results.suite, analysis.winner
    said = {"metric": suite.metric.name, "answers": answers(analysis)}
    if winner is None:
        return {}, {"winner": None, **said, "comparisons": [], "optimism": []}
    interval = stats.mean_interval(np.array(list(winner.test.values())))
    key = f"confirmed_test_{suite.metric.name}"
    values = {
        f"{key}_mean": interval.estimate,
        f"{key}_ci95_low": interval.low,
        f"{key}_ci95_high": interval.high,
        "confirmed_n_seeds": float(interval.n),
    }
    verdicts = {
        "winner": {"config_id": winner.key, "label": winner.label},
        **said,
        "margin": confirm_spec(suite).margin,
        "comparisons": _records(analysis.comparisons),
        "optimism": _records(analysis.optimism),
    }
    return {k: v for k, v in values.items() if not math.isnan(v)}, verdicts


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values, None for NaN: JSON has none."""
    return [
        {str(key): plain(value) for key, value in row.items()}
        for row in table.to_dict("records")
    ]
