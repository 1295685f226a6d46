"""How long a network remembers: which seeds solve a memory task at which length."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lstm_bench.analysis.intervals import wilson_interval
from lstm_bench.data.memory import SOLVED, MemoryTask
from lstm_bench.data.registry import memory_task
from lstm_bench.suites.config import CONFIG_FIELDS, short_text
from lstm_bench.tracking.results import Results

LENGTH = "sequence_length"
COLUMNS = (
    *("model", LENGTH, "n_parameters", "n_seeds", "n_solved", "share", "low", "high"),
    *("right", "right_min", "right_max"),
)


def task_of(results: Results) -> MemoryTask | None:
    """Return the memory task of a study's data; None for other data."""
    return memory_task(results.suite.dataset.name)


def right_by_run(results: Results, task: MemoryTask) -> pd.DataFrame:
    """Return the share of the test sequences that each confirmed training gets right.

    A failed training counts with 0 sequences right: it has not solved the task.

    Returns
    -------
    DataFrame with columns
        ``run_id, model, sequence_length, n_parameters, right``; `model` is what a
        configuration has in common with those of other lengths.
    """
    runs = results.confirmed
    varied = [
        field
        for field in CONFIG_FIELDS
        if field != LENGTH and runs[field].nunique(dropna=False) > 1
    ]
    rows = []
    for run in runs.to_dict("records"):
        tested = results.predictions.get(run["run_id"], {}).get("test")
        if tested is None and run["state"] != "failed":
            continue
        right = 0.0
        if tested is not None:
            right = float(task.is_right(tested.y_true, tested.y_proba).mean())
        words = [short_text(field, run[field]) for field in varied or ["cell"]]
        rows.append(
            {
                "run_id": run["run_id"],
                "model": ", ".join(words),
                LENGTH: int(run[LENGTH]),
                "n_parameters": run["n_parameters"],
                "right": right,
            }
        )
    columns = ["run_id", "model", LENGTH, "n_parameters", "right"]
    return pd.DataFrame(rows, columns=columns)


def solved_by_length(right: pd.DataFrame) -> pd.DataFrame:
    """Return by model and length how many seeds solve the task.

    Parameters
    ----------
    right : DataFrame
        From `right_by_run`.

    Returns
    -------
    DataFrame with `COLUMNS`, by model in order of appearance, then length
    """
    rows = []
    for model in dict.fromkeys(right["model"].tolist()):
        for length, own in right[right["model"] == model].groupby(LENGTH):
            n, n_solved = len(own), int((own["right"] >= SOLVED).sum())
            size = float(own["n_parameters"].max())
            low, high = wilson_interval(n_solved / n, n)
            shares = own["right"].mean(), own["right"].min(), own["right"].max()
            seeds = n, n_solved, n_solved / n, float(low), float(high)
            rows.append((model, length, size, *seeds, *map(float, shares)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def memory_answer(results: Results) -> str | None:
    """Return in a sentence up to which length most seeds solve the task.

    None for other data, and without a confirmation.
    """
    task = task_of(results)
    if task is None:
        return None
    solved = solved_by_length(right_by_run(results, task))
    if solved.empty:
        return None
    parts = [
        _of_model(model, solved[solved["model"] == model].to_dict("records"))
        for model in dict.fromkeys(solved["model"].tolist())
    ]
    return (
        f"Most seeds solve the task {'; '.join(parts)}. Solved: at least {SOLVED:.0%} "
        f"of the test sequences right; a sequence is right if {task.right}. Without "
        f"memory, {task.no_memory:.1%} of them are."
    )


def _of_model(model: str, rows: list[dict[Any, Any]]) -> str:
    """Return the lengths that a model solves: ``up to length 50 with GRU (...)``."""
    is_most = [row["n_solved"] > row["n_seeds"] / 2 for row in rows]
    n = is_most.index(False) if False in is_most else len(rows)

    def seeds(row: dict[Any, Any]) -> str:
        return f"{row['n_solved']} of {row['n_seeds']} at {row[LENGTH]:,}"

    if not any(is_most):
        most = max(rows, key=lambda row: row["share"])
        return f"at no length tried with {model} ({seeds(most)})"
    if n == len(rows):
        lengths = f"at every length tried, up to {rows[-1][LENGTH]:,}"
        return f"{lengths}, with {model} ({seeds(rows[-1])})"
    if any(is_most[n:]):
        lengths = ", ".join(
            f"{row[LENGTH]:,}"
            for row, is_one in zip(rows, is_most, strict=True)
            if is_one
        )
        return f"at length {lengths}, but not at {rows[n][LENGTH]:,}, with {model}"
    return (
        f"up to length {rows[n - 1][LENGTH]:,} with {model} ({seeds(rows[n - 1])}, "
        f"{seeds(rows[n])})"
    )
