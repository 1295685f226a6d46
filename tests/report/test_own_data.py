"""Reports on own data: uneven classes, many classes, series of vectors."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from results_builder import make_class_results, make_results

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.formatting import data_option
from lstm_bench.analysis.imbalance import balance_of, shares_of
from lstm_bench.analysis.tables.published import published_comparison
from lstm_bench.report.blocks import Answers, Drawing, Facts, Table, csv_text
from lstm_bench.report.figures.training import training_figures
from lstm_bench.report.heading import study_page
from lstm_bench.report.html import render_html
from lstm_bench.report.latex import render_latex
from lstm_bench.report.markdown import render_markdown
from lstm_bench.report.sections.answer import answer_section
from lstm_bench.report.sections.baselines import baselines_section
from lstm_bench.report.sections.confirmation import confirmation_section
from lstm_bench.report.sections.confusion import (
    Predicted,
    confidences,
    confusion_section,
    pairs,
    per_class,
)
from lstm_bench.report.sections.data import data_section
from lstm_bench.report.sections.leaderboard import leaderboard_section
from lstm_bench.report.sections.literature import literature, literature_section
from lstm_bench.report.sections.samples import samples, samples_section
from lstm_bench.report.sections.slices import slices_section
from lstm_bench.report.view import make_view
from lstm_bench.suites.suite import Suite
from lstm_bench.training.result import Prediction

COVERAGE = (
    "vocabulary_size",
    "n_words",
    "n_words_found",
    "n_tokens",
    "n_tokens_found",
)
CHECK = [
    {"level": "error", "name": "one_class", "n": 2, "example": "a text | b",
     "advice": "label them", "text": "Two texts have two labels."},
    {"level": "warning", "name": "small_class", "n": 1, "example": "",
     "advice": "", "text": "One class is small."},
]  # fmt: skip
ROWS = {
    "n_read": 1000,
    "n_dropped": 3,
    "reasons": {"no label": {"n": 3, "example": "a.csv: line 7: no label"}},
}


def view_of(*args, **kwargs):
    return make_view(analyse(make_class_results(*args, **kwargs)))


def tables(section):
    return {block.name: block for block in section.blocks if isinstance(block, Table)}


def facts(section):
    return dict(next(b for b in section.blocks if isinstance(b, Facts)).items)


def test_balance_has_the_largest_and_the_smallest_class():
    balance = balance_of(make_class_results(["a", "b", "c"], [6, 24, 30]))
    assert (balance.largest, balance.smallest, balance.ratio) == ("c", "a", 5)
    assert balance.is_uneven
    assert not balance_of(make_class_results(["a", "b"], [10, 30])).is_uneven
    assert balance_of(make_results()) is None


def test_shares_are_those_of_the_most_frequent_class_and_of_the_winner():
    # Two of three examples are right in every class but the smallest, with one.
    analysis = analyse(make_class_results(["a", "b"], [1, 9]))
    shares = shares_of(analysis, None)
    assert shares.split == "test"
    assert (shares.majority, shares.majority_balanced) == (0.9, 0.5)
    assert shares.winner == pytest.approx(0.7)
    assert shares.winner_balanced == pytest.approx((1 + 6 / 9) / 2)


def uneven_answer(metric, sizes=(1, 9)):
    section = answer_section(view_of(["Käse", "b"], sizes, metric))
    rows = dict(section.blocks[-1].items)
    return rows.get("do uneven classes matter")


def test_answer_has_what_the_most_frequent_class_scores():
    assert uneven_answer("accuracy") == (
        'The classes are uneven ("b" has 9 training reviews, "Käse" 1): always naming '
        '"b" scores test accuracy 0.9000, and balanced accuracy 0.5000; the best LSTM '
        "has accuracy 0.7000 and balanced accuracy 0.8333."
    )
    assert 'always naming "b"' in uneven_answer("log_loss")
    assert 'always naming "b"' in uneven_answer("pr_auc")


def test_answer_leads_with_balanced_accuracy_and_says_why():
    assert "leads with balanced accuracy, in which every class counts the same" in (
        uneven_answer("balanced_accuracy")
    )
    assert "leads with F1 (macro)" in uneven_answer("f1")


def test_answer_has_nothing_on_classes_that_are_even():
    assert uneven_answer("accuracy", (10, 30)) is None


@pytest.mark.parametrize(("sizes", "is_shown"), [((3, 30), True), ((20, 30), False)])
def test_macro_averages_stand_beside_accuracy_where_classes_are_uneven(sizes, is_shown):
    view = view_of(["a", "b"], sizes)
    board = tables(leaderboard_section(view))["leaderboard"]
    confirmed = tables(confirmation_section(view))["confirmed"]
    for table, split in ((board, "val"), (confirmed, "test")):
        more = {column.name: column.more for column in table.shown}
        assert more[f"{split}_balanced_accuracy"] is not is_shown
        assert more[f"{split}_f1"] is not is_shown
    assert confirmed.frame["test_accuracy"].tolist() == pytest.approx(
        confirmed.frame["test_mean"].tolist()
    )


def test_balanced_accuracy_has_intervals_over_examples_and_f1_none():
    for metric, has_any in (("balanced_accuracy", True), ("f1", False)):
        section = confirmation_section(view_of(["a", "b"], (12, 30), metric))
        table = tables(section)["confirmed"]
        assert table.frame["both_low"].notna().all() == has_any
        assert ("is no mean over reviews" in table.caption) is not has_any


def test_data_section_has_source_rows_parts_and_classes():
    given = {"n": 9, "classes": {"a": 4, "b": 5}}
    section = data_section(
        view_of(
            ["a", "b"],
            (10, 40),
            source="reviews.csv (sha256 12ab)",
            kind="tokens",
            tokenizer="characters",
            vocabulary_words=70,
            rows=ROWS,
            division="a file of its own",
            given_validation=given,
            check=CHECK,
        )
    )
    found = facts(section)
    assert found["kind"] == "sequences of characters of 70 different ones"
    assert found["from"] == "reviews.csv (sha256 12ab)"
    assert found["rows read"] == "1,000"
    assert found["rows dropped"] == "3: no label (3, as a.csv: line 7: no label)"
    assert found["test part"] == "a file of its own"
    assert found["validation part"] == "given with the data"
    assert found["always the largest class of train"] == (
        "accuracy 0.8000 on test, balanced accuracy 0.5000"
    )
    assert found["largest and smallest class"].endswith("4 to 1 (above 3 to 1)")
    rows = tables(section)["classes"].frame.set_index("name")
    assert rows.loc["b"].tolist() == [40, 0.8, 5, 40]
    check = tables(section)["data_check"]
    assert check.frame["text"].tolist() == [f["text"] for f in CHECK]
    assert "2 findings" in check.caption


def test_data_section_has_the_coverage_of_an_embedding_file():
    coverage = [
        dict(zip(COVERAGE, numbers, strict=True))
        for numbers in ((10, 6, 3, 50, 40), (99, 80, 20, 100, 60))
    ]
    file = {"name": "v.txt", "digest": "ab12", "dim": 50, "n_words": 1200}
    view = view_of(["a", "b"], (12, 30), embedding={**file, "coverage": coverage})
    found = facts(data_section(view))
    assert found["embedding file"] == (
        "v.txt (SHA-256 ab12), 1,200 words with 50 numbers each"
    )
    assert found["words with a vector"] == (
        "at vocabulary_size 10 the file has 3 of 6 words (50.0%), 80.0% of their "
        "occurrences in train; at vocabulary_size 99 the file has 20 of 80 words "
        "(25.0%), 60.0% of their occurrences in train"
    )


def test_data_section_names_channels_and_lists_many_classes_by_size():
    names = [f"class {i}" for i in range(40)]
    section = data_section(
        view_of(names, range(3, 43), kind="vectors", channels=["x", "y"])
    )
    assert facts(section)["kind"] == "series of vectors of 2 channels: x, y"
    frame = tables(section)["classes"].frame
    assert frame["name"].tolist() == names[::-1]
    assert "given_validation" not in frame


def test_data_section_of_a_study_from_before_has_what_it_recorded():
    section = data_section(make_view(analyse(make_results())))
    assert facts(section)["train reviews"] == "600"
    assert "rows read" not in facts(section)
    assert tables(section) == {}


def test_series_are_not_called_words_or_tokens():
    view = view_of(["a", "b"], (12, 30), kind="vectors", example="series")
    texts = [
        baselines_section(view).intro,
        *tables(slices_section(view))["slices"].frame["slice"].tolist(),
        data_section(view).intro,
    ]
    assert not re.search(r"word|token|bag|review|seriess", " ".join(texts))
    assert view.results.examples == "series"
    text = baselines_section(view_of(["a", "b"], (12, 30), tokenizer="characters"))
    assert "a bag of characters" in text.intro


def predicted(*rows):
    """Return a model with one training per row of predicted classes, of 0, 0, 0, 1."""
    trainings = []
    for y_pred in rows:
        y_proba = np.full((4, 3), 0.2)
        y_proba[np.arange(4), y_pred] = 0.6
        trainings.append(
            Prediction("test", np.arange(4), np.array([0, 0, 0, 1]), y_proba)
        )
    return [Predicted("a model", "k", "test", tuple(trainings))]


def test_per_class_has_recall_by_seed_and_pooled_precision():
    frame = per_class(predicted([0, 0, 1, 1], [0, 0, 0, 0]), ["x", "y", "z"])
    frame = frame.set_index("name")
    assert frame["n"].tolist() == [3, 1, 0]
    assert frame["recall"].tolist() == pytest.approx([5 / 6, 1 / 2, 0])
    # x: named 6 times, 5 of them rightly; y: 2 and 1; z: never.
    assert frame["precision"].tolist() == pytest.approx(
        [5 / 6, 1 / 2, np.nan], nan_ok=True
    )
    assert frame["f1"].tolist() == pytest.approx([10 / 12, 2 / 4, 0])
    assert set(frame["n_runs"]) == {2}


def test_pairs_are_the_errors_the_most_frequent_first():
    models = predicted([0, 1, 1, 1], [0, 2, 0, 0])
    frame = pairs(models, ["x", "y", "z"])
    assert frame[["y_true", "y_pred", "n"]].values.tolist() == [
        ["x", "y", 1.0],
        ["x", "z", 0.5],
        ["y", "x", 0.5],
    ]
    assert frame["share"].tolist() == pytest.approx([1 / 3, 1 / 6, 1 / 2])
    assert len(pairs(models, ["x", "y", "z"], n_pairs=1)) == 1
    assert pairs(predicted([0, 0, 0, 1]), ["x", "y", "z"]).empty


def test_confidences_divide_right_from_wrong():
    frame = confidences(predicted([0, 1, 1, 1]), n_bins=2)
    shares = frame.groupby("outcome")["share"].sum()
    assert shares.to_dict() == {"right": 0.5, "wrong": 0.5}
    assert frame.loc[frame["share"] > 0, "p_low"].tolist() == pytest.approx([0.5] * 2)


@pytest.mark.parametrize(
    ("n_classes", "expected"),
    [
        (2, ["confusion", "probabilities", "confusion"]),
        (3, ["confusion", "confusion", "confidences", "per_class"]),
        (20, ["confusion", "confidences", "confused_pairs", "per_class"]),
        (21, ["recall", "confidences", "confused_pairs", "per_class"]),
    ],
)
def test_confusion_shows_what_can_be_read_of_so_many_classes(n_classes, expected):
    names = [f"class {i}" for i in range(n_classes)]
    section = confusion_section(view_of(names, [6] * n_classes))
    assert [block.name for block in section.blocks] == expected
    (first, *_) = (b for b in section.blocks if isinstance(b, Drawing))
    n_texts = sum(len(ax.texts) for ax in first.figure.axes)
    # Two models; of each class two cells are not empty.
    assert n_texts == {2: 8, 3: 18, 20: 80, 21: 0}[n_classes]


@pytest.mark.parametrize(
    ("n", "name"), [(20, "confusion_matrix_test"), (21, "recall_test")]
)
def test_a_trainings_figure_shows_what_can_be_read_of_its_classes(n, name):
    y_true = np.arange(n)
    scored = Prediction("test", y_true, y_true, np.eye(n))
    names = tuple(f"class {i}" for i in range(n))
    epochs = [{"epoch": 1, "val_loss": 0.6, "val_accuracy": 0.7}]
    figures = training_figures(epochs, scored, names, "accuracy")
    assert set(figures) == {"accuracy", "loss", name}


NASTY = ["Käse", "a,b", "=1+1", "x" * 200, "<b>$x$</b> | y"]


def test_class_names_of_any_kind_are_text_in_every_format():
    view = view_of(NASTY, [5, 10, 20, 40, 80])
    sections = [confusion_section(view), data_section(view), samples_section(view)]
    page = render_html(sections, study_page(view.analysis))
    assert "<b>$x$" not in page
    assert "&lt;b&gt;$x$&lt;/b&gt; | y" in page
    assert "x" * 200 in page
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert "Käse" in drawn and max(map(len, drawn)) < 60
    text = render_markdown(sections, "t")
    assert r"&lt;b&gt;$x$&lt;/b&gt; \| y" in text
    table = tables(sections[0])["per_class"]
    lines = csv_text(table.frame).splitlines()
    assert lines[2].split(",k")[0].endswith('"a,b"') or '"a,b"' in lines[2]
    assert "'=1+1" in lines[3]
    latex = render_latex(table)
    assert r"\textless{}b\textgreater{}\$x\$" in latex and "Käse" in latex


def test_samples_of_many_classes_have_the_probability_of_two():
    results = make_class_results(list("abcdef"), [3] * 6)
    (row,) = samples(results, ["r2"]).to_dict("records")
    assert (row["y_true"], row["y_pred"]) == ("f", "a")
    assert row["p_of_predicted"] == pytest.approx(0.6)
    assert row["p_of_true"] == pytest.approx(0.08)
    assert "p_a" not in row


def series_page(values, **data):
    view = view_of(
        *(["a", "b"], (12, 30)), values=values, kind="vectors", example="series", **data
    )
    section = samples_section(view)
    return section, render_html([section], study_page(view.analysis))


def test_series_of_few_channels_are_lines_on_each_channels_scale():
    values = ((0.0, 100.0), (1.0, 300.0), (0.5, 200.0))
    section, page = series_page(values, channels=["x", "y"])
    svg = re.search(r'<svg class="series lines".*?</svg>', page)[0]
    paths = re.findall(r' d="([^"]*)"', svg)
    # The values of both channels have the same shape.
    assert paths == ["M2.0 46.0L80.0 2.0L158.0 24.0"] * 2
    assert 'aria-label="0 to 300"' in svg
    assert not re.search(r"word|token", section.intro)
    table = tables(section)["samples_1"]
    assert "0.0 100.0; 1.0 300.0; 0.5 200.0" in csv_text(table.frame)
    assert "values" not in render_latex(table)


def test_series_of_many_channels_are_a_field_of_grey():
    values = ((0.0, 8.0, 8.0, 8.0, 0.0), (4.0, 0.0, 4.0, 0.0, 4.0))
    _, page = series_page(values, channels=list("abcde"))
    svg = re.search(r'<svg class="series field".*?</svg>', page)[0]
    assert 'viewBox="0 0 5 2"' in svg
    # A row per step; each channel from its lowest value to its highest.
    assert re.findall(r'opacity="([^"]*)" d="([^"]*)"', svg) == [
        ("1", "M1 0.5h3M0 1.5h1M4 1.5h1")
    ]


def test_a_series_of_one_step_and_a_study_without_values_are_shown():
    _, page = series_page(((1.0,),), channels=["x"])
    assert "M2.0 46.0L158.0 46.0" in page
    section, page = series_page(None, channels=["x"])
    assert '<svg class="series' not in page
    assert len(tables(section)) == 2


def test_the_best_network_that_reads_words_alone_has_a_row_of_its_own():
    results = make_class_results(["a", "b"], (12, 30))
    suite = Suite("small", results.suite.text + PUBLISHED, "small.yaml")
    analysis = analyse(dataclasses.replace(results, suite=suite))
    plain, *rest = analysis.contenders
    reads = plain.config.model_copy(update={"ngram_evidence": 2})
    near = rest[0].config.model_copy(update={"embedding": "cooccurrence"})
    winner = dataclasses.replace(plain, config=reads)
    words = dataclasses.replace(rest[0], config=near)
    baselines = [c for c in rest if c.is_baseline]
    rows = literature(
        dataclasses.replace(
            analysis, contenders=(winner, words, *baselines), winner=winner
        )
    )
    assert rows.set_index("label")["note"][
        [f"here: {winner.label}", f"here: {words.label}", "here: Bag of words"]
    ].tolist() == [
        "Reads words and the evidence of 1- to 2-grams.",
        "Reads words alone. Its word vectors begin with which words stand close in "
        "train.",
        "",
    ]


PUBLISHED = """
published:
  - {label: DTW, source: a paper, test_accuracy: 0.66,
     note: The same series to train on.}
  - {label: pretrained, source: another, reference: old, test_accuracy: 0.99,
     note: Other data too.}
"""


def test_published_accuracies_of_the_suite_stand_beside_the_studys():
    results = make_class_results(["a", "b"], (12, 30))
    suite = Suite("small", results.suite.text + PUBLISHED, "small.yaml")
    results = dataclasses.replace(results, suite=suite)
    analysis = analyse(results)
    section = literature_section(make_view(analysis))
    # Another model's figure is not compared with a configuration.
    (compared,) = published_comparison(results).to_dict("records")
    assert (compared["label"], compared["reference"]) == ("pretrained", "old")
    old = suite.references["old"].config_id
    tested = results.confirmed[results.confirmed["config_id"] == old]
    assert compared["n_runs"] == len(tested) == 3
    assert compared["measured"] == pytest.approx(tested["test_accuracy"].mean())
    table = tables(section)["literature"]
    assert table.frame["label"].tolist() == [
        "pretrained",
        # All have the same scores.
        f"here: {analysis.winner.label}",
        "here: Bag of words",
        "DTW",
    ]
    assert table.frame["note"].tolist() == [
        *("Other data too.", "", ""),
        "The same series to train on.",
    ]
    assert not re.search("reviews|IMDB|25,000", section.intro + table.caption)


def test_own_files_are_called_by_their_name_and_need_no_folder():
    results = make_class_results(["a", "b"], (12, 30))
    own = "dataset: {train: texts/reviews.csv, test: texts/other.csv}"
    text = results.suite.text.replace("dataset: synthetic", own)
    results = dataclasses.replace(results, suite=Suite("small", text, "small.yaml"))
    section = answer_section(make_view(analyse(results)))
    (answers,) = (b for b in section.blocks if isinstance(b, Answers))
    assert answers.items[0][1].startswith(
        "Which LSTM has the best accuracy on reviews.csv: "
    )
    assert data_option(results) == []


@pytest.mark.parametrize(
    ("options", "validation", "text"),
    [
        ("time: day", {}, "20% of train, the latest by column day; copies"),
        ("group: who", {}, "those of one value in column who and copies stay"),
        ("split: part", {}, "20% of train, drawn at random by each seed"),
        ("split: part", {"given_validation": {"n": 3}}, "given with the data"),
        ("split: part", {"validation": "test"}, "the test part"),
    ],
)
def test_data_section_has_how_validation_was_made(options, validation, text):
    results = make_class_results(["a", "b"], (12, 30), **validation)
    own = f"dataset: {{file: reviews.csv, {options}}}"
    suite = results.suite.text.replace("dataset: synthetic", own)
    results = dataclasses.replace(results, suite=Suite("small", suite, "small.yaml"))
    view = make_view(analyse(results))
    assert text in facts(data_section(view))["validation part"]
    is_one = "given_validation" in validation or "time" in options
    intro = confirmation_section(view).intro
    assert ("All seeds have the same split" in intro) == is_one
