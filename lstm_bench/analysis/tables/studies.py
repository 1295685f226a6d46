"""Tables of several studies side by side: `Analysis` of each in, tidy DataFrame out."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lstm_bench.analysis.comparisons import (
    Analysis,
    compare_each,
    same_seeds,
    same_test_data,
)
from lstm_bench.analysis.contenders import (
    Contender,
    Pair,
    common_replicates,
    confirm_spec,
)
from lstm_bench.analysis.formatting import config_of_row, value_label
from lstm_bench.analysis.intervals import Interval, mean_interval, newcombe_interval
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.analysis.tables.select import (
    CI_HIGH,
    CI_LOW,
    complete_runs,
    engines,
    trial_runs,
)
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME

WINNERS, BASELINES, OWN = "winners", "best baselines", "winner − own best baseline"
# In the place of a verdict, where `why_withheld` has a reason.
WITHHELD = "not compared"
DATA_UNKNOWN = "data unknown"
UNKNOWN = "–"
# Parts of what may differ, and what follows: other data are not compared at all.
DATA, PROTOCOL, MACHINE, SETTINGS, CODE, WORDING = (
    *("data", "protocol", "machine", "settings", "code"),
    "wording",
)
PARTS = (DATA, PROTOCOL, MACHINE, SETTINGS, CODE, WORDING)
# Times are compared where all of these are equal; memory is only shown.
MACHINE_FIELDS = ("processor", "cores", "operating system", "Python")
ENGINE = "engine of the LSTMs"
DIFFERENCE_COLUMNS = (
    *("family", "study_a", "study_b", "label_a", "label_b", "verdict", "why"),
    *("paired", "n_a", "n_b", "n_seeds", "mean_a", "mean_b"),
    *("difference", "ci_low", "ci_high", "both_low", "both_high"),
    *("p_t", "p_beyond", "p_beyond_holm", "p_equivalence", "p_equivalence_holm"),
    *("margin", "n_seeds_needed"),
)
SHARED_COLUMNS = (
    *("study_a", "study_b", "config_id", "settings", "label_a", "label_b", "why"),
    *("search_a", "search_b", "n_val_a", "n_val_b"),
    *("search_difference", "search_low", "search_high"),
    *("n_a", "n_b", "test_a", "test_b", "paired"),
    *("test_difference", "test_low", "test_high", "verdict"),
    *("time_a", "time_b", "time_ratio"),
)


@dataclass(frozen=True)
class StudyComparison:
    """Several studies and what sets them apart; made once by `compare_studies`.

    Attributes
    ----------
    labels : tuple of str
        What to call each study; no two are alike.
    board, differences, shared, curves, differs : DataFrame
        As `side_by_side`, `differences`, `shared_configurations`, `winner_curves`
        and `what_differs` give them.
    """

    analyses: tuple[Analysis, ...]
    labels: tuple[str, ...]
    board: pd.DataFrame
    differences: pd.DataFrame
    shared: pd.DataFrame
    curves: pd.DataFrame
    differs: pd.DataFrame

    @property
    def examples(self) -> str:
        """What the data's examples are called; "examples" where names differ."""
        names = {a.results.examples for a in self.analyses}
        return names.pop() if len(names) == 1 else "examples"

    @property
    def metric(self) -> Metric | None:
        """The metric of all studies; None where they have several."""
        metrics = {a.results.suite.metric.name for a in self.analyses}
        return self.analyses[0].results.suite.metric if len(metrics) == 1 else None

    @property
    def margin(self) -> float:
        """Differences of the metric up to so much make no odds: the first study's."""
        return confirm_spec(self.analyses[0].results.suite).margin


def compare_studies(analyses: Sequence[Analysis]) -> StudyComparison:
    """Set two or more studies side by side, in their order."""
    return StudyComparison(
        tuple(analyses),
        tuple(study_labels(analyses)),
        side_by_side(analyses),
        differences(analyses),
        shared_configurations(analyses),
        winner_curves(analyses),
        what_differs(analyses),
    )


def study_labels(analyses: Sequence[Analysis]) -> list[str]:
    """Return what to call each study.

    The suite's name; where several studies have the same, with the day of the last
    work, else the processor, else the study's hash, else a number: the first of
    these that tells them apart.
    """
    results = [analysis.results for analysis in analyses]
    names = [r.suite.name for r in results]
    told: list[Callable[[Results], str]] = [_day, _processor, _study_hash]
    labels = list(names)
    for name in dict.fromkeys(names):
        same = [i for i, other in enumerate(names) if other == name]
        if len(same) == 1:
            continue
        for tell in told:
            more = [tell(results[i]) for i in same]
            if len(set(more)) == len(same):
                break
        else:
            more = [str(number) for number in range(1, len(same) + 1)]
        for i, word in zip(same, more, strict=True):
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


def _study_hash(results: Results) -> str:
    return results.study.rpartition("-")[2]


def side_by_side(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Return one row per study.

    Returns
    -------
    DataFrame with columns
        ``label, study, last_work`` (Timestamp, UTC), ``processor, n_cores, dataset,
        digest, n_used_train, n_used_val, n_trials`` (complete), ``metric``;
        ``search_label, search_settings, search_score, n_search`` (complete
        configurations it is the best of), ``search_low, search_high``: 95 % Wilson
        interval of its accuracy; ``winner, n_seeds, test_mean, test_low,
        test_high``: the winner on validation and its 95 % t interval over seeds;
        ``baseline, baseline_test``: the best baseline on validation;
        ``train_time_s``: mean of the winner, or of the search's best
    """
    rows = [
        _board_row(label, analysis)
        for label, analysis in zip(study_labels(analyses), analyses, strict=True)
    ]
    return pd.DataFrame(rows)


def _board_row(label: str, analysis: Analysis) -> dict[str, Any]:
    results, winner = analysis.results, analysis.winner
    data, env = results.dataset, results.environment
    board = leaderboard(results)
    best = board.iloc[0] if len(board) else None
    test = _test_interval(winner)
    time = math.nan if best is None else float(best[TRAIN_TIME])
    if winner is not None:
        own = results.confirmed["config_id"] == winner.key
        time = float(results.confirmed.loc[own, TRAIN_TIME].mean())
    settings = None
    if best is not None:
        runs = complete_runs(results)
        first = runs[runs["config_id"] == best["config_id"]].iloc[0]
        settings = results.suite.settings_text(config_of_row(first))
    return {
        "label": label,
        "study": results.study,
        "last_work": _last_work(results),
        "processor": env.get("cpu_model"),
        "n_cores": env.get("n_cores"),
        "dataset": results.suite.dataset.name,
        "digest": data.get("digest"),
        "n_used_train": data.get("n_used_train"),
        "n_used_val": data.get("n_used_val"),
        "n_trials": len(trial_runs(results)),
        "metric": results.suite.metric.name,
        "search_label": None if best is None else best["label"],
        "search_settings": settings,
        "search_score": math.nan if best is None else float(best[OBJECTIVE]),
        "n_search": len(board),
        "search_low": math.nan if best is None else float(best[CI_LOW]),
        "search_high": math.nan if best is None else float(best[CI_HIGH]),
        "winner": None if winner is None else winner.label,
        "n_seeds": test.n,
        "test_mean": test.estimate,
        "test_low": test.low,
        "test_high": test.high,
        "baseline": None if analysis.baseline is None else analysis.baseline.label,
        "baseline_test": math.nan
        if analysis.baseline is None
        else analysis.baseline.mean_test,
        TRAIN_TIME: time,
    }


def _test_interval(contender: Contender | None) -> Interval:
    if contender is None:
        return Interval(math.nan, math.nan, math.nan, 0)
    return contender.test_interval


def why_withheld(a: Results, b: Results) -> str | None:
    """Return why scores of two studies are not compared; None where they are."""
    if not same_test_data(a, b):
        known = [r.dataset.get("digest") for r in (a, b)]
        return "tested on different data" if all(known) else DATA_UNKNOWN
    if a.suite.metric != b.suite.metric:
        return (
            f"judged by {a.suite.metric.label} and by {b.suite.metric.label}, not by "
            "one metric"
        )
    return None


def differences(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Return the winners and best baselines of every two studies, a minus b.

    Winner and best baseline are the best on validation. They are paired by seed
    where both studies split and seed alike and share replicates; otherwise the
    interval is Welch's. Holm's correction is within a family; the margin is that of
    the first study, and a study's own within a study. Where data
    or metric differ only the means are given.

    Returns
    -------
    DataFrame with columns `DIFFERENCE_COLUMNS`
        ``family``: `WINNERS`, `BASELINES`, or `OWN` (within one study, paired).
        ``why``: why nothing was compared.
    """
    labels = study_labels(analyses)
    rows: list[dict[str, Any]] = []
    for family in (WINNERS, BASELINES):
        chosen = [a.winner if family == WINNERS else a.baseline for a in analyses]
        both = [
            (i, j, _called(a, labels[i]), _called(b, labels[j]))
            for (i, a), (j, b) in itertools.combinations(enumerate(chosen), 2)
            if a is not None and b is not None
        ]
        rows += _compare_across(family, both, analyses, labels)
    own = [
        (i, i, _called(a.winner, labels[i]), _called(a.baseline, labels[i]))
        for i, a in enumerate(analyses)
        if a.winner is not None and a.baseline is not None
    ]
    for entry in own:
        rows += _compare_across(OWN, [entry], analyses, labels)
    frame = pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))
    return frame.astype({"n_seeds_needed": "Int64", "paired": "boolean"})


def _called(contender: Contender, study: str) -> Contender:
    return dataclasses.replace(contender, label=f"{study}: {contender.label}")


Across = tuple[int, int, Contender, Contender]


def _compare_across(
    family: str,
    pairs: Sequence[Across],
    analyses: Sequence[Analysis],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row for each of `pairs`; those that are compared are one family."""
    results = [analysis.results for analysis in analyses]
    compared: list[Across] = []
    rows: list[dict[str, Any]] = []
    for i, j, a, b in pairs:
        why = None if i == j else why_withheld(results[i], results[j])
        if why is None:
            compared.append((i, j, a, b))
            continue
        rows.append(
            {
                **_names(family, labels, i, j, a, b),
                "verdict": WITHHELD,
                "why": why,
                "paired": pd.NA,
                "mean_a": a.mean_test,
                "mean_b": b.mean_test,
                "n_seeds": min(len(a.test), len(b.test)),
            }
        )
    members: list[Pair] = [(a, b) for _, _, a, b in compared]
    paired = [
        (i == j or same_seeds(results[i], results[j]))
        and bool(common_replicates([a, b]))
        for i, j, a, b in compared
    ]
    # Studies with other metrics were left out, so the first one's is everybody's.
    suite = results[compared[0][0]].suite if compared else results[0].suite
    found = compare_each(family, members, suite, paired=paired)
    for (i, j, a, b), is_paired, row in zip(compared, paired, found, strict=True):
        names = _names(family, labels, i, j, a, b)
        rows.append({**row, **names, "paired": is_paired, "why": None})
    return rows


def _names(
    family: str, labels: Sequence[str], i: int, j: int, a: Contender, b: Contender
) -> dict[str, Any]:
    return {
        "family": family,
        "study_a": labels[i],
        "study_b": labels[j],
        "label_a": a.label,
        "label_b": b.label,
        "n_a": len(a.test),
        "n_b": len(b.test),
    }


def shared_configurations(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Return the configurations that two studies both have, by their id.

    Returns
    -------
    DataFrame with columns `SHARED_COLUMNS`
        ``search_*``: validation scores of the searches and their difference a - b;
        for accuracy with Newcombe's 95 % interval over the reviews of each.
        ``test_*``: means over fresh seeds where both confirmed it; paired t or
        Welch's 95 % interval, with Holm's correction of the verdicts within the two
        studies. ``time_*``: seconds of training, ``time_ratio`` a over b where both
        machines are alike. ``why``: why scores are not compared.
    """
    labels = study_labels(analyses)
    rows: list[dict[str, Any]] = []
    for (i, a), (j, b) in itertools.combinations(enumerate(analyses), 2):
        rows += _shared_by_two(a, b, labels[i], labels[j])
    frame = pd.DataFrame(rows, columns=list(SHARED_COLUMNS))
    return frame.astype({"paired": "boolean", "n_val_a": "Int64", "n_val_b": "Int64"})


def _shared_by_two(
    a: Analysis, b: Analysis, label_a: str, label_b: str
) -> list[dict[str, Any]]:
    sides = [_by_configuration(analysis) for analysis in (a, b)]
    shared = [key for key in sides[0] if key in sides[1]]
    why = why_withheld(a.results, b.results)
    with_times = same_machine(a.results, b.results)
    suite = a.results.suite
    rows = []
    for key in shared:
        one, other = sides[0][key], sides[1][key]
        row: dict[str, Any] = {
            "study_a": label_a,
            "study_b": label_b,
            "config_id": key,
            "settings": one["settings"],
            "label_a": one["label"],
            "label_b": other["label"],
            "why": why,
            "paired": pd.NA,
            "verdict": WITHHELD if why else None,
        }
        for side, entry in (("a", one), ("b", other)):
            row[f"search_{side}"] = entry["search"]
            row[f"n_val_{side}"] = entry["n_val"] or pd.NA
            row[f"test_{side}"] = entry["test"]
            row[f"n_{side}"] = entry["n"]
            row[f"time_{side}"] = entry["time"]
        if with_times:
            row["time_ratio"] = one["time"] / other["time"]
        if why is None:
            row["search_difference"] = one["search"] - other["search"]
            if suite.metric.name == "accuracy":
                interval = newcombe_interval(
                    one["search"], one["n_val"], other["search"], other["n_val"]
                )
                row |= {"search_low": interval.low, "search_high": interval.high}
        rows.append(row)
    if why is None:
        _add_confirmed(rows, sides, a, b)
    order = suite.metric.order([row["search_a"] for row in rows])
    return [rows[i] for i in order]


def _add_confirmed(
    rows: Sequence[dict[str, Any]],
    sides: Sequence[Mapping[str, Mapping[str, Any]]],
    a: Analysis,
    b: Analysis,
) -> None:
    """Add the test differences of the configurations that both studies confirmed."""
    members: list[tuple[dict[str, Any], Pair]] = []
    for row in rows:
        x, y = (side[row["config_id"]]["contender"] for side in sides)
        if x is not None and y is not None:
            members.append((row, (x, y)))
    paired = [
        same_seeds(a.results, b.results) and bool(common_replicates(pair))
        for _, pair in members
    ]
    pairs = [pair for _, pair in members]
    found = compare_each("shared", pairs, a.results.suite, paired=paired)
    for (row, _), is_paired, one in zip(members, paired, found, strict=True):
        row["paired"] = is_paired
        row["test_difference"] = one["difference"]
        row["test_low"], row["test_high"] = one["ci_low"], one["ci_high"]
        row["verdict"] = one["verdict"]


def _by_configuration(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """Return the search's and the round's figures of each configuration."""
    results = analysis.results
    suite, n_val = results.suite, results.dataset.get("n_used_val") or 0
    found: dict[str, dict[str, Any]] = {}
    runs = complete_runs(results)
    for row in leaderboard(results).to_dict("records"):
        first = runs[runs["config_id"] == row["config_id"]].iloc[0]
        found[str(row["config_id"])] = {
            "label": row["label"],
            "settings": suite.settings_text(config_of_row(first)),
            "search": float(row[OBJECTIVE]),
            "n_val": n_val,
            "contender": None,
            "test": math.nan,
            "n": 0,
            "time": float(row[TRAIN_TIME]),
        }
    for contender in analysis.contenders:
        if contender.config is None:
            continue
        own = results.confirmed["config_id"] == contender.key
        entry = found.setdefault(
            contender.key,
            {
                "label": contender.label,
                "settings": suite.settings_text(contender.config),
                "search": math.nan,
                "n_val": 0,
                "time": float(results.confirmed.loc[own, TRAIN_TIME].mean()),
            },
        )
        entry["contender"] = contender
        entry["test"], entry["n"] = contender.mean_test, len(contender.test)
    return found


def winner_curves(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Return the winners' metric on validation by epoch.

    Of the confirmed winner, over its seeds; of the search's best where there is no
    confirmation (or it has no curves). Studies that do not share a metric show
    accuracy.

    Returns
    -------
    DataFrame with columns
        ``label`` (the study), ``configuration, phase`` ("confirmation" or "search"),
        ``metric, epoch, mean, low, high``: 95 % t interval over the seeds that
        reached the epoch, NaN for one; ``n_seeds``: how many did; ``n_all``: of how
        many
    """
    metrics = {a.results.suite.metric.name for a in analyses}
    metric = metrics.pop() if len(metrics) == 1 else "accuracy"
    rows: list[dict[str, Any]] = []
    for label, analysis in zip(study_labels(analyses), analyses, strict=True):
        for phase, name, run_ids in _winning_runs(analysis):
            curves = analysis.results.curves
            own = curves[
                curves["run_id"].isin(run_ids)
                & (curves["split"] == "val")
                & (curves["metric"] == metric)
            ]
            if own.empty:
                continue
            for epoch, group in own.groupby("epoch"):
                values = group["value"].to_numpy(dtype=float)
                interval = mean_interval(values).within(*METRICS[metric].bounds)
                rows.append(
                    {
                        "label": label,
                        "configuration": name,
                        "phase": phase,
                        "metric": metric,
                        "epoch": epoch,
                        "mean": interval.estimate,
                        "low": interval.low,
                        "high": interval.high,
                        "n_seeds": interval.n,
                        "n_all": own["run_id"].nunique(),
                    }
                )
            break
    columns = ["label", "configuration", "phase", "metric", "epoch", "mean", "low"]
    return pd.DataFrame(rows, columns=[*columns, "high", "n_seeds", "n_all"])


def _winning_runs(analysis: Analysis) -> Iterator[tuple[str, str, list[str]]]:
    results, winner = analysis.results, analysis.winner
    if winner is not None:
        runs = results.confirmed
        own = (runs["config_id"] == winner.key) & (runs["state"] == "complete")
        yield "confirmation", winner.label, runs.loc[own, "run_id"].tolist()
    board = leaderboard(results)
    if len(board):
        best = board.iloc[0]
        runs = complete_runs(results)
        own = runs["config_id"] == best["config_id"]
        yield "search", str(best["label"]), runs.loc[own, "run_id"].tolist()


def study_column(label: str) -> str:
    """Return the name of a study's column in the table of `what_differs`."""
    return f"study {label}"


def what_differs(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Return every field of suites, data, machines and code that is not the same.

    Returns
    -------
    DataFrame with columns
        ``part`` (one of `PARTS`), ``field``, and for each study `study_column` of its
        label: the value as text
    """
    labels = study_labels(analyses)
    facts = [_facts(analysis.results) for analysis in analyses]
    rows = []
    fields = dict.fromkeys(key for fact in facts for key in fact)
    for part, field in sorted(fields, key=lambda key: PARTS.index(key[0])):
        values = [fact.get((part, field), UNKNOWN) for fact in facts]
        if len(set(values)) > 1:
            names = [study_column(label) for label in labels]
            rows.append(
                {"part": part, "field": field, **dict(zip(names, values, strict=True))}
            )
    columns = ["part", "field", *(study_column(label) for label in labels)]
    return pd.DataFrame(rows, columns=columns)


def _facts(results: Results) -> dict[tuple[str, str], str]:
    """Return what a study was made with, as text, by part and field."""
    suite, data = results.suite, results.dataset
    facts: dict[tuple[str, str], Any] = {
        (DATA, "digest (SHA-256)"): data.get("digest"),
        (DATA, "dataset.name"): suite.dataset.name,
        (DATA, "source"): data.get("source"),
        (DATA, "size of train"): (data.get("train") or {}).get("n"),
        (DATA, "size of test"): (data.get("test") or {}).get("n"),
    }
    options = suite.dataset.options.items()
    facts |= {(DATA, f"dataset.options.{name}"): value for name, value in options}
    facts |= {
        (PROTOCOL, f"{results.examples} trained on"): data.get("n_used_train"),
        (PROTOCOL, f"{results.examples} validated on"): data.get("n_used_val"),
    }
    spec = suite.dataset.model_dump(exclude={"name", "options"})
    texts: dict[tuple[str, str], str] = {}
    for part, values in (
        ("dataset", spec),
        ("study", suite.study.model_dump()),
        # Without the section the defaults hold, the margin above all.
        ("confirm", confirm_spec(suite).model_dump()),
        ("defaults", suite.defaults.model_dump()),
    ):
        texts |= {(PROTOCOL, f"{part}.{k}"): _text(v) for k, v in values.items()}
    texts[PROTOCOL, "confirm"] = "declared" if suite.confirm else "not declared"
    texts |= {(PROTOCOL, f"space.{name}"): a.describe() for name, a in suite.space}
    base = suite.defaults.model_dump()
    for name, config in suite.references.items():
        differs = [
            f"{field}={value_label(value)}"
            for field, value in config.model_dump().items()
            if value != base[field]
        ]
        texts[PROTOCOL, f"references.{name}"] = " ".join(differs) or "the defaults"
    texts[WORDING, "description"] = " ".join(suite.description.split())
    texts[WORDING, "published"] = "; ".join(p.label for p in suite.published) or "none"
    env = results.environment
    facts |= _machine_facts(env)
    facts[MACHINE, ENGINE] = engines(results)
    facts[MACHINE, "memory (GiB)"] = env.get("memory_gib")
    facts |= {(SETTINGS, name): value for name, value in _settings(results).items()}
    facts |= {
        (CODE, "lstm-bench"): env.get("lstm_bench"),
        (CODE, "git commit"): env.get("git_commit"),
        (CODE, "uncommitted changes"): env.get("git_dirty"),
        (CODE, "suite file committed"): env.get("suite_committed"),
        (CODE, "code digest"): env.get("code_digest"),
        (CODE, "digest of the dataset's code"): data.get("code_digest"),
    }
    known = {k: UNKNOWN if v is None else _text(v) for k, v in facts.items()}
    return {**known, **texts}


def _machine_facts(env: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    values = (env.get(key) for key in ("cpu_model", "n_cores", "os", "python"))
    facts = {(MACHINE, n): v for n, v in zip(MACHINE_FIELDS, values, strict=True)}
    packages = env.get("packages") or {}
    return facts | {(MACHINE, name): version for name, version in packages.items()}


def _settings(results: Results) -> dict[str, Any]:
    """Return the settings of the process that were recorded, by name."""
    return dict(results.environment.get("settings") or {})


def same_machine(a: Results, b: Results) -> bool:
    """Whether training times of two studies may be compared; False where unknown."""
    one, other = (_machine_facts(results.environment) for results in (a, b))
    if engines(a) != engines(b) or _settings(a) != _settings(b):
        return False
    return one == other and all(value is not None for value in one.values())


def _text(value: Any) -> str:
    """Write a value of a suite or environment on one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_text(v) for v in value) or "none"
    return value_label(value)
