"""Memory tasks: marks among fillers, at every length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_folder import check_equal

from lstm_bench.data.dataset import joined
from lstm_bench.data.folder import keep, open_kept
from lstm_bench.data.memory import MIN_LENGTH, shortest_lengths
from lstm_bench.data.registry import load_dataset, memory_task
from lstm_bench.data.splits import make_splits
from lstm_bench.data.temporal_order import CLASS_NAMES
from lstm_bench.errors import SuiteError
from lstm_bench.suites.suite import Suite

LENGTHS = (MIN_LENGTH, 33, 50, 110)
SUITE = """\
description: d
dataset: {name: temporal_order, options: {max_length: 50}}
defaults: {head: softmax, sequence_length: 20}
space: {sequence_length: [LENGTHS]}
"""


@pytest.fixture(scope="module")
def dataset():
    options = {"n_train": 400, "n_test": 100, "max_length": 110}
    return load_dataset("temporal_order", options, seed=3)


def words(dataset, sequences, i) -> list[str]:
    return dataset.raw(sequences, i).split()


def test_temporal_order_has_the_places_and_lengths_of_the_paper(dataset):
    for i in range(len(dataset.train)):
        text = words(dataset, dataset.train, i)
        # The start token, which is the paper's E, is step 0.
        places = [k for k, word in enumerate(text, start=1) if word in "XY"]
        assert 100 <= len(text) + 1 <= 110
        assert 10 <= places[0] <= 20
        assert 50 <= places[1] <= 60
        assert text[-1] == "B"
        assert set(text[:-1]) <= set("abcdXY")
    lengths = dataset.train.lengths
    assert (lengths.min(), lengths.max()) == (100, 110)
    assert np.bincount(dataset.train.y).tolist() == [100] * 4


@pytest.mark.parametrize("length", LENGTHS)
def test_at_length_keeps_marks_and_labels(dataset, length):
    sequences = dataset.train.at_length(length)
    assert sequences.y.tolist() == dataset.train.y.tolist()
    assert length - 10 <= sequences.lengths.max() <= length
    for i, label in enumerate(sequences.y.tolist()):
        text = words(dataset, sequences, i)
        assert "".join(w for w in text if w in "XY") == CLASS_NAMES[label]
        assert text[-1] == "B"


@pytest.mark.parametrize("length", LENGTHS[1:])
def test_at_length_shrinks_every_gap_in_proportion(dataset, length):
    def places(sequences, i) -> list[int]:
        text = [None, *words(dataset, sequences, i)]
        return [k for k, word in enumerate(text) if word in (None, "X", "Y", "B")]

    for i in range(100):
        whole, some = (
            np.diff(places(each, i)) - 1
            for each in (dataset.train, dataset.train.at_length(length))
        )
        assert some.tolist() == [g * (length - 4) // (110 - 4) for g in whole.tolist()]


def test_at_length_of_a_part_is_that_part_at_the_length(dataset):
    index = np.array([7, 3, 3, 250])
    part, whole = dataset.train.take(index), dataset.train.at_length(20)
    few = part.at_length(20)
    assert few.y.tolist() == dataset.train.y[index].tolist()
    for i, j in enumerate(index):
        assert few[i].tolist() == whole[j].tolist()
    again = joined(part, dataset.test).at_length(20)
    assert again[1].tolist() == few[1].tolist()
    assert again[4].tolist() == dataset.test.at_length(20)[0].tolist()


def test_at_length_leaves_other_data_as_they_are():
    sequences = load_dataset("word_order", {"n_train": 20, "n_test": 20}).train
    assert sequences.at_length(5) is sequences


def test_shortest_lengths_by_hand():
    # Marks at 0, 3 and 8; gaps of 2 and 4 fillers; 3 marks of 13 steps at most: a gap
    # has floor(g * (T - 3) / 10) fillers at T.
    is_mark = np.isin(np.arange(9), (0, 3, 8))
    assert shortest_lengths(is_mark, 13).tolist() == [
        10,
        10,
        13,
        10,
        10,
        10,
        11,
        13,
        10,
    ]


def test_splits_at_length_have_the_same_examples(dataset):
    splits = make_splits(
        *(dataset,),
        **dict(root_seed=1, replicate=1, validation_fraction=0.2),
        max_train_samples=None,
    )
    short = splits.at_length(20)
    assert short.val_index.tolist() == splits.val_index.tolist()
    for part in ("train", "val", "test"):
        assert getattr(short, part).y.tolist() == getattr(splits, part).y.tolist()
        assert getattr(short, part).lengths.max() <= 20


def test_kept_data_have_every_length(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path))
    kept = open_kept(keep(dataset))
    check_equal(kept.train.at_length(33), dataset.train.at_length(33))


def test_load_depends_on_the_seed_alone(dataset):
    options = {"n_train": 400, "n_test": 100, "max_length": 110}
    assert load_dataset("temporal_order", options, seed=3).digest == dataset.digest
    assert load_dataset("temporal_order", options, seed=4).digest != dataset.digest


def test_counts_of_marks_tell_three_of_four_classes(dataset):
    y = dataset.test.y
    texts = [words(dataset, dataset.test, i) for i in range(len(y))]
    counts = np.array([text.count("X") for text in texts])
    # XY and YX have the same counts: the best guess is either.
    best = sum(np.bincount(y[counts == n]).max() for n in range(3))
    assert best == 75


def test_memory_task_of_temporal_order():
    task = memory_task("temporal_order")
    y_proba = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    assert task.is_right(np.array([0, 0]), y_proba).tolist() == [True, False]
    assert task.no_memory == 1 / len(CLASS_NAMES)
    assert memory_task("word_order") is None


@pytest.mark.parametrize("lengths", ["9, 20", "20, 51"])
def test_suite_without_sequences_of_a_length_is_refused(lengths):
    with pytest.raises(SuiteError, match=r"space.sequence_length: expected 10 to 50"):
        Suite("s", SUITE.replace("LENGTHS", lengths), "s.yaml")
    suite = Suite("s", SUITE.replace("LENGTHS", "10, 50"), "s.yaml")
    with pytest.raises(SuiteError, match=r"--set: sequence_length: expected 10 to 50"):
        suite.with_overrides(["sequence_length=51"])


def test_copied_keeps_the_lengths(dataset):
    part = dataset.train.take(np.array([5, 2]))
    check_equal(part.copied().at_length(20), part.at_length(20))
    assert dataclasses.replace(part, shortest=None).copied().shortest is None
