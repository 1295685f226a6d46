"""Golden values of the tables behind curves, classes, costs and the list of runs."""

from __future__ import annotations

import dataclasses
import math
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from results_builder import (
    CONFIRMED,
    N_VAL,
    SEARCH,
    TRIAL_2,
    TRIAL_3,
    make_confirmed_results,
    make_predictions,
    make_results,
)

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.tables.confirmed import baselines
from lstm_bench.analysis.tables.cost import confirmed_cost, pareto_front
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.analysis.tables.select import trial_runs, validation_curves
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import DASH, Drawing, Facts, Note, Table
from lstm_bench.report.figures.confusion import plot_confusion
from lstm_bench.report.figures.curves import plot_curves
from lstm_bench.report.figures.parallel import plot_parallel
from lstm_bench.report.figures.style import figure_svg
from lstm_bench.report.sections.axes import explored_unevenly
from lstm_bench.report.sections.baselines import baselines_section
from lstm_bench.report.sections.confusion import (
    confirmed_predictions,
    confusion,
    plot_probabilities,
    probabilities,
    searched_predictions,
)
from lstm_bench.report.sections.cost import plot_confirmed_cost
from lstm_bench.report.sections.curves import curves_over_seeds, mean_curves
from lstm_bench.report.sections.order import build_sections
from lstm_bench.report.sections.provenance import origin
from lstm_bench.report.sections.runs import all_runs
from lstm_bench.report.view import MAX_POINTS, make_view
from lstm_bench.suites.suite import Suite

CLASSES = ["neg", "pos"]
ACCURACY = METRICS["accuracy"]


@pytest.fixture
def analysis():
    results = make_confirmed_results()
    # Seed r of a configuration reaches 0.6 + r/100 and 0.7 + r/100; the last seed
    # goes on for one epoch more.
    rows = [
        (run_id, "val", "accuracy", epoch, 0.5 + epoch / 10 + replicate / 100)
        for run_id, replicate in zip(
            results.confirmed["run_id"], results.confirmed["replicate"], strict=True
        )
        for epoch in range(1, 4 if replicate == 3 else 3)
    ]
    frame = pd.DataFrame(rows, columns=["run_id", "split", "metric", "epoch", "value"])
    object.__setattr__(results, "curves", frame)
    return analyse(results)


def test_a_curve_is_the_values_in_order_of_epoch():
    found = validation_curves(make_results(), "accuracy")
    assert found["r2"] == pytest.approx((0.88, 0.89, 0.90))
    assert validation_curves(make_results(), "log_loss") == {}


def test_a_mean_curve_ends_where_the_first_of_its_seeds_stopped(analysis):
    frame = curves_over_seeds(analysis, "accuracy")
    own = frame[frame["label"] == TRIAL_2]
    assert own["epoch"].tolist() == [1, 2]
    assert own["n_seeds"].tolist() == [3, 3]
    assert own["mean"].tolist() == pytest.approx([0.62, 0.72])
    # sd 0.01, t of two degrees of freedom 4.303.
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert own["ci_high"].tolist() == pytest.approx([0.62 + half, 0.72 + half])
    assert len(set(frame["label"])) == len(CONFIRMED)


def test_bands_of_curves_end_where_the_metric_does(analysis):
    frame = analysis.results.curves
    # 0.4, 0.9 and 0.95 after the first epoch: the t interval would end at 1.51.
    first = frame["epoch"] == 1
    frame.loc[first, "value"] = [0.4, 0.9, 0.95] * (int(first.sum()) // 3)
    band = curves_over_seeds(analysis, "accuracy").iloc[0]
    assert (band["mean"], band["ci_low"], band["ci_high"]) == (
        *(pytest.approx(0.75), 0.0, 1.0),
    )


def test_confusion_counts_the_mean_over_seeds():
    # Of 40 reviews in alternating classes the first 36, 37 and 36 are right, so of
    # each class 18, 18.5 and 18 of 20: the odd one is a neg.
    analysis = analyse(make_confirmed_results())
    models = confirmed_predictions(analysis)
    assert [model.label for model in models] == [TRIAL_2, "Bag of words"]
    table = confusion(models[:1], CLASSES)
    rows = table.set_index(["y_true", "y_pred"])
    assert rows["n"].to_dict() == pytest.approx(
        {
            ("neg", "neg"): (18 + 19 + 18) / 3,
            ("neg", "pos"): (2 + 1 + 2) / 3,
            ("pos", "neg"): 2.0,
            ("pos", "pos"): 18.0,
        }
    )
    assert rows.loc[("neg", "neg"), "share"] == pytest.approx(55 / 60)
    assert rows.loc[("pos", "pos"), ["ci_low", "ci_high"]].tolist() == pytest.approx(
        [0.9, 0.9]
    )
    assert set(rows["n_runs"]) == {3}


def test_probabilities_are_shares_of_each_class():
    analysis = analyse(make_confirmed_results())
    models = confirmed_predictions(analysis)[:1]
    table = probabilities(models, CLASSES, n_bins=5)
    for _, rows in table.groupby("y_true"):
        assert rows["share"].sum() == pytest.approx(1)
        assert set(rows["n"]) == {60}
    own = table[(table["y_true"] == "neg") & (table["share"] > 0)]
    # Always 0.2 or 0.8: right 55 times of 60.
    assert own["p_low"].tolist() == pytest.approx([0.2, 0.8])
    assert own["share"].tolist() == pytest.approx([55 / 60, 5 / 60])


def test_without_a_round_the_searchs_best_shows_its_validation_predictions():
    results = make_results()
    object.__setattr__(results, "predictions", {"r2": make_predictions(36)})
    (model,) = searched_predictions(results, leaderboard(results))
    assert (model.label, model.split) == (TRIAL_2, "val")
    table = confusion([model], CLASSES)
    assert table["n"].sum() == 20
    assert table["ci_low"].isna().all()


def test_all_runs_lists_each_training_once_in_order_of_start():
    results = make_confirmed_results()
    table = all_runs(results, ["units", "head"])
    assert len(table) == len(SEARCH) + 12
    assert table["start_time"].is_monotonic_increasing
    row = table.set_index("run_id").loc["r2"]
    assert (row["label"], row["part"], row["state"]) == (
        TRIAL_2,
        "search",
        "complete",
    )
    assert (row["units"], row["head"], row["objective"]) == (32, "sigmoid", 0.90)
    assert row["curve"] == pytest.approx((0.88, 0.89, 0.90))
    confirmed_row = table.set_index("run_id").loc["c0"]
    assert (confirmed_row["part"], confirmed_row["replicate"]) == ("confirmation", 1)
    assert confirmed_row["test"] == pytest.approx(36 / 40)
    assert table.set_index("run_id").loc["r6", "label"] == "reference old"
    assert set(table[table["state"] == "failed"]["objective"].isna()) == {True}


def test_cost_of_a_configuration_is_the_mean_over_its_seeds():
    table = confirmed_cost(analyse(make_confirmed_results())).set_index("label")
    # Configuration k takes 10 k + r seconds on seed r.
    assert table.loc[TRIAL_3, "train_time_s"] == pytest.approx(22)
    half = 4.302653 * 1 / math.sqrt(3)
    assert table.loc[TRIAL_3, "time_high"] == pytest.approx(22 + half)
    assert table.loc[TRIAL_2, "test_mean"] == pytest.approx(109 / 120)
    # The baseline takes 1.5 s; trial 2 is better, the others are slower and worse.
    assert table.index[table["on_front"]].tolist() == ["Bag of words", TRIAL_2]


def test_a_pareto_front_keeps_twins_and_drops_what_is_beaten():
    time = np.array([1.0, 1.0, 2.0, 2.0, 3.0, 4.0])
    score = np.array([0.5, 0.5, 0.4, 0.6, 0.6, 0.7])
    expected = [True, True, False, True, False, True]
    assert pareto_front(time, score, True).tolist() == expected
    assert pareto_front(time, 1 - score, False).tolist() == expected


def test_baselines_are_listed_by_what_they_were_fitted_on():
    table = baselines(make_confirmed_results())
    assert table["fitted_on"].tolist() == ["the search's split", "fresh splits"]
    assert table["n_splits"].tolist() == [1, 3]
    # 30, 32 and 29 of 40 right.
    assert table["test_mean"].iloc[1] == pytest.approx(91 / 120)
    assert math.isnan(table["test_mean"].iloc[0])


def test_baselines_section_states_which_were_not_fitted_and_why(analysis):
    why = "1-nearest neighbour, DTW was not fitted on fresh splits: 9e+09 pairs."
    results = dataclasses.replace(analysis.results, skipped_baselines=(why,))
    section = baselines_section(
        make_view(dataclasses.replace(analysis, results=results))
    )
    assert section.blocks[-1] == Note(why)
    assert "What a bag of words reaches" in section.intro
    series = dataclasses.replace(
        results, dataset={**results.dataset, "kind": "vectors"}
    )
    section = baselines_section(
        make_view(dataclasses.replace(analysis, results=series))
    )
    assert "as scaled for the networks" in section.intro
    assert "words" not in section.intro
    none = dataclasses.replace(results, baselines=results.baselines.head(0))
    section = baselines_section(make_view(dataclasses.replace(analysis, results=none)))
    assert section.blocks == (Note(why),)


def test_explored_unevenly_names_the_values():
    effect = pd.DataFrame({"value": ["16", "32"], "n": [2, 9]})
    assert "16 has 2 complete trials, 32 has 9" in explored_unevenly(effect)
    effect["n"] = [4, 9]
    assert explored_unevenly(effect) is None
    effect["n"] = [2, 2]
    assert "2 complete trials a value" in explored_unevenly(effect)
    assert "only one value" in explored_unevenly(effect.head(1))


def test_new_figures_are_well_formed_and_name_their_points(analysis):
    results = analysis.results
    view = make_view(analysis)
    trials = view.named(trial_runs(results))
    models = confirmed_predictions(analysis)
    drawn = {
        "curves": plot_curves(
            mean_curves(curves_over_seeds(analysis, "accuracy"), view.colours),
            "validation accuracy",
        ),
        "parallel": plot_parallel(
            trials, dict(results.suite.space), ACCURACY, view.colours
        ),
        "cost": plot_confirmed_cost(confirmed_cost(analysis), ACCURACY, view.colours),
        "confusion": plot_confusion([("a model", np.eye(len(CLASSES)))], CLASSES),
        "probabilities": plot_probabilities(
            probabilities(models, CLASSES), CLASSES, "messages"
        ),
    }
    for name, figure in drawn.items():
        root = ET.fromstring(figure_svg(figure, name))
        titles = [e.text for e in root.iter() if e.tag.endswith("}title")]
        assert bool(titles) == (name != "confusion")
    (axes, *_) = drawn["probabilities"].axes
    assert axes.get_ylabel() == "share of the class's messages"
    svg = figure_svg(drawn["parallel"])
    assert f"{TRIAL_2}\n" in svg


def test_one_axis_is_a_parallel_plot_of_two():
    axis = "units: {low: 8, high: 64, log: true}"
    text = f"description: x\ndataset: synthetic\nspace: {{{axis}}}"
    results = make_results(
        (dict(units=8, objective=0.5), dict(units=64, objective=0.5)), text
    )
    view = make_view(analyse(results))
    trials = view.named(trial_runs(results))
    figure = plot_parallel(trials, dict(Suite("s", text, "s").space), ACCURACY, {})
    heights = sorted(float(line.get_ydata()[1]) for line in figure.axes[0].lines[:2])
    assert heights == pytest.approx([0.0, 1.0], abs=0.05)


def test_many_points_are_sampled_and_the_caption_says_so():
    rows = tuple(
        dict(dropout=i / 2000, objective=0.5 + (i % 97) / 1000, train_time_s=1.0 + i)
        for i in range(MAX_POINTS + 50)
    )
    view = make_view(analyse(make_results(rows)))
    trials = view.named(trial_runs(view.results))
    drawn, note = view.sample(trials, "complete trials")
    assert len(drawn) == MAX_POINTS
    assert f"{MAX_POINTS:,} of {len(rows):,} complete trials" in note
    again, _ = view.sample(trials, "complete trials")
    assert drawn.index.equals(again.index)
    # What has a colour is never left out.
    coloured = set(view.colours) & set(trials["config_id"])
    assert coloured <= set(drawn["config_id"])


@pytest.mark.parametrize("results", [make_results(), make_confirmed_results()])
def test_every_block_has_a_caption_and_every_drawing_its_rows(results):
    sections = build_sections(analyse(results))
    blocks = [block for section in sections for block in section.blocks]
    shown = [block for block in blocks if isinstance(block, Table | Drawing)]
    assert len({(type(block), block.name) for block in shown}) == len(shown)
    for block in shown:
        assert block.caption.endswith("."), block.name
        assert len(block.data if isinstance(block, Drawing) else block.frame), (
            block.name
        )
    anchors = [section.anchor for section in sections]
    assert anchors[0] == "answer"
    assert anchors[-1] == "provenance"


def test_provenance_counts_the_copies_by_part():
    (facts,) = [b for b in origin(make_results()) if isinstance(b, Facts)]
    assert [pair for pair in facts.items if "cop" in pair[0]] == [
        ("training reviews that are copies of another", "2 of 600"),
        ("validation reviews with a copy among those trained on", f"0 of {N_VAL}"),
        ("test reviews with a copy among those trained on", "1 of 50"),
        ("test reviews with a copy in all of train", "3 of 50"),
    ]
    # A store of an earlier version lacks the counts, which is not zero.
    about = {"n_test_in_train": 3, "test": {"n": 50}}
    earlier = dataclasses.replace(make_results(), dataset=about)
    (facts,) = [b for b in origin(earlier) if isinstance(b, Facts)]
    assert [text for name, text in facts.items if "cop" in name] == [
        *(DASH, DASH, DASH, "3 of 50")
    ]


def test_provenance_lists_settings_and_digests_and_what_was_not_recorded():
    def listed(**changed):
        (facts,) = [
            b
            for b in origin(dataclasses.replace(make_results(), **changed))
            if isinstance(b, Facts)
        ]
        names = (
            "settings of the process",
            "suite file",
            "digest of the dataset's code",
        )
        return [dict(facts.items)[name] for name in names]

    assert listed(environment={}, dataset={}) == [DASH, DASH, DASH]
    about = {"settings": {}, "suite_committed": True}
    assert listed(environment=about)[:2] == ["none", "as committed"]
    about = {
        "settings": {"OMP_NUM_THREADS": "2", "TF_X": "1"},
        "suite_committed": False,
    }
    assert listed(environment=about, dataset={"code_digest": "abc"}) == [
        *("OMP_NUM_THREADS=2, TF_X=1", "not as committed", "abc"),
    ]
