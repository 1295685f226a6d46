"""The memory section: its shares, its words in every outcome, its figures."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from results_builder import make_results

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.memory import (
    memory_answer,
    right_by_run,
    solved_by_length,
    task_of,
)
from lstm_bench.report.figures.style import figure_svg
from lstm_bench.report.sections.answer import answer_section
from lstm_bench.report.sections.memory import gradient_curves, memory_section
from lstm_bench.report.sections.order import SECTIONS, build_sections
from lstm_bench.report.view import make_view
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.training.result import Prediction

SUITE = """\
description: How long?
dataset: {name: temporal_order, options: {n_train: 400, n_test: 200, max_length: 100}}
defaults: {head: softmax, units: 4}
space: {cell: [lstm, gru], sequence_length: [10, 50, 100]}
study: {n_trials: 6, sampler: grid}
confirm: {n_best: 6, n_replicates: 4, families: []}
"""
N_TEST = 200
CLASSES = ["XX", "XY", "YX", "YY"]
NORMS = {"before": [1.0, 0.01, 0.0], "after": [0.5, 0.5, 0.5]}


def predicted(n_right: int) -> dict[str, Prediction]:
    y = np.arange(N_TEST) % 4
    chosen = np.where(np.arange(N_TEST) < n_right, y, (y + 1) % 4)
    y_proba = np.where(np.eye(4)[chosen] == 1, 0.7, 0.1)
    return {s: Prediction(s, np.arange(N_TEST), y, y_proba) for s in ("val", "test")}


def results_of(right: dict[tuple[str, int], list[int | None]]):
    """Return results with the number of right test sequences of each seed.

    None is a training that failed.
    """
    results = make_results(rows=(), suite_text=SUITE, name="remember")
    suite = results.suite
    rows, predictions, gradients = [], {}, {}
    for (cell, length), seeds in right.items():
        config = TrialConfig.model_validate(
            {**suite.defaults.model_dump(), "cell": cell, "sequence_length": length}
        )
        for replicate, n_right in enumerate(seeds, start=1):
            run_id = f"{cell}-{length}-{replicate}"
            rows.append(
                {
                    **dict.fromkeys(results.confirmed.columns, float("nan")),
                    **config.model_dump(),
                    "run_id": run_id,
                    "config_id": config.config_id,
                    "kind": "replicate",
                    "origin": "search",
                    "state": "failed" if n_right is None else "complete",
                    "replicate": replicate,
                    "n_parameters": 100.0,
                    "trial": None,
                    "seed": 1,
                    "engine": "stock",
                    "objective": 0.5,
                    "total_time_s": 1.0,
                }
            )
            if n_right is not None:
                predictions[run_id] = predicted(n_right)
                gradients[run_id] = NORMS
    confirmed = pd.DataFrame(rows, columns=results.confirmed.columns)
    return dataclasses.replace(
        results,
        confirmed=confirmed,
        predictions=predictions,
        gradients=gradients,
        dataset={**results.dataset, "class_names": CLASSES, "name": "temporal_order"},
    )


FADES = results_of(
    {
        ("lstm", 10): [200, 200, 199, 198],
        ("lstm", 50): [200, 198, 198, 60],
        ("lstm", 100): [197, 50, 50, None],
        ("gru", 10): [200] * 4,
        ("gru", 50): [200] * 4,
        ("gru", 100): [200, 200, 200, 50],
    }
)
NOBODY = results_of(
    {("lstm", 10): [50, 100, 150, 197], ("lstm", 50): [50, 50, None, 50]}
)


def solved(results) -> pd.DataFrame:
    return solved_by_length(right_by_run(results, task_of(results)))


def test_solved_by_length_counts_seeds_with_wilson_intervals():
    frame = solved(FADES)
    assert frame["model"].tolist() == ["LSTM"] * 3 + ["GRU"] * 3
    assert frame["sequence_length"].tolist() == [10, 50, 100] * 2
    assert frame["n_solved"].tolist() == [4, 3, 0, 4, 4, 3]
    assert frame["n_seeds"].tolist() == [4] * 6
    three = frame.iloc[1]
    # Wilson (1927) for 3 of 4.
    assert (three["low"], three["high"]) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert three["right"] == pytest.approx((1 + 0.99 + 0.99 + 0.3) / 4)
    # A failed training has nothing right.
    assert frame.iloc[2]["right_min"] == 0.0
    assert frame.iloc[2]["right_max"] == pytest.approx(0.985)


def test_memory_answer_where_one_cell_fades():
    text = memory_answer(FADES)
    assert (
        "Most seeds solve the task up to length 50 with LSTM (3 of 4 at 50, 0 of 4 at "
        "100); at every length tried, up to 100, with GRU (3 of 4 at 100)."
    ) in text
    assert "at least 99% of the test sequences right" in text
    assert "Without memory, 25.0% of them are." in text


def test_memory_answer_where_nothing_is_solved():
    # The only model has no name that sets it apart from others: its cell's.
    assert memory_answer(NOBODY).startswith(
        "Most seeds solve the task at no length tried with LSTM (0 of 4 at 10)."
    )


def test_memory_answer_where_a_longer_length_is_solved_again():
    results = results_of(
        {("gru", 10): [200] * 4, ("gru", 50): [50] * 4, ("gru", 100): [200] * 4}
    )
    assert memory_answer(results).startswith(
        "Most seeds solve the task at length 10, 100, but not at 50, with GRU."
    )


def test_memory_answer_of_other_data_or_without_a_confirmation():
    assert memory_answer(make_results()) is None
    assert memory_answer(make_results(rows=(), suite_text=SUITE)) is None


def test_gradient_curves_are_geometric_means_over_seeds():
    runs = pd.DataFrame({"run_id": ["a", "b", "c"], "model": ["GRU"] * 3})
    a = {"before": [1.0, 0.01, 0.0], "after": [1.0, 1.0]}
    b = {"before": [4.0, 0.04], "after": [1.0, 4.0]}
    curves = gradient_curves(runs, {"a": a, "b": b, "c": {}})
    assert curves["when"].tolist() == ["before"] * 2 + ["after"] * 2
    assert curves["k"].tolist() == [0, 1, 0, 1]
    assert curves["norm"].tolist() == pytest.approx([2.0, 0.02, 1.0, 2.0])
    assert curves["low"].tolist() == [1.0, 0.01, 1.0, 1.0]
    assert curves["high"].tolist() == [4.0, 0.04, 1.0, 4.0]


@pytest.mark.parametrize("results", [FADES, NOBODY], ids=["fades", "nobody"])
def test_memory_section_has_both_figures_and_the_table(results):
    section = memory_section(make_view(analyse(results)))
    names = [block.name for block in section.blocks if hasattr(block, "name")]
    assert names == ["memory", "memory", "memory_gradients"]
    for block in section.blocks:
        if hasattr(block, "figure"):
            ET.fromstring(figure_svg(block.figure))


def test_gradients_are_drawn_at_the_longest_length_that_a_seed_solves():
    captions = {
        name: memory_section(make_view(analyse(results))).blocks[2].caption
        for name, results in (("fades", FADES), ("nobody", NOBODY))
    }
    assert "at length 100," in captions["fades"]
    incomplete = results_of(
        {("lstm", 10): [200], ("lstm", 50): [200], ("gru", 10): [200]}
    )
    section = memory_section(make_view(analyse(incomplete)))
    assert "at length 10," in section.blocks[2].caption
    assert "at length 50," in captions["nobody"]


def test_the_report_of_a_memory_task_begins_with_its_answer():
    view = make_view(analyse(FADES))
    (rows,) = (b.items for b in answer_section(view).blocks if hasattr(b, "items")
               and b.items and isinstance(b.items[0], tuple))  # fmt: skip
    assert rows[0][1].startswith("Up to which length is the task solved on")
    assert rows[1] == ("how long it remembers", memory_answer(FADES))
    anchors = [section.anchor for section in build_sections(view.analysis)]
    assert "memory" in anchors
    # Test sequences have one length for each configuration.
    assert "slices" not in anchors
    assert SECTIONS["memory"][1](make_view(analyse(make_results()))) is False


ADDING = """\
description: How long?
dataset: {name: adding, options: {max_length: 100}}
space: {cell: [lstm, gru], sequence_length: [10, 50, 100]}
confirm: {n_best: 6}
"""


def test_right_by_run_of_numbers_counts_small_errors():
    y = np.full((4, 1), 0.5)
    errors = np.array([[0.0], [0.03], [0.05], [-0.05]])
    tested = {"test": Prediction("test", np.arange(4), y, y + errors)}
    results = dataclasses.replace(
        FADES,
        suite=Suite("sums", ADDING, "sums.yaml"),
        predictions=dict.fromkeys(FADES.predictions, tested),
    )
    frame = right_by_run(results, task_of(results))
    # Of the failed training none.
    assert frame["right"].value_counts().to_dict() == {0.5: 23, 0.0: 1}
    assert "Without memory, 15.4% of them are." in memory_answer(results)
