"""What a split fits on its training sequences, and how data are divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lstm_bench.data.dataset import Dataset, Sequences, from_lists, sequences_digest
from lstm_bench.data.splits import divide, make_splits
from lstm_bench.inference import OUT_OF_VOCABULARY, START
from lstm_bench.models.encoding import encode
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig


def dataset(train: Sequences, test: Sequences, **fields: object) -> Dataset:
    given = {
        "name": "own",
        "description": "",
        "class_names": ("a", "b"),
        "vocabulary": ("one", "two", "three", "only_in_test"),
        "digest": sequences_digest(train, test),
        "source": "test",
        "fits_vocabulary": True,
        "tokenizer": "words",
    }
    return Dataset(train=train, test=test, **(given | fields))


def split_of(data: Dataset, **options: object):
    given = {
        "root_seed": 0,
        "replicate": 0,
        "validation_fraction": 0.25,
        "max_train_samples": None,
    }
    return make_splits(data, **(given | options))


def test_the_vocabulary_is_ranked_by_the_splits_own_train():
    # By all of train "one" (4) is the most frequent; without the text that is held
    # out, "two" (5) is.
    train = from_lists([[1, 4, 4, 4, 4], [1, 5, 5], [1, 5, 6], [1, 5, 4]], [0, 1, 0, 1])
    data = dataset(train, from_lists([[1, 7, 5, 6]], [0]))
    for replicate in range(20):
        splits = split_of(data, replicate=replicate)
        if splits.val_index.tolist() == [0]:
            break
    assert splits.fitted is not None
    assert splits.fitted.words == ("two", "one", "three")
    assert splits.val[0].tolist() == [START, 5, 5, 5, 5]
    # A word that train lacks is out of vocabulary.
    assert splits.test[0].tolist() == [START, OUT_OF_VOCABULARY, 4, 6]


def test_scaling_is_of_the_training_steps_alone():
    rng = np.random.default_rng(0)
    values = rng.normal(5.0, 3.0, (40, 2)).astype(np.float32)
    values[:, 1] = 7.0
    offsets = np.arange(0, 44, 4)
    train = Sequences(values, offsets, np.arange(10) % 2)
    test = Sequences(values[:4] + 100, np.array([0, 4]), np.array([0]))
    data = dataset(train, test, kind="vectors", channels=("x", "y"), vocabulary=())
    splits = split_of(data)
    steps = np.concatenate([splits.train[i] for i in range(len(splits.train))])
    np.testing.assert_allclose(steps[:, 0].mean(), 0.0, atol=1e-6)
    np.testing.assert_allclose(steps[:, 0].std(), 1.0, rtol=1e-5)
    # A constant channel is 0, not 0 / 0.
    np.testing.assert_array_equal(steps[:, 1], 0.0)
    assert splits.fitted is not None
    expected = (values[:4, 0] + 100 - splits.fitted.mean[0]) / splits.fitted.std[0]
    np.testing.assert_allclose(splits.test[0][:, 0], expected, rtol=1e-6)
    assert values[0, 0] == train.values[0, 0]


@pytest.mark.parametrize("padding", ["pre", "post"])
def test_vectors_are_padded_and_marked(padding: str):
    values = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    sequences = Sequences(values, np.array([0, 3, 5]), np.array([0, 1]))
    config = TrialConfig(sequence_length=4, padding=padding)
    x, lengths = encode(sequences, config)
    assert x.shape == (2, 4, 3)
    assert lengths.tolist() == [3, 2]
    rows = [[*row, 1.0] for row in values[3:].tolist()]
    zeros = [[0.0, 0.0, 0.0]] * 2
    assert x[1].tolist() == (zeros + rows if padding == "pre" else rows + zeros)


def test_a_group_never_stands_in_two_parts():
    rng = np.random.default_rng(1)
    lists = [[1, int(a), int(b)] for a, b in rng.integers(4, 60, (200, 2))]
    lists[7] = lists[150]  # a copy links two groups
    groups = rng.integers(0, 40, 200)
    sequences = from_lists(lists, rng.integers(0, 2, 200))
    rest, held_out = divide(sequences, 40, derive_rng(0, "split"), groups)
    assert sorted([*rest, *held_out]) == list(range(200))
    assert 30 <= len(held_out) <= 40
    assert not set(groups[rest]) & set(groups[held_out])
    texts = [tuple(text) for text in lists]
    assert not {texts[i] for i in rest} & {texts[i] for i in held_out}


def test_with_times_the_latest_are_held_out():
    times = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 0.0, 6.0, 7.0])
    lists = [[1, 4 + i] for i in range(8)]
    sequences = from_lists(lists, [0, 1] * 4)
    _, held_out = divide(sequences, 3, derive_rng(0, "split"), times=times)
    assert sorted(times[held_out]) == [5.0, 6.0, 7.0]
    data = dataset(sequences, sequences, times=times, vocabulary=tuple("abcdefgh"))
    splits = split_of(data, max_train_samples=4)
    assert splits.val_index.tolist() == [7]
    # The latest of those before validation.
    stored = splits.train.index
    assert stored is not None
    assert sorted(times[stored]) == [3.0, 4.0, 5.0, 6.0]


def test_validation_that_comes_with_the_data_is_used():
    train = from_lists([[1, 4], [1, 5], [1, 6]], [0, 1, 0])
    validation = from_lists([[1, 6], [1, 7]], [1, 0])
    data = replace(dataset(train, train), validation=validation)
    splits = split_of(data)
    assert len(splits.train) == 3
    assert splits.val_index.tolist() == [0, 1]
    assert splits.val[1].tolist() == [START, OUT_OF_VOCABULARY]
