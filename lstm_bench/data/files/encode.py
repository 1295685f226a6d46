"""Encode examples into arrays on disk, block by block, and keep them in the cache."""

from __future__ import annotations

import hashlib
import json
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import MAX_NUMERIC_CLASSES, are_integers, number
from lstm_bench.data.files.examples import TRAIN, UNKNOWN, Examples, Source
from lstm_bench.data.files.formats import PartFile, open_sources
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.files.text_folders import text_files
from lstm_bench.errors import DatasetError, QuantityError, UnfitDataError
from lstm_bench.inference import INDEX_FROM, START, spaced, tokenize
from lstm_bench.system.files import file_sha256, files_digest, replacing
from lstm_bench.system.folders import cache_folder
from lstm_bench.tasks import TASKS
from lstm_bench.text import count, listed, quoted

MAX_CLASSES = 1000
# Part of the cache key: increase it when the same files give other arrays.
_FORMAT = 3
_CHUNK = 1 << 22
_ABOUT = "about.json"
# They act after the examples have been encoded.
_LATER = {"test_fraction", "file", "train", "validation", "test"}


@dataclass(frozen=True)
class Encoded:
    """All examples of a dataset, as arrays; `values` is mapped from a file.

    Attributes
    ----------
    values : ndarray
        int32 ids of shape (n_steps,), each example beginning with `START`, or float32
        of shape (n_steps, n_channels).
    offsets : int64 ndarray of shape (n_examples + 1,)
    y : ndarray
        int64 classes of shape (n_examples,), or for regression float64 numbers of shape
        (n_examples, 1).
    parts : int8 ndarray of shape (n_examples,)
        `TRAIN`, `VALIDATION`, `TEST` or `UNKNOWN`.
    groups : int64 ndarray of shape (n_examples,), or None
    times : float64 ndarray of shape (n_examples,), or None
    vocabulary : tuple of str
        By frequency in train (without parts: in all), ties by first occurrence.
    """

    values: npt.NDArray[np.int32] | npt.NDArray[np.float32]
    offsets: IntArray
    y: Targets
    parts: npt.NDArray[np.int8]
    groups: IntArray | None
    times: FloatArray | None
    vocabulary: tuple[str, ...]
    about: About


@dataclass(frozen=True)
class About:
    """What stands beside the arrays, as plain JSON types.

    Attributes
    ----------
    kind : {"texts", "vectors", "categories"}
    columns : dict
        The purpose of each column that was used; empty for formats without columns.
    rows : dict
        ``n_read``, ``n_dropped``, and ``reasons``: for each its count and an example.
    files : list of str
        Name and SHA-256 of each file.
    notes : list of str
    """

    kind: str
    class_names: list[str]
    channels: list[str]
    columns: dict[str, Any]
    rows: dict[str, Any]
    files: list[str]
    output_names: list[str]
    notes: list[str] = field(default_factory=list)


def encode(files: Sequence[PartFile], options: FileOptions) -> Encoded:
    """Return the examples of some files, from the cache if they have been read before.

    Raises
    ------
    DatasetError
        A file cannot be read or has bad rows; there are fewer than two examples or
        classes, or more than 1,000 classes; or labels are numbers that may be a
        quantity, where the suite does not say so.
    """
    digests = [_digest(file) for file in files]
    folder = cache_folder("files", _key(files, digests, options))
    try:
        if not (folder / _ABOUT).exists():
            folder.mkdir(parents=True, exist_ok=True)
            _Writer(files, options, digests).write(folder)
        return _read(folder)
    except OSError as error:
        note = f"The examples could not be cached: {error.strerror or error}."
    try:
        # The arrays remain mapped after their folder has been removed.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            _Writer(files, options, digests).write(Path(temporary), note)
            return _read(Path(temporary))
    except OSError as error:
        raise DatasetError(
            f"{listed(str(file.path) for file in files)}: expected room for the "
            f"examples' arrays in {folder} or {tempfile.gettempdir()}, got "
            f"{error.strerror or error}; name another folder in LSTM_BENCH_CACHE"
        ) from error


def _digest(file: PartFile) -> str:
    try:
        if file.path.is_dir():
            return files_digest(file.path, text_files(file.path))
        return file_sha256(file.path)
    except OSError as error:
        raise DatasetError(
            f"{file.path}: expected a readable file or folder, got "
            f"{error.strerror or error}; correct the path (in a suite, relative "
            "paths start from --data-dir, LSTM_BENCH_DATA or the suite's folder)"
        ) from error


def _key(
    files: Sequence[PartFile], digests: Sequence[str], options: FileOptions
) -> str:
    content = {
        "format": _FORMAT,
        # Names are part of messages about bad rows.
        "files": [
            [file.path.name, file.part, digest]
            for file, digest in zip(files, digests, strict=True)
        ],
        "options": options.model_dump(mode="json", exclude=_LATER),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read(folder: Path) -> Encoded:
    """Return what `_Writer` wrote, mapped from the files and so shared by processes."""

    def mapped(name: str) -> Any:
        file = folder / f"{name}.npy"
        if not file.exists():
            return None
        # An empty file cannot be mapped.
        return np.asarray(np.load(file, mmap_mode="r"))

    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    arrays = {n: mapped(n) for n in ("values", "offsets", "y", "parts")}
    others = {n: mapped(n) for n in ("groups", "times")}
    return Encoded(**arrays, **others, vocabulary=tuple(words), about=About(**about))


class _Writer:
    """Reads the sources once, writes values as they come, and the rest at the end."""

    def __init__(
        self,
        files: Sequence[PartFile],
        options: FileOptions,
        digests: Sequence[str],
    ) -> None:
        self.sources = open_sources(files, options)
        self.files, self.options, self.digests = files, options, digests

    def write(self, folder: Path, *notes: str) -> None:
        """Write all arrays to `folder`, and `_ABOUT` last."""
        first = self.sources[0]
        labels, groups = _Codes(), _Codes()
        is_numeric = TASKS[self.options.task].is_numeric
        y, parts, group_codes = array("q"), array("b"), array("q")
        numbers = array("d")
        times, lengths = array("d"), array("q")
        bad = BadRows(self.options.on_bad_rows, is_numeric=is_numeric)
        with _Values.of(first, self.options, folder) as values:
            for examples, part in self._blocks(bad):
                n = len(examples.labels)
                in_part = examples.parts or [UNKNOWN if part is None else part] * n
                if is_numeric:
                    numbers.extend(map(float, examples.labels))
                else:
                    y.extend(labels.of(examples.labels))
                parts.extend(in_part)
                group_codes.extend(groups.of(examples.groups))
                times.extend(examples.times)
                is_train = np.array(in_part) <= TRAIN
                lengths.extend(values.add(examples.values, is_train))
                if len(labels.codes) > MAX_CLASSES:
                    raise self._too_many_classes(labels.codes)
            bad.check()
            self._check_number(len(parts), bad)
            classes = []
            if is_numeric:
                self._check_numbers(numbers)
            else:
                classes = self._classes(list(labels.codes), len(y))
            vocabulary = values.finish(folder / "values.npy")
        _save(folder, "offsets", np.concatenate([[0], np.cumsum(lengths)]), np.int64)
        if is_numeric:
            targets = np.frombuffer(numbers, np.float64)[:, None]
            _save(folder, "y", targets, np.float64)
        else:
            place = {name: i for i, name in enumerate(classes)}
            class_of = np.array([place[name] for name in labels.codes], np.int64)
            _save(folder, "y", class_of[np.frombuffer(y, np.int64)], np.int64)
        _save(folder, "parts", np.frombuffer(parts, np.int8), np.int8)
        if group_codes:
            _save(folder, "groups", np.frombuffer(group_codes, np.int64), np.int64)
        if times:
            _save(folder, "times", np.frombuffer(times, np.float64), np.float64)
        _write_json(folder / "vocabulary.json", vocabulary)
        columns = first.columns
        about = About(
            kind=first.kind,
            class_names=classes,
            output_names=[(columns and columns.label) or "y"] if is_numeric else [],
            channels=list(first.channels),
            columns={} if columns is None else asdict(columns),
            rows=bad.about(),
            files=[
                f"{file.path.name} (SHA-256 {digest})"
                for file, digest in zip(self.files, self.digests, strict=True)
            ],
            notes=list(notes),
        )
        # Written last: if it exists, the other files do.
        _write_json(folder / _ABOUT, asdict(about))

    def _blocks(self, bad: BadRows) -> Iterator[tuple[Examples, int | None]]:
        for source, file in zip(self.sources, self.files, strict=True):
            for examples in source.blocks(bad):
                if examples.labels:
                    yield examples, file.part

    @property
    def _place(self) -> str:
        return listed(str(file.path) for file in self.files)

    def _check_number(self, n: int, bad: BadRows) -> None:
        if n < 2:
            dropped = f", and {count(bad.n_dropped, 'bad row')}" if bad.counts else ""
            why = (
                f" (for example {next(iter(bad.examples.values()))})" if dropped else ""
            )
            raise UnfitDataError(
                f"{self._place}: expected at least two examples, got {n}{dropped}{why};"
                " give more"
            )

    def _check_numbers(self, numbers: Sequence[float]) -> None:
        if min(numbers) == max(numbers):
            raise UnfitDataError(
                f"{self._place}: expected numbers that differ as labels, got only "
                f"{numbers[0]:g} in {count(len(numbers), 'example')}; name another "
                "column with label"
            )

    def _classes(self, labels: list[str], n: int) -> list[str]:
        """Return the class names in their order, after they have been checked."""
        if len(labels) < 2:
            raise UnfitDataError(
                f"{self._place}: expected at least two classes, got only "
                f"{quoted(labels[0])} in {count(n, 'example')}; name another column "
                "with label, or give examples of other classes"
            )
        numbers = [number(label) for label in labels]
        if any(x is None for x in numbers):
            return sorted(labels)
        is_few = are_integers(numbers) and len(set(numbers)) <= MAX_NUMERIC_CLASSES
        are_classes = self.options.numeric_labels_are_classes
        if are_classes is False or (are_classes is None and not is_few):
            raise self._quantity(labels)
        return sorted(labels, key=lambda label: (float(label), label))

    def _too_many_classes(self, labels: dict[str, int]) -> UnfitDataError:
        numeric = all(number(label) is not None for label in labels)
        if numeric and self.options.numeric_labels_are_classes is not True:
            return self._quantity(list(labels))
        return UnfitDataError(
            f"{self._place}: expected at most {MAX_CLASSES:,} classes, got more, as "
            f"{listed(map(quoted, list(labels)[:3]))}; name another column with label"
        )

    def _quantity(self, labels: list[str]) -> QuantityError:
        return QuantityError(
            f"{self._place}: expected labels that are classes, got numbers that may be "
            f"a quantity ({len(labels):,} different, as "
            f"{listed(map(quoted, labels[:5]))}); set task: regression to predict it, "
            "numeric_labels_are_classes: true if each number is a class, or name "
            "another column with label"
        )


class _Codes:
    """Numbers for strings, in the order in which they occur first."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = defaultdict()
        self.codes.default_factory = self.codes.__len__

    def of(self, names: Sequence[str]) -> Iterator[int]:
        return map(self.codes.__getitem__, names)


class _Values:
    """Writes the values of examples to a temporary file, then in their final form."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    @staticmethod
    @contextmanager
    def of(source: Source, options: FileOptions, folder: Path) -> Iterator[_Values]:
        with tempfile.TemporaryFile(dir=folder) as temporary:
            stream = cast(BinaryIO, temporary)
            if source.kind == "vectors":
                yield _Vectors(stream, len(source.channels))
            else:
                is_text = source.kind == "texts"
                yield _Tokens(stream, options.tokens if is_text else None)

    def add(self, values: list[Any], is_train: npt.NDArray[np.bool_]) -> list[int]:
        """Write the values of a block; return the number of steps of each example."""
        raise NotImplementedError

    def finish(self, file: Path) -> list[str]:
        """Write the final array to `file`; return the vocabulary."""
        raise NotImplementedError

    def _copy(
        self, file: Path, dtype: str, shape: tuple[int, ...], new: Any = None
    ) -> None:
        """Write an array with the file's content, or with ``new[content]``."""
        self.stream.flush()
        self.stream.seek(0)
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        with replacing(file) as partial, partial.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, header)
            while content := self.stream.read(_CHUNK):
                if new is None:
                    out.write(content)
                else:
                    out.write(new[np.frombuffer(content, np.int32)].data)


class _Vectors(_Values):
    def __init__(self, stream: BinaryIO, n_channels: int) -> None:
        super().__init__(stream)
        self.n_channels, self.n_steps = n_channels, 0

    def add(self, values: list[Any], is_train: npt.NDArray[np.bool_]) -> list[int]:
        lengths = [len(series) for series in values]
        steps = np.ascontiguousarray(np.concatenate(values), dtype="<f4")
        self.stream.write(steps.data)
        self.n_steps += len(steps)
        return lengths

    def finish(self, file: Path) -> list[str]:
        self._copy(file, "<f4", (self.n_steps, self.n_channels))
        return []


class _Tokens(_Values):
    """Provisional ids are numbers of words by first occurrence; 0 is the start."""

    def __init__(self, stream: BinaryIO, tokenizer: str | None) -> None:
        super().__init__(stream)
        self.tokenizer, self.n_tokens = tokenizer, 0
        self.index = _Codes().codes
        # No tokenizer gives an empty word, so that its number is free for the start.
        self.start = self.index[""]
        self.counts = np.zeros(1, np.int64)

    def add(self, values: list[Any], is_train: npt.NDArray[np.bool_]) -> list[int]:
        if self.tokenizer == "words":
            ids, lengths = self._words(values)
        else:
            ids, lengths = self._tokens(values)
        ids.tofile(self.stream)
        self.n_tokens += len(ids)
        counts = np.bincount(
            ids[np.repeat(is_train, lengths)], minlength=len(self.index)
        )
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return lengths

    def _tokens(self, values: list[Any]) -> tuple[npt.NDArray[np.int32], list[int]]:
        ids, lengths = array("i"), []
        number_of = self.index.__getitem__
        for value in values:
            tokens = tokenize(value, self.tokenizer) if self.tokenizer else value
            ids.append(self.start)
            ids.extend(map(number_of, tokens))
            lengths.append(len(tokens) + 1)
        return np.frombuffer(ids, np.int32), lengths

    def _words(self, texts: list[str]) -> tuple[npt.NDArray[np.int32], list[int]]:
        """Return the ids that `_tokens` returns, in half the time."""
        block = pa.array(map(spaced, texts), pa.large_string(), size=len(texts))
        lists = pc.split_pattern(block, " ")
        words = lists.flatten().dictionary_encode()
        number_of = self.index.__getitem__
        numbers = np.array([*map(number_of, words.dictionary.to_pylist())], np.int32)
        # Two spaces in a row leave an empty word, which has the number of the start.
        ids = numbers[words.indices.to_numpy()]
        is_word = ids != self.start
        before = np.concatenate([[0], np.cumsum(is_word)])[lists.offsets.to_numpy()]
        lengths: list[int] = (np.diff(before) + 1).tolist()
        return np.insert(ids[is_word], before[:-1], self.start), lengths

    def finish(self, file: Path) -> list[str]:
        counts = np.zeros(len(self.index), np.int64)
        counts[: len(self.counts)] = self.counts
        # Words that train lacks come last, as their count is 0.
        by_rank = 1 + np.argsort(-counts[1:], kind="stable")
        new = np.empty(len(counts), "<i4")
        new[self.start] = START
        new[by_rank] = np.arange(1, len(counts)) + INDEX_FROM
        self._copy(file, "<i4", (self.n_tokens,), new)
        words = list(self.index)
        return [words[i] for i in by_rank]


def _save(folder: Path, name: str, values: npt.NDArray[Any], dtype: Any) -> None:
    with replacing(folder / f"{name}.npy") as partial, partial.open("wb") as stream:
        np.save(stream, values.astype(dtype, copy=False))


def _write_json(file: Path, content: Any) -> None:
    with replacing(file) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")
