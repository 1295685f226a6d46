"""The literature section: published accuracies on the dataset, and this study's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.literature import REGIMES, load_published_results
from lstm_bench.analysis.verdicts import words_alone_of
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import Column, Section, column_names
from lstm_bench.report.view import View

LITERATURE = (
    Column("label", "model"),
    Column("accuracy", "test accuracy", "score"),
    Column(
        "regime", "data", meaning="; ".join(f"{k}: {v}" for k, v in REGIMES.items())
    ),
    Column("n_train", "labelled {examples} (n)", "count"),
    Column("source", "source", "prose"),
    Column("url"),
    Column("note", "note", "prose"),
    Column("own", meaning="whether it is this study's"),
)


def literature(analysis: Analysis) -> pd.DataFrame:
    """Return published accuracies on the dataset, and this study's own.

    Returns
    -------
    DataFrame with the columns of `LITERATURE`, best first
    """
    results = analysis.results
    rows: list[dict[str, Any]] = [
        {**published.model_dump(exclude={"dataset"}), "own": False}
        for published in load_published_results(str(results.dataset.get("name", "")))
    ]
    rows = rows or [
        {
            "label": entry.label,
            "accuracy": entry.test_accuracy,
            "source": " ".join(entry.source.split()),
            "note": " ".join(entry.note.split()),
            "own": False,
        }
        for entry in results.suite.published
        if entry.test_accuracy is not None
    ]
    winner = analysis.winner
    words_alone = None if winner is None else words_alone_of(analysis, winner)
    for contender in (winner, words_alone, analysis.baseline) if rows else ():
        if contender is None:
            continue
        tests = [parts["test"] for parts in contender.predictions.values()]
        accuracy = METRICS["accuracy"].fn
        scores = [accuracy(t.y_true, t.y_proba) for t in tests]
        rows.append(
            {
                "label": f"here: {contender.label}",
                "accuracy": float(np.mean(scores)),
                "regime": rows[0].get("regime") and "labelled",
                "n_train": results.dataset.get("n_used_train"),
                "source": f"this study, mean over {len(scores)} seeds",
                "url": None,
                "note": _what_it_reads(contender, contender is words_alone),
                "own": True,
            }
        )
    table = pd.DataFrame(rows, columns=column_names(LITERATURE))
    return table.sort_values(
        "accuracy", ascending=False, kind="stable", ignore_index=True
    )


def _what_it_reads(contender: Contender, is_words_alone: bool) -> str:
    notes = []
    if contender.reads_evidence:
        notes.append(f"Reads words and the evidence of {contender.kind_of_evidence}.")
    if is_words_alone:
        notes.append("Reads words alone.")
    return " ".join([*notes, contender.origin_of_vectors]).strip()


def literature_section(view: View) -> Section:
    """Show published accuracies and this study's own."""
    title, anchor = "Literature", "literature"
    frame = literature(view.analysis)
    columns: tuple[Column, ...] = LITERATURE
    if frame["regime"].notna().any():
        intro = (
            "What others reached, and with what data. Only rows of the same regime and "
            "number of reviews compare with like."
        )
        caption = (
            "Published accuracies on the same 25,000 test reviews. Data: labelled, "
            "only the labelled training reviews; unlabelled, the set's 50,000 "
            "unlabelled reviews too; external, models pretrained on other text."
        )
    else:
        intro = (
            "What others reached, as the suite's file has it. The notes have the data "
            "that they used; results with other data do not compare with like."
        )
        caption = (
            f"Published test accuracies, and those of the best {view.suite.network} "
            "and the best baseline of this study."
        )
        columns = tuple(c for c in LITERATURE if c.name not in ("regime", "url"))
        frame = frame[column_names(columns)]
    return Section(
        title, anchor, intro, (view.table("literature", caption, frame, columns),)
    )
