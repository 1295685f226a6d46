"""Reports on own data: uneven classes, many classes, series of vectors."""

from __future__ import annotations

import re

import pytest
from results_builder import make_class_results, make_results

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.imbalance import balance_of, shares_of
from lstm_bench.report.blocks import Facts, Table
from lstm_bench.report.sections.answer import answer_section
from lstm_bench.report.sections.baselines import baselines_section
from lstm_bench.report.sections.confirmation import confirmation_section
from lstm_bench.report.sections.data import data_section
from lstm_bench.report.sections.leaderboard import leaderboard_section
from lstm_bench.report.sections.slices import slices_section
from lstm_bench.report.view import make_view

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
        "The classes are uneven (b has 9 training reviews, Käse 1): always naming b "
        "scores test accuracy 0.9000, and balanced accuracy 0.5000; the best LSTM has "
        "accuracy 0.7000 and balanced accuracy 0.8333."
    )
    assert "always naming b" in uneven_answer("log_loss")


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
    assert found["largest and smallest class"].endswith("4 to 1, more than 3 to 1")
    rows = tables(section)["classes"].frame.set_index("name")
    assert rows.loc["b"].tolist() == [40, 0.8, 5, 40]
    check = tables(section)["data_check"]
    assert check.frame["text"].tolist() == [f["text"] for f in CHECK]
    assert "2 findings" in check.caption


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
