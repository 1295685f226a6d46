"""Parsed data in the cache: as they were, and each array once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lstm_bench.data.dataset import Dataset, Embedding, Sequences, from_lists
from lstm_bench.data.folder import keep, kept_files, kept_folder, open_kept
from lstm_bench.data.registry import load_dataset
from lstm_bench.errors import OutputError


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))


WHOLE = from_lists([[1, 5], [1, 6, 7], [1], [1, 8]], [0, 1, 0, 1])
TRAIN, TEST = WHOLE.take(np.array([2, 0])), WHOLE.take(np.array([3]))
SERIES = Sequences(
    np.array([[0, 1], [2, 3], [4, np.pi]], np.float32),
    np.array([0, 1, 3]),
    np.array([0, 1]),
)
TOKENS = Dataset(
    *("d", "four words", TRAIN, TEST, ("a", "b, ü"), ("up", "down"), "ab" * 32, "here"),
    synthetic=True,
    best_possible_accuracy=0.1 + 0.2,
    example="film",
    notes=("a note",),
    tokenizer="words",
    fits_vocabulary=True,
    rows={"n_read": 4, "n_dropped": 1, "reasons": {"empty": {"n": 1}}},
    division="a file of its own",
)
VECTORS = Dataset(
    *("v", "two series", SERIES, SERIES, ("a", "b"), (), "cd" * 32, "here"),
    kind="vectors",
    channels=("x", "y"),
)
NOTHING = np.array([], np.int64)
EMPTY = Sequences(np.empty((0, 2), np.float32), np.array([0]), NOTHING)
DATASETS = {
    "tokens": TOKENS,
    "vectors": VECTORS,
    "own validation part": dataclasses.replace(
        TOKENS, validation=WHOLE.take(np.array([1]))
    ),
    "groups": dataclasses.replace(
        TOKENS,
        groups=np.array([7, 7]),
        other_groups={"test": np.array([8]), "validation": NOTHING},
    ),
    "times": dataclasses.replace(TOKENS, times=np.array([0.1, -1e300])),
    "empty": dataclasses.replace(VECTORS, test=EMPTY, validation=EMPTY),
    "embedding": dataclasses.replace(
        TOKENS,
        embedding=Embedding(
            np.array([5, 4], np.int32),
            np.array([[1, 2, 3], [0.1, -1, np.pi]], np.float32),
            *("vectors.txt", "ef" * 32, 7),
        ),
    ),
    "synthetic": load_dataset("synthetic", {"n_train": 20, "n_test": 20}),
}


def fields_of(value: object) -> dict[str, object]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


def check_equal(found: object, expected: object, name: str = "") -> None:
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, name
        assert found.shape == expected.shape, name
        assert np.array_equal(found, expected), name
    elif dataclasses.is_dataclass(expected):
        for key, value in fields_of(expected).items():
            check_equal(getattr(found, key), value, key)
    elif isinstance(expected, dict):
        assert list(found) == list(expected), name
        for key, value in expected.items():
            check_equal(found[key], value, f"{name}[{key}]")
    else:
        assert found == expected and type(found) is type(expected), name


@pytest.mark.parametrize("kind", DATASETS)
def test_open_kept_gives_what_was_kept(kind):
    dataset = DATASETS[kind]
    kept = open_kept(keep(dataset))
    check_equal(kept, dataset)
    assert isinstance(kept.train.values, np.memmap)
    assert not kept.train.values.flags.writeable


def test_open_kept_gives_nothing_that_is_not_there():
    assert open_kept("0" * 64) is None


def test_keep_gives_the_same_data_one_folder(tmp_path):
    digest = keep(TOKENS)
    files = {file: file.stat().st_mtime_ns for file in kept_files(digest)}
    again = dataclasses.replace(
        TOKENS, train=dataclasses.replace(TRAIN, y=TRAIN.y.copy())
    )
    assert keep(again) == keep(open_kept(digest)) == digest
    assert {file: file.stat().st_mtime_ns for file in kept_files(digest)} == files
    assert list((tmp_path / "cache").rglob("about.json")) == [list(files)[-1]]


OTHERS = {
    "values": {"digest": "ba" * 32},
    "labels": {"train": dataclasses.replace(TRAIN, y=np.array([1, 0]))},
    "order": {"train": WHOLE.take(np.array([0, 2]))},
    "type": {"times": np.array([1.0, 2.0])},
    "groups": {"groups": np.array([1, 1])},
    "classes": {"class_names": ("a", "c")},
    "rows": {"rows": {"n_read": 5}},
}


def test_keep_gives_other_data_another_folder():
    others = [dataclasses.replace(TOKENS, **change) for change in OTHERS.values()]
    assert len({keep(dataset) for dataset in (TOKENS, *others)}) == 1 + len(OTHERS)


def names_in(digest: str) -> set[str]:
    return {file.name for file in kept_folder(digest).iterdir()}


def test_keep_writes_an_array_that_parts_share_once():
    names = names_in(keep(TOKENS))
    assert {"train-values.npy", "train-offsets.npy", "test-y.npy"} <= names
    assert not {"test-values.npy", "test-offsets.npy"} & names
    kept = open_kept(keep(TOKENS))
    assert kept.train.values is kept.test.values


def linked(tmp_path: Path, change=lambda array: array) -> bool:
    """Whether the values, mapped from a file and changed so, become a link to it."""
    file = tmp_path / "values.npy"
    np.save(file, np.arange(12, dtype=np.int32))
    values = change(np.load(file, mmap_mode="r"))
    train = Sequences(values, np.array([0, len(values)]), np.array([0]))
    digest = keep(dataclasses.replace(TOKENS, train=train, test=train))
    check_equal(open_kept(digest).train, train)
    return (kept_folder(digest) / "train-values.npy").samefile(file)


@pytest.mark.parametrize("change", [np.asanyarray, np.asarray], ids=["map", "view"])
def test_keep_links_a_file_that_the_cache_has_already(tmp_path, change):
    assert linked(tmp_path, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[:5],
        lambda array: array[::-1],
        lambda array: np.asarray(array)[::2],
        lambda array: np.asarray(array).view(np.uint32),
        np.array,
    ],
    ids=["part", "reversed", "steps", "type", "copy"],
)
def test_keep_copies_what_is_not_the_whole_file(tmp_path, change):
    assert not linked(tmp_path, change)


def test_keep_copies_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    assert not linked(tmp_path)


def test_keep_names_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "cache" / "lstm-bench").mkdir(parents=True)
    (tmp_path / "cache" / "lstm-bench" / "data").write_text("in the way")
    with pytest.raises(OutputError, match="data, which workers read there, cannot be"):
        keep(TOKENS)


def test_keep_leaves_nothing_that_is_half_written(tmp_path, monkeypatch):
    def fail(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OutputError, match=r"No space left on device.*LSTM_BENCH_CACHE"):
        keep(TOKENS)
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
