"""The text of a proposed suite, and its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lstm_bench.init.init import other_parts, suite_name
from lstm_bench.init.suite_text import WIDTH, Choice, suite_text


def test_suite_text_is_yaml_with_the_same_values():
    values = {
        "text": "no",
        "label": "größe: #1",
        "split": "it's",
        "header": False,
        "shape": [28, 28],
        "step": None,
        "margin": 0.005,
        "file": "a, b [1].csv",
    }
    why = "a reason that is long enough not to stand beside its value on one line " * 2
    choices = [Choice("dataset", name, value, why) for name, value in values.items()]
    choices.append(Choice("space", "units", [32, 64], "two"))
    text = suite_text("A title: " + "word " * 40, 'What of "this"?', choices)
    assert yaml.safe_load(text) == {
        "description": 'What of "this"?',
        "dataset": values,
        "space": {"units": [32, 64]},
    }
    assert "  units: [32, 64]  # two\n" in text
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("reviews.csv", "reviews"),
        ("data/reviews.v2.csv.gz", "reviews.v2"),
        ("JapaneseVowels_TRAIN.ts", "JapaneseVowels"),
        ("größe.csv", "gr__e"),
        (".hidden.csv", "hidden"),
        ("trial 3.csv", "trial 3_study"),
        ("majority.csv", "majority_study"),
        ("@:.csv", "own"),
        ("folder", "folder"),
    ],
)
def test_suite_name_is_one_that_suites_accept(file, name):
    assert suite_name(Path(file)) == name


def test_other_parts_are_found_by_name(tmp_path):
    for name in ("news_TRAIN.csv", "news_TEST.csv", "news_dev.csv", "train.csv"):
        (tmp_path / name).touch()
    assert other_parts(tmp_path / "news_TRAIN.csv", {}) == {
        "validation": str(tmp_path / "news_dev.csv"),
        "test": str(tmp_path / "news_TEST.csv"),
    }
    given = {"test": "another.csv"}
    assert set(other_parts(tmp_path / "news_TRAIN.csv", given)) == {"validation"}
    assert other_parts(tmp_path / "train.csv", {}) == {}
    assert other_parts(tmp_path / "news_TEST.csv", {}) == {}
