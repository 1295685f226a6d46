"""The data check: each fault with its count, an example and what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run

from lstm_bench.data.check import Finding, Use, check, half_width, truncation
from lstm_bench.data.dataset import Dataset, Sequences, from_lists, sequences_digest
from lstm_bench.data.splits import make_splits
from lstm_bench.inference import ids_of, index_of, tokenize
from lstm_bench.open_study import load_data
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking.stored_runs import parse_dataset
from lstm_bench.workers.progress import LoggedProgress

USE = Use(sequence_lengths=(100,), vocabulary_sizes=(10_000,))
WORDS = [f"w{i}" for i in range(50)]


def texts_of(n: int, n_words: int = 12, seed: int = 0) -> list[str]:
    """Return n different texts without any fault."""
    rng = np.random.default_rng(seed)
    return [f"{' '.join(rng.choice(WORDS, n_words))} t{seed}x{i}" for i in range(n)]


def data_of(
    train: Sequence[str],
    y: Sequence[int],
    test: Sequence[str] | None = None,
    y_test: Sequence[int] = (),
    tokenizer: str = "words",
    **fields: object,
) -> Dataset:
    if test is None:
        test, y_test = texts_of(60, seed=9), [0, 1] * 30
    texts = [tokenize(text, tokenizer) for text in (*train, *test)]
    words = tuple(dict.fromkeys(word for text in texts for word in text))
    ids = [ids_of(text, index_of(words)) for text in texts]
    parts = from_lists(ids[: len(train)], y), from_lists(ids[len(train) :], y_test)
    given = {
        "name": "file",
        "description": "",
        "class_names": ("neg", "pos"),
        "digest": sequences_digest(*parts),
        "source": "test",
        "fits_vocabulary": True,
        "example": "text",
    }
    return Dataset(
        train=parts[0],
        test=parts[1],
        vocabulary=words,
        tokenizer=tokenizer,
        **(given | fields),
    )


def splits_of(data: Dataset):
    return make_splits(
        data,
        root_seed=0,
        replicate=0,
        validation_fraction=0.25,
        max_train_samples=None,
    )


def found(data: Dataset, use: Use = USE, with_splits: bool = False) -> dict:
    findings = check(data, splits_of(data) if with_splits else None, use)
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels)
    assert all(finding.text and finding.advice for finding in findings)
    by_name = {finding.name: finding for finding in findings}
    assert len(by_name) == len(findings)
    return by_name


def only(findings: dict[str, Finding], name: str) -> Finding:
    assert set(findings) == {name}
    return findings[name]


def test_check_finds_nothing_where_nothing_is_wrong():
    data = data_of(texts_of(200), [0, 1] * 100)
    assert found(data, with_splits=True) == {}


def test_bad_rows_are_errors_unless_the_suite_drops_them():
    rows = {
        "n_read": 200,
        "n_dropped": 7,
        "reasons": {
            "no label": {"n": 4, "example": "own.csv: line 17: no label"},
            "no text": {"n": 3, "example": "own.csv: line 40: no text"},
        },
    }
    data = data_of(texts_of(200), [0, 1] * 100, rows=rows)
    for drops, level in ((False, "error"), (True, "warning")):
        two = check(data, None, replace(USE, drops_bad_rows=drops))
        assert [(f.level, f.name, f.n) for f in two] == [
            (level, "bad_rows", 4),
            (level, "bad_rows", 3),
        ]
        assert two[0].example == "own.csv: line 17: no label"
        assert two[0].text == "4 rows could not be read: no label."


def test_few_examples_are_an_error():
    data = data_of(texts_of(60), [0, 1] * 30, texts_of(39, seed=2), [0, 1, 0] * 13)
    assert set(found(data)) == {"few_examples", "few_of_class"}
    few = found(data)["few_examples"]
    assert (few.level, few.n) == ("error", 99)
    small = found(data)["few_of_class"]
    assert (small.n, small.example) == (2, "neg: 30 texts")


def test_a_class_is_small_if_the_suite_trains_on_few_of_it():
    data = data_of(texts_of(400), [0, 0, 0, 1] * 100)
    splits = make_splits(
        data,
        root_seed=0,
        replicate=0,
        validation_fraction=0.2,
        max_train_samples=100,
    )
    use = replace(USE, metric="f1", max_train_samples=100)
    small = next(f for f in check(data, splits, use) if f.name == "few_of_class")
    n_pos = np.count_nonzero(splits.train.y == 1)
    assert n_pos < 50 < np.count_nonzero(data.train.y == 1)
    assert (small.n, small.example) == (1, f"pos: {n_pos} texts")
    assert "training texts among the 100 that max_train_samples leaves" in small.text
    assert "train on more" in small.advice


def test_one_class_and_a_class_that_train_lacks_are_errors():
    findings = found(data_of(texts_of(200), [0] * 200))
    assert findings["one_class"].example == "neg"
    lacking = findings["class_not_in_train"]
    assert (lacking.level, lacking.n) == ("error", 1)
    assert lacking.example.startswith("test 1, pos: w")
    assert "'pos'" in lacking.text


def test_copies_are_counted_within_parts_and_between_them():
    train = texts_of(200)
    train[150] = train[3]
    train[151] = train[3]
    test = texts_of(60, seed=5)
    test[10], test[59] = train[0], train[1]
    y = [0, 1] * 100
    y[150] = y[151] = y[3]
    data = data_of(train, y, test, [0, 1] * 30)
    findings = found(data)
    assert set(findings) == {"copies_within_parts", "copies_between_parts"}
    within = findings["copies_within_parts"]
    assert within.n == 2
    assert within.example.startswith("train 150, pos: ")
    assert "(2 in train, 0 in test)" in within.text
    between = findings["copies_between_parts"]
    assert between.n == 2
    assert between.example.startswith("test 10, neg: ")
    assert between.text == "2 texts of test are also in train."


def test_two_labels_bound_the_accuracy():
    train = texts_of(200)
    train[11], train[12], train[13] = train[10], train[10], train[10]
    y = [0, 1] * 100
    y[10], y[11], y[12], y[13] = 0, 1, 1, 1
    two = found(data_of(train, y))["two_labels"]
    assert two.n == 4
    # All but one of the 260 examples can be right.
    assert f"accuracy above {259 / 260:.4f}" in two.text
    assert two.example.startswith("train 10, neg: ")
    assert two.example.endswith("has the labels 'neg', 'pos'")


def test_empty_texts_are_counted():
    train = texts_of(200)
    train[20], train[40] = "", "?!"
    assert found(data_of(train, [0, 1] * 100))["empty_texts"].n == 2


def test_truncation_has_shares_of_texts_and_of_steps():
    # A start token and 3 words, and a start token and 9.
    sequences = from_lists([[1, 4, 4, 4], [1] + [5] * 9], [0, 1])
    assert truncation(sequences, 4) == (0.5, 6 / 14)
    data = data_of(
        texts_of(180, n_words=6) + texts_of(20, n_words=48, seed=3), [0, 1] * 100
    )
    use = replace(USE, sequence_lengths=(5, 40))
    cut = only(found(data, use), "truncated")
    assert cut.n == 20
    assert "length 5: 100.0% cut" in cut.text
    assert "length 40: 10.0% cut" in cut.text
    assert cut.advice.startswith("Try a sequence_length of 50,")
    assert found(data, replace(USE, sequence_lengths=(50,))) == {}
    # All are cut, but of little.
    same = data_of(texts_of(200, n_words=199), [0, 1] * 100)
    assert found(same, replace(USE, sequence_lengths=(200,))) == {}


def test_unknown_words_are_those_of_validation():
    data = data_of(texts_of(400), [0, 1] * 200)
    assert found(data, with_splits=True) == {}
    # The last of 13 words of a text is in no other: 7.7 % are unknown at any size.
    use = replace(USE, vocabulary_sizes=(6, 10_000))
    assert found(data, use, with_splits=True) == {}
    few = found(data, replace(USE, vocabulary_sizes=(6,)), with_splits=True)
    splits = splits_of(data)
    ids = np.concatenate([splits.val[i] for i in range(len(splits.val))])
    n_unknown = int((ids == 2).sum() + (ids >= 6).sum())
    assert few["unknown_words"].n == n_unknown
    share = n_unknown / int((ids != 1).sum())
    assert f"size 6: {share:.1%}" in few["unknown_words"].text


def test_a_word_that_tells_the_class_is_found():
    train = texts_of(300)
    y = [0, 0, 1] * 100
    train = [
        f"{text} spoiler" if (label == 1 and i != 2) or i == 0 else text
        for i, (text, label) in enumerate(zip(train, y, strict=True))
    ]
    word = only(found(data_of(train, y)), "telling_word")
    assert word.n == 99
    assert word.example.startswith("train 5, pos: ")
    assert "'spoiler' is in 99 of 100 training texts of class 'pos', and in 1 of" in (
        word.text
    )


def test_ids_as_texts_are_found():
    data = data_of([f"id{i}" for i in range(200)], [0, 1] * 100)
    assert only(found(data), "ids_as_texts").n == 200


def test_groups_in_two_parts_are_found():
    groups = np.arange(200) // 4
    data = data_of(
        texts_of(200),
        [0, 1] * 100,
        groups=groups,
        other_groups={"test": np.array([77] * 50 + [3, 3, 4, *range(60, 67)])},
    )
    shared = only(found(data), "shared_groups")
    assert shared.n == 2
    assert shared.example.startswith("test 50, ")
    assert shared.text == "2 groups of test (3 examples) are also in train."


def test_labels_that_are_numbers_are_asked_about():
    names = ("1", "2", "3")
    y = [0, 1, 2] * 80
    data = data_of(texts_of(240), y, class_names=names)
    assert only(found(data), "numeric_labels").n == 3
    assert found(data, replace(USE, numbers_are_classes=True)) == {}
    assert found(data, replace(USE, is_own=False)) == {}


@pytest.mark.parametrize("tokenizer", ["words", "whitespace", "characters"])
def test_marks_of_encoding_html_and_control_characters(tokenizer):
    train = texts_of(200)
    train[7] += " M\u00c3\u00bcnchen"
    train[8] += " don\u00e2\u20ac\u2122t"
    train[9] += " caf\ufffd"
    for i in (30, 31, 32):
        train[i] += " so<br/>it <a href='x'>goes</a>"
    train[50] += " nul\x00l"
    findings = found(data_of(train, [0, 1] * 100, tokenizer=tokenizer))
    assert set(findings) == {"wrong_encoding", "html", "control_characters"}
    assert findings["wrong_encoding"].n == 3
    assert "train 7, pos: " in findings["wrong_encoding"].example
    assert findings["html"].n == 3
    assert "train 30, neg: " in findings["html"].example
    assert findings["control_characters"].n == 1


@pytest.mark.parametrize(
    "word", ["café\xa0»", "Ümit", "amanhã", "œuvre", "coração", "amanhã”", "don’t"]
)
def test_accents_and_quotes_are_no_wrong_encoding(word):
    train = texts_of(200)
    train[7] += f" {word}"
    for tokenizer in ("words", "whitespace", "characters"):
        assert found(data_of(train, [0, 1] * 100, tokenizer=tokenizer)) == {}


def test_imbalance_has_what_the_majority_scores():
    y = [0] * 240 + [1] * 60
    data = data_of(texts_of(300), y)
    uneven = only(found(data), "imbalance")
    assert uneven.n == 240
    assert uneven.example == "neg: 240, pos: 60"
    assert "test accuracy of 0.5000, and a balanced accuracy of 0.5000" in uneven.text
    assert found(data, replace(USE, metric="balanced_accuracy")) == {}
    assert set(found(data, replace(USE, metric="pr_auc"))) == {"imbalance"}


def test_half_width_is_half_a_wilson_interval():
    y = np.zeros(400, np.int64)
    # With z = 1.96: z / (1 + z^2/n) * sqrt(0.09 / n + z^2 / (4 n^2)).
    assert half_width(y, "accuracy") == pytest.approx(0.02951, abs=1e-5)
    assert half_width(y, "log_loss") is None
    # Two classes of 200 tell as much of balanced accuracy as 400 examples of
    # accuracy; one of 40 and one of 360 as little as 144.
    even, uneven = np.repeat([0, 1], [200, 200]), np.repeat([0, 1], [40, 360])
    assert half_width(even, "balanced_accuracy") == half_width(y, "accuracy")
    assert half_width(uneven, "balanced_accuracy") == half_width(y[:144], "accuracy")


def test_the_interval_is_compared_with_the_margin():
    data = data_of(texts_of(200), [0, 1] * 100)
    assert found(data, replace(USE, margin=0.1)) == {}
    small = only(found(data, replace(USE, margin=0.01)), "test_size")
    assert small.n == 60
    half = half_width(data.test.y, "accuracy")
    assert f"±{half:.4f}" in small.text
    assert f"about {60 * (half / 0.01) ** 2:,.0f} test texts" in small.advice


def vectors_of(values: np.ndarray, y: Sequence[int], n_steps: int) -> Dataset:
    channels = tuple("abc"[: values.shape[1]])
    n = len(values) // n_steps
    offsets = np.arange(n + 1) * n_steps
    train = Sequences(values.astype(np.float32), offsets, np.asarray(y))
    rng = np.random.default_rng(1)
    other = rng.normal(size=(60 * n_steps, values.shape[1])).astype(np.float32)
    test = Sequences(other, np.arange(61) * n_steps, np.arange(60) % 2)
    return Dataset(
        "file",
        "",
        train,
        test,
        class_names=("a", "b"),
        vocabulary=(),
        digest="",
        source="",
        kind="vectors",
        channels=channels,
    )


def noise(n: int, n_channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, n_channels))


def test_vectors_are_checked_for_constants_copies_and_missing_values():
    values = noise(800, 3)
    assert found(vectors_of(values, [0, 1] * 100, 4)) == {}
    values[:, 1] = 7.0
    values[40:44] = values[0:4]
    values[20, 0] = np.nan
    findings = found(vectors_of(values, [0, 1] * 100, 4))
    assert set(findings) == {
        "constant_channels",
        "copies_within_parts",
        "missing_values",
    }
    assert findings["constant_channels"].n == 1
    assert findings["constant_channels"].example == "b: always 7"
    assert findings["copies_within_parts"].n == 1
    missing = findings["missing_values"]
    assert (missing.level, missing.n) == ("error", 1)
    assert missing.example == "train 5, b: 4 steps of 3 channels"


def test_a_value_that_alone_tells_the_class_is_found():
    values = noise(800)
    # The third step's first channel: 0 for one class, 1 for the other.
    values[2::4, 0] = np.arange(200) % 2
    told = only(found(vectors_of(values, [0, 1] * 100, 4)), "telling_values")
    assert told.n == 200
    assert "channel a at step 3 alone tell the class" in told.text


def test_row_numbers_among_the_values_are_found():
    values = noise(800)
    values[0::4, 1] = np.random.default_rng(3).permutation(200)
    numbers = only(found(vectors_of(values, [0, 1] * 100, 4)), "row_numbers")
    assert "channel b at step 1 alone number the rows" in numbers.text


SUITE = """
description: own data
dataset: {file: own.csv}
space: {units: [2, 4]}
study: {metric: accuracy, n_trials: 2}
confirm: {margin: 0.2}
"""


def write_own(folder: Path, texts: Sequence[str], suite: str = SUITE) -> Path:
    lines = [f"{text},{'pos' if i % 2 else 'neg'}" for i, text in enumerate(texts)]
    (folder / "own.csv").write_text("\n".join(["text,label", *lines, ""]), "utf-8")
    file = folder / "own.yaml"
    file.write_text(suite, "utf-8")
    return file


def test_data_check_prints_counts_and_ends_with_0(tmp_path, capsys):
    texts = texts_of(300)
    texts[200] = texts[0]
    suite = write_own(tmp_path, texts)
    assert run("data", "check", str(suite)) == 0
    out = capsys.readouterr().out
    assert "train: 240 texts" in out
    assert "copies_within" not in out
    assert out.endswith("0 errors, 1 warning\n")
    assert max(map(len, out.splitlines())) <= 80


def test_data_check_names_the_file_and_quotes_names_with_commas(tmp_path, capsys):
    suite = write_own(tmp_path, texts_of(300))
    text = (tmp_path / "own.csv").read_text("utf-8")
    (tmp_path / "own.csv").write_text(text.replace(",neg", ',"neg, very"'), "utf-8")
    assert run("data", "check", str(suite)) == 0
    said = capsys.readouterr()
    assert "train: 240 texts (120 'neg, very', 120 pos)" in said.out
    assert said.err.startswith("reading own.csv (up to a minute")


def test_data_check_counts_bad_rows_and_ends_with_1(tmp_path, capsys):
    suite = write_own(tmp_path, texts_of(300))
    with (tmp_path / "own.csv").open("a") as stream:
        stream.write("a text without a label,\nanother,\n")
    assert run("data", "check", str(suite), "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["n_errors"] == 1
    bad = answer["findings"][0]
    assert (bad["level"], bad["name"], bad["n"]) == ("error", "bad_rows", 2)
    assert "line 302" in bad["example"]
    assert answer["data"]["train"]["n"] == 240
    dropped = SUITE.replace("own.csv", "own.csv, on_bad_rows: drop")
    suite.write_text(dropped, "utf-8")
    assert run("data", "check", str(suite)) == 0
    assert "0 errors, 1 warning" in capsys.readouterr().out


def test_data_check_that_cannot_run_ends_with_2(tmp_path, capsys):
    suite = write_own(tmp_path, texts_of(300))
    (tmp_path / "own.csv").unlink()
    assert run("data", "check", str(suite)) == 2
    assert "own.csv" in capsys.readouterr().err


def test_data_check_of_one_class_ends_with_1(tmp_path, capsys):
    suite = write_own(tmp_path, texts_of(300))
    text = (tmp_path / "own.csv").read_text("utf-8")
    (tmp_path / "own.csv").write_text(text.replace(",neg", ",pos"), "utf-8")
    assert run("data", "check", str(suite)) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "expected at least two classes, got only 'pos' in 300 examples" in out
    assert out.endswith("1 error, 0 warnings")
    assert run("data", "check", str(suite), "--json") == 1
    assert json.loads(capsys.readouterr().out)["data"] is None


def test_data_check_reports_a_suite_that_does_not_fit(tmp_path, capsys):
    suite = write_own(tmp_path, texts_of(300))
    text = (tmp_path / "own.csv").read_text("utf-8")
    (tmp_path / "own.csv").write_text(text + "one more,rare\n" * 2, "utf-8")
    # A sigmoid separates two classes.
    assert run("data", "check", str(suite)) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "error: " in out
    assert "sigmoid separates two classes" in out


def test_a_sweep_logs_the_check_and_warns_of_errors(tmp_path):
    suite = write_own(tmp_path, texts_of(90), f"{SUITE}engine: stock\n")
    said: list[str] = []
    prepared = load_data(load_suite(suite), None, LoggedProgress(said.append))
    warning = next(line for line in said if line.startswith("warning: "))
    assert "only 90 texts" in warning
    assert warning.endswith(f"lstm-bench data check {suite}")
    logged = parse_dataset(json.dumps(prepared.about_data).encode())["check"]
    assert logged[0]["name"] == "few_examples"
    assert logged == prepared.about_data["check"]
