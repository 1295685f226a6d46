"""The cells section: LSTM, GRU and SimpleRNN at equal units and at equal parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pandas as pd

from lstm_bench.analysis.comparisons import compare_each
from lstm_bench.analysis.contenders import Contender, Pair
from lstm_bench.analysis.tables.confirmed import contender_runs
from lstm_bench.analysis.verdicts import describe
from lstm_bench.data.dataset import VECTORS
from lstm_bench.report.blocks import (
    Block,
    Column,
    Note,
    Section,
    as_sentence,
    column_names,
)
from lstm_bench.report.sections.comparisons import comparison_table
from lstm_bench.report.view import View
from lstm_bench.suites.cells import CELL_NAMES, n_recurrent_parameters
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.result import N_PARAMETERS

CELL_PAIRS = "pairs: cell"
"""The family of comparisons between cells of confirmed configurations."""

EQUAL = 0.05
"""Numbers of parameters that differ by this share at most are called about equal."""

CELLS = (
    Column("cell", "cell"),
    Column("label", "configuration", colour_by="key"),
    Column("key"),
    Column("units", "units", "count"),
    Column("n_recurrent", "recurrent parameters", "whole"),
    Column(
        N_PARAMETERS,
        "all parameters",
        "whole",
        meaning="with the embedding and the head",
    ),
    Column("test_mean", "test {metric}", "score", meaning="mean over the seeds"),
    Column(
        "test_low",
        "95 % over seeds (t)",
        "interval",
        meaning="t interval of the test mean over seeds",
        high="test_high",
    ),
    Column("n_seeds", "seeds (n)", "count"),
)


def has_cells(view: View) -> bool:
    """Whether the study has trainings of more than one cell."""
    confirmed = {config.cell for _, config in _confirmed(view)}
    return len(confirmed | set(view.results.runs["cell"])) > 1


def cells_section(view: View) -> Section:
    """Show the confirmed cells, and their comparison at equal units and parameters."""
    title, anchor = "Cells", "cells"
    cells = [CELL_NAMES[cell] for cell in {c.cell: 0 for _, c in _confirmed(view)}]
    if len(cells) < 2:
        return Section(
            title,
            anchor,
            "The search has trainings of several cells, and the confirmation has not: "
            "a search tries each cell with other settings, so its scores do not show "
            "which cell is better. Confirm references or pairs of every cell.",
        )
    caption = (
        "Confirmed configurations by cell and number of parameters. Recurrent "
        "parameters are those of the recurrent layers alone."
    )
    blocks: list[Block] = [view.table("cells", caption, cells_table(view), CELLS)]
    pairs = view.analysis.comparisons
    pairs = pairs[pairs["family"] == CELL_PAIRS]
    if len(pairs):
        blocks.append(comparison_table(view, pairs, "cells_equal_units"))
    else:
        blocks.append(
            Note(
                "No pairs of cells with equal units: the suite has no confirm: {pairs: "
                "{cell: [...]}}."
            )
        )
    blocks += _equal_parameters(view)
    return Section(
        title,
        anchor,
        "With equal units a GRU has about three quarters of an LSTM's parameters, and "
        "a SimpleRNN a quarter. So cells are compared twice: with equal units, where "
        "all else is equal, and with the numbers of recurrent parameters that are "
        "closest, where units differ.",
        tuple(blocks),
    )


def cells_table(view: View) -> pd.DataFrame:
    """Return one row per confirmed configuration, by cell and number of parameters.

    Returns
    -------
    DataFrame with the columns of `CELLS`
    """
    rows = []
    for contender, config in _confirmed(view):
        test = contender.test_interval
        own = contender_runs(view.results, contender)
        rows.append(
            {
                "cell": CELL_NAMES[config.cell],
                "label": contender.label,
                "key": contender.key,
                "units": config.units,
                "n_recurrent": _n_recurrent(view, config),
                N_PARAMETERS: float(own[N_PARAMETERS].iloc[0]),
                "test_mean": test.estimate,
                "test_low": test.low,
                "test_high": test.high,
                "n_seeds": test.n,
            }
        )
    frame = pd.DataFrame(rows, columns=column_names(CELLS))
    order = list(CELL_NAMES.values())
    return frame.sort_values(
        ["cell", "n_recurrent"],
        key=lambda column: column.map(order.index) if column.name == "cell" else column,
        kind="stable",
        ignore_index=True,
    )


def closest_pairs(view: View) -> list[Pair]:
    """Return, for every two cells, the pair whose recurrent parameters are closest.

    The two of a pair differ in cell and units alone.
    """
    by_cell: dict[str, list[tuple[Contender, TrialConfig]]] = {}
    for contender, config in _confirmed(view):
        by_cell.setdefault(config.cell, []).append((contender, config))
    found = []
    cells = [cell for cell in CELL_NAMES if cell in by_cell]
    for cell_a, cell_b in itertools.combinations(cells, 2):
        pairs = [
            (_distance(view, config_a, config_b), (a, b))
            for a, config_a in by_cell[cell_a]
            for b, config_b in by_cell[cell_b]
            if _rest(config_a) == _rest(config_b)
        ]
        if pairs:
            found.append(min(pairs, key=lambda pair: pair[0])[1])
    return found


def _equal_parameters(view: View) -> Iterator[Block]:
    """Yield the comparison of each of `closest_pairs`, in words and as a table."""
    pairs = closest_pairs(view)
    if not pairs:
        yield Note(
            "No two configurations of different cells differ in cell and units alone, "
            "so none are compared at equal numbers of parameters."
        )
        return
    rows = compare_each(
        "closest parameters", pairs, view.suite, paired=[True] * len(pairs)
    )
    for (a, b), row in zip(pairs, rows, strict=True):
        yield Note(f"{_counts(view, a, b)} {as_sentence(describe(row, view.metric))}")
    yield comparison_table(view, pd.DataFrame(rows), "cells_closest_parameters")


def _counts(view: View, a: Contender, b: Contender) -> str:
    """Return both numbers of recurrent parameters as a sentence."""
    parts, counts = [], []
    for contender in (a, b):
        config = _config(contender)
        counts.append(_n_recurrent(view, config))
        parts.append(
            f"{CELL_NAMES[config.cell]} with {config.units} units "
            f"({counts[-1]:,} recurrent parameters)"
        )
    low, high = sorted(counts)
    share = high / low - 1
    how = (
        "about equal"
        if share <= EQUAL
        else f"the closest that were confirmed, {share:.0%} apart"
    )
    return f"{parts[0]} and {parts[1]}, {how}:"


def _confirmed(view: View) -> list[tuple[Contender, TrialConfig]]:
    return [(contender, _config(contender)) for contender in view.lstms]


def _config(contender: Contender) -> TrialConfig:
    if contender.config is None:
        raise TypeError(f"{contender.label}: expected a network, got a baseline")
    return contender.config


def _rest(config: TrialConfig) -> dict[str, object]:
    return config.model_dump(exclude={"cell", "units"})


def _distance(view: View, a: TrialConfig, b: TrialConfig) -> float:
    return abs(math.log(_n_recurrent(view, a) / _n_recurrent(view, b)))


def _n_recurrent(view: View, config: TrialConfig) -> int:
    data = view.results.dataset
    is_series = data.get("kind") == VECTORS
    n_inputs = len(data["channels"]) if is_series else config.embedding_dim
    return n_recurrent_parameters(config, n_inputs)
