"""Tables that compare several studies: `Analysis` of each in, tidy DataFrame out."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import (
    COLUMNS,
    Analysis,
    compare_each,
    looks_of,
    same_seeds,
    same_test_data,
)
from lstm_bench.analysis.contenders import Contender, common_replicates, confirm_spec
from lstm_bench.analysis.formatting import value_label
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.analysis.tables.select import CI_HIGH, CI_LOW, engines, trial_runs
from lstm_bench.metrics import Metric
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE

# Families of `differences`.
WINNERS, BASELINES = "winners", "best baselines"
SHARED, OWN = "shared", "own baseline"
# Shown in place of a verdict where `why_withheld` returns a reason.
WITHHELD = "not compared"
UNKNOWN = "–"
# Scores are not compared where this field differs or is unknown.
DIGEST = "digest (SHA-256)"
DATA, PROTOCOL, MACHINE, ENGINE, SETTINGS, CODE, OTHER = PARTS = (
    *("data", "protocol", "machine", "engine", "settings", "code", "other"),
)


@dataclass(frozen=True)
class StudyComparison:
    """Several studies and their differences, from `compare_studies`.

    Attributes
    ----------
    labels : tuple of str
        The name of each study in the report, all different.
    board, differences, shared, differs : DataFrame
        Returned by the functions of these names.
    """

    analyses: tuple[Analysis, ...]
    labels: tuple[str, ...]
    board: pd.DataFrame
    differences: pd.DataFrame
    shared: pd.DataFrame
    differs: pd.DataFrame

    @property
    def named(self) -> list[tuple[str, Analysis]]:
        """Each study's label and analysis, in order."""
        return list(zip(self.labels, self.analyses, strict=True))

    @property
    def examples(self) -> str:
        """The word for the data's examples; "examples" where the studies differ."""
        names = {a.results.examples for a in self.analyses}
        return names.pop() if len(names) == 1 else "examples"

    @property
    def metric(self) -> Metric | None:
        """The metric of all studies; None where they differ."""
        metrics = {a.results.suite.metric.name for a in self.analyses}
        return self.analyses[0].results.suite.metric if len(metrics) == 1 else None


def compare_studies(analyses: Sequence[Analysis]) -> StudyComparison:
    """Compare two or more studies, in their order."""
    labels = study_labels([analysis.results for analysis in analyses])
    named = list(zip(labels, analyses, strict=True))
    return StudyComparison(
        tuple(analyses),
        tuple(labels),
        board(named),
        differences(named),
        shared(named),
        differs(named),
    )


def study_labels(results: Sequence[Results]) -> list[str]:
    """Return the name of each study in the report.

    The suite's name. Where several studies have the same one, it is followed by the
    first of these in which all of them differ: day of the last work, processor, the
    study's hash, a number.
    """
    labels = [r.suite.name for r in results]
    for name in {label for label in labels if labels.count(label) > 1}:
        same = [i for i, label in enumerate(labels) if label == name]
        for describe in (_day, _processor, lambda r: r.study.rpartition("-")[2]):
            words = [describe(results[i]) for i in same]
            if len(set(words)) == len(same):
                break
        else:
            words = [str(number) for number in range(1, len(same) + 1)]
        for i, word in zip(same, words, strict=True):
            labels[i] = f"{name} ({word})"
    return labels


def _last_work(results: Results) -> pd.Timestamp | None:
    starts = results.sessions["start_time"].dropna()
    return pd.Timestamp(starts.max()) if len(starts) else None


def _day(results: Results) -> str:
    last = _last_work(results)
    return UNKNOWN if last is None else f"{last:%Y-%m-%d}"


def _processor(results: Results) -> str:
    name = str(results.environment.get("cpu_model") or UNKNOWN)
    name = re.sub(r"\((R|TM)\)|\bCPU\b|@.*", " ", name)
    return " ".join(name.split())


Named = Sequence[tuple[str, Analysis]]


def board(named: Named) -> pd.DataFrame:
    """Return one row per study.

    Returns
    -------
    DataFrame with columns
        ``study`` (its label), ``study_name, dataset, n_used_train, n_used_val,
        n_trials`` (complete), ``metric``; ``search_label, search_score``: the search's
        best, of ``n_search`` complete configurations, with the 95 % Wilson interval of
        its accuracy in ``search_low, search_high``; ``n_seeds``: of the confirmed
        winner, 0 where there is none; ``processor, n_cores, last_work`` (Timestamp,
        UTC)
    """
    rows = []
    for label, analysis in named:
        results, winner = analysis.results, analysis.winner
        data, env = results.dataset, results.environment
        ranked = leaderboard(results)
        best: Mapping[Any, Any] = ranked.iloc[0].to_dict() if len(ranked) else {}
        rows.append(
            {
                "study": label,
                "study_name": results.study,
                "dataset": results.suite.dataset.name,
                "n_used_train": data.get("n_used_train"),
                "n_used_val": data.get("n_used_val"),
                "n_trials": len(trial_runs(results)),
                "metric": results.suite.metric.name,
                "search_label": best.get("label"),
                "search_score": best.get(OBJECTIVE, math.nan),
                "search_low": best.get(CI_LOW, math.nan),
                "search_high": best.get(CI_HIGH, math.nan),
                "n_search": len(ranked),
                "n_seeds": 0 if winner is None else len(winner.test),
                "processor": env.get("cpu_model"),
                "n_cores": env.get("n_cores"),
                "last_work": _last_work(results),
            }
        )
    return pd.DataFrame(rows)


def why_withheld(a: Results, b: Results) -> str | None:
    """Return the reason why two studies' scores are not compared, None if they are."""
    if not same_test_data(a, b):
        if all(r.dataset.get("digest") for r in (a, b)):
            return "tested on different data"
        return "tested on data that was not recorded"
    if a.suite.metric != b.suite.metric:
        return f"scored by {a.suite.metric.label} and by {b.suite.metric.label}"
    return None


def differences(named: Named) -> pd.DataFrame:
    """Return differences of winners, best baselines and shared configurations.

    Winner and best baseline are the best on validation. They are paired by seed
    where both studies have equal splits and seeds and share replicates; otherwise the
    interval is Welch's. Holm's correction is within a family; for shared
    configurations, within two studies. The margin between studies is the first
    study's. Where data or metric differ, only the means are given.

    Returns
    -------
    DataFrame with the columns of `comparisons.compare_all`, and
        ``study_a, study_b, paired, n_a, n_b`` (seeds), ``why``: the reason where there
        is no comparison. ``family`` is `WINNERS`, `BASELINES`, `SHARED`, or `OWN`
        (within one study, paired).
    """
    both = list(itertools.combinations(named, 2))
    rows: list[dict[str, Any]] = []
    for family, attribute in ((WINNERS, "winner"), (BASELINES, "baseline")):
        rows += _compare(
            family,
            [
                (a, b, getattr(a[1], attribute), getattr(b[1], attribute))
                for a, b in both
            ],
        )
    for a, b in both:
        by_key = {c.key: c for c in b[1].contenders if not c.is_baseline}
        common = [c for c in a[1].contenders if c.key in by_key]
        rows += _compare(SHARED, [(a, b, c, by_key[c.key]) for c in common])
    for one in named:
        rows += _compare(OWN, [(one, one, one[1].winner, one[1].baseline)])
    columns = [*COLUMNS, "study_a", "study_b", "paired", "n_a", "n_b", "why"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"n_seeds_needed": "Int64", "paired": "boolean"})


Side = tuple[str, Analysis]


def _compare(
    family: str,
    pairs: Sequence[tuple[Side, Side, Contender | None, Contender | None]],
) -> list[dict[str, Any]]:
    """Return a row for each of `pairs`; all comparisons are one family."""
    compared, withheld = [], []
    for (label_a, one), (label_b, other), a, b in pairs:
        if a is None or b is None:
            continue
        first, second = one.results, other.results
        suites = [first.suite] if one is other else [first.suite, second.suite]
        a = dataclasses.replace(a, label=f"{a.label} in {label_a}")
        b = dataclasses.replace(b, label=f"{b.label} in {label_b}")
        known: dict[str, Any] = {
            "family": family,
            "study_a": label_a,
            "study_b": label_b,
            "label_a": a.label,
            "label_b": b.label,
            "n_a": len(a.test),
            "n_b": len(b.test),
        }
        why = None if one is other else why_withheld(first, second)
        if why is None:
            paired = (one is other or same_seeds(first, second)) and bool(
                common_replicates([a, b])
            )
            known |= {"paired": paired, "n_looks": looks_of(*suites)}
            compared.append((a, b, first.suite, known))
            continue
        means = {"mean_a": a.mean_test, "mean_b": b.mean_test}
        withheld.append(known | means | {"verdict": WITHHELD, "why": why})
    if not compared:
        return withheld
    found = compare_each(
        family,
        [(a, b) for a, b, *_ in compared],
        compared[0][2],
        paired=[known["paired"] for *_, known in compared],
        n_looks=max(known["n_looks"] for *_, known in compared),
    )
    return withheld + [
        {**row, **known} for row, (*_, known) in zip(found, compared, strict=True)
    ]


def shared(named: Named) -> pd.DataFrame:
    """Return the configurations that several searches share, a row for each study.

    Returns
    -------
    DataFrame with columns
        ``study`` (its label), and the columns of `leaderboard` that all studies have;
        sorted so that rows of one configuration are adjacent
    """
    boards = [leaderboard(analysis.results) for _, analysis in named]
    whole = pd.concat(
        [b.assign(study=label) for b, (label, _) in zip(boards, named, strict=True)],
        join="inner",
        ignore_index=True,
    )
    several = whole[whole.duplicated("config_id", keep=False)]
    order = np.argsort(pd.factorize(several["config_id"])[0], kind="stable")
    return several.iloc[order].reset_index(drop=True)


def differs(named: Named) -> pd.DataFrame:
    """Return every field of suites, data, machines and code that differs.

    Returns
    -------
    DataFrame with columns
        ``part`` (one of `PARTS`), ``field``, and each study's value as text in the
        column that `study_column` names
    """
    facts = [_facts(analysis.results) for _, analysis in named]
    columns = [study_column(label) for label, _ in named]
    rows = []
    for key in dict.fromkeys(key for fact in facts for key in fact):
        values = [fact.get(key, UNKNOWN) for fact in facts]
        if len(set(values)) > 1:
            rows.append((*key, *values))
    rows.sort(key=lambda row: PARTS.index(row[0]))
    return pd.DataFrame(rows, columns=["part", "field", *columns])


def study_column(label: str) -> str:
    """Return the name of a study's column in the table from `differs`."""
    return f"study {label}"


def _facts(results: Results) -> dict[tuple[str, str], str]:
    """Return a study's suite, data, machine and code as text, by part and field."""
    suite, data, env = results.suite, results.dataset, results.environment
    # Without the section its defaults hold, such as the margin.
    sections: dict[str, Mapping[str, Any]] = {
        "dataset": suite.dataset.model_dump(exclude={"name", "options"}),
        "study": suite.study.model_dump(),
        "confirm": confirm_spec(suite).model_dump(),
        "defaults": suite.defaults.model_dump(),
        "space": {name: axis.describe() for name, axis in suite.space},
        "references": {
            name: suite.settings_text(config)
            for name, config in suite.references.items()
        },
    }
    recorded: dict[str, Mapping[str, Any]] = {
        DATA: {
            DIGEST: data.get("digest"),
            "dataset.name": suite.dataset.name,
            "source": data.get("source"),
            "size of train": (data.get("train") or {}).get("n"),
            "size of test": (data.get("test") or {}).get("n"),
            **{f"dataset.options.{k}": v for k, v in suite.dataset.options.items()},
        },
        PROTOCOL: {
            f"{results.examples} trained on": data.get("n_used_train"),
            f"{results.examples} validated on": data.get("n_used_val"),
            "confirm": "declared" if suite.confirm else "not declared",
            **{
                f"{section}.{name}": _text(value)
                for section, values in sections.items()
                for name, value in values.items()
            },
        },
        MACHINE: {
            "processor": env.get("cpu_model"),
            "cores": env.get("n_cores"),
            "operating system": env.get("os"),
            "Python": env.get("python"),
            **(env.get("packages") or {}),
        },
        ENGINE: {"engine of the recurrent layers": engines(results)},
        SETTINGS: env.get("settings") or {},
        CODE: {
            "lstm-bench": env.get("lstm_bench"),
            "git commit": env.get("git_commit"),
            "uncommitted changes": env.get("git_dirty"),
            "suite file committed": env.get("suite_committed"),
            "code digest": env.get("code_digest"),
            "digest of the dataset's code": data.get("code_digest"),
        },
        OTHER: {
            "memory (GiB)": env.get("memory_gib"),
            "description": " ".join(suite.description.split()),
            "published": [entry.label for entry in suite.published],
        },
    }
    return {
        (part, field): UNKNOWN if value is None else _text(value)
        for part, fields in recorded.items()
        for field, value in fields.items()
    }


def _text(value: Any) -> str:
    """Return a value of a suite or environment as one line of text."""
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(v) for v in value) or "none"
    return value_label(value)
