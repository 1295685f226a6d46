"""What several studies come to, in sentences, and what to beware of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lstm_bench.analysis.comparisons import Analysis, same_test_data
from lstm_bench.analysis.hypothesis_tests import Verdict
from lstm_bench.analysis.intervals import newcombe_interval
from lstm_bench.analysis.tables.studies import (
    CODE,
    DATA_UNKNOWN,
    ENGINE,
    MACHINE,
    OWN,
    PROTOCOL,
    SETTINGS,
    WINNERS,
    WITHHELD,
    StudyComparison,
    same_machine,
    study_column,
    why_withheld,
)
from lstm_bench.analysis.verdicts import Answer, describe, what_it_takes, with_interval
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.report.blocks import count, is_missing
from lstm_bench.tracking.stored_runs import describe_left_out

# Longer values stand in the table of what differs alone.
MAX_VALUE = 24
DIGESTS = ("git commit", "code digest", "digest of the dataset's code")

Row = Mapping[Any, Any]


def study_answers(compared: StudyComparison) -> list[Answer]:
    """Return whose winner is better, by how much, how sure, and what stays open."""
    found = []
    board = compared.board.to_dict("records")
    several = len(board) > 2
    for i, j in itertools.combinations(range(len(board)), 2):
        question = "which is better"
        if several:
            question = f"{board[i]['label']} or {board[j]['label']}"
        found.append(Answer(question, _of_two(compared, i, j)))
    if text := _baselines(compared):
        found.append(Answer("against the best baseline", text))
    found.append(Answer("what was compared", _what(compared)))
    found.append(Answer("what this cannot say", " ".join(_limits(compared))))
    return found


def _of_two(compared: StudyComparison, i: int, j: int) -> str:
    a, b = compared.analyses[i], compared.analyses[j]
    rows = [_plain_row(compared.board.iloc[k]) for k in (i, j)]
    if why := why_withheld(a.results, b.results):
        each = "; ".join(_values(row) for row in rows)
        return (
            f"Not compared: {rows[0]['label']} and {rows[1]['label']} were {why}. "
            f"Their own scores: {each}. Side by side these numbers do not say which "
            "LSTM is better."
            if why != DATA_UNKNOWN
            else f"Not compared: what data {rows[0]['label']} or {rows[1]['label']} "
            f"were tested on was not recorded. Their own scores: {each}."
        )
    frame = compared.differences
    own = frame[
        (frame["family"] == WINNERS)
        & (frame["study_a"] == compared.labels[i])
        & (frame["study_b"] == compared.labels[j])
    ]
    if len(own):
        return _verdict(
            own.iloc[0].to_dict(), rows, a.results.suite.metric, compared.examples
        )
    return _search_alone(rows, a.results.suite.metric, compared.examples)


def _plain_row(row: pd.Series[Any]) -> dict[str, Any]:
    return {str(key): value for key, value in row.items()}


def _values(row: Row) -> str:
    """Return a study's own scores, as they are."""
    metric = METRICS[row["metric"]].label
    if row["n_seeds"]:
        score = with_interval(row["test_mean"], row["test_low"], row["test_high"])
        return (
            f"{row['label']} has test {metric} {score} over "
            f"{count(row['n_seeds'], 'fresh seed')} ({row['winner']})"
        )
    if is_missing(row["search_score"]):
        return f"{row['label']} has no complete training"
    return (
        f"{row['label']} has validation {metric} {row['search_score']:.4f} with one "
        f"seed ({row['search_label']}), and was not confirmed"
    )


# Of two winners, the better one is named first.
LEADS: dict[Verdict, str] = {
    "better": "On test {better}",
    "worse": "On test {better}",
    "equivalent": "The winners are equivalent on test, {first} and {second}",
    "identical": "The winners have the same test score on every seed, {first} and "
    "{second}",
    "not enough data": "It is not settled whose winner is better on test, {first} or "
    "{second}",
}


def _verdict(
    row: Row, sides: list[dict[str, Any]], metric: Metric, examples: str
) -> str:
    """Return the verdict on two confirmed winners, the better one first."""
    names = [f"{side['label']}'s ({side['winner']})" for side in sides]
    means = [row["mean_a"], row["mean_b"]]
    difference, low, high = row["difference"], row["ci_low"], row["ci_high"]
    both = row["both_low"], row["both_high"]
    if row["verdict"] == "worse":
        names.reverse()
        means.reverse()
        difference, low, high = -difference, -high, -low
        both = -both[1], -both[0]
    first, second = names
    lead = LEADS[row["verdict"]].format(
        first=first, second=second, better=f"the winner of {_whose(names)}"
    )
    seeds = (
        count(int(row["n_seeds"]), "paired seed")
        if row["paired"]
        else f"{row['n_a']} and {row['n_b']} seeds, not paired"
    )
    if row["verdict"] == "identical":
        return f"{lead}: {metric.label} {means[0]:.4f} over {seeds}."
    text = (
        f"{lead}: {metric.label} {means[0]:.4f} against {means[1]:.4f}, difference "
        f"{with_interval(difference, low, high, '+.4f')} over {seeds}"
    )
    if not is_missing(both[0]):
        text += f", over seeds and {examples} {both[0]:+.4f} to {both[1]:+.4f}"
    text += f"; margin {row['margin']:g}"
    if row["verdict"] == "not enough data":
        text += f"; {what_it_takes(row, metric)}"
    return f"{text}."


def _whose(names: list[str]) -> str:
    first, second = (name.replace("'s (", " (", 1) for name in names)
    return f"{first} is better than that of {second}"


def _search_alone(sides: list[dict[str, Any]], metric: Metric, examples: str) -> str:
    """Return what is known where not both studies were confirmed."""
    open_ones = [side["label"] for side in sides if not side["n_seeds"]]
    text = (
        f"Not settled: {' and '.join(open_ones)} "
        f"{'was' if len(open_ones) == 1 else 'were'} not confirmed, so nothing is "
        "known of test there. "
    )
    scores = [side["search_score"] for side in sides]
    if any(is_missing(score) for score in scores):
        return text + "; ".join(_values(side) for side in sides) + "."
    parts = []
    for side in sides:
        part = (
            f"{side['label']}'s best of {side['n_search']} ({side['search_label']}) "
            f"has {side['search_score']:.4f}"
        )
        if metric.name == "accuracy" and _n_val(side):
            part += (
                f" (95 % Wilson {side['search_low']:.4f} to {side['search_high']:.4f},"
                f" n = {_n_val(side):,} {examples})"
            )
        parts.append(part)
    difference = scores[0] - scores[1]
    shown = f"{difference:+.4f}"
    if metric.name == "accuracy":
        n = [_n_val(side) for side in sides]
        interval = newcombe_interval(scores[0], n[0], scores[1], n[1])
        shown = with_interval(difference, interval.low, interval.high, "+.4f")
    return (
        f"{text}By the searches alone, validation {metric.label}: {parts[0]}, "
        f"{parts[1]}, difference {shown}. That is one seed each, and each the best of "
        f"many on the {examples} that chose it: another seed may turn the order round. "
        "`lstm-bench confirm` is for that."
    )


def _n_val(side: Row) -> int:
    """Return the number of validation examples; 0 where it was not recorded."""
    return 0 if is_missing(side["n_used_val"]) else int(side["n_used_val"])


def _baselines(compared: StudyComparison) -> str:
    frame = compared.differences
    metrics = {
        label: analysis.results.suite.metric
        for label, analysis in zip(compared.labels, compared.analyses, strict=True)
    }
    return " ".join(
        describe(row, metrics[row["study_a"]])
        for _, row in frame[frame["family"] == OWN].iterrows()
    )


def _what(compared: StudyComparison) -> str:
    parts = []
    for row in compared.board.to_dict("records"):
        last = row["last_work"]
        when = "" if pd.isna(last) else f", last worked on {last:%Y-%m-%d}"
        confirmed = (
            f"winner confirmed on {count(row['n_seeds'], 'fresh seed')}"
            if row["n_seeds"]
            else "not confirmed"
        )
        trained = row["n_used_train"]
        size = (
            ""
            if is_missing(trained)
            else f" with {trained:,.0f} {compared.examples} to train on"
        )
        parts.append(
            f"{row['label']} (study {row['study']}{when}): {row['dataset']}{size}, "
            f"{count(row['n_trials'], 'complete trial')}, {confirmed}"
        )
    return "; ".join(parts) + "."


def _limits(compared: StudyComparison) -> Iterator[str]:
    board, frame = compared.board, compared.differences
    between = frame[(frame["family"] != OWN) & (frame["verdict"] != WITHHELD)]
    if len(between) and not between["paired"].astype(bool).all():
        yield (
            "Where seeds are not paired, the amount of data and the split may make the "
            "difference as well as the model."
        )
    if PROTOCOL in set(compared.differs["part"]):
        yield (
            "The protocols differ, so a difference between winners belongs to the "
            "whole study and not to one setting of its LSTM."
        )
    if len(set(board["n_search"])) > 1:
        tried = ", ".join(
            f"{row['n_search']} by {row['label']}" for row in board.to_dict("records")
        )
        yield f"A study that tried more had more chances (configurations: {tried})."
    if not (board["n_seeds"] > 0).all():
        yield (
            "A search trains each configuration once: what another seed would give is "
            "not known."
        )
    if not _times_comparable(compared):
        yield "Nothing is said about speed, since the machines or engines differ."
    yield (
        f"All of it holds for these {compared.examples}; intervals over seeds take "
        "the test set as "
        "it is."
    )


def _times_comparable(compared: StudyComparison) -> bool:
    first = compared.analyses[0].results
    return all(same_machine(first, a.results) for a in compared.analyses[1:])


def warnings(compared: StudyComparison) -> list[str]:
    """Return what stands in the way of comparing like with like, a sentence each."""
    return [
        *(
            f"Evidence of {label} is missing: {analysis.results.missing}."
            for label, analysis in zip(compared.labels, compared.analyses, strict=True)
            if analysis.results.missing
        ),
        *_left_out(compared),
        *_data_warnings(compared),
        *_part_warning(
            compared,
            PROTOCOL,
            "Protocols differ",
            "what differs in the scores may come from these as well as from the LSTMs",
        ),
        *_machine_warnings(compared),
        *_part_warning(
            compared,
            CODE,
            "Code differs",
            "the studies were made by different states of it",
        ),
        *_dirty(compared),
        *_about_data(compared),
    ]


def _left_out(compared: StudyComparison) -> Iterator[str]:
    for label, analysis in zip(compared.labels, compared.analyses, strict=True):
        if left_out := describe_left_out(analysis.results.left_out):
            yield f"{label}: {left_out}."


def _data_warnings(compared: StudyComparison) -> Iterator[str]:
    pairs = list(itertools.combinations(compared.analyses, 2))
    if all(same_test_data(a.results, b.results) for a, b in pairs):
        return
    digests = [_digest(analysis) for analysis in compared.analyses]
    each = ", ".join(
        f"{label} {digest}"
        for label, digest in zip(compared.labels, digests, strict=True)
    )
    yield (
        f"Datasets differ (SHA-256 of ids and labels: {each}): differences between "
        "such studies are withheld, and their values stand side by side only."
    )


def _digest(analysis: Analysis) -> str:
    return str(analysis.results.dataset.get("digest") or "not recorded")[:12]


def _part_warning(
    compared: StudyComparison, part: str, lead: str, meaning: str
) -> Iterator[str]:
    frame = compared.differs
    rows = frame[frame["part"] == part].to_dict("records")
    if "confirm" in {row["field"] for row in rows}:
        # A study without a round differs in all of it; its margin counts all the same.
        rows = [
            row
            for row in rows
            if not row["field"].startswith("confirm.")
            or row["field"] == "confirm.margin"
        ]
    if rows:
        named = ", ".join(_named(row, compared) for row in rows)
        yield f"{lead}: {named}; {meaning}."


def _named(row: Row, compared: StudyComparison) -> str:
    """Return a field, and its values where they are short."""
    values = [str(row[study_column(label)]) for label in compared.labels]
    if row["field"] in DIGESTS:
        values = [value[:12] for value in values]
    if max(map(len, values)) > MAX_VALUE:
        return str(row["field"])
    return f"{row['field']} ({' / '.join(values)})"


def _machine_warnings(compared: StudyComparison) -> Iterator[str]:
    if _times_comparable(compared):
        return
    frame = compared.differs
    rows = frame[(frame["part"] == MACHINE)].to_dict("records")
    rows = [row for row in rows if row["field"] != "memory (GiB)"]
    engines = [row for row in rows if row["field"] == ENGINE]
    for row in engines:
        yield (
            f"Engines differ: {_named(row, compared)}; training times are not "
            "compared, scores are."
        )
    rows = [row for row in rows if row not in engines]
    settings = frame[frame["part"] == SETTINGS].to_dict("records")
    if settings:
        named = ", ".join(_named(row, compared) for row in settings)
        yield (
            f"Settings of the process differ: {named}; training times are not "
            "compared, and what differs in the scores may come from these as well as "
            "from the LSTMs."
        )
    if rows or not (engines or settings):
        named = ", ".join(_named(row, compared) for row in rows)
        yield (
            f"Machines differ: {named or 'what they were was not recorded'}; training "
            "times are not compared, scores are."
        )


def _dirty(compared: StudyComparison) -> Iterator[str]:
    dirty = [
        label
        for label, analysis in zip(compared.labels, compared.analyses, strict=True)
        if analysis.results.environment.get("git_dirty")
    ]
    if dirty:
        yield (
            f"Uncommitted changes: {', '.join(dirty)} ran with some, so the commit "
            "does not say what ran."
        )


def _about_data(compared: StudyComparison) -> Iterator[str]:
    synthetic, on_test = [], []
    for label, analysis in zip(compared.labels, compared.analyses, strict=True):
        data = analysis.results.dataset
        synthetic += [label] if data.get("synthetic") else []
        on_test += [label] if data.get("validation") == "test" else []
    if synthetic:
        yield (
            f"Synthetic data ({', '.join(synthetic)}): a program wrote "
            f"these {compared.examples}; the scores say nothing about data made by "
            "people."
        )
    if on_test:
        yield (
            f"Validated on the test set ({', '.join(on_test)}): what was chosen by "
            "these scores was chosen on test."
        )
