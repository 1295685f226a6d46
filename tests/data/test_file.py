"""Files of one's own as datasets: arrays, classes, parts, cache and messages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from lstm_bench.data.dataset import Dataset, copies_in, sequences_digest
from lstm_bench.data.files import encode
from lstm_bench.data.files.inspect import inspect
from lstm_bench.data.registry import dataset_options, load_dataset
from lstm_bench.errors import DatasetError
from lstm_bench.inference import START, tokenize


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))


def write(tmp_path: Path, rows: list[str], name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def load(tmp_path: Path, seed: int = 0, **options) -> Dataset:
    return load_dataset("file", {"file": "a.csv", **options}, tmp_path, seed)


REVIEWS = [
    "text,label,split",
    '"Good film, good plot!",pos,train',
    "Bad film,neg,train",
    "An unseen film,neg,test",
    "Good unseen,pos,validation",
]


# Tokens


def test_texts_are_tokens_ranked_by_their_count_in_train(tmp_path):
    write(tmp_path, REVIEWS)
    dataset = load(tmp_path)
    # In train: good 2, film 2, then plot and bad once; then words that train lacks.
    assert dataset.vocabulary == ("good", "film", "plot", "bad", "an", "unseen")
    assert [list(dataset.train[i]) for i in range(2)] == [[1, 4, 5, 4, 6], [1, 7, 5]]
    assert list(dataset.test[0]) == [1, 8, 9, 5]
    assert dataset.validation is not None
    assert list(dataset.validation[0]) == [1, 4, 9]
    assert dataset.class_names == ("neg", "pos")
    assert list(dataset.train.y) == [1, 0]
    assert (dataset.kind, dataset.tokenizer) == ("tokens", "words")
    assert dataset.fits_vocabulary
    assert (dataset.examples, dataset.division) == ("texts", "with the data")
    assert load(tmp_path, split="split").division == "as column split has it"
    assert dataset.train.values.dtype == np.int32
    parts = (dataset.train, dataset.validation, dataset.test)
    assert dataset.digest == sequences_digest(*parts)
    assert str(tmp_path) not in " ".join([dataset.source, *dataset.notes])


@pytest.mark.parametrize("tokens", ["words", "whitespace", "characters"])
def test_texts_have_the_tokens_that_a_served_model_finds(tmp_path, tokens):
    texts = ["É  é,İ\tx!", "", "a-b  c ", "ẞ ß ﬁ"]
    rows = [json.dumps({"text": t, "label": "ab"[i % 2]}) for i, t in enumerate(texts)]
    rows += [json.dumps({"text": "z", "label": "a", "split": "test"})]
    rows[:4] = [row[:-1] + ', "split": "train"}' for row in rows[:4]]
    write(tmp_path, rows, "a.jsonl")
    dataset = load(tmp_path, file="a.jsonl", tokens=tokens)
    for i, text in enumerate(texts):
        ids = dataset.train[i]
        assert ids[0] == START
        found = [dataset.vocabulary[k - 4] for k in ids[1:]]
        assert found == tokenize(text, tokens)


def test_categories_are_tokens_as_they_stand(tmp_path):
    rows = ["user,page,label", "a,Home page,x", "a,cart,x", "b,cart,y", "c,Cart,x"]
    write(tmp_path, rows)
    dataset = load(tmp_path, series="user", values=["page"], test_fraction=0.4)
    assert set(dataset.vocabulary) == {"Home page", "cart", "Cart"}
    assert dataset.tokenizer == "categories"


# Vectors


def test_wide_rows_are_vectors(tmp_path):
    rows = ["a,b,c,d,label", *(f"{i},1,2,{i % 7},c{i % 2}" for i in range(20))]
    write(tmp_path, rows)
    dataset = load(tmp_path, shape=[2, 2])
    assert (dataset.kind, dataset.tokenizer) == ("vectors", None)
    assert dataset.channels == ("1", "2")
    assert dataset.vocabulary == ()
    assert (dataset.example, dataset.examples) == ("series", "series")
    assert dataset.train.values.shape == (40, 2)
    assert dataset.train.values.dtype == np.float32
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    assert all(len(dataset.test[i]) == 2 for i in range(4))


def test_files_of_a_pair_must_be_alike(tmp_path):
    write(tmp_path, ["text,label", "a,x", "b,y"])
    write(tmp_path, ["text,topic", "a,x"], "b.csv")
    with pytest.raises(DatasetError, match=r"b\.csv: expected a column 'label'"):
        load_dataset("file", {"train": "a.csv", "test": "b.csv"}, tmp_path)
    write(tmp_path, ['{"X": [1, 2], "label": 1}'], "a.jsonl")
    write(tmp_path, ["@classLabel true a", "@data", "1:2:a"], "a.ts")
    with pytest.raises(DatasetError, match=r"a\.ts: expected vectors of 1 channels"):
        load_dataset("file", {"train": "a.jsonl", "test": "a.ts"}, tmp_path)


# Parts


def test_files_by_part(tmp_path):
    write(tmp_path, ["text,label,split", "a,x,test", "b,y,test"])
    write(tmp_path, ["label,text", "x,c"], "b.csv")
    options = {"train": "a.csv", "validation": "b.csv", "test": "b.csv"}
    dataset = load_dataset("file", options, tmp_path)
    assert dataset.division == "a file of its own"
    # A column called split does not count where files are the parts.
    assert (len(dataset.train), len(dataset.test)) == (2, 1)
    assert dataset.validation is not None
    assert dataset.notes == ()


def many(n: int, n_texts: int) -> list[str]:
    rows = (f"text {i % n_texts},{'ab'[i % n_texts % 2]},g{i // 5}" for i in range(n))
    return ["text,label,who", *rows]


def test_test_part_is_drawn_stratified_and_by_the_seed(tmp_path):
    write(tmp_path, many(200, 200))
    dataset = load(tmp_path, seed=1, test_fraction=0.25)
    assert np.bincount(dataset.test.y).tolist() == [25, 25]
    assert np.bincount(dataset.train.y).tolist() == [75, 75]
    assert dataset.digest == load(tmp_path, seed=1, test_fraction=0.25).digest
    assert dataset.digest != load(tmp_path, seed=2, test_fraction=0.25).digest
    assert "25% of the examples, drawn at random" in dataset.notes[0]
    assert dataset.division == (
        "25% of the examples, drawn at random, stratified by class"
    )


def test_copies_and_groups_never_stand_in_two_parts(tmp_path):
    write(tmp_path, many(200, 60))
    dataset = load(tmp_path)
    assert not copies_in(dataset.test, dataset.train).any()
    write(tmp_path, many(200, 200))
    dataset = load(tmp_path, group="who")
    groups = [
        {int(dataset.text(part, i).split()[1]) // 5 for i in range(len(part))}
        for part in (dataset.train, dataset.test)
    ]
    assert groups[0] | groups[1] == set(range(40))
    assert not groups[0] & groups[1]
    assert dataset.division.endswith("of one value in column who stay together")
    assert dataset.groups is not None
    assert len(dataset.groups) == len(dataset.train)


def test_with_a_time_the_newest_are_the_test_part(tmp_path):
    rows = [f"text {i},{'ab'[i % 2]},2020-01-{30 - i:02}" for i in range(20)]
    write(tmp_path, ["text,label,day", *rows])
    dataset = load(tmp_path, time="day")
    # The first rows are the newest.
    assert [dataset.text(dataset.test, i) for i in range(4)] == [
        f"text {i}" for i in range(4)
    ]
    assert dataset.division == "20% of the examples, the latest by column day"
    assert dataset.times is not None
    assert np.diff(dataset.times).tolist() == [-86400.0] * 15


def test_split_without_train_or_copies_alone_are_refused(tmp_path):
    write(tmp_path, ["text,label,split", "a,x,test", "b,y,test"])
    with pytest.raises(DatasetError, match=r"a\.csv: .* got 0 train, 0 valid.*2 test"):
        load(tmp_path)
    write(tmp_path, ["text,label", "a,x", "a,y"])
    with pytest.raises(DatasetError, match=r"2 train, 0 validation, 0 test; give more"):
        load(tmp_path)


# Classes


def classes_of(tmp_path: Path, labels: list[str], **options) -> tuple[str, ...]:
    rows = [f'text {i},"{label}"' for i, label in enumerate(labels)]
    write(tmp_path, ["text,label", *rows])
    return load(tmp_path, **options).class_names


def test_class_names_are_sorted_as_numbers_or_as_text(tmp_path):
    assert classes_of(tmp_path, ["10", "9", "-1", "10"]) == ("-1", "9", "10")
    assert classes_of(tmp_path, ["10", "9", "b"]) == ("10", "9", "b")
    names = ("Krimi, Thriller", "Märchen", "b")
    assert classes_of(tmp_path, ["b", *names]) == names


def test_numbers_as_labels_are_classes_if_few_or_if_said_so(tmp_path):
    many = [str(i) for i in range(21)]
    with pytest.raises(DatasetError, match="numeric_labels_are_classes: true if each"):
        classes_of(tmp_path, many)
    with pytest.raises(DatasetError, match=r"quantity \(2 different, as '0.5', '1'\)"):
        classes_of(tmp_path, ["0.5", "1"])
    with pytest.raises(DatasetError, match="name another column with label"):
        classes_of(tmp_path, ["0", "1"], numeric_labels_are_classes=False)
    assert len(classes_of(tmp_path, many[:20])) == 20
    assert len(classes_of(tmp_path, many, numeric_labels_are_classes=True)) == 21


def test_number_of_classes_is_limited(tmp_path):
    assert len(classes_of(tmp_path, [f"c{i}" for i in range(1000)])) == 1000
    with pytest.raises(DatasetError, match=r"a\.csv: expected at most 1,000 classes"):
        classes_of(tmp_path, [f"c{i}" for i in range(1001)])
    with pytest.raises(DatasetError, match="may be a quantity"):
        classes_of(tmp_path, [str(i) for i in range(1001)])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x", "x"], "at least two classes, got only 'x' in 2 examples"),
        (["x"], "at least two examples, got 1"),
        (["", ""], "a.csv: line 2: no label; a.csv: line 3: no label: 2 bad rows"),
    ],
)
def test_too_few_examples_or_classes_are_refused(tmp_path, labels, message):
    with pytest.raises(DatasetError) as error:
        classes_of(tmp_path, labels)
    assert message in str(error.value)


# Bad rows


def test_bad_rows_are_an_error_or_dropped_and_counted(tmp_path):
    rows = ["text,label", "a,x", "b,y,z", "c,", "d,y", "e", "f,x"]
    write(tmp_path, rows)
    with pytest.raises(DatasetError, match=r"line 3: .*line 6: .*line 4: .*3 bad rows"):
        load(tmp_path)
    dataset = load(tmp_path, on_bad_rows="drop")
    assert len(dataset.train) + len(dataset.test) == 3
    assert dataset.rows == {
        "n_read": 6,
        "n_dropped": 3,
        "reasons": {
            "another number of columns than the first row": {
                "n": 2,
                "example": "a.csv: line 3: another number of columns than the first "
                "row (expected 2, got 3)",
            },
            "no label": {"n": 1, "example": "a.csv: line 4: no label"},
        },
    }
    assert dataset.notes[0].startswith("3 of 6 rows could not be read and were dropped")


def test_no_rows_left_names_one_of_them(tmp_path):
    write(tmp_path, ["text,label", "a,x", "b,", "c,"])
    with pytest.raises(DatasetError, match=r"got 1, and 2 bad rows .*line 3: no label"):
        load(tmp_path, on_bad_rows="drop")


def test_cells_with_formulas_are_text(tmp_path):
    write(tmp_path, ["text,label", '"=HYPERLINK(""x"")",@SUM', "+1,-a"])
    assert set(load(tmp_path).class_names) == {"-a", "@SUM"}


# Cache


def test_second_load_reads_the_cache_alone(tmp_path, monkeypatch):
    write(tmp_path, many(50, 50))
    first = load(tmp_path)
    opened = Counter[str]()

    def counted(*_args):
        opened["all"] += 1
        raise AssertionError

    monkeypatch.setattr(encode, "open_sources", counted)
    again = load(tmp_path)
    assert again.digest == first.digest
    assert again.rows == first.rows
    assert isinstance(again.train.values, np.ndarray)
    load(tmp_path, seed=5, test_fraction=0.4)
    for change in ({"tokens": "characters"}, {"on_bad_rows": "drop"}):
        with pytest.raises(AssertionError):
            load(tmp_path, **change)
    write(tmp_path, many(51, 51))
    with pytest.raises(AssertionError):
        load(tmp_path)
    assert opened["all"] == 3


def test_nothing_is_cached_after_an_error(tmp_path):
    write(tmp_path, ["text,label", "a,x", "b,"])
    with pytest.raises(DatasetError):
        load(tmp_path)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_unusable_cache_folder_is_a_note(tmp_path):
    write(tmp_path, REVIEWS)
    expected = load(tmp_path).digest
    (tmp_path / "other").write_text("a file, no folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "other"))
        dataset = load(tmp_path)
    assert dataset.digest == expected
    assert "could not be cached" in dataset.notes[-1]


# Options


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"file": "a", "train": "b"},
        {"file": "a", "test": "b"},
        {"file": "a", "text": "t", "shape": [2, 2]},
        {"file": "a", "shape": [0, 2]},
        {"file": "a", "series": "s", "shape": [2, 2]},
        {"file": "a", "step": "t"},
        {"file": "a", "no_such_option": 1},
        {"file": "a", "on_bad_rows": "ignore"},
    ],
)
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises(ValidationError):
        dataset_options("file", options)


def test_options_that_are_not_valid_are_a_message(tmp_path):
    with pytest.raises(DatasetError, match=r"file: expected exactly one of file and"):
        load_dataset("file")
    with pytest.raises(DatasetError, match="dataset file: shape: expected positive"):
        load(tmp_path, shape=[0, 1])


def test_missing_file_names_where_it_is_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=r"a\.csv: expected .*--data-dir"):
        load(tmp_path)


# Inspect


def test_inspect_counts_what_it_has_found(tmp_path):
    path = write(tmp_path, [*REVIEWS, "x y z w v,neu,train,more"])
    found = inspect(path, {"on_bad_rows": "drop"})
    assert (found.format, found.kind) == ("csv", "texts")
    assert found.columns == {
        "layout": "text",
        "label": "label",
        "text": "text",
        "split": "split",
    }
    assert found.classes == {"neg": 2, "pos": 2}
    assert found.n_examples == 4
    assert found.parts == {"train": 2, "validation": 1, "test": 1}
    # Words of the four texts: 4, 2, 3 and 2.
    assert (found.lengths[0.0], found.lengths[0.5], found.lengths[1.0]) == (2, 2.5, 4)
    assert found.n_words == 6
    # good 3, film 3, unseen 2, then once each: 11 words in all.
    assert found.words_for[0.9] == 5
    assert found.rows["n_dropped"] == 1


def test_inspect_reads_the_pair_of_a_file(tmp_path):
    header = ["@classLabel true a b", "@data"]
    path = write(tmp_path, [*header, "1,2:a", "3:b"], "X_TRAIN.ts")
    test = write(tmp_path, [*header, "4,5,6:a"], "X_TEST.ts")
    found = inspect(path, {"test": str(test)})
    assert (found.kind, found.channels) == ("vectors", ("1",))
    assert found.parts == {"train": 2, "test": 1}
    assert found.lengths[1.0] == 3
    assert found.words_for == {}


def test_inspect_explains_options_that_are_not_valid(tmp_path):
    path = write(tmp_path, REVIEWS)
    with pytest.raises(DatasetError, match=r"a\.csv: test_fraction: .*less than"):
        inspect(path, {"test_fraction": 3})


# Numbers as labels


PRICES = ["text,price", "a red car,1200.5", "an old car,-3", "a car,1e3", "old red,7"]


def load_numbers(tmp_path: Path, **options) -> Dataset:
    return load(tmp_path, task="regression", **options)


def test_numbers_are_targets_in_their_own_units(tmp_path):
    write(tmp_path, PRICES)
    dataset = load_numbers(tmp_path, label="price", test_fraction=0.25)
    assert dataset.task == "regression" and dataset.class_names == ()
    assert dataset.output_names == ("price",)
    assert dataset.train.y.shape == (3, 1) and dataset.train.y.dtype == np.float64
    found = sorted([*dataset.train.y[:, 0], *dataset.test.y[:, 0]])
    assert found == [-3.0, 7.0, 1000.0, 1200.5]
    assert "the number price" in dataset.description


def test_the_one_column_of_numbers_is_the_label(tmp_path):
    write(tmp_path, PRICES)
    assert load_numbers(tmp_path).output_names == ("price",)
    write(tmp_path, ["text,price,year", "a red car,1,1990", "a car,2.5,1991"])
    with pytest.raises(DatasetError, match="a column of numbers to predict, but none"):
        load_numbers(tmp_path)


@pytest.mark.parametrize("cell", ["nan", "inf", "-Infinity", "cheap", ""])
def test_a_label_that_is_no_finite_number_is_refused_with_its_row(tmp_path, cell):
    write(tmp_path, [*PRICES, f"new car,{cell}"])
    reason = "a label that is no finite number" if cell else "no label"
    with pytest.raises(DatasetError, match=rf"a\.csv: line 6: {reason}"):
        load_numbers(tmp_path, label="price")
    dataset = load_numbers(tmp_path, label="price", on_bad_rows="drop")
    assert dataset.rows["n_dropped"] == 1


def test_numbers_that_are_all_equal_are_refused(tmp_path):
    write(tmp_path, ["text,price", "a car,5", "red car,5.0"])
    with pytest.raises(DatasetError, match="numbers that differ as labels, got only 5"):
        load_numbers(tmp_path, label="price")


def test_numbers_are_not_both_classes_and_targets():
    options = {"file": "a.csv", "task": "regression"}
    with pytest.raises(ValidationError, match="task: regression alone"):
        dataset_options("file", {**options, "numeric_labels_are_classes": True})


SERIES_OF_NUMBERS = {
    "a.jsonl": '{"values": [1, 2], "y": 0.5}\n{"values": [3, 4], "y": -2}\n'
    '{"values": [5], "y": 30}\n',
    "a.csv": "s,v,y\na,1,0.5\na,2,0.5\nb,3,-2\nb,4,-2\nc,5,30\n",
    "a.ts": "@targetLabel true\n@data\n1,2:0.5\n3,4:-2\n5:30\n",
    "a.tsv": "0.5\t1\t2\n-2\t3\t4\n30\t5\tNaN\n",
}
HOW = {"a.jsonl": {"values": ["values"]}, "a.csv": {"series": "s", "values": ["v"]}}


@pytest.mark.parametrize("name", [*SERIES_OF_NUMBERS, "a.npz"])
def test_every_format_of_series_has_numbers(tmp_path, name):
    if name in SERIES_OF_NUMBERS:
        (tmp_path / name).write_text(SERIES_OF_NUMBERS[name])
    else:
        x = np.array([[1, 2], [3, 4], [5, np.nan]])
        np.savez(tmp_path / name, X=x, y=np.array([0.5, -2, 30]))
    options = {"file": name, "task": "regression", **HOW.get(name, {})}
    dataset = load_dataset("file", options, tmp_path)
    pairs = {
        (float(part[i][0, 0]), float(part.y[i, 0]))
        for part in dataset.parts.values()
        for i in range(len(part))
    }
    assert pairs == {(1.0, 0.5), (3.0, -2.0), (5.0, 30.0)}


def test_inspect_finds_the_range_of_numbers(tmp_path):
    path = write(tmp_path, PRICES)
    found = inspect(path, {"task": "regression"})
    assert found.targets == (-3.0, 1200.5) and found.classes == {}
    assert found.n_examples == 4
