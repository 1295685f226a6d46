"""Split a dataset into train, validation and test, keeping copies together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.data.dataset import (
    Dataset,
    Scaling,
    Sequences,
    Vocabulary,
    copies_in,
    first_copies,
    is_known,
    joined,
)
from lstm_bench.data.preprocessing import preprocessed
from lstm_bench.errors import DatasetError
from lstm_bench.seeding import derive_rng


@dataclass(frozen=True)
class Splits:
    """The train, validation and test sequences of one replicate.

    ``val_index`` is each validation sequence's index in the part it was taken from
    (train, validation if the data come with it, or test if the suite validates on the
    test set). ``fitted`` is what the sequences of all three parts apply. ``later`` are
    the windows after train's, where models are trained again at every test origin;
    ``max_train`` is then the most of them to train on, None for all.
    """

    train: Sequences
    val: Sequences
    test: Sequences
    val_index: IntArray
    validates_on_test: bool
    fitted: Vocabulary | Scaling | None = None
    later: Sequences | None = None
    max_train: int | None = None

    def at_length(self, length: int) -> Splits:
        """Return the splits of a memory task as they are at a ``sequence_length``."""
        train, val, test = (
            part.at_length(length) for part in (self.train, self.val, self.test)
        )
        return replace(self, train=train, val=val, test=test)

    @property
    def test_origins(self) -> list[int]:
        """The origins that models are trained again at, in time order."""
        if self.later is None or self.test.units is None:
            return []
        return [int(at) for at in np.unique(self.test.units.origin)]

    def at_origins(
        self, dataset: Dataset
    ) -> Iterator[tuple[Sequences, Sequences, IntArray]]:
        """Yield what to train on at each of `test_origins`, and what to forecast.

        Yields
        ------
        known : Sequences
            Train's windows and the later ones whose targets lie before the origin, the
            latest ``max_train`` of them, with what is fitted on them.
        test : Sequences
            The test windows of the origin, with the same.
        rows : int64 ndarray
            Their numbers in ``test``.
        """
        for at in self.test_origins:
            known = preprocessed(dataset, self._known_at(at))
            rows = np.flatnonzero(_origins(self.test) == at)
            fitted, scaling = known.fitted, known.target_scaling
            of = self.test.take(rows)
            yield known, replace(of, fitted=fitted, target_scaling=scaling), rows

    def _known_at(self, at: int) -> Sequences:
        if self.later is None:
            raise ValueError("expected windows after train's, got none")
        horizon = self.later.y.shape[1]
        ended = np.flatnonzero(is_known(_origins(self.later), horizon, at))
        known = joined(self.train, self.later.take(ended))
        n = self.max_train or len(known)
        return known.take(_latest(np.arange(len(known)), n, _origins(known)))


def make_splits(
    dataset: Dataset,
    *,
    root_seed: int,
    replicate: int,
    validation_fraction: float,
    max_train_samples: int | None,
    validates_on_test: bool = False,
    n_subset: int | None = None,
) -> Splits:
    """Split into train, validation and test; classes are stratified.

    The seed depends on the replicate and not on the configuration, so that every
    configuration of a replicate sees the same examples. Copies of one sequence, and
    members of one group, are never divided between train and validation. Where the
    data have times, validation is the latest part; where they come with a validation
    part, that is used. Vocabulary and scaling are fitted on the split's train alone.

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
    n_subset : int or None
        Train on this many of the sequences to train on, which include those of any
        smaller number; validation remains. Of groups, on whole ones: on so many at
        most, or on one group.

    Raises
    ------
    DatasetError
        All training sequences are copies of one sequence.
    """
    rng = derive_rng(root_seed, "split", replicate)
    whole = dataset.train
    n_train, n_val = split_sizes(
        len(whole), validation_fraction, max_train_samples, validates_on_test
    )
    given = dataset.test if validates_on_test else dataset.validation
    if given is not None:
        chosen, _ = divide(whole, 0, rng, dataset.groups, dataset.times)
        chosen = _latest(chosen, max_train_samples or len(whole), dataset.times)
        val, val_index = given, np.arange(len(given))
    else:
        rest, val_index = divide(whole, n_val, rng, dataset.groups, dataset.times)
        if not len(val_index):
            raise DatasetError(
                f"dataset {dataset.name}: expected at least two different sequences "
                f"to divide between train and validation, got {len(whole):,} copies of "
                "one, or of one group; give other data, or validation: test"
            )
        # If copies leave fewer sequences for validation, more are trained on.
        n_train += max(0, n_val - len(val_index))
        chosen = _latest(
            rest, min(n_train, max_train_samples or n_train), dataset.times
        )
        val = whole.take(val_index)
    if n_subset is not None:
        chosen = _subset(chosen, n_subset, dataset)
    train, test = preprocessed(dataset, whole.take(chosen)), dataset.test
    if dataset.groups is not None:
        train = replace(train, groups=dataset.groups[chosen])
        of_val = dataset.groups
        if given is not None:
            of_val = dataset.other_groups["test" if validates_on_test else "validation"]
        val = replace(val, groups=of_val[val_index])
    fitted, scaling = train.fitted, train.target_scaling
    if fitted is not None or scaling is not None:
        val, test = (
            replace(part, fitted=fitted, target_scaling=scaling) for part in (val, test)
        )
    return Splits(
        train,
        val,
        test,
        val_index,
        validates_on_test,
        fitted,
        dataset.later,
        max_train_samples,
    )


def divide(
    sequences: Sequences,
    n_held_out: int,
    rng: np.random.Generator,
    groups: IntArray | None = None,
    times: FloatArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Divide sequences in two; copies and members of a group stay together.

    Parameters
    ----------
    n_held_out : int
        About how many to hold out; copies and groups may not allow it exactly.
    groups : int64 ndarray of shape (n,), or None
        A number for each sequence.
    times : float64 ndarray of shape (n,), or None
        The latest sequences are held out; None: they are drawn at random, stratified
        by class.

    Returns
    -------
    rest, held_out : int64 ndarray
        Indices in random order, in which every prefix is balanced by class. `held_out`
        is empty where nothing can be divided.
    """
    members = _groups_of_copies(sequences, groups)
    order = _stratified_order(sequences.y, members, rng)
    sizes = np.array([len(members[g]) for g in order])
    if not n_held_out or len(members) < 2:
        is_held_out = np.zeros(len(members), bool)
    elif times is None:
        is_held_out = _held_out(sizes, n_held_out)
    else:
        last = np.array([times[members[g]].max() for g in order])
        is_held_out = _latest_held_out(sizes, last, n_held_out)
    rest, held_out = (
        np.concatenate([np.zeros(0, np.int64), *(members[g] for g in order[part])])
        for part in (~is_held_out, is_held_out)
    )
    return rest, held_out


def folds(sequences: Sequences, n_folds: int) -> IntArray:
    """Divide a split's train into folds; copies and members of a group stay together.

    A split's train is in random order, and balanced by class in every part of it, so
    the first sequences are the first fold, and so on.

    Returns
    -------
    int64 ndarray of shape (n_sequences,)
        Fold of each, from 0; fewer than `n_folds` where there are fewer groups.
    """
    members = _groups_of_copies(sequences, sequences.groups)
    sizes = np.array([len(group) for group in members])
    of_group = (np.cumsum(sizes) - sizes) * n_folds // len(sequences)
    _, of_group = np.unique(of_group, return_inverse=True)
    fold = np.empty(len(sequences), np.int64)
    fold[np.concatenate(members)] = np.repeat(of_group, sizes)
    return fold


def _latest_held_out(
    sizes: IntArray, last: FloatArray, n_held_out: int
) -> npt.NDArray[np.bool_]:
    """Choose whole groups from the latest on, with `n_held_out` members at most.

    Parameters
    ----------
    last : float64 ndarray of shape (n_groups,)
        Time of each group's latest member.
    """
    latest = np.argsort(-last, kind="stable")
    n = int((np.cumsum(sizes[latest]) <= n_held_out).sum())
    is_held_out = np.zeros(len(sizes), bool)
    is_held_out[latest[: min(max(n, 1), len(sizes) - 1)]] = True
    return is_held_out


def _origins(windows: Sequences) -> IntArray:
    if windows.units is None:
        raise ValueError("expected windows of series, got sequences without units")
    return windows.units.origin


def _latest(index: IntArray, n: int, times: FloatArray | IntArray | None) -> IntArray:
    """Return the first `n` of `index`, or with times the latest `n`, in its order."""
    if times is None:
        return index[:n]
    latest = np.argsort(-times[index], kind="stable")[:n]
    return index[np.sort(latest)]


def _subset(chosen: IntArray, n: int, dataset: Dataset) -> IntArray:
    """Return the first `n` of `chosen`, or the latest, without a group's part."""
    taken = _latest(chosen, n, dataset.times)
    if dataset.groups is None:
        return taken
    left_out = dataset.groups[np.setdiff1d(chosen, taken)]
    whole = taken[~np.isin(dataset.groups[taken], left_out)]
    if len(whole):
        return whole
    one: IntArray = chosen[dataset.groups[chosen] == dataset.groups[taken[0]]]
    return one


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


def _groups_of_copies(
    sequences: Sequences, groups: IntArray | None = None
) -> list[IntArray]:
    """Return the indices of sequences that stay together, by first occurrence.

    Copies stay together, and so do members of a group, and of all groups that are
    connected by copies.
    """
    firsts = first_copies(sequences)
    if groups is not None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = len(sequences)
        # Sequence i is linked to its first copy and to node n + (number of its group).
        _, numbers = np.unique(groups, return_inverse=True)
        ends = np.concatenate([firsts, n + numbers])
        starts = np.tile(np.arange(n), 2)
        size = n + int(numbers.max()) + 1
        links = coo_array((np.ones(2 * n, bool), (starts, ends)), (size, size))
        component = connected_components(links, directed=False)[1][:n]
        _, first_of, inverse = np.unique(
            component, return_index=True, return_inverse=True
        )
        firsts = first_of[inverse]
    by_group = np.argsort(firsts, kind="stable")
    _, begins = np.unique(firsts[by_group], return_index=True)
    return np.split(by_group, begins[1:])


def _stratified_order(
    y: Targets, groups: list[IntArray], rng: np.random.Generator
) -> IntArray:
    """Return a random order of groups in which every prefix is balanced by class.

    A group counts with all its members, for the class of its first one. Numbers are
    not balanced.
    """
    sizes = np.array([len(group) for group in groups])
    firsts = [group[0] for group in groups]
    labels = np.zeros(len(groups), np.int64) if y.dtype.kind == "f" else y[firsts]
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
