"""Datasets: ragged token ids, class names, vocabulary, and their description.

A dataset is one module of this package, named in `registry.DATASETS`, with

- ``Options``: a frozen pydantic model of what a suite may set under
  ``dataset.options``;
- ``DESCRIPTION``: one sentence;
- ``load(options, data_dir, seed) -> Dataset``;
- if sizes are known before the data are read, ``sizes(options) -> Sizes``: a suite
  that does not fit is then rejected as soon as it is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import IntArray

PAD, START, OUT_OF_VOCABULARY, INDEX_FROM = 0, 1, 2, 3
"""Reserved token ids, as in `keras.datasets.imdb`: the word of frequency rank r
(from 1) has id r + INDEX_FROM."""


@dataclass(frozen=True)
class Sequences:
    """Labelled sequences of token ids, ragged, with ids of the full vocabulary.

    Attributes
    ----------
    tokens : int32 ndarray of shape (n_tokens,)
        All stored sequences, concatenated, including those that `index` does not
        select. May be memory-mapped from a file that several processes share.
    offsets : int64 ndarray of shape (n_stored + 1,)
        Stored sequence j is ``tokens[offsets[j]:offsets[j + 1]]``.
    y : int64 ndarray of shape (n_sequences,)
        Class indices.
    index : int64 ndarray of shape (n_sequences,), or None
        Stored sequence of each sequence; None for all, in their order.
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
        """Return the same sequences with a contiguous copy of their tokens."""
        if self.index is None:
            return self
        offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        tokens = self.tokens[places(self.starts, self.lengths)]
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
        Hex SHA-256 of the token ids and labels of both parts.
    source : str
        Where the data came from; never a path of one machine.
    synthetic : bool
        Whether a program generated the data.
    best_possible_accuracy : float or None
        Accuracy of a classifier that knows the generating rule.
    example : str
        Word for one sequence in messages and reports; its plural ends in s.
    notes : tuple of str
        Remarks for readers of the results.
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
        """Return the words of `tokens`, without the start token."""
        words = [self._word(int(t)) for t in tokens if int(t) not in (PAD, START)]
        text = " ".join(words[:max_words])
        return text + (" ..." if len(words) > max_words else "")

    def _word(self, token: int) -> str:
        rank = token - INDEX_FROM
        return self.vocabulary[rank - 1] if 0 < rank <= len(self.vocabulary) else "?"


@dataclass(frozen=True)
class Sizes:
    """Sizes of a dataset; `n_train` is None if only reading the data shows it."""

    n_classes: int
    n_train: int | None = None


def first_copies(sequences: Sequences) -> IntArray:
    """Return for each sequence the index of the first that is equal to it."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(sequences[i].tobytes(), i) for i in range(len(sequences))],
        np.int64,
    )


def places(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return the indices of all tokens in runs of `lengths` that begin at `starts`."""
    firsts = starts - np.cumsum(lengths) + lengths
    every: IntArray = np.repeat(firsts, lengths) + np.arange(lengths.sum())
    return every


def copies_in(part: Sequences, train: Sequences) -> npt.NDArray[np.bool_]:
    """Return for each sequence of `part` whether `train` contains an equal one."""
    seen = {train[i].tobytes() for i in range(len(train))}
    return np.array([part[i].tobytes() in seen for i in range(len(part))], bool)


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
        "n_test_in_train": int(copies_in(dataset.test, dataset.train).sum()),
        **parts,
    }


def from_lists(
    token_lists: Sequence[Sequence[int] | npt.NDArray[np.integer]],
    y: Sequence[int] | npt.NDArray[np.integer],
) -> Sequences:
    """Return ragged sequences from one list of token ids per sequence.

    Parameters
    ----------
    token_lists : sequence of sequences of int, n_sequences of them
    y : sequence of int of shape (n_sequences,)
        Class indices.

    Raises
    ------
    ValueError
        The numbers of labels and sequences differ.
    """
    if len(token_lists) != len(y):
        raise ValueError(
            f"expected one label per sequence, got {len(token_lists)} sequences "
            f"and {len(y)} labels"
        )
    offsets = np.zeros(len(token_lists) + 1, np.int64)
    np.cumsum([len(tokens) for tokens in token_lists], out=offsets[1:])
    tokens = np.empty(int(offsets[-1]), np.int32)
    for i, ids in enumerate(token_lists):
        tokens[offsets[i] : offsets[i + 1]] = ids
    return Sequences(tokens, offsets, np.asarray(y, np.int64))


def sequences_digest(train: Sequences, test: Sequences) -> str:
    """Return the hex SHA-256 of ids, boundaries and labels of both parts.

    Equal on every machine: byte order and integer widths are fixed.
    """
    digest = hashlib.sha256()
    for part in (train.copied(), test.copied()):
        for array, dtype in (
            (part.tokens, "<i4"),
            (part.offsets, "<i8"),
            (part.y, "<i8"),
        ):
            # The size first, so that different boundaries give different digests.
            digest.update(len(array).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()
