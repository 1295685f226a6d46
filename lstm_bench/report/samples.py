"""The section that shows examples and what a model makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lstm_bench.report.blocks import Block, Column, Section, Table, as_sentence
from lstm_bench.report.view import View
from lstm_bench.tables import confirmed, search

SAMPLES_PER_RUN = 5


def samples(view: View) -> Section:
    """Show a few fixed examples and the most confident errors."""
    title, anchor = "Samples", "samples"
    names = list(view.results.dataset.get("class_names", ()))
    columns = (
        Column("text", view.results.example, "prose"),
        Column("y_true", "true class"),
        Column("y_pred", "predicted"),
        *(Column(f"p_{name}", f"p({name})", "bar") for name in names),
    )
    blocks: list[Block] = []
    for number, (label, run_id) in enumerate(_shown(view), start=1):
        frame = search.samples(view.results, [run_id]).head(SAMPLES_PER_RUN)
        if len(frame):
            right = int(frame["correct"].sum())
            caption = (
                f"{label}: {len(frame)} fixed validation {view.results.examples}, "
                f"{right} of them right; bars are the probability given to each class."
            )
            blocks.append(Table(f"samples_{number}", caption, frame, columns))
    blocks += _errors(view)
    if not blocks:
        return Section(title, anchor, "No completed training has left samples.")
    return Section(
        title,
        anchor,
        f"{as_sentence(view.results.examples).rstrip('.')} as the model reads them: "
        "their first words, as the tokens give them. "
        "The fixed ones were not chosen by the outcome: enough to see what the numbers "
        "are about, too few to judge by.",
        tuple(blocks),
    )


def _shown(view: View) -> Iterator[tuple[str, str]]:
    """Yield label and run of the winner's first seed, the search's best, references."""
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


def _errors(view: View) -> list[Block]:
    errors = confirmed.confident_errors(view.analysis)
    if errors.empty:
        return []
    columns = (
        Column("text", view.results.example, "prose"),
        Column("y_true", "true class"),
        Column("y_pred", "predicted"),
        Column("confidence", "confidence in it, mean", "bar"),
        Column("n_seeds", "seeds (n)", "count"),
    )
    caption = (
        "The most confident errors of the best LSTM on test, those of most seeds "
        f"first; seeds (n) have the {view.results.example} among their 20 surest "
        "errors. The bar is the "
        "mean probability given to the wrong class."
    )
    return [Table("errors", caption, errors, columns)]
