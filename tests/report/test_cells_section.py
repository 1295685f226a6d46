"""The report's section on cells: at equal units, and at equal numbers of parameters."""

from __future__ import annotations

import dataclasses

from results_builder import CONFIRM_SUITE, make_confirmed_results, make_results

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.verdicts import answers
from lstm_bench.report.blocks import Note, Table
from lstm_bench.report.sections.cells import cells_section, closest_pairs, has_cells
from lstm_bench.report.view import make_view

TEXT = CONFIRM_SUITE.replace("head: [sigmoid, softmax]}", "cell: [lstm, gru]}")
CELLS = (
    (dict(units=32, dropout=0.1), "search", (36, 37, 36)),
    (dict(units=32, dropout=0.1, cell="gru"), "pair", (30, 31, 30)),
    # 20,400 recurrent parameters beside the LSTM's 20,608, with 128 inputs.
    (dict(units=40, dropout=0.1, cell="gru"), "search", (35, 36, 35)),
    (dict(units=32, dropout=0.1, cell="simple_rnn"), "search", (24, 20, 22)),
    # With another dropout, so paired with none.
    (dict(units=93, dropout=0.2, cell="simple_rnn"), "search", (24, 20, 22)),
)


def view_of(rows=CELLS, text=TEXT):
    return make_view(analyse(make_confirmed_results(rows, suite_text=text)))


def test_cells_are_shown_where_there_are_several():
    assert has_cells(view_of())
    assert not has_cells(view_of(CELLS[:1]))
    assert not has_cells(make_view(analyse(make_results())))


def test_cells_have_their_numbers_of_parameters_and_scores():
    section = cells_section(view_of())
    table = section.blocks[0]
    assert isinstance(table, Table)
    rows = [
        (row.cell, row.units, row.n_recurrent, row.n_seeds)
        for row in table.frame.itertuples()
    ]
    assert rows == [
        ("LSTM", 32, 20_608, 3),
        ("GRU", 32, 15_552, 3),
        ("GRU", 40, 20_400, 3),
        ("SimpleRNN", 32, 5_152, 3),
        ("SimpleRNN", 93, 20_646, 3),
    ]
    assert table.frame["n_parameters"].tolist() == [1000.0] * 5
    assert table.frame["test_mean"][0] == (36 + 37 + 36) / 120


def test_cells_are_compared_at_equal_units_and_at_closest_parameters():
    section = cells_section(view_of())
    tables = {b.name: b.frame for b in section.blocks if isinstance(b, Table)}
    (equal_units,) = tables["cells_equal_units"].to_dict("records")
    assert equal_units["label_b"].startswith(
        "32 units, dropout 0.1, sigmoid, GRU (pair"
    )
    closest = tables["cells_closest_parameters"]
    units = [(a.config.units, b.config.units) for a, b in closest_pairs(view_of())]
    assert units == [(32, 40), (32, 32), (32, 32)]
    assert len(closest) == 3
    notes = [block.text for block in section.blocks if isinstance(block, Note)]
    assert notes[0].startswith(
        "LSTM with 32 units (20,608 recurrent parameters) and GRU with 40 units "
        "(20,400 recurrent parameters), about equal: "
    )
    assert "the closest that were confirmed, 300% apart: " in notes[1]


def test_a_confirmation_of_one_cell_compares_none():
    results = make_confirmed_results(CELLS[:1], suite_text=TEXT)
    runs = results.runs.assign(cell=["gru", *results.runs["cell"][1:]])
    section = cells_section(make_view(analyse(dataclasses.replace(results, runs=runs))))
    assert not section.blocks
    assert "the confirmation has not" in section.intro


def test_answers_call_the_winner_a_network_where_cells_differ():
    questions = {answer.question for answer in answers(view_of().analysis)}
    assert "best network" in questions
    only_gru = CONFIRM_SUITE.replace("{units: 16}", "{units: 16, cell: gru}")
    view = view_of(((dict(units=32), "search", (30, 31, 30)),), only_gru)
    assert "best GRU" in {answer.question for answer in answers(view.analysis)}
