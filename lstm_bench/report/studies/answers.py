"""Answers and warnings of a report on several studies, in sentences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import newcombe_interval
from lstm_bench.analysis.tables.studies import (
    CODE,
    DATA,
    DIGEST,
    ENGINE,
    MACHINE,
    OWN,
    PROTOCOL,
    SETTINGS,
    WINNERS,
    StudyComparison,
    study_column,
    why_withheld,
)
from lstm_bench.analysis.verdicts import Answer, describe
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import is_missing
from lstm_bench.text import count, score_text, with_interval
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import describe_left_out

# Longer values are only in the table of differing fields.
MAX_VALUE = 24
DIGESTS = (DIGEST, "git commit", "code digest", "digest of the dataset's code")
# Consequence where fields of a part differ.
NO_TIMES = "training times are not comparable, scores are"
CONSEQUENCES = {
    DATA: (
        "Datasets differ",
        "scores are shown side by side, and not compared",
    ),
    PROTOCOL: (
        "Protocols differ",
        "differences in scores may come from these as well as from the LSTMs",
    ),
    ENGINE: ("Engines differ", NO_TIMES),
    SETTINGS: (
        "Settings of the process differ",
        "training times are not comparable, and differences in scores may come from "
        "these as well as from the LSTMs",
    ),
    MACHINE: ("Machines differ", NO_TIMES),
    CODE: ("Code differs", "the studies were made by different states of it"),
}


def study_answers(compared: StudyComparison) -> list[Answer]:
    """Return the verdicts on the studies' winners, their scores, and the limits."""
    found = []
    for (a, one), (b, other) in itertools.combinations(compared.named, 2):
        question = "which is better"
        if len(compared.labels) > 2:
            question += f", {a} or {b}"
        found.append(Answer(question, _of_two(compared, a, b, one, other)))
    own = [
        describe(row, analysis.results.suite.metric)
        for label, analysis in compared.named
        for row in _rows(compared, OWN, label, label)
    ]
    if own:
        found.append(Answer("against the best baseline", " ".join(own)))
    limits = (
        "A difference between winners is one between whole studies, with their data "
        "settings, space and number of trials, and not between single settings of the "
        f"LSTM. It holds for these {compared.examples}; intervals over seeds take the "
        "test set as it is."
    )
    found.append(Answer("limits", limits))
    return found


def _rows(
    compared: StudyComparison, family: str, a: str, b: str
) -> list[dict[Any, Any]]:
    frame = compared.differences
    own = (frame["family"] == family) & (frame["study_a"] == a)
    return frame[own & (frame["study_b"] == b)].to_dict("records")


def _of_two(
    compared: StudyComparison, a: str, b: str, one: Analysis, other: Analysis
) -> str:
    """Return the verdict on two winners, or the reason why there is none."""
    scores = f"{_score(a, one, compared)}; {_score(b, other, compared)}"
    if why := why_withheld(one.results, other.results):
        return f"Not compared: {a} and {b} were {why}. Their own scores: {scores}."
    metric = one.results.suite.metric
    for row in _rows(compared, WINNERS, a, b):
        return describe(row, metric, paired=bool(row["paired"]))
    unconfirmed = [
        label for label, analysis in ((a, one), (b, other)) if analysis.winner is None
    ]
    text = (
        f"Not settled: {' and '.join(unconfirmed)} "
        f"{'was' if len(unconfirmed) == 1 else 'were'} not confirmed. "
    )
    board = compared.board.set_index("study")
    best = board.loc[[a, b]].to_dict("records")
    x, y = (float(row["search_score"]) for row in best)
    if is_missing(x) or is_missing(y):
        return f"{text}{scores}."
    low = high = float("nan")
    if metric.name == "accuracy":
        sizes = [0 if is_missing(n := row["n_used_val"]) else int(n) for row in best]
        interval = newcombe_interval(x, sizes[0], y, sizes[1])
        low, high = interval.low, interval.high
    difference = with_interval(x - y, low, high, f"+{metric.form}")
    return (
        f"{text}By the searches alone: {_searched(a, best[0], compared)}; "
        f"{_searched(b, best[1], compared)}; difference {difference}. "
        f"Each is one seed, the best of many on the {compared.examples} that chose it: "
        "with other seeds the order may be reversed. `lstm-bench confirm` trains them "
        "on fresh seeds."
    )


def _score(label: str, analysis: Analysis, compared: StudyComparison) -> str:
    """Return a sentence with a study's score, on test if it was confirmed."""
    winner = analysis.winner
    if winner is None:
        row = compared.board.set_index("study").loc[label].to_dict()
        return _searched(label, row, compared)
    test = winner.test_interval
    score = with_interval(test.estimate, test.low, test.high)
    return (
        f"{label} has test {winner.metric.label} {score} over "
        f"{count(test.n, 'fresh seed')} of {winner.label}"
    )


def _searched(label: str, row: Mapping[Any, Any], compared: StudyComparison) -> str:
    """Return a sentence with the score of a search's best configuration."""
    if is_missing(row["search_score"]):
        return f"{label} has no complete training"
    text = (
        f"{label} has validation {METRICS[row['metric']].label} "
        f"{score_text(row['search_score'])} with one seed of {row['search_label']} "
        f"(best of {row['n_search']}"
    )
    if row["metric"] == "accuracy" and not is_missing(row["search_low"]):
        text += (
            f"; 95 % Wilson {row['search_low']:.4f} to {row['search_high']:.4f} over "
            f"{row['n_used_val']:,.0f} {compared.examples}"
        )
    return f"{text})"


def warnings(compared: StudyComparison) -> list[str]:
    """Return the reasons why the studies are not comparable, a sentence each."""
    found = []
    for label, analysis in compared.named:
        if analysis.results.missing:
            found.append(f"Evidence of {label} is missing: {analysis.results.missing}.")
        if left_out := describe_left_out(analysis.results.left_out):
            found.append(f"{label}: {left_out}.")
    for part, (lead, consequence) in CONSEQUENCES.items():
        if fields := list(_fields(compared, part)):
            found.append(f"{lead}: {', '.join(fields)}; {consequence}.")
    flags: list[tuple[str, Callable[[Results], Any], str]] = [
        (
            "Uncommitted changes",
            lambda results: results.environment.get("git_dirty"),
            "the commit is not all of the code that ran",
        ),
        (
            "Synthetic data",
            lambda results: results.dataset.get("synthetic"),
            f"a program wrote these {compared.examples}; the scores hold for no data "
            "made by people",
        ),
        (
            "Validated on the test set",
            lambda results: results.dataset.get("validation") == "test",
            "what was chosen by these scores was chosen on test",
        ),
    ]
    for lead, applies, meaning in flags:
        if which := [label for label, a in compared.named if applies(a.results)]:
            found.append(f"{lead} ({', '.join(which)}): {meaning}.")
    return found


def _fields(compared: StudyComparison, part: str) -> Iterator[str]:
    """Yield the fields of `part` that differ, with their values if short."""
    frame = compared.differs
    rows = frame[frame["part"] == part].to_dict("records")
    fields = {row["field"] for row in rows}
    if part == DATA and DIGEST not in fields:
        return
    if "confirm" in fields:
        # One study has no ``confirm`` section; only its margin, a default, is used.
        rows = [
            row
            for row in rows
            if not row["field"].startswith("confirm.")
            or row["field"] == "confirm.margin"
        ]
    for row in rows:
        values = [str(row[study_column(label)]) for label in compared.labels]
        if row["field"] in DIGESTS:
            values = [value[:12] for value in values]
        is_short = max(map(len, values)) <= MAX_VALUE
        yield row["field"] + (f" ({' / '.join(values)})" if is_short else "")
