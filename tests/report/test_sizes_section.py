"""The report's section on more data, and its sentences in the answers."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest
from results_builder import CONFIRM_SUITE, TRIAL_2, make_confirmed_results

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.learning_curve import SCORES
from lstm_bench.analysis.verdicts import answers
from lstm_bench.report.blocks import Drawing, Note, Table
from lstm_bench.report.heading import study_page
from lstm_bench.report.render import report_files
from lstm_bench.report.sections.order import SECTIONS
from lstm_bench.report.sections.sizes import sizes_section
from lstm_bench.report.view import make_view
from lstm_bench.tracking.load import SUBSET_COLUMNS

TEXT = CONFIRM_SUITE.replace("n_replicates: 3", "n_replicates: 3\n  train_sizes: [100]")


def analysis_of(sizes=(100, 200), best=(0.6, 0.75), failed=False):
    """Return an analysis whose winner passes the bag of words below 400 reviews."""
    results = make_confirmed_results(suite_text=TEXT)
    winner = analyse(results).winner
    rows = [
        {
            "run_id": f"{key}{n}{r}",
            "key": key,
            "n_train": n,
            "replicate": r,
            "state": "failed" if failed and r == 1 else "complete",
            "train_time_s": 1.0,
            "total_time_s": 2.0,
            "test_accuracy": math.nan if failed and r == 1 else score + r / 1000,
        }
        for key, scores in ((winner.key, best), ("baseline:bag", (0.7, 0.75)))
        for n, score in zip(sizes, scores, strict=False)
        for r in (1, 2, 3)
    ]
    subsets = pd.DataFrame(rows, columns=SUBSET_COLUMNS)
    return analyse(dataclasses.replace(results, subsets=subsets))


def test_sizes_have_a_figure_a_crossing_and_both_tables():
    section = sizes_section(make_view(analysis_of()))
    kinds = [type(block) for block in section.blocks]
    assert kinds == [Drawing, Note, Table, Table]
    assert section.blocks[1].text.startswith(
        "Against Bag of words, the best baseline on validation: "
        f"{TRIAL_2} passes it at about 200 reviews (95 % "
    )
    laws = section.blocks[2].frame
    assert laws["label"].tolist() == [TRIAL_2, "Bag of words"]
    assert laws["n_more"].tolist() == [800, 800]
    scores = section.blocks[3].frame
    assert scores["n_train"].tolist() == [100, 200, 400] * 2
    # Trials 2's scores on all reviews: 36, 37 and 36 of 40.
    assert scores["mean"].iloc[2] == pytest.approx(109 / 120)


def test_two_sizes_have_no_prediction():
    section = sizes_section(make_view(analysis_of(sizes=(100,))))
    notes = [block.text for block in section.blocks if isinstance(block, Note)]
    assert "A prediction takes 3 sizes, with errors above 0." in notes
    asked = [a.question for a in answers(analysis_of(sizes=(100,)))]
    assert "what would more data give" not in asked


def test_failed_trainings_are_counted():
    section = sizes_section(make_view(analysis_of(failed=True)))
    assert "2 trainings failed." in section.intro


def test_sizes_are_among_the_answers():
    told = {a.question: a.text for a in answers(analysis_of())}
    text = told["what would more data give"]
    assert text.startswith(
        "Test accuracy with twice the 400 training reviews, if the error goes on "
        f"falling as a power of their number: {TRIAL_2} about 0.9"
    )
    assert "; Bag of words about 0." in text
    assert told["with how much data does the LSTM pass Bag of words"].startswith(
        f"{TRIAL_2} passes it at about 200 reviews"
    )


def test_sizes_are_a_section_of_studies_that_have_them():
    analysis = analysis_of()
    view = make_view(analysis)
    build, is_shown, _ = SECTIONS["sizes"]
    assert is_shown(view)
    assert not is_shown(make_view(analyse(make_confirmed_results())))
    files = report_files([build(view)], study_page(analysis), ("csv", "latex"))
    header = files["tables/sizes.csv"].partition("\n")[0]
    assert header == ",".join(SCORES)
