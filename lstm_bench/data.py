"""Datasets as every other module sees them: ragged token ids, splits, encoding.

A dataset is one module in `lstm_bench.datasets`, named by its file, with

- ``Options``: a frozen pydantic model of what a suite may set under
  ``dataset.options``;
- ``DESCRIPTION``: one sentence;
- ``load(options, data_dir, seed) -> Dataset``;
- where it is known before the data are read, ``sizes(options) -> Sizes``: a suite
  that does not fit is then refused as soon as it is loaded.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

import lstm_bench.datasets
from lstm_bench.arrays import IntArray
from lstm_bench.errors import DatasetError
from lstm_bench.seeding import derive_rng
from lstm_bench.space import TrialConfig
from lstm_bench.text import quoted

PAD, START, OUT_OF_VOCABULARY, INDEX_FROM = 0, 1, 2, 3
"""Token ids with a meaning of their own, as `keras.datasets.imdb` gives them:
the word of frequency rank r (from 1) has id r + INDEX_FROM."""


@dataclass(frozen=True)
class Sequences:
    """Labelled sequences of token ids, ragged, with ids of the full vocabulary.

    Attributes
    ----------
    tokens : int32 ndarray of shape (n_tokens,)
        All sequences, one after the other; also those that are not chosen. May be
        mapped from a file that several processes share.
    offsets : int64 ndarray of shape (n_stored + 1,)
        Stored sequence j is ``tokens[offsets[j]:offsets[j + 1]]``.
    y : int64 ndarray of shape (n_sequences,)
        Class indices.
    index : int64 ndarray of shape (n_sequences,), or None
        Which stored sequence each one is; None for all, in their order.
    """

    tokens: npt.NDArray[np.int32]
    offsets: IntArray
    y: IntArray
    index: IntArray | None = None

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.y)

    def __getitem__(self, i: int) -> npt.NDArray[np.int32]:
        """Return the token ids of sequence `i`."""
        j = i if self.index is None else int(self.index[i])
        return self.tokens[self.offsets[j] : self.offsets[j + 1]]

    @property
    def starts(self) -> IntArray:
        """Where each sequence begins in `tokens`."""
        return self._chosen(self.offsets[:-1])

    @property
    def stops(self) -> IntArray:
        """Where each sequence ends in `tokens`."""
        return self._chosen(self.offsets[1:])

    def _chosen(self, stored: IntArray) -> IntArray:
        return stored if self.index is None else stored[self.index]

    @property
    def lengths(self) -> IntArray:
        """Number of tokens of each sequence, start token included."""
        lengths: IntArray = self.stops - self.starts
        return lengths

    def take(self, indices: IntArray) -> Sequences:
        """Return the sequences at `indices`, in that order; no token is copied."""
        index = np.asarray(indices, np.int64)
        if self.index is not None:
            index = self.index[index]
        return Sequences(self.tokens, self.offsets, self.y[indices], index)

    def copied(self) -> Sequences:
        """Return the same sequences with tokens of their own, one after the other."""
        if self.index is None:
            return self
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        tokens = self.tokens[_places(self.starts, self.lengths)]
        return Sequences(tokens, offsets, self.y)


@dataclass(frozen=True)
class Dataset:
    """A loaded dataset.

    Attributes
    ----------
    train, test : Sequences
    class_names : tuple of str
        Name of each class index.
    vocabulary : tuple of str
        ``vocabulary[r - 1]`` is the word of rank r, whose id is r + 3.
    digest : str
        Hex SHA-256 over ids and labels of both parts: what was trained on.
    source : str
        Where it came from, for people: never a path of one machine alone.
    synthetic : bool
        Made by a program, not by people.
    best_possible_accuracy : float or None
        Accuracy of a classifier that knows how the data was made.
    example : str
        What one sequence is called in messages and reports; its plural has an s.
    notes : tuple of str
        What a reader of results has to know.
    """

    name: str
    description: str
    train: Sequences
    test: Sequences
    class_names: tuple[str, ...]
    vocabulary: tuple[str, ...]
    digest: str
    source: str
    synthetic: bool = False
    best_possible_accuracy: float | None = None
    example: str = "example"
    notes: tuple[str, ...] = field(default=())

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def text(self, tokens: npt.NDArray[np.integer], max_words: int = 200) -> str:
        """Return the words of `tokens`, the start token left out."""
        words = [self._word(int(t)) for t in tokens if int(t) not in (PAD, START)]
        text = " ".join(words[:max_words])
        return text + (" ..." if len(words) > max_words else "")

    def _word(self, token: int) -> str:
        rank = token - INDEX_FROM
        return self.vocabulary[rank - 1] if 0 < rank <= len(self.vocabulary) else "?"


@dataclass(frozen=True)
class Sizes:
    """How much data there is; `n_train` is None where only reading it shows that."""

    n_classes: int
    n_train: int | None = None


@dataclass(frozen=True)
class Splits:
    """What one replicate trains, validates and tests on.

    ``val_index`` holds each validation sequence's index in the part it was taken
    from (train, or test where the suite validates on the test set).
    """

    train: Sequences
    val: Sequences
    test: Sequences
    val_index: IntArray
    validates_on_test: bool


def dataset_names() -> list[str]:
    """Return the names a suite may give as ``dataset.name``."""
    modules = pkgutil.iter_modules(lstm_bench.datasets.__path__)
    return sorted(m.name for m in modules if not m.name.startswith("_"))


def dataset_module(name: str) -> ModuleType:
    """Return the module of dataset `name`, which must be in `dataset_names`."""
    return importlib.import_module(f"lstm_bench.datasets.{name}")


def is_synthetic(name: str) -> bool:
    """Whether a program writes dataset `name`, as its module has it; loads no data."""
    return bool(getattr(dataset_module(name), "SYNTHETIC", False))


def dataset_options(name: str, options: Mapping[str, Any]) -> BaseModel:
    """Validate `options` by the dataset's own model; pydantic's error passes."""
    validated: BaseModel = dataset_module(name).Options.model_validate(dict(options))
    return validated


def known_sizes(name: str, options: Mapping[str, Any]) -> Sizes | None:
    """Return the dataset's sizes as far as they are known without its data."""
    sizes = getattr(dataset_module(name), "sizes", None)
    return None if sizes is None else sizes(dataset_options(name, options))


def load_dataset(
    name: str,
    options: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
) -> Dataset:
    """Load dataset `name`.

    Parameters
    ----------
    options : mapping, optional
        Checked by the dataset's ``Options``.
    data_dir : Path, optional
        Folder with the raw data, for datasets that need one.
    seed : int
        Used only by datasets that are generated.

    Raises
    ------
    DatasetError
        Missing or damaged data.
    """
    if name not in dataset_names():
        raise DatasetError(
            f"dataset: expected one of {', '.join(dataset_names())}, got {quoted(name)}"
        )
    dataset: Dataset = dataset_module(name).load(
        dataset_options(name, options or {}), data_dir, seed
    )
    return dataset


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
    configuration of a replicate sees the same reviews. Copies of one sequence are
    never divided between train and validation: no validation score is of a sequence
    that was trained on.

    Parameters
    ----------
    validation_fraction : float in (0, 1)
        Share held out of the training reviews that are used.
    max_train_samples : int or None
        Train on at most so many; validation then shrinks in proportion, so that
        ``n_val / (n_train + n_val)`` stays `validation_fraction`.
    validates_on_test : bool
        Train on all of train and validate on the test set, as the source
        write-up did. Such a validation score is no estimate for new reviews.

    Raises
    ------
    DatasetError
        All training sequences are copies of one.
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
    # Where copies leave fewer to validate on, there are more to train on.
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
    """Return how many of `n` training examples are trained on, and validated on."""
    if validates_on_test:
        return min(n, max_train_samples or n), 0
    n_train = n - round(n * validation_fraction)
    n_train = min(n_train, max_train_samples or n_train)
    n_val = max(1, round(n_train * validation_fraction / (1.0 - validation_fraction)))
    return n_train, min(n_val, n - n_train)


def first_copies(sequences: Sequences) -> IntArray:
    """Return for each sequence the first that is the same, token for token."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(sequences[i].tobytes(), i) for i in range(len(sequences))],
        np.int64,
    )


def _groups_of_copies(sequences: Sequences) -> list[IntArray]:
    """Return the indices of each distinct sequence's copies, in order of the first."""
    firsts = first_copies(sequences)
    by_group = np.argsort(firsts, kind="stable")
    _, starts = np.unique(firsts[by_group], return_index=True)
    return np.split(by_group, starts[1:])


def _stratified_order(
    y: IntArray, groups: list[IntArray], rng: np.random.Generator
) -> IntArray:
    """Return a random order of groups in which every prefix is balanced like the whole.

    A group counts as many times as it has members, for the class of its first one.
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
    """Choose whole groups, the first that fit, with `n_val` members together.

    A text with more than `n_val` copies goes to train, and validation is the same
    share of the others as it would be of all: half of the data may be one text. One
    group at least is held out, and one is not.
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


def encode(
    sequences: Sequences, config: TrialConfig
) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Cap the vocabulary, truncate and pad as `config` says.

    Returns
    -------
    x : int32 ndarray of shape (n_sequences, sequence_length)
        0 where padded; ids of ``vocabulary_size`` and above become 2.
    lengths : int64 ndarray of shape (n_sequences,)
        Tokens kept of each sequence.
    """
    limit = config.sequence_length
    lengths = np.minimum(sequences.lengths, limit)
    column = np.arange(limit)
    if config.padding == "post":
        is_token = column < lengths[:, None]
    else:
        is_token = column >= limit - lengths[:, None]
    starts = sequences.starts
    if config.truncating == "pre":
        starts = sequences.stops - lengths
    # Row-major order of the True cells is the order of the kept tokens.
    ids = sequences.tokens[_places(starts, lengths)]
    x = np.zeros((len(sequences), limit), np.int32)
    x[is_token] = np.where(ids < config.vocabulary_size, ids, OUT_OF_VOCABULARY)
    return x, lengths


def _places(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return the places of runs of tokens that begin at `starts`, one by one."""
    firsts = starts - np.cumsum(lengths) + lengths
    places: IntArray = np.repeat(firsts, lengths) + np.arange(lengths.sum())
    return places


def stands_in(part: Sequences, train: Sequences) -> npt.NDArray[np.bool_]:
    """Return for each sequence of `part` whether `train` has it, token for token."""
    seen = {train[i].tobytes() for i in range(len(train))}
    return np.array([part[i].tobytes() in seen for i in range(len(part))], bool)


def describe_splits(splits: Splits) -> dict[str, int]:
    """Return sizes, and how many sequences stand in the part trained on too."""
    return {
        "n_used_train": len(splits.train),
        "n_used_val": len(splits.val),
        "n_val_in_used_train": int(stands_in(splits.val, splits.train).sum()),
        "n_test_in_used_train": int(stands_in(splits.test, splits.train).sum()),
    }


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return sizes, balance, lengths and digest as plain JSON types."""
    parts: dict[str, Any] = {}
    for part, sequences in (("train", dataset.train), ("test", dataset.test)):
        counts = np.bincount(sequences.y, minlength=dataset.n_classes)
        quantiles = np.quantile(sequences.lengths, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
        parts[part] = {
            "n": len(sequences),
            "classes": {
                name: int(count)
                for name, count in zip(dataset.class_names, counts, strict=True)
            },
            "n_copies": len(sequences) - len(np.unique(first_copies(sequences))),
            "length_mean": float(sequences.lengths.mean()),
            "length_quantiles": {
                q: float(v)
                for q, v in zip(
                    ("min", "5 %", "25 %", "median", "75 %", "95 %", "max"),
                    quantiles,
                    strict=True,
                )
            },
        }
    return {
        "name": dataset.name,
        "description": dataset.description,
        "source": dataset.source,
        "synthetic": dataset.synthetic,
        "example": dataset.example,
        "digest": dataset.digest,
        "vocabulary_words": len(dataset.vocabulary),
        "class_names": list(dataset.class_names),
        "best_possible_accuracy": dataset.best_possible_accuracy,
        "notes": list(dataset.notes),
        "n_test_in_train": int(stands_in(dataset.test, dataset.train).sum()),
        **parts,
    }
