"""The published section: published values of the references, and measured ones."""

from __future__ import annotations

from lstm_bench.analysis.tables.published import published_comparison
from lstm_bench.report.blocks import Block, Column, Note, Section, is_missing
from lstm_bench.report.view import View

PUBLISHED = (
    Column("label", "published by"),
    Column("reference", "reference", meaning="the suite's configuration"),
    Column("what", "figure"),
    Column("published", "published", "number"),
    Column("measured", "measured", "number", meaning="mean over the runs"),
    Column("difference", "measured − published", "number"),
    Column("n_runs", "runs (n)", "count"),
)


def published_section(view: View) -> Section:
    """Show published values beside the measured ones."""
    title, anchor = "Published and measured", "published"
    results = view.results
    if not view.suite.published:
        return Section(title, anchor, "The suite names no published figures.")
    frame = published_comparison(results)
    notes: list[Block] = [
        Note(f"{entry.label}: {entry.source}. {entry.note}".strip())
        for entry in view.suite.published
        if entry.reference is not None
    ]
    frame = frame.assign(
        what=[
            {
                "val_accuracy": "validation accuracy",
                "epoch_time_s": "time per epoch (s)",
                "test_accuracy": "test accuracy",
            }[figure]
            + (f", epoch {epoch}" if not is_missing(epoch) else "")
            + (", mean" if figure == "epoch_time_s" and is_missing(epoch) else "")
            for figure, epoch in zip(frame["figure"], frame["epoch"], strict=True)
        ]
    )
    caption = (
        "Published figures and those measured here; times belong to two different "
        "machines."
    )
    return Section(
        title,
        anchor,
        "Figures published for a configuration, beside the same "
        "configuration trained here.",
        (*notes, view.table("published", caption, frame, PUBLISHED)),
    )
