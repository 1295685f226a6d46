"""`lstm-bench init`: from a file to a suite that loads."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import run

from lstm_bench.cli.init import init as command
from lstm_bench.suites.suite import load_suite

pytestmark = pytest.mark.slow


def write_texts(file: Path, n: int = 300, dirty: bool = False) -> None:
    rng = np.random.default_rng(0)
    lines = ["id,review,stars"]
    for i in range(n):
        words = " ".join(f"w{w}" for w in rng.integers(0, 60, rng.integers(5, 25)))
        lines.append(f"{i},the {words},{'good' if i % 2 else 'bad'}")
    if dirty:
        lines.append("900,no label here,")
    file.write_text("\n".join([*lines, ""]), "utf-8")


def test_init_writes_a_suite_that_loads(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_texts(Path("reviews.csv"), dirty=True)
    assert run("init", "reviews.csv", "--budget", "20m") == 0
    out, err = capsys.readouterr()
    assert "label: stars, text: review, 2 classes ('bad', 'good')" in err
    assert "timing one short training" in err
    suite = load_suite("reviews.yaml")
    assert suite.dataset.options == {
        "file": "reviews.csv",
        "text": "review",
        "label": "stars",
        "on_bad_rows": "drop",
        "test_fraction": 0.2,
    }
    assert suite.defaults.head == "sigmoid"
    assert suite.defaults.truncating == "post"
    assert suite.study.metric == "accuracy"
    assert suite.confirm is not None
    assert suite.confirm.n_replicates >= 3
    assert suite.references["LSTM"].units == 100
    assert ("learning_rate" in suite.space.axes) == (suite.study.n_trials >= 16)
    # 60 words and "the", all of them often, and the reserved ids.
    assert suite.defaults.vocabulary_size == 65
    minutes = re.search(r"about (\d+) of 20 minutes on this machine", out)
    assert minutes is not None
    assert int(minutes[1]) <= 15
    # What was taken for what, and how to change it.
    flat = " ".join(out.split())
    assert "text: review (the column of the texts; --text)" in flat
    assert "1 of 301 rows are left out: no label (1)" in flat
    assert "lstm-bench sweep reviews.yaml --confirm" in flat
    assert "0 errors" in out
    assert run("suites", "check", "reviews.yaml") == 0

    # Never overwrites, whatever the file says now.
    before = Path("reviews.yaml").read_bytes()
    assert run("init", "reviews.csv") == 2
    assert "expected a new file" in capsys.readouterr().err
    assert Path("reviews.yaml").read_bytes() == before
    assert run("init", "reviews.csv", "--out", "other.yaml", "--label", "stras") == 2
    assert "did you mean 'stars'" in capsys.readouterr().err
    assert run("init", "reviews.csv", "--out", "other.yaml", "--budget", "1s") == 2
    assert "--budget: " in capsys.readouterr().err
    assert not Path("other.yaml").exists()


def test_init_of_imbalanced_series(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, n in (("TRAIN", 200), ("TEST", 60)):
        lines = [
            "@problemName waves",
            "@dimensions 2",
            "@classLabel true a b c",
            "@data",
        ]
        for i in range(n):
            label = "c" if i % 10 == 0 else "ab"[i % 2]
            channels = (
                ",".join(f"{x:.3f}" for x in rng.normal(size=8)) for _ in range(2)
            )
            lines.append(":".join([*channels, label]))
        Path(f"waves_{part}.ts").write_text("\n".join([*lines, ""]), "utf-8")
    assert run("init", "waves_TRAIN.ts", "--out", "sub/waves.yaml") == 0
    raw = yaml.safe_load(Path("sub/waves.yaml").read_text("utf-8"))
    assert raw["dataset"] == {
        "train": "../waves_TRAIN.ts",
        "test": "../waves_TEST.ts",
        "validation_fraction": 0.2,
    }
    assert raw["study"]["metric"] == "balanced_accuracy"
    assert raw["space"]["class_weights"] == ["none", "balanced"]
    assert "vocabulary_size" not in raw["defaults"]
    assert raw["defaults"]["sequence_length"] == 8
    assert raw["defaults"]["head"] == "softmax"
    load_suite("sub/waves.yaml")
    assert "predict waves --file NEW.csv" in capsys.readouterr().out


def test_init_makes_no_folder_for_a_file_that_is_not_there(tmp_path, capsys):
    assert run("init", str(tmp_path / "no" / "reviews.csv")) == 2
    assert "expected a" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_init_names_a_field_that_is_unknown_and_the_known_ones(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("text,label\na b,x\n")
    assert run("init", str(tmp_path / "a.csv"), "--set", "on_bad_row=drop") == 2
    said = capsys.readouterr().err
    assert "on_bad_row: unknown field" in said
    assert "test_fraction, on_bad_rows)" in said


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("2h", 7200), ("90s", 90), ("1.5", 90)]
)
def test_budget_is_a_time(text, seconds):
    context = command.make_context("init", ["x.csv", "--budget", text])
    assert context.params["budget_s"] == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ("--budget", "soon"),
        ("--budget", "0m"),
        ("--budget", ""),
        ("--set", "shape"),
        ("--set", "x=["),
    ],
)
def test_options_that_cannot_be_read_end_with_2(tmp_path, arguments, capsys):
    assert run("init", str(tmp_path / "x.csv"), *arguments) == 2
    assert "expected" in capsys.readouterr().err
