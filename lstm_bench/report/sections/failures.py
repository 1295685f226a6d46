"""The failures section: runs that failed, were pruned or interrupted, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lstm_bench.analysis.formatting import run_url, train_commands
from lstm_bench.analysis.tables.select import names_of, plain_list, shown_fields
from lstm_bench.report.blocks import (
    COMMAND,
    Column,
    Section,
    column_names,
    count,
    field_columns,
)
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import N_EPOCHS


def failure_columns(fields: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of `failures`."""
    return (
        Column("label", "run", url="url"),
        Column("run_id"),
        Column("kind"),
        Column("trial"),
        Column("config_id"),
        Column("state", "state"),
        Column("failure_reason", "reason", "prose"),
        Column(N_EPOCHS, "epochs", "count", meaning="finished before the end"),
        *field_columns(fields),
        COMMAND,
        Column("url"),
    )


def failures(results: Results) -> pd.DataFrame:
    """Return the runs that failed, were pruned or interrupted: reason and command.

    Returns
    -------
    DataFrame with the columns of `failure_columns` for `shown_fields`
    """
    fields = shown_fields(results)
    columns = column_names(failure_columns(fields))
    parts = [results.runs, results.confirmed]
    runs = pd.concat([part for part in parts if len(part)] or parts[:1])
    runs = runs[runs["state"].isin(["failed", "pruned", "interrupted"])]
    runs = runs.reset_index(drop=True)
    taken = ("run_id", "kind", "trial", "config_id", "state", "failure_reason")
    known: dict[str, Any] = {name: plain_list(runs[name]) for name in taken}
    known |= {
        "label": list(map(_label, names_of(results, runs), runs["replicate"])),
        N_EPOCHS: runs[N_EPOCHS],
        **{field: plain_list(runs[field]) for field in fields},
        "command": train_commands(results, runs),
        "url": [
            run_url(results, experiment_id, run_id)
            for experiment_id, run_id in zip(
                runs["experiment_id"], known["run_id"], strict=True
            )
        ],
    }
    for column in ("trial", "failure_reason", "url", *fields):
        known[column] = pd.Series(known[column], dtype=object)
    return pd.DataFrame(known, columns=columns)


def _label(name: str, replicate: int) -> str:
    return f"{name}, seed {replicate}" if replicate else name


def failures_section(view: View) -> Section:
    """Show the runs without a score."""
    title, anchor = "Failures and pruned runs", "failures"
    frame = failures(view.results)
    if frame.empty:
        return Section(title, anchor, "No run was pruned, failed or interrupted.")
    caption = f"The {count(len(frame), 'run')} without a final score, and why."
    return Section(
        title,
        anchor,
        "Pruned runs were stopped because their curves did not look promising.",
        (view.table("failures", caption, frame, failure_columns(view.fields)),),
    )
