"""The slices section: test accuracy by length, truncation and presence in train."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_bench.analysis import bootstrap
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.intervals import wilson_interval
from lstm_bench.report.blocks import Column, Section, column_names
from lstm_bench.report.view import View
from lstm_bench.text import plural

N_LENGTH_SLICES = 4

SLICES = (
    Column("slice", "slice"),
    Column("value", "value"),
    Column("n", "{examples} (n)", "count"),
    Column("label", "configuration", colour_by="key"),
    Column("key"),
    Column("accuracy", "accuracy", "score", meaning="on test, mean over the seeds"),
    Column(
        "ci_low",
        "95 % Wilson",
        "interval",
        meaning="over the slice's {examples}",
        high="ci_high",
    ),
)


def slices(analysis: Analysis) -> pd.DataFrame:
    """Return test accuracy by length, truncation and presence in train.

    For the winner and the best baseline: means over seeds, with Wilson's interval
    over the slice's examples.

    Returns
    -------
    DataFrame with the columns of `SLICES`
    """
    columns = column_names(SLICES)
    chosen = [c for c in (analysis.winner, analysis.baseline) if c is not None]
    examples = analysis.results.test_reviews
    if analysis.winner is None or examples.empty:
        return pd.DataFrame(columns=columns)
    rows = []
    steps = plural(analysis.results.step)
    for name, value, members in _slices(analysis.winner, examples, steps):
        for contender in chosen:
            tests = [parts["test"] for parts in contender.predictions.values()]
            scores = [
                bootstrap.example_scores("accuracy", t.y_true, t.y_proba) for t in tests
            ]
            correct = np.mean(scores, axis=0)[members[tests[0].index]]
            n = len(correct)
            if not n:
                continue
            share = float(correct.mean())
            low, high = wilson_interval(share, n)
            values = (name, value, n, contender.label, contender.key, share, low, high)
            rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _slices(
    winner: Contender, examples: pd.DataFrame, steps: str
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Return (slice, value, membership by test index)."""
    lengths = examples["length"].to_numpy(dtype=float)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, N_LENGTH_SLICES + 1)))
    found = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        above = lengths >= low if i == 0 else lengths > low
        begin = low if i == 0 else np.floor(low) + 1
        value = f"{begin:.0f} to {high:.0f}"
        found.append((f"length in {steps}", value, above & (lengths <= high)))
    if winner.config is not None:
        limit = winner.config.sequence_length
        cut = lengths > limit
        found += [
            (f"truncated to {limit} {steps}", "no", ~cut),
            (f"truncated to {limit} {steps}", "yes", cut),
        ]
    in_train = examples["in_train"].to_numpy(dtype=bool)
    found += [("copy in train", "no", ~in_train)]
    found += [("copy in train", "yes", in_train)]
    return found


def slices_section(view: View) -> Section:
    """Show the accuracy of the winner and the best baseline by slice."""
    title, anchor = "Slices", "slices"
    frame = slices(view.analysis)
    if frame.empty:
        return Section(title, anchor, "Slices are measured in a confirmation.")
    caption = (
        "Test accuracy by slice, mean over seeds; the interval is over the slice's "
        f"{view.results.examples}."
    )
    return Section(
        title,
        anchor,
        f"Where the best confirmed {view.suite.network} is right and where it is "
        "wrong, beside the best baseline.",
        (view.table("slices", caption, frame, SLICES),),
    )
