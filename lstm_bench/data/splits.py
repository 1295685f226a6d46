"""Split a dataset into train, validation and test, keeping copies together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Dataset, Sequences, copies_in, first_copies
from lstm_bench.errors import DatasetError
from lstm_bench.seeding import derive_rng


@dataclass(frozen=True)
class Splits:
    """The train, validation and test sequences of one replicate.

    ``val_index`` is each validation sequence's index in the part it was taken from
    (train, or test if the suite validates on the test set).
    """

    train: Sequences
    val: Sequences
    test: Sequences
    val_index: IntArray
    validates_on_test: bool


def make_splits(
    dataset: Dataset,
    *,
    root_seed: int,
    replicate: int,
    validation_fraction: float,
    max_train_samples: int | None,
    validates_on_test: bool = False,
) -> Splits:
    """Split into train, validation and test, stratified by class.

    The seed depends on the replicate and not on the configuration, so that every
    configuration of a replicate sees the same examples. Copies of one sequence are
    never divided between train and validation, so that validation has no sequence
    that was trained on.

    Parameters
    ----------
    validation_fraction : float in (0, 1)
        Fraction of the used training examples that is held out.
    max_train_samples : int or None
        Most sequences to train on; validation then shrinks in proportion, so that
        ``n_val / (n_train + n_val)`` remains `validation_fraction`.
    validates_on_test : bool
        Whether to train on all of train and validate on the test set, as the source
        write-up did. Such a validation score does not estimate performance on new data.

    Raises
    ------
    DatasetError
        All training sequences are copies of one sequence.
    """
    rng = derive_rng(root_seed, "split", replicate)
    n = len(dataset.train)
    groups = _groups_of_copies(dataset.train)
    order = _stratified_order(dataset.train.y, groups, rng)
    n_train, n_val = split_sizes(
        n, validation_fraction, max_train_samples, validates_on_test
    )
    if validates_on_test:
        chosen = np.concatenate([groups[g] for g in order])[:n_train]
        return Splits(
            dataset.train.take(chosen),
            dataset.test,
            dataset.test,
            np.arange(len(dataset.test)),
            True,
        )
    if len(groups) < 2:
        raise DatasetError(
            f"dataset {dataset.name}: expected at least two different sequences to "
            f"divide between train and validation, got {n:,} copies of one; give "
            "other data, or validation: test"
        )
    is_held_out = _held_out(np.array([len(groups[g]) for g in order]), n_val)
    val_index, rest = (
        np.concatenate([groups[g] for g in order[part]])
        for part in (is_held_out, ~is_held_out)
    )
    # If copies leave fewer sequences for validation, more are trained on.
    n_train += max(0, n_val - len(val_index))
    n_train = min(n_train, max_train_samples or n)
    return Splits(
        dataset.train.take(rest[:n_train]),
        dataset.train.take(val_index),
        dataset.test,
        val_index,
        False,
    )


def split_sizes(
    n: int,
    validation_fraction: float,
    max_train_samples: int | None,
    validates_on_test: bool,
) -> tuple[int, int]:
    """Return how many of `n` training examples are for training and for validation."""
    if validates_on_test:
        return min(n, max_train_samples or n), 0
    n_train = n - round(n * validation_fraction)
    n_train = min(n_train, max_train_samples or n_train)
    n_val = max(1, round(n_train * validation_fraction / (1.0 - validation_fraction)))
    return n_train, min(n_val, n - n_train)


def _groups_of_copies(sequences: Sequences) -> list[IntArray]:
    """Return the indices of each distinct sequence's copies, by first occurrence."""
    firsts = first_copies(sequences)
    by_group = np.argsort(firsts, kind="stable")
    _, starts = np.unique(firsts[by_group], return_index=True)
    return np.split(by_group, starts[1:])


def _stratified_order(
    y: IntArray, groups: list[IntArray], rng: np.random.Generator
) -> IntArray:
    """Return a random order of groups in which every prefix is balanced by class.

    A group counts with all its members, for the class of its first one.
    """
    sizes = np.array([len(group) for group in groups])
    labels = y[[group[0] for group in groups]]
    position = np.empty(len(groups))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        # Spread each class evenly over [0, 1); jitter breaks ties at random.
        size = sizes[members]
        before = np.cumsum(size) - size
        position[members] = (before + size * rng.random(len(members))) / size.sum()
    order: IntArray = np.argsort(position, kind="stable")
    return order


def _held_out(sizes: IntArray, n_val: int) -> npt.NDArray[np.bool_]:
    """Choose whole groups, the first that fit, with `n_val` members in total.

    A text with more than `n_val` copies goes to train, and validation is then the
    same fraction of the other texts: half of the data may be one text. At least one
    group is held out, and at least one is not.
    """
    is_held_out = np.zeros(len(sizes), bool)
    fitting = np.flatnonzero(sizes <= n_val)
    n_left = round(n_val * sizes[fitting].sum() / sizes.sum())
    for i in fitting:
        if sizes[i] <= n_left:
            is_held_out[i] = True
            n_left -= sizes[i]
        if n_left == 0:
            break
    if not is_held_out.any():
        is_held_out[np.argmin(sizes)] = True
    return is_held_out


def describe_splits(splits: Splits) -> dict[str, int]:
    """Return the sizes, and how many sequences of each part are also in train."""
    return {
        "n_used_train": len(splits.train),
        "n_used_val": len(splits.val),
        "n_val_in_used_train": int(copies_in(splits.val, splits.train).sum()),
        "n_test_in_used_train": int(copies_in(splits.test, splits.train).sum()),
    }
