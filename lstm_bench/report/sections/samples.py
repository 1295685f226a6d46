"""The samples section: predictions for fixed examples, most confident errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.formatting import plain
from lstm_bench.data.dataset import VECTORS
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Note,
    Section,
    Word,
    Words,
    column_names,
)
from lstm_bench.report.figures.explained import Running, plot_several
from lstm_bench.report.figures.style import class_label
from lstm_bench.report.html import MAX_LINES
from lstm_bench.report.sections.baselines import TOKENS
from lstm_bench.report.view import View
from lstm_bench.text import plural, shortened
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import ExplainedSample

N_ERRORS = 20
SAMPLES_PER_RUN = 5


# Of more classes, the true and the predicted one have a probability.
MAX_PROBABILITIES = 4
GIVEN = "predicted probability"
OF_TWO = (
    Column("p_of_true", "p(true class)", "bar", meaning=GIVEN),
    Column("p_of_predicted", "p(predicted)", "bar", meaning=GIVEN),
)


def sample_columns(results: Results) -> tuple[Column, ...]:
    """Return the columns of `samples`."""
    names = results.dataset.get("class_names", ())
    return (
        Column("run_id"),
        Column("index"),
        *_shown_columns(results),
        Column("y_true", "true class", "name"),
        Column("y_pred", "predicted", "name"),
        Column("correct"),
        *(
            OF_TWO
            if len(names) > MAX_PROBABILITIES
            else (
                Column(f"p_{name}", f"p({shortened(name, 40)})", "bar", meaning=GIVEN)
                for name in names
            )
        ),
    )


def _shown_columns(results: Results) -> tuple[Column, ...]:
    """Return the columns with the example itself: its text, and a series drawn."""
    if results.dataset.get("kind") != VECTORS:
        return (Column("text", results.example, "prose"),)
    return (
        Column("text", results.example, "name"),
        Column("values", "values", "series", meaning="from the lowest to the highest"),
    )


def error_columns(results: Results) -> tuple[Column, ...]:
    """Return the columns of `confident_errors`."""
    return (
        Column("index"),
        *_shown_columns(results),
        Column("y_true", "true class", "name"),
        Column("y_pred", "predicted", "name"),
        Column("confidence", "confidence in it, mean", "bar", meaning="over the seeds"),
        Column(
            "n_seeds",
            "seeds (n)",
            "count",
            meaning="that have it among their most confident errors",
        ),
    )


def samples_section(view: View) -> Section:
    """Show a few fixed examples and the most confident errors."""
    title, anchor = "Samples", "samples"
    columns = sample_columns(view.results)
    has_all = OF_TWO[0] not in columns
    blocks: list[Block] = []
    for number, (label, run_id) in enumerate(_shown(view), start=1):
        frame = samples(view.results, [run_id]).head(SAMPLES_PER_RUN)
        if len(frame):
            right = int(frame["correct"].sum())
            caption = (
                f"{label}: {len(frame)} fixed validation {view.results.examples}, "
                f"{right} of them right; bars are the probability given to "
                + ("each class." if has_all else "the two classes.")
            )
            blocks.append(view.table(f"samples_{number}", caption, frame, columns))
    blocks += _explained(view)
    blocks += _errors(view)
    if not blocks:
        return Section(title, anchor, "No completed training has left samples.")
    return Section(
        title,
        anchor,
        f"{view.results.examples.capitalize()} {_how_shown(view.results)} "
        "The fixed ones were not chosen by the outcome: enough to see what the numbers "
        "are about, too few to judge by.",
        tuple(blocks),
    )


def _how_shown(results: Results) -> str:
    if results.dataset.get("kind") != VECTORS:
        words = plural(TOKENS.get(results.dataset.get("tokenizer") or "words", "token"))
        return f"as the model reads them: their first {words}, as the tokens give them."
    return (
        "as they are stored, each channel on a scale of its own: up to "
        f"{MAX_LINES} channels as lines from the first step to the last, more as a "
        "field of grey with a row per step, from the top, and a column per channel. "
        "Of long series and of many channels a part is drawn."
    )


def _shown(view: View) -> Iterator[tuple[str, str]]:
    """Yield (label, run id): winner's first seed, the search's best, references."""
    winner = view.analysis.winner
    if winner is not None:
        runs = view.results.confirmed
        own = runs[(runs["config_id"] == winner.key) & (runs["state"] == "complete")]
        first = own.sort_values("replicate").iloc[0]
        yield f"{winner.label}, seed {first['replicate']}", str(first["run_id"])
    board = view.board
    best = board.index == 0 if winner is None else pd.Series(False, index=board.index)
    for row in board[best | board["reference"].notna()].to_dict("records"):
        yield str(row["label"]), str(row["run_id"])


def _explained(view: View) -> list[Block]:
    """Return the samples of the winner's model, and of references', step by step."""
    results = view.results
    names = list(results.dataset.get("class_names", ()))
    confirmed = results.confirmed
    references = {
        *results.runs.loc[results.runs["kind"] == "reference", "config_id"],
        *confirmed.loc[confirmed["origin"] == "reference", "config_id"],
    }
    winner = None if view.analysis.winner is None else view.analysis.winner.key
    blocks: list[Block] = []
    runs = [*confirmed.to_dict("records"), *results.runs.to_dict("records")]
    shown = [
        row
        for row in runs
        if row["run_id"] in results.explained
        and row["config_id"] in {winner, *references}
    ]
    # The winner's model first; of several seeds of a configuration, the first.
    shown.sort(key=lambda row: row["config_id"] != winner)
    first: dict[Any, dict[Any, Any]] = {}
    for row in shown if names else ():
        first.setdefault(row["config_id"], row)
    for row in first.values():
        label = results.names[row["config_id"]]
        if row["replicate"]:
            label += f", seed {row['replicate']}"
        blocks += _courses(view, label, len(blocks), results.explained[row["run_id"]])
    if blocks or winner is None:
        return blocks
    return [
        Note(
            f"No {results.example} is shown step by step: that takes a model, and no "
            "confirmed configuration has one yet. `lstm-bench explain` shows any "
            f"{results.example} so."
        )
    ]


def _courses(
    view: View, label: str, number: int, samples: Sequence[ExplainedSample]
) -> list[Block]:
    """Return one model's samples: their running probabilities, and coloured words."""
    results = view.results
    names = list(results.dataset["class_names"])
    titles = [
        f"{i}: p({class_label(names[s.target])}), true class "
        f"{class_label(names[s.y_true])}"
        for i, s in enumerate(samples, start=1)
    ]
    runs = [
        Running(s.steps, [[1 - p, p] for p in s.p], ["", ""], 1, s.turn, s.values)
        for s in samples
    ]
    frame = pd.DataFrame(
        [
            (i, at + 1, *each)
            for i, s in enumerate(samples, start=1)
            for at, each in enumerate(zip(s.steps, s.p, s.values, strict=True))
        ],
        columns=["sample", "step", "token", "p", "attribution"],
    )
    blocks: list[Block] = [
        Drawing(
            f"course_{number}",
            f"{label}: the probability of the class that it gives, after each "
            f"{results.step} of its fixed validation {results.examples}; dashed, where "
            "its answer turns to that class.",
            plot_several(list(zip(titles, runs, strict=True))),
            frame,
        )
    ]
    if results.dataset.get("kind") == VECTORS:
        return blocks
    for title, s in zip(titles, samples, strict=True):
        words = [
            Word(step, value if is_word else None)
            for step, value, is_word in zip(s.steps, s.values, s.is_word, strict=True)
            if step != "(padding)"
        ]
        target = class_label(names[s.target])
        blocks.append(
            Words(
                f"{title}; p = {s.p[-1]:.3f}. Words by integrated gradients.",
                tuple(words),
                f"for {target}",
                f"against {target}",
                results.dataset.get("tokenizer") == "characters",
            )
        )
    return blocks


def _errors(view: View) -> list[Block]:
    errors = confident_errors(view.analysis)
    if errors.empty:
        return []
    caption = (
        f"The most confident errors of the best {view.suite.network} on test, those "
        f"of most seeds first; seeds (n) have the {view.results.example} among their "
        "20 surest errors. The bar is the mean probability given to the wrong class."
    )
    return [view.table("errors", caption, errors, error_columns(view.results))]


def samples(results: Results, run_ids: Sequence[str]) -> pd.DataFrame:
    """Return the predictions for the fixed validation examples, in order of `run_ids`.

    Returns
    -------
    DataFrame with the columns of `sample_columns`
    """
    class_names = list(results.dataset.get("class_names", ()))
    columns = column_names(sample_columns(results))
    rows = []
    for run_id in run_ids:
        for _, row in results.samples[results.samples["run_id"] == run_id].iterrows():
            # Class names are missing where the data's description is lost.
            p_of = dict(zip(class_names, map(float, row["y_proba"]), strict=False))
            rows.append(
                {
                    **{name: row[name] for name in columns if name in row.index},
                    "correct": bool(row["y_true"] == row["y_pred"]),
                    "p_of_true": p_of.get(row["y_true"]),
                    "p_of_predicted": p_of.get(row["y_pred"]),
                    **{f"p_{name}": p for name, p in p_of.items()},
                }
            )
    return pd.DataFrame(rows, columns=columns)


def confident_errors(analysis: Analysis) -> pd.DataFrame:
    """Return the winner's most confident errors on test.

    Returns
    -------
    DataFrame with the columns of `error_columns`, most confident first
    """
    results, winner = analysis.results, analysis.winner
    columns = column_names(error_columns(results))
    if winner is None:
        return pd.DataFrame(columns=columns)
    runs = results.confirmed
    own = runs.loc[runs["config_id"] == winner.key, "run_id"]
    errors = results.errors[results.errors["run_id"].isin(own.tolist())]
    rows = [
        {
            **{name: plain(group.iloc[0][name]) for name in columns if name in errors},
            "n_seeds": len(group),
            "confidence": float(np.mean([max(p) for p in group["y_proba"]])),
        }
        for _, group in errors.groupby("index", sort=True)
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(
        ["n_seeds", "confidence"], ascending=False, kind="stable", ignore_index=True
    ).head(N_ERRORS)
