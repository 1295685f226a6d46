"""Datasets: ragged sequences, class names, vocabulary, and their description.

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.inference import INDEX_FROM, PAD, START
from lstm_bench.tasks import TASKS, TaskName
from lstm_bench.text import count, plural

_BLOCK = 4096
VECTORS: Final = "vectors"
Kind = Literal["tokens", "vectors"]
"""What a step of a sequence is: a token's id, or a vector of numbers."""

Values = npt.NDArray[np.int32] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Vocabulary:
    """The words of a split's training sequences, the most frequent first.

    Attributes
    ----------
    words : tuple of str
        ``words[r - 1]`` is the word of rank r, whose id is r + 3.
    ids : int32 ndarray of shape (n_stored_ids,)
        The id of each id that the dataset stores; words that do not occur in train
        have `OUT_OF_VOCABULARY`.
    """

    words: tuple[str, ...]
    ids: npt.NDArray[np.int32]

    def __call__(self, values: Values) -> Values:
        """Return the ids of stored ids."""
        return self.ids[values]


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of each channel in a split's training sequences.

    Attributes
    ----------
    mean, std : float32 ndarray of shape (n_channels,)
        `std` is 1 where a channel is constant.
    """

    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    def __call__(self, values: Values) -> Values:
        """Return vectors of shape (n_steps, n_channels) with mean 0 and variance 1."""
        return (values - self.mean) / self.std


@dataclass(frozen=True)
class TargetScaling:
    """Mean and standard deviation of each output's targets in a split's train.

    A network is trained on scaled targets; predictions and metrics are in the data's
    own units.

    Attributes
    ----------
    mean, std : float64 ndarray of shape (n_outputs,)
        `std` is 1 where an output is constant.
    """

    mean: FloatArray
    std: FloatArray

    def scaled(self, y: FloatArray) -> FloatArray:
        """Return targets of shape (n, n_outputs) with mean 0 and variance 1."""
        return (y - self.mean) / self.std

    def unscaled(self, outputs: FloatArray) -> FloatArray:
        """Return scaled targets, or a network's outputs, in the data's units."""
        return outputs * self.std + self.mean


@dataclass(frozen=True)
class Embedding:
    """Vectors from an embedding file, of the words of a dataset that the file has.

    Attributes
    ----------
    ids : int32 ndarray of shape (n_found,)
        The words' ids, as the dataset stores them.
    vectors : float32 ndarray of shape (n_found, dim)
    name : str
        The file's name, without its folder.
    digest : str
        Hex SHA-256 of the file, decompressed.
    n_words : int
        Number of words in the file.
    """

    ids: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]
    name: str
    digest: str
    n_words: int

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def rows_of(
        self, fitted: Vocabulary | Scaling | None, vocabulary_size: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the rows of a model's embedding that come from the file.

        Parameters
        ----------
        fitted : Vocabulary or None
            What the model's training sequences apply.

        Returns
        -------
        ids : int32 ndarray of shape (n_rows,)
            Token ids below `vocabulary_size`.
        vectors : float32 ndarray of shape (n_rows, dim)
        """
        ids = fitted.ids[self.ids] if isinstance(fitted, Vocabulary) else self.ids
        # Words that train lacks are out of vocabulary.
        is_row = (ids > INDEX_FROM) & (ids < vocabulary_size)
        return ids[is_row], self.vectors[is_row]


@dataclass(frozen=True)
class Units:
    """The unit of each window's targets: its series' level and scale.

    Attributes
    ----------
    level : float64 ndarray of shape (n_sequences,)
        The last value that is known.
    scale : float64 ndarray of shape (n_sequences,)
        Mean absolute difference of values a season apart, in train.
    origin : int64 ndarray of shape (n_sequences,)
        Position in time of the first target.
    season : int
        Steps of a season.
    """

    level: FloatArray
    scale: FloatArray
    origin: IntArray
    season: int

    def take(self, indices: IntArray) -> Units:
        """Return the units of the sequences at `indices`."""
        of = (self.level[indices], self.scale[indices], self.origin[indices])
        return Units(*of, self.season)

    def scaled(self, y: FloatArray) -> FloatArray:
        """Return numbers of shape (n, n_outputs) as differences from the level."""
        return (y - self.level[:, None]) / self.scale[:, None]

    def unscaled(self, y: FloatArray) -> FloatArray:
        """Return scaled numbers in the units of the series."""
        return y * self.scale[:, None] + self.level[:, None]


def is_known(origin: IntArray, horizon: int, at: int) -> npt.NDArray[np.bool_]:
    """Return for windows whether all targets lie before position `at`.

    Parameters
    ----------
    origin : int64 ndarray of shape (n,)
        Position of each window's first target.
    """
    return origin + horizon <= at


@dataclass(frozen=True)
class Evidence:
    """Numbers beside every step: what the n-grams that end there say.

    Attributes
    ----------
    values : float32 ndarray of shape (n_steps, n_values)
    starts : int64 ndarray of shape (n_sequences,)
        Where each sequence's first step is in `values`.
    """

    values: npt.NDArray[np.float32]
    starts: IntArray

    def take(self, indices: IntArray) -> Evidence:
        """Return the evidence of the sequences at `indices`."""
        return replace(self, starts=self.starts[indices])


@dataclass(frozen=True)
class Sequences:
    """Sequences with a target each, ragged.

    Attributes
    ----------
    values : ndarray
        All stored sequences, concatenated, including those that `index` does not
        select: int32 token ids of shape (n_steps,), or float32 vectors of shape
        (n_steps, n_channels). May be memory-mapped from a file that several processes
        share.
    offsets : int64 ndarray of shape (n_stored + 1,)
        Stored sequence j is ``values[offsets[j]:offsets[j + 1]]``.
    y : ndarray
        int64 class indices of shape (n_sequences,), or for regression float64 numbers
        of shape (n_sequences, n_outputs).
    index : int64 ndarray of shape (n_sequences,), or None
        Stored sequence of each sequence; None for all, in their order.
    fitted : Vocabulary, Scaling or None
        What a split has fitted on train; it is applied to the values as they are read.
    shortest : int32 ndarray of shape (n_steps,), or None
        Of a memory task, the shortest ``sequence_length`` at which a sequence has each
        stored step; see `at_length`.
    target_scaling : TargetScaling or None
        What a split has fitted on train's targets; `y` itself is never scaled.
    units : Units or None
        Of windows of series, in which the targets' scaling works.
    groups : int64 ndarray of shape (n_sequences,), or None
        A number for each sequence of a split, equal for those of one group.
    evidence : Evidence or None
        What a training has added for a network that reads it.
    """

    values: Values
    offsets: IntArray
    y: Targets
    index: IntArray | None = None
    fitted: Vocabulary | Scaling | None = None
    shortest: npt.NDArray[np.int32] | None = None
    target_scaling: TargetScaling | None = None
    units: Units | None = None
    groups: IntArray | None = None
    evidence: Evidence | None = None

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.y)

    def __getitem__(self, i: int) -> Values:
        """Return the token ids or vectors of sequence `i`."""
        return self.at(slice(*self.bounds(i)))

    def bounds(self, i: int) -> tuple[int, int]:
        """Return where sequence `i` begins and ends in `values`."""
        j = i if self.index is None else int(self.index[i])
        return int(self.offsets[j]), int(self.offsets[j + 1])

    def at(self, steps: slice | IntArray) -> Values:
        """Return the token ids or vectors of some steps of `values`, as fitted."""
        values = self.values[steps]
        return values if self.fitted is None else self.fitted(values)

    @cached_property
    def fingerprints(self) -> npt.NDArray[np.uint64]:
        """A number for each sequence as it is stored, of shape (n_sequences,).

        Copies have the same: 8 bytes each, where a million whole texts fill a laptop.
        That two of a million different sequences have the same has probability 3e-8.
        """
        digests = b"".join(
            hashlib.blake2b(self.values[start:stop].tobytes(), digest_size=8).digest()
            for start, stop in zip(
                self.starts.tolist(), self.stops.tolist(), strict=True
            )
        )
        return np.frombuffer(digests, np.uint64)

    @property
    def starts(self) -> IntArray:
        """Where each sequence begins in `values`."""
        return self._chosen(self.offsets[:-1])

    @property
    def stops(self) -> IntArray:
        """Where each sequence ends in `values`."""
        return self._chosen(self.offsets[1:])

    def _chosen(self, stored: IntArray) -> IntArray:
        return stored if self.index is None else stored[self.index]

    @property
    def lengths(self) -> IntArray:
        """Number of steps of each sequence, a start token included."""
        lengths: IntArray = self.stops - self.starts
        return lengths

    def take(self, indices: IntArray) -> Sequences:
        """Return the sequences at `indices`, in that order; no step is copied."""
        index = np.asarray(indices, np.int64)
        if self.index is not None:
            index = self.index[index]
        return replace(
            self,
            y=self.y[indices],
            index=index,
            units=None if self.units is None else self.units.take(indices),
            groups=None if self.groups is None else self.groups[indices],
            evidence=None if self.evidence is None else self.evidence.take(indices),
        )

    def copied(self) -> Sequences:
        """Return the same sequences with a contiguous copy of their fitted steps."""
        if self.index is None and self.fitted is None:
            return self
        offsets = _offsets(self.lengths)
        steps = places(self.starts, self.lengths)
        shortest = None if self.shortest is None else self.shortest[steps]
        return Sequences(
            self.at(steps),
            offsets,
            self.y,
            shortest=shortest,
            target_scaling=self.target_scaling,
            units=self.units,
            groups=self.groups,
        )

    def at_length(self, length: int) -> Sequences:
        """Return the sequences of a memory task as they are at a ``sequence_length``.

        Other sequences are returned as they are: an encoding cuts and pads them.
        """
        if self.shortest is None:
            return self
        steps = places(self.starts, self.lengths)
        is_there = self.shortest[steps] <= length
        lengths = np.add.reduceat(is_there, _offsets(self.lengths)[:-1])
        return replace(
            self,
            values=self.values[steps[is_there]],
            offsets=_offsets(lengths),
            index=None,
            shortest=None,
        )


def _offsets(lengths: IntArray) -> IntArray:
    """Return where sequences of these lengths begin, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def joined(a: Sequences, b: Sequences) -> Sequences:
    """Return the sequences of both as they are stored, nothing fitted."""
    y = np.concatenate([a.y, b.y])
    units = a.units
    if units is not None and b.units is not None:
        units = Units(
            np.concatenate([units.level, b.units.level]),
            np.concatenate([units.scale, b.units.scale]),
            np.concatenate([units.origin, b.units.origin]),
            units.season,
        )
    groups = None
    if a.groups is not None and b.groups is not None:
        groups = np.concatenate([a.groups, b.groups])
    if a.values is b.values and a.index is not None and b.index is not None:
        index = np.concatenate([a.index, b.index])
        return replace(a, y=y, index=index, fitted=None, units=units, groups=groups)
    a, b = (replace(part, fitted=None).copied() for part in (a, b))
    offsets = np.concatenate([a.offsets, a.offsets[-1] + b.offsets[1:]])
    shortest = None
    if a.shortest is not None and b.shortest is not None:
        shortest = np.concatenate([a.shortest, b.shortest])
    values = np.concatenate([a.values, b.values])
    return Sequences(values, offsets, y, shortest=shortest, units=units, groups=groups)


@dataclass(frozen=True)
class Dataset:
    """A loaded dataset.

    Attributes
    ----------
    train, test : Sequences
    class_names : tuple of str
        Name of each class index; empty for regression.
    vocabulary : tuple of str
        ``vocabulary[r - 1]`` is the word of rank r, whose id is r + 3. Empty for
        vectors.
    digest : str
        Hex SHA-256 of the values and labels of all parts.
    source : str
        Where the data came from; never a path of one machine.
    synthetic : bool
        Whether a program generated the data.
    best_possible_accuracy : float or None
        Accuracy of a classifier that knows the generating rule.
    example : str
        Word for one sequence in messages and reports; see `lstm_bench.text.plural`.
    notes : tuple of str
        Remarks for readers of the results.
    kind : {"tokens", "vectors"}
    tokenizer : str or None
        How a text becomes tokens: one of `inference.TOKENIZERS`, or "categories" for
        steps that are categories. None for vectors.
    fits_vocabulary : bool
        Whether each split ranks the words by its own training sequences; otherwise
        the ids come with the data.
    channels : tuple of str
        Names of the channels of vectors.
    validation : Sequences or None
        Validation sequences, where the data come with some.
    groups : int64 ndarray of shape (n_train,), or None
        A number for each training sequence; sequences of one number are never divided
        between train and validation.
    other_groups : dict of str to int64 ndarray
        The numbers, as in `groups`, of validation's and test's sequences.
    times : float64 ndarray of shape (n_train,), or None
        Validation has the latest training sequences.
    rows : dict
        What was read of a file, as plain JSON types: ``n_read``, ``n_dropped``,
        ``reasons``.
    division : str
        Where the test part comes from; empty if it belongs to the dataset.
    task : {"classification", "regression", "forecast"}
        Whether the targets are classes, numbers, or the next values of a series.
    output_names : tuple of str
        Name of each number that is predicted; empty for classification.
    scales_channels : bool
        Whether each split scales the channels of vectors by its own training
        sequences; otherwise they are used as they are.
    embedding : Embedding or None
        Vectors from the suite's embedding file.
    forecast : dict
        Of windows of series, `lstm_bench.data.forecasting.describe`.
    later : Sequences or None
        Windows at all origins after train's, where models are trained again at every
        test origin; each may use those that are known by then.
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
    kind: Kind = "tokens"
    tokenizer: str | None = None
    fits_vocabulary: bool = False
    channels: tuple[str, ...] = ()
    validation: Sequences | None = None
    groups: IntArray | None = None
    other_groups: Mapping[str, IntArray] = field(default_factory=dict)
    times: FloatArray | None = None
    rows: Mapping[str, Any] = field(default_factory=dict)
    division: str = ""
    task: TaskName = "classification"
    output_names: tuple[str, ...] = ()
    scales_channels: bool = True
    embedding: Embedding | None = None
    forecast: Mapping[str, Any] = field(default_factory=dict)
    later: Sequences | None = None

    @property
    def examples(self) -> str:
        """The plural of `example`."""
        return plural(self.example)

    @property
    def identity(self) -> str:
        """The digest of the data, then of the embedding file if there is one."""
        file = () if self.embedding is None else (self.embedding.digest,)
        return "+".join((self.digest, *file))

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for regression."""
        return len(self.class_names)

    @property
    def is_numeric(self) -> bool:
        """Whether the targets are numbers."""
        return TASKS[self.task].is_numeric

    @property
    def n_targets(self) -> int:
        """Number of classes, or of the numbers that are predicted."""
        return len(self.class_names or self.output_names)

    @property
    def n_channels(self) -> int | None:
        """Number of channels of vectors; None for tokens."""
        return len(self.channels) if self.kind == VECTORS else None

    @property
    def parts(self) -> dict[str, Sequences]:
        """The parts by name: train, validation if the data come with one, and test."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def raw(self, sequences: Sequences, i: int) -> str | list[str] | list[list[float]]:
        """Return sequence `i` as a user of a model of these data would give it.

        Returns
        -------
        str, list of str or list of list of float
            A text, its tokens joined; categories; or vectors, not scaled. Not of
            windows; see `window`.

        Parameters
        ----------
        sequences : Sequences
            A part of this dataset, or of one of its splits.
        """
        start, stop = sequences.bounds(i)
        values = sequences.values[start:stop]
        if self.kind == VECTORS:
            vectors: list[list[float]] = values.tolist()
            return vectors
        words = [self._word(int(t)) for t in values if int(t) not in (PAD, START)]
        if self.tokenizer == "categories":
            return words
        return ("" if self.tokenizer == "characters" else " ").join(words)

    def window(self, sequences: Sequences, i: int) -> dict[str, Any]:
        """Return window `i` as a user of a model of forecasts would give it.

        Returns
        -------
        dict
            ``values`` in the unit of the series, None where missing, and
            ``unique_id``, the name of a series with the window's scale.
        """
        if sequences.units is None:
            raise ValueError("expected windows of series, got sequences without units")
        level, scale = sequences.units.level[i], sequences.units.scale[i]
        scales = self.forecast["scales"]
        return {
            "unique_id": next(name for name, of in scales.items() if of == scale),
            "values": [
                None if is_missing else float(level + value * scale)
                for value, is_missing in sequences[i].tolist()
            ],
        }

    def text(self, sequences: Sequences, i: int, max_words: int = 200) -> str:
        """Return the words of a sequence without the start token, or its vectors' size.

        Parameters
        ----------
        sequences : Sequences
            A part of this dataset, or of one of its splits.
        """
        start, stop = sequences.bounds(i)
        values = sequences.values[start:stop]
        if self.kind == VECTORS:
            return f"{count(len(values), 'step')} of {len(self.channels)} channels"
        words = [self._word(int(t)) for t in values if int(t) not in (PAD, START)]
        text = ("" if self.tokenizer == "characters" else " ").join(words[:max_words])
        return text + (" ..." if len(words) > max_words else "")

    def thinned(
        self,
        sequences: Sequences,
        i: int,
        max_steps: int = 64,
        max_channels: int = 32,
    ) -> list[list[float]]:
        """Return a few values of a series, unscaled, by step and channel, to draw it.

        Steps and channels are evenly spaced; values have four significant digits.
        """
        start, stop = sequences.bounds(i)
        series = sequences.values[start:stop]
        steps, channels = (
            np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
            for n, most in zip(series.shape, (max_steps, max_channels), strict=True)
        )
        few = series[np.ix_(steps, channels)].tolist()
        return [[float(f"{value:.4g}") for value in step] for step in few]

    def _word(self, token: int) -> str:
        rank = token - INDEX_FROM
        return self.vocabulary[rank - 1] if 0 < rank <= len(self.vocabulary) else "?"


@dataclass(frozen=True)
class Sizes:
    """Sizes of a dataset.

    Attributes
    ----------
    n_classes : int
        0 for regression.
    n_train : int or None
        None if only reading the data shows it.
    lengths : tuple of int or None
        The smallest and the largest ``sequence_length`` at which there are sequences;
        None where sequences are cut and padded to any.
    """

    n_classes: int
    n_train: int | None = None
    lengths: tuple[int, int] | None = None


def short_identity(identity: str) -> str:
    """Return a dataset's `identity` with 12 digits of each digest, as runs have it."""
    return "+".join(digest[:12] for digest in identity.split("+"))


def how_different(known: str, now: str) -> str:
    """Return what differs between two `short_identity`: ``other data (...)``."""
    (data, file), (data_now, file_now) = (
        identity.partition("+")[::2] for identity in (known, now)
    )
    if data != data_now:
        return f"other data (digest {data}, now {data_now})"
    return (
        f"another embedding file (SHA-256 {file or 'none'}, now {file_now or 'none'})"
    )


def first_copies(sequences: Sequences) -> IntArray:
    """Return for each sequence the index of the first that is equal to it."""
    _, first, inverse = np.unique(
        sequences.fingerprints, return_index=True, return_inverse=True
    )
    copies: IntArray = first[inverse]
    return copies


def places(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return the indices of all steps in runs of `lengths` that begin at `starts`."""
    firsts = starts - np.cumsum(lengths) + lengths
    every: IntArray = np.repeat(firsts, lengths) + np.arange(lengths.sum())
    return every


def copies_in(part: Sequences, train: Sequences) -> npt.NDArray[np.bool_]:
    """Return for each sequence of `part` whether `train` contains an equal one."""
    return np.isin(part.fingerprints, train.fingerprints)


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return sizes, balance, lengths and digest as plain JSON types."""
    parts: dict[str, Any] = {}
    for part, sequences in dataset.parts.items():
        quantiles = np.quantile(sequences.lengths, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
        parts[part] = {
            "n": len(sequences),
            "classes": _class_counts(dataset, sequences),
            "targets": _target_facts(dataset, sequences),
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
        "task": dataset.task,
        "class_names": list(dataset.class_names),
        "output_names": list(dataset.output_names),
        "forecast": dict(dataset.forecast) or None,
        "best_possible_accuracy": dataset.best_possible_accuracy,
        "notes": list(dataset.notes),
        "kind": dataset.kind,
        "tokenizer": dataset.tokenizer,
        "channels": list(dataset.channels),
        "rows": dict(dataset.rows),
        "division": dataset.division,
        "n_test_in_train": int(copies_in(dataset.test, dataset.train).sum()),
        **parts,
    }


def _class_counts(dataset: Dataset, sequences: Sequences) -> dict[str, int]:
    if dataset.is_numeric:
        return {}
    counts = np.bincount(sequences.y, minlength=dataset.n_classes)
    return dict(zip(dataset.class_names, counts.tolist(), strict=True))


def _target_facts(
    dataset: Dataset, sequences: Sequences
) -> dict[str, dict[str, float]]:
    """Return each output's mean, standard deviation and range; {} of classes."""
    return {
        name: {
            "mean": float(y.mean()),
            "std": float(y.std()),
            "min": float(y.min()),
            "max": float(y.max()),
        }
        for name, y in zip(dataset.output_names, sequences.y.T, strict=False)
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


def value_blocks(sequences: Sequences) -> Iterator[Values]:
    """Yield the values of some thousand sequences at a time.

    The steps of a million texts at once would fill a laptop's memory.
    """
    for start in range(0, len(sequences), _BLOCK):
        index = np.arange(start, min(start + _BLOCK, len(sequences)))
        yield sequences.take(index).copied().values


def sequences_digest(*parts: Sequences) -> str:
    """Return the hex SHA-256 of values, boundaries and labels of some parts.

    Equal on every machine: byte order and integer widths are fixed.
    """
    digest = hashlib.sha256()
    for part in parts:
        offsets = _offsets(part.lengths)
        # The size first, so that different boundaries give different digests.
        digest.update(int(offsets[-1]).to_bytes(8, "little"))
        dtype = "<i4" if part.values.ndim == 1 else "<f4"
        for values in value_blocks(part):
            digest.update(np.ascontiguousarray(values, dtype=dtype).data)
        y_dtype = "<f8" if part.y.dtype.kind == "f" else "<i8"
        for array, width in ((offsets, "<i8"), (part.y, y_dtype)):
            digest.update(len(array).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(array, dtype=width).data)
    return digest.hexdigest()
