from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_bench.data.dataset import (
    Dataset,
    Sequences,
    copies_in,
    describe_dataset,
    sequences_digest,
)
from lstm_bench.data.registry import dataset_names, load_dataset
from lstm_bench.data.splits import describe_splits, make_splits
from lstm_bench.errors import DatasetError
from lstm_bench.models.encoding import encode
from lstm_bench.suites.config import TrialConfig


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
        ("post", "head_tail", [[1, 6, 7], [1, 9, 0], [1, 5, 2]]),
        ("pre", "head_tail", [[1, 6, 7], [0, 1, 9], [1, 5, 2]]),
    ],
)
def test_encoding_truncates_pads_and_caps(padding, truncating, expected):
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
    truncating=st.sampled_from(["pre", "post", "head_tail"]),
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
        kept = row
        if len(row) > length:
            n_last = {"pre": length, "post": 0, "head_tail": (length + 1) // 2}
            last = n_last[truncating]
            kept = row[: length - last] + row[len(row) - last :]
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
    assert np.shares_memory(taken.values, whole.values)
    assert taken.lengths.tolist() == [3, 1, 0]
    own = sequences([[4, 5, 6], [7], []], [0, 1, 1])
    copied = taken.copied()
    for name in ("values", "offsets", "y"):
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


def test_subsets_are_nested_balanced_and_validated_on_the_same(small):
    whole = split(small, replicate=2)
    previous: set[bytes] = set()
    for n in (20, 60, 150):
        parts = split(small, replicate=2, n_subset=n)
        assert len(parts.train) == n
        assert rows_of(parts.train) >= previous
        assert abs(parts.train.y.mean() - whole.train.y.mean()) < 0.06
        assert parts.val_index.tolist() == whole.val_index.tolist()
        assert parts.train.fitted is None or parts.val.fitted is parts.train.fitted
        previous = rows_of(parts.train)
    assert previous == rows_of(whole.train)
    assert rows_of(split(small, replicate=1, n_subset=20).train) != rows_of(
        split(small, replicate=2, n_subset=20).train
    )


def test_subsets_take_whole_groups(small):
    groups = np.arange(200) // 7
    grouped = replace(small, groups=groups)
    whole = split(grouped)
    taken: set[int] = set()
    for n in (10, 33, 100):
        train = split(grouped, n_subset=n).train
        assert n - 7 < len(train) <= n
        chosen, counts = np.unique(train.groups, return_counts=True)
        _, of_whole = np.unique(
            whole.train.groups[np.isin(whole.train.groups, chosen)], return_counts=True
        )
        assert counts.tolist() == of_whole.tolist()
        assert taken <= set(chosen.tolist())
        taken = set(chosen.tolist())
    # One group at least.
    assert len(np.unique(split(grouped, n_subset=3).train.groups)) == 1


def test_subsets_of_data_with_times_are_the_latest(small):
    times = np.random.default_rng(0).permutation(200).astype(float)
    timed = replace(small, times=times)
    rows = {small.train[i].tobytes(): times[i] for i in range(200)}
    parts = split(timed, n_subset=30)
    used = sorted(rows[row] for row in rows_of(split(timed).train))
    assert sorted(rows[row] for row in rows_of(parts.train)) == used[-30:]


def test_validating_on_test_trains_on_everything(small):
    parts = split(small, validates_on_test=True)
    assert len(parts.train) == 200
    assert parts.val is small.test
    assert parts.validates_on_test


def dataset_of(train: Sequences, test: Sequences) -> Dataset:
    return Dataset(
        name="x",
        description="",
        train=train,
        test=test,
        class_names=("a", "b"),
        vocabulary=(),
        digest="",
        source="",
    )


def test_duplicates_are_counted_in_test():
    dataset = dataset_of(
        sequences([[1, 2], [1, 3]]), sequences([[1, 3], [1, 3], [1, 4]])
    )
    assert copies_in(dataset.test, dataset.train).sum() == 2
    about = describe_dataset(dataset)
    assert about["n_test_in_train"] == 2
    assert (about["train"]["n_copies"], about["test"]["n_copies"]) == (0, 1)


def test_a_split_without_copies_is_the_one_that_was_published():
    # As before copies were kept together: results on such data keep their meaning.
    rows = sequences([[1, i] for i in range(40)], [i % 2 for i in range(40)])
    parts = split(dataset_of(rows, rows), max_train_samples=20)
    assert parts.val_index.tolist() == [28, 1, 33, 6, 34, 23, 26]
    assert [int(parts.train[i][1]) for i in range(20)] == [
        *(3, 17, 32, 11, 10, 24, 37, 39, 4, 30),
        *(25, 31, 8, 0, 27, 38, 21, 22, 7, 15),
    ]


# How many copies there are of each text, and how many are held out of 25 in 100.
COPIES = {
    "every one twice": ([2] * 50, 24),
    "many sizes": ([1] * 30 + [2] * 20 + [3] * 10, 25),
    "half of the data is one text": ([60] + [1] * 60, 15),
    "most of the data is one text": ([92] + [1] * 8, 2),
    "two texts": ([50, 50], 50),
    "a single one and two texts": ([1, 50, 50], 1),
}


@pytest.mark.parametrize(("sizes", "n_val"), COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("replicate", range(4))
def test_copies_of_one_text_never_stand_in_both_parts(sizes, n_val, replicate):
    texts = [[1, 10 + i] for i, size in enumerate(sizes) for _ in range(size)]
    y = [i % 2 for i, size in enumerate(sizes) for _ in range(size)]
    mixed = np.random.default_rng(0).permutation(len(texts))
    train = sequences([texts[i] for i in mixed], [y[i] for i in mixed])
    parts = split(dataset_of(train, train), replicate=replicate)
    assert not rows_of(parts.train) & rows_of(parts.val)
    assert len(parts.train) > 0 and len(parts.val) > 0
    assert len(parts.train) + len(parts.val) == len(train)
    assert describe_splits(parts)["n_val_in_used_train"] == 0
    assert describe_splits(parts)["n_test_in_used_train"] == len(parts.train)
    assert len(parts.val) == n_val
    if max(sizes) <= 7:
        assert parts.val.y.mean() == pytest.approx(train.y.mean(), abs=0.15)


def test_copies_with_different_labels_stay_together_too():
    rows = [[1, i // 2] for i in range(80)]
    train = sequences(rows, [i % 2 for i in range(80)])
    parts = split(dataset_of(train, train))
    assert (len(parts.train), len(parts.val)) == (60, 20)
    assert not rows_of(parts.train) & rows_of(parts.val)


def test_copies_are_no_likelier_to_be_held_out_than_others():
    train = sequences([[1, i] for i in range(100)] + [[1, i] for i in range(20)])
    shares = [
        (
            np.isin(split(dataset_of(train, train), replicate=r).val_index, range(20))
        ).sum()
        / 30
        for r in range(300)
    ]
    # 20 of 120 are firsts of a pair; 300 draws of about 5 in 30.
    assert np.mean(shares) == pytest.approx(20 / 120, abs=0.015)


def test_copies_of_a_single_text_are_one_message():
    train = sequences([[1, 2]] * 30, [0, 1] * 15)
    with pytest.raises(DatasetError, match=r"dataset x: .* got 30 copies of one"):
        split(dataset_of(train, train))


def test_a_limit_on_training_leaves_copies_out_of_validation(small):
    train = sequences([[1, i // 3] for i in range(300)], [i % 2 for i in range(300)])
    parts = split(dataset_of(train, train), max_train_samples=61)
    assert len(parts.train) == 61
    assert abs(len(parts.val) - 20) <= 2
    assert not rows_of(parts.train) & rows_of(parts.val)


def test_validating_on_test_counts_what_stands_in_train_too():
    dataset = dataset_of(
        sequences([[1, i] for i in range(10)]),
        sequences([[1, i] for i in range(7, 12)]),
    )
    parts = split(dataset, validates_on_test=True)
    assert describe_splits(parts)["n_val_in_used_train"] == 3


def test_an_unknown_dataset_names_the_known_ones():
    names = [
        *("adding", "digits", "file", "forecast", "imdb", "seasonal", "synthetic"),
        *("temporal_order", "word_order"),
    ]
    with pytest.raises(DatasetError, match=", ".join(names)):
        load_dataset("imbd")
    assert dataset_names() == names
