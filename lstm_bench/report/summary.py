"""The top of a report: what was asked, what came out, how sure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lstm_bench.answers import answers
from lstm_bench.cells import value_label
from lstm_bench.comparisons import Analysis
from lstm_bench.records import OBJECTIVE, TOTAL_TIME, Results
from lstm_bench.report.blocks import (
    DASH,
    Block,
    Facts,
    Note,
    Section,
    as_sentence,
    count,
    duration,
)
from lstm_bench.tables import search as tables


def summary(analysis: Analysis) -> Section:
    """Say what was run, on what, and what came out best."""
    results = analysis.results
    suite, facts = results.suite, tables.study_summary(results)
    board = tables.leaderboard(results)
    blocks: list[Block] = []
    if found := answers(analysis):
        blocks.append(Facts(tuple((a.question, a.text) for a in found)))
    blocks += _dataset_notes(results)
    searched = facts["n_runs"] or not analysis.contenders
    if searched:
        blocks.append(Note(_search_text(facts)))
    if len(results.confirmed):
        blocks.append(_round_note(results))
    if len(board):
        blocks += _verdict(results, board)
    elif searched:
        blocks.append(Note("No training was completed, so nothing is compared.", True))
    return Section("Summary", "summary", suite.description, tuple(blocks))


def _search_text(facts: Mapping[str, Any]) -> str:
    others = ", ".join(
        f"{facts[f'n_{state}']} {state}"
        for state in ("pruned", "failed", "interrupted", "running")
        if facts[f"n_{state}"]
    )
    return (
        f"Search: {count(facts['n_runs'], 'training')}, "
        f"{count(facts['n_trials'], 'trial')} and "
        f"{count(facts['n_references'], 'run')} of reference configurations. "
        f"{facts['n_complete']} complete"
        + (f", {others}" if others else "")
        + f". All together took {duration(facts['total_time_s'])}."
    )


def _round_note(results: Results) -> Note:
    runs = results.confirmed
    return Note(
        f"Confirmation: {count(len(runs), 'training')} of "
        f"{count(int(runs['config_id'].nunique()), 'configuration')} on "
        f"{count(int(runs['replicate'].nunique()), 'fresh seed')}, together "
        f"{duration(float(runs[TOTAL_TIME].sum()))}. Test set looked at "
        f"{count(int(results.test_looks['n'].sum()), 'time')} in this tracking store."
    )


def _dataset_notes(results: Results) -> Iterator[Note]:
    data = results.dataset
    sentence = (
        f"Dataset {data.get('name', DASH)}: {as_sentence(data.get('description', ''))} "
        f"Trained on {data.get('n_used_train', 0):,} reviews, validated on "
        f"{data.get('n_used_val', 0):,}."
    )
    yield Note(sentence)
    if data.get("synthetic"):
        ceiling = data.get("best_possible_accuracy")
        yield Note(
            "SYNTHETIC DATA: a program wrote these reviews. The scores show that the "
            "suite works, and say nothing about reviews written by people."
            + (
                f" A classifier that knows how they were made reaches an accuracy of "
                f"{ceiling:.4f}: that is the ceiling."
                if ceiling is not None
                else ""
            ),
            True,
        )
    if data.get("validation") == "test":
        yield Note(
            "The test set was used for validation, as the source did. Epochs or "
            "configurations chosen by these scores were chosen on the test set: they "
            "are no estimate for new reviews.",
            True,
        )


def _verdict(results: Results, board: pd.DataFrame) -> Iterator[Note]:
    metric, best = results.suite.metric, board.iloc[0]
    settings = ", ".join(
        f"{field} {value_label(best[field])}" for field in tables.shown_fields(results)
    )
    text = (
        f"Search: best of {count(len(board), 'configuration')}: {best['label']}"
        + (f" ({settings})" if settings else "")
        + f", validation {metric.label} {best[OBJECTIVE]:.4f}"
    )
    if not math.isnan(best[tables.CI_LOW]):
        text += (
            "" if metric.name == "accuracy" else f", accuracy {best.val_accuracy:.4f}"
        ) + (
            f" (95 % Wilson interval of the accuracy over {best['n_used_val']:,} "
            f"reviews: {best[tables.CI_LOW]:.4f} to {best[tables.CI_HIGH]:.4f})"
        )
    yield Note(text + ".")
    if len(board) > 1:
        second = board.iloc[1]
        gap = abs(best[OBJECTIVE] - second[OBJECTIVE])
        text = (
            f"Runner-up: {second['label']}, {second[OBJECTIVE]:.4f}, {gap:.4f} behind"
        )
        inside = (
            not math.isnan(best[tables.CI_LOW])
            and best[tables.CI_LOW] <= second["val_accuracy"] <= best[tables.CI_HIGH]
        )
        text += (
            "; its accuracy lies inside the best one's interval, so the order of the "
            "two is not settled."
            if inside
            else "."
        )
        yield Note(text)
    references = board[board["reference"].notna()]
    for _, row in references.iterrows():
        if row["rank"] > 2:
            yield Note(
                f"{row['label'].capitalize()}: {row[OBJECTIVE]:.4f}, rank "
                f"{row['rank']} of {len(board)}."
            )
    if len(board) > 1 and int(best["n_runs"]) == 1:
        yield Note(
            "Read the best score as optimistic: it is the "
            f"{'largest' if metric.higher_is_better else 'smallest'} of {len(board)} "
            "on the same validation reviews, from one run with one seed, and part of "
            "its lead is luck. The confirmation round is for choosing between them."
        )
