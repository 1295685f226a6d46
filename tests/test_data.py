from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_bench.data import (
    Dataset,
    Sequences,
    dataset_names,
    encode,
    load_dataset,
    make_splits,
    stands_in_train,
)
from lstm_bench.datasets._build import sequences_digest
from lstm_bench.errors import DatasetError
from lstm_bench.space import TrialConfig


def sequences(rows: list[list[int]], y: list[int] | None = None) -> Sequences:
    lengths = [len(row) for row in rows]
    return Sequences(
        np.array([t for row in rows for t in row], np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array(y if y is not None else [0] * len(rows), np.int64),
    )


ROWS = sequences([[1, 4, 5, 6, 7], [1, 9], [1, 5, 50]])


@pytest.mark.parametrize(
    ("padding", "truncating", "expected"),
    [
        ("post", "pre", [[5, 6, 7], [1, 9, 0], [1, 5, 2]]),
        ("post", "post", [[1, 4, 5], [1, 9, 0], [1, 5, 2]]),
        ("pre", "pre", [[5, 6, 7], [0, 1, 9], [1, 5, 2]]),
        ("pre", "post", [[1, 4, 5], [0, 1, 9], [1, 5, 2]]),
    ],
)
def test_encoding_truncates_pads_and_caps_as_keras_does(padding, truncating, expected):
    config = TrialConfig(
        sequence_length=3, vocabulary_size=10, padding=padding, truncating=truncating
    )
    x, lengths = encode(ROWS, config)
    assert x.tolist() == expected
    assert lengths.tolist() == [3, 2, 3]


@given(
    rows=st.lists(st.lists(st.integers(1, 30), max_size=12), min_size=1, max_size=8),
    length=st.integers(1, 10),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
)
def test_encoding_keeps_the_right_tokens_of_any_rows(rows, length, padding, truncating):
    config = TrialConfig(
        sequence_length=length,
        vocabulary_size=20,
        padding=padding,
        truncating=truncating,
    )
    x, lengths = encode(sequences(rows), config)
    for row, encoded, n in zip(rows, x, lengths, strict=True):
        kept = row[-length:] if truncating == "pre" else row[:length]
        kept = [t if t < 20 else 2 for t in kept]
        zeros = [0] * (length - len(kept))
        assert n == len(kept)
        assert encoded.tolist() == (zeros + kept if padding == "pre" else kept + zeros)


def test_taking_rows_keeps_their_order_and_labels():
    taken = sequences([[1, 2], [3], [4, 5]], [0, 1, 0]).take(np.array([2, 1]))
    assert [taken[i].tolist() for i in range(2)] == [[4, 5], [3]]
    assert taken.y.tolist() == [0, 1]


def test_what_is_taken_shares_the_tokens_and_is_what_a_copy_of_it_is():
    whole = sequences([[1, 2], [3], [4, 5, 6], [], [7]], [0, 1, 0, 1, 1])
    taken = whole.take(np.array([4, 2, 3, 0])).take(np.array([1, 0, 2]))
    assert np.shares_memory(taken.tokens, whole.tokens)
    assert taken.lengths.tolist() == [3, 1, 0]
    own = sequences([[4, 5, 6], [7], []], [0, 1, 1])
    copied = taken.copied()
    for name in ("tokens", "offsets", "y"):
        assert getattr(copied, name).tolist() == getattr(own, name).tolist()
    assert sequences_digest(taken, whole) == sequences_digest(own, whole)
    config = TrialConfig(sequence_length=2, truncating="pre", vocabulary_size=100)
    for mine, theirs in zip(encode(taken, config), encode(own, config), strict=True):
        assert mine.tolist() == theirs.tolist()


@pytest.fixture(scope="module")
def small() -> Dataset:
    return load_dataset("synthetic", {"n_train": 200, "n_test": 50}, seed=3)


def split(dataset: Dataset, **changes):
    options = {
        "root_seed": 1,
        "replicate": 0,
        "validation_fraction": 0.25,
        "max_train_samples": None,
    }
    return make_splits(dataset, **{**options, **changes})


def rows_of(part: Sequences) -> set[bytes]:
    return {part[i].tobytes() for i in range(len(part))}


def test_splits_are_disjoint_stratified_and_complete(small):
    parts = split(small)
    assert (len(parts.train), len(parts.val)) == (150, 50)
    assert not rows_of(parts.train) & rows_of(parts.val)
    assert rows_of(parts.train) | rows_of(parts.val) == rows_of(small.train)
    share = small.train.y.mean()
    assert abs(parts.train.y.mean() - share) < 0.02
    assert abs(parts.val.y.mean() - share) < 0.03


def test_splits_depend_on_seed_and_replicate_alone(small):
    assert split(small).val_index.tolist() == split(small).val_index.tolist()
    for change in ({"root_seed": 2}, {"replicate": 1}):
        assert (
            split(small, **change).val_index.tolist() != split(small).val_index.tolist()
        )


def test_max_train_samples_limits_training_and_keeps_the_fraction(small):
    parts = split(small, max_train_samples=60)
    assert (len(parts.train), len(parts.val)) == (60, 20)
    assert not rows_of(parts.train) & rows_of(parts.val)


def test_validating_on_test_trains_on_everything(small):
    parts = split(small, validates_on_test=True)
    assert len(parts.train) == 200
    assert parts.val is small.test
    assert parts.validates_on_test


def test_duplicates_are_counted_in_test():
    dataset = Dataset(
        name="x",
        description="",
        train=sequences([[1, 2], [1, 3]]),
        test=sequences([[1, 3], [1, 3], [1, 4]]),
        class_names=("a", "b"),
        vocabulary=(),
        digest="",
        source="",
    )
    assert stands_in_train(dataset).sum() == 2


def test_an_unknown_dataset_names_the_known_ones():
    with pytest.raises(DatasetError, match="imdb, synthetic"):
        load_dataset("imbd")
    assert dataset_names() == ["imdb", "synthetic"]
