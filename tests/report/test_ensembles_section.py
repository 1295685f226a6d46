"""The report's section on ensembles, and their sentence in the answers."""

from __future__ import annotations

import dataclasses

import numpy as np
from results_builder import CONFIRM_SUITE, TRIAL_2, make_confirmed_results

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.ensembles import TABLE
from lstm_bench.analysis.verdicts import answers, confirmation_summary
from lstm_bench.report.blocks import Drawing, Table
from lstm_bench.report.heading import study_page
from lstm_bench.report.render import report_files
from lstm_bench.report.sections.ensembles import ensembles_section
from lstm_bench.report.sections.order import SECTIONS
from lstm_bench.report.view import make_view
from lstm_bench.training.result import Prediction

TEXT = CONFIRM_SUITE + "ensemble: {n: 3}\n"


def analysis_of(n=3, **changes):
    text = CONFIRM_SUITE + f"ensemble: {{n: {n}}}\n"
    return analyse(
        dataclasses.replace(make_confirmed_results(suite_text=text), **changes)
    )


def complementary(results):
    """Return predictions in which each seed is wrong on other examples."""
    changed = {}
    for run_id, parts in results.predictions.items():
        seed = int(run_id[1:]) % 3
        changed[run_id] = dict(parts)
        if run_id.startswith("c") and "test" in parts:
            test = parts["test"]
            right = np.arange(len(test.y_true)) % 3 != seed
            chosen = np.where(right, test.y_true, 1 - test.y_true)
            y_proba = np.where(np.eye(2)[chosen] == 1, 0.8, 0.2)
            changed[run_id]["test"] = Prediction(
                "test", test.index, test.y_true, y_proba
            )
    return changed


def test_ensembles_have_rows_intervals_and_verdicts():
    section = ensembles_section(make_view(analysis_of()))
    tables = {b.name: b for b in section.blocks if isinstance(b, Table)}
    assert list(tables) == ["ensembles", "ensemble_comparisons"]
    labels = tables["ensembles"].frame["label"].tolist()
    assert labels == [
        f"{TRIAL_2}, one seed",
        f"{TRIAL_2}, 3 seeds",
        "the best 3 configurations, one seed each",
        f"{TRIAL_2}, 3 seeds, with Bag of words",
    ]
    assert "There is one ensemble of all 3 seeds" in tables["ensembles"].caption
    frame = tables["ensemble_comparisons"].frame
    assert set(frame["verdict_over"]) == {"reviews"}
    assert sum(isinstance(b, Drawing) for b in section.blocks) == 1


def test_ensembles_of_a_part_of_the_seeds_have_trainings_in_common():
    section = ensembles_section(make_view(analysis_of(n=2)))
    (table,) = (
        b for b in section.blocks if b.name == "ensembles" and hasattr(b, "columns")
    )
    assert "Any two ensembles of 2 of the 3 seeds have trainings in" in table.caption


def test_a_better_ensemble_is_among_the_answers():
    results = make_confirmed_results(suite_text=TEXT)
    analysis = analyse(dataclasses.replace(results, predictions=complementary(results)))
    # Each is right on two of three, and the majority of the three on all.
    told = {a.question: a.text for a in answers(analysis) if "ensemble" in a.question}
    text = told.pop("does an ensemble help")
    assert text.startswith(
        f"Better than {TRIAL_2}, one seed: {TRIAL_2}, 3 seeds: test accuracy 1.0000 "
        "against 0.6667, difference +0.3333 (95 % "
    )
    assert "over test reviews, with these seeds as given" in text
    ((question, text),) = told.items()
    assert question == "is an ensemble better than the best baseline"
    assert text.startswith(f"Better than Bag of words: {TRIAL_2}, 3 seeds: test")
    _, verdicts = confirmation_summary(analysis)
    assert verdicts["ensembles"][1]["test_mean"] == 1.0
    assert verdicts["ensemble_comparisons"][0]["verdict"] == "better"


def test_an_ensemble_that_is_not_better_has_no_sentence():
    assert not any("ensemble" in a.question for a in answers(analysis_of()))


def test_too_few_seeds_are_a_sentence_with_the_command():
    results = make_confirmed_results(suite_text=TEXT)
    confirmed = results.confirmed[results.confirmed["replicate"] < 3]
    section = ensembles_section(make_view(analysis_of(confirmed=confirmed)))
    assert section.blocks == ()
    assert "the confirmation has 2" in section.intro
    assert "--replicates 3" in section.intro


def test_the_section_and_its_tables_are_there_where_the_suite_has_ensembles():
    build, is_shown, _ = SECTIONS["ensembles"]
    assert not is_shown(make_view(analyse(make_confirmed_results())))
    analysis = analysis_of()
    view = make_view(analysis)
    assert is_shown(view)
    files = report_files([build(view)], study_page(analysis), ("csv", "latex"))
    assert {"tables/ensembles.csv", "tables/ensemble_comparisons.csv"} <= files.keys()
    header = files["tables/ensembles.csv"].partition("\n")[0]
    assert header == ",".join(TABLE)
