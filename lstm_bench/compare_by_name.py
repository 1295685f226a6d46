"""Compare two configurations, or the winners of two studies, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from lstm_bench.analysis.comparisons import (
    Analysis,
    analyse,
    compare_two,
    looks_of,
    same_seeds,
    same_test_data,
)
from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.hypothesis_tests import Verdict, smallest_rank_p
from lstm_bench.analysis.verdicts import describe
from lstm_bench.errors import SuiteError, TrackingError
from lstm_bench.suites.files import suite_file
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.system.command_line import command_line
from lstm_bench.text import listed, with_interval
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results, load_suite_of
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.stored_runs import describe_left_out, parse_runs

CONFIG_ID = re.compile(r"[0-9a-f]{4,12}")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a contender within its study."""

    analysis: Analysis
    contender: Contender

    @property
    def suite(self) -> Suite:
        """The study's suite, as last run."""
        return self.analysis.results.suite


@dataclass(frozen=True)
class Comparison:
    """The verdict on two confirmed configurations.

    Attributes
    ----------
    a, b : str
        The configurations' names.
    metric : str
        The metric, measured on test.
    verdict : {"better", "worse", "equivalent", "identical", "undecided"}
        Of `a` against `b`.
    difference, ci_low, ci_high : float
        Mean of a - b over seeds in the metric's unit, and its 95 % interval; NaN where
        there is one seed.
    margin : float
        Differences up to it are negligible.
    n_seeds : int
    paired : bool
        Whether both were trained on the same seeds and splits.
    lines : tuple of str
        The verdict in sentences, with p-values.
    """

    a: str
    b: str
    metric: str
    verdict: Verdict
    difference: float
    ci_low: float
    ci_high: float
    margin: float
    n_seeds: int
    paired: bool
    lines: tuple[str, ...]


def find_side(tracking_uri: str, name: str) -> Side:
    """Return the configuration or baseline called `name`, with its study.

    Parameters
    ----------
    name : str
        A suite (its best confirmed configuration), ``SUITE:CONFIGURATION`` (a name
        from the report, or only its part in brackets, such as ``trial 7``; a
        reference, a baseline, or the first digits of a configuration's id), or such
        digits alone.

    Raises
    ------
    SuiteError, TrackingError
        The suite or configuration does not exist or was not confirmed.
    """
    suite_name, _, wanted = name.partition(":")
    if not wanted and _is_config_id(name):
        suite, wanted = _suite_of_config(tracking_uri, name), name
    else:
        try:
            suite = load_suite(suite_name)
        except SuiteError as error:
            hint = "" if wanted else f"; for a configuration give SUITE:{name}"
            raise SuiteError(f"{error}{hint}") from error
    analysis = analyse(load_results(tracking_uri, suite))
    if analysis.results.missing:
        raise TrackingError(f"{name}: no verdict: {analysis.results.missing}")
    if analysis.winner is None:
        raise TrackingError(
            f"{name}: study {suite.study_name} has no confirmed configuration; run "
            f"`{command_line('confirm', suite_name)}` first"
        )
    if not wanted:
        return Side(analysis, analysis.winner)
    return Side(analysis, _pick(analysis, wanted, name))


def _is_config_id(name: str) -> bool:
    """Whether `name` can be the start of an id, and no suite has that name."""
    return CONFIG_ID.fullmatch(name) is not None and not suite_file(name).is_file()


def _suite_of_config(tracking_uri: str, digits: str) -> Suite:
    client = MlflowClient(tracking_uri)
    runs = find_runs(
        client,
        f"tags.`{rec.TAG_KIND}` = 'replicate' and "
        f"tags.`{rec.TAG_CONFIG_ID}` LIKE '{digits}%'",
    )
    studies = {run.study: run for run in parse_runs(runs)[0]}
    if len(studies) != 1:
        found = listed(sorted(studies)) or "none"
        raise TrackingError(
            f"{digits}: expected a configuration that was confirmed in one study, got "
            f"{found}; give SUITE:{digits}, or run `lstm-bench confirm` first"
        )
    return load_suite_of(client, next(iter(studies.values())))


def _pick(analysis: Analysis, wanted: str, name: str) -> Contender:
    ends = tuple(f"({text}{wanted})" for text in ("", "trial "))
    matching = [
        c
        for c in analysis.contenders
        if c.label in (wanted, f"reference {wanted}")
        or c.label.endswith(ends)
        or c.key == f"baseline:{wanted}"
        or (CONFIG_ID.fullmatch(wanted) and c.key.startswith(wanted))
    ]
    if len(matching) == 1:
        return matching[0]
    known = listed(
        (f"{c.label} ({c.key.removeprefix('baseline:')})" for c in analysis.contenders),
        "; ",
    )
    raise TrackingError(
        f"{name}: expected one confirmed configuration or baseline, got "
        f"{len(matching)} of that name; known: {known}"
    )


def _n_seeds(a: Side, b: Side) -> tuple[int, int]:
    return len(a.contender.test), len(b.contender.test)


def compare_by_name(tracking_uri: str, name_a: str, name_b: str) -> Comparison:
    """Compare two configurations, or two studies' winners.

    They are paired by replicate where both studies have equal splits and seeds. Metric
    and margin are those of the first suite.

    Raises
    ------
    SuiteError, TrackingError
        A name is unknown, both are the same, or data or metric differ.
    """
    a, b = find_side(tracking_uri, name_a), find_side(tracking_uri, name_b)
    same_study = a.suite.study_name == b.suite.study_name
    if same_study and a.contender.key == b.contender.key:
        raise TrackingError(
            f"{name_a} and {name_b} are the same configuration ({a.contender.label}); "
            "name two"
        )
    results_a, results_b = a.analysis.results, b.analysis.results
    if not same_test_data(results_a, results_b):
        digests = [
            str(results.dataset.get("digest") or "unknown")[:12]
            for results in (results_a, results_b)
        ]
        raise TrackingError(
            f"{name_a} and {name_b} were tested on different data ({digests[0]} and "
            f"{digests[1]}): their scores cannot be compared"
        )
    if a.suite.metric != b.suite.metric:
        raise TrackingError(
            f"{name_a} is judged by {a.suite.metric.name} and {name_b} by "
            f"{b.suite.metric.name}: give both suites one metric"
        )
    paired = same_seeds(results_a, results_b)
    suites = [a.suite] if same_study else [a.suite, b.suite]
    n_looks = looks_of(*suites)
    row = compare_two(a.contender, b.contender, a.suite, paired=paired, n_looks=n_looks)
    return Comparison(
        a=a.contender.label,
        b=b.contender.label,
        metric=a.suite.metric.name,
        verdict=row["verdict"],
        difference=row["difference"],
        ci_low=row["ci_low"],
        ci_high=row["ci_high"],
        margin=row["margin"],
        n_seeds=int(row["n_seeds"]),
        paired=paired,
        lines=tuple(_sentences(a, b, row, paired)),
    )


def _sentences(a: Side, b: Side, row: Mapping[str, Any], paired: bool) -> list[str]:
    results_a, results_b = a.analysis.results, b.analysis.results
    same_study = a.suite.study_name == b.suite.study_name
    lines = [describe(row, a.suite.metric, paired)]
    if not same_study and not paired:
        lines.append(
            "The studies split or seed their data differently, so nothing is paired: "
            "the cause may be the amount of data or the split as well as the model."
        )
    if same_study:
        lines.append(
            "Tested alone; the report corrects each verdict for the other "
            "comparisons of its family."
        )
    if row["n_looks"] > 1:
        lines.append(
            "Seeds were added until comparisons were settled: interval and verdict "
            f"allow for {row['n_looks']} looks."
        )
    for results in (results_a,) if same_study else (results_a, results_b):
        if left_out := describe_left_out(results.left_out):
            lines.append(f"Study {results.study}: {left_out}.")
    if row["n_seeds"] < 2:
        return lines
    n = int(row["n_seeds"])
    least = smallest_rank_p(n) if paired else smallest_rank_p(*_n_seeds(a, b))
    lines.append(
        f"p of no difference {row['p_t']:.3g} (t), {row['p_wilcoxon']:.3g} "
        f"({'Wilcoxon' if paired else 'Mann-Whitney'}; with so many seeds it is at "
        f"least {least:.3g}); p of no difference beyond the margin "
        f"{row['p_beyond']:.3g}; p of the equivalence test "
        f"{row['p_equivalence']:.3g}; P(a beats b) {row['p_a_beats_b']:.1%}."
    )
    if paired:
        both = with_interval(
            row["difference"],
            row["both_low"],
            row["both_high"],
            f"+{results_a.suite.metric.form}",
        )
        text = f"Over seeds and {results_a.examples}: {both}."
        if not results_a.suite.task.is_numeric:
            text += (
                f" McNemar over {results_a.examples}, medians: {row['n_only_a']:g} "
                f"right in the first alone, {row['n_only_b']:g} in the second alone, "
                f"exact p {row['p_mcnemar_exact']:.3g}, mid-p "
                f"{row['p_mcnemar_mid']:.3g}."
            )
        lines.append(text)
    return lines
