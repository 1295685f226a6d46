"""The samples section: predictions for fixed examples, most confident errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.formatting import plain
from lstm_bench.report.blocks import Block, Column, Section, as_sentence, column_names
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results

N_ERRORS = 20
SAMPLES_PER_RUN = 5


def sample_columns(results: Results) -> tuple[Column, ...]:
    """Return the columns of `samples`."""
    return (
        Column("run_id"),
        Column("index"),
        Column("text", results.example, "prose"),
        Column("y_true", "true class"),
        Column("y_pred", "predicted"),
        Column("correct"),
        *(
            Column(f"p_{name}", f"p({name})", "bar", meaning="predicted probability")
            for name in results.dataset.get("class_names", ())
        ),
    )


def error_columns(results: Results) -> tuple[Column, ...]:
    """Return the columns of `confident_errors`."""
    return (
        Column("index"),
        Column("text", results.example, "prose"),
        Column("y_true", "true class"),
        Column("y_pred", "predicted"),
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
    blocks: list[Block] = []
    for number, (label, run_id) in enumerate(_shown(view), start=1):
        frame = samples(view.results, [run_id]).head(SAMPLES_PER_RUN)
        if len(frame):
            right = int(frame["correct"].sum())
            caption = (
                f"{label}: {len(frame)} fixed validation {view.results.examples}, "
                f"{right} of them right; bars are the probability given to each class."
            )
            blocks.append(view.table(f"samples_{number}", caption, frame, columns))
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


def _errors(view: View) -> list[Block]:
    errors = confident_errors(view.analysis)
    if errors.empty:
        return []
    caption = (
        "The most confident errors of the best LSTM on test, those of most seeds "
        f"first; seeds (n) have the {view.results.example} among their 20 surest "
        "errors. The bar is the "
        "mean probability given to the wrong class."
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
            y_proba = [float(p) for p in row["y_proba"]]
            rows.append(
                {
                    **{name: row[name] for name in columns[:5]},
                    "correct": bool(row["y_true"] == row["y_pred"]),
                    **{
                        f"p_{name}": p
                        # Class names are missing where the data's description is lost.
                        for name, p in zip(class_names, y_proba, strict=False)
                    },
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
            **{name: plain(group.iloc[0][name]) for name in columns[:4]},
            "n_seeds": len(group),
            "confidence": float(np.mean([max(p) for p in group["y_proba"]])),
        }
        for _, group in errors.groupby("index", sort=True)
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(
        ["n_seeds", "confidence"], ascending=False, kind="stable", ignore_index=True
    ).head(N_ERRORS)
