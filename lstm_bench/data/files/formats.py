"""Which format a file has, and which files hold which part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lstm_bench.data.files.columns import Columns
from lstm_bench.data.files.examples import PART_NAMES, TEST, TRAIN, VALIDATION, Source
from lstm_bench.data.files.fasttext import PREFIX, fasttext_source
from lstm_bench.data.files.npz import npz_source
from lstm_bench.data.files.options import FileOptions, FormatName
from lstm_bench.data.files.streams import is_gzipped, lines
from lstm_bench.data.files.table_source import table_source
from lstm_bench.data.files.tables import open_table
from lstm_bench.data.files.text_folders import (
    folder_source,
    has_class_folders,
    part_folders,
)
from lstm_bench.data.files.ts import ts_source
from lstm_bench.data.files.ucr import looks_like_ucr, ucr_source
from lstm_bench.errors import DatasetError
from lstm_bench.text import listed

SUFFIXES: dict[str, FormatName] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".ft": "fasttext",
    ".fasttext": "fasttext",
    ".ts": "ts",
    ".npz": "npz",
}
TABLES = ("csv", "tsv", "jsonl", "parquet")
_SOURCES = {
    "folder": folder_source,
    "fasttext": fasttext_source,
    "ts": ts_source,
    "ucr": ucr_source,
    "npz": npz_source,
}
FORMATS: tuple[str, ...] = get_args(FormatName)


@dataclass(frozen=True)
class PartFile:
    """A file or folder, and the part that it holds; None if it may hold several."""

    path: Path
    part: int | None


def format_of(path: Path, given: FormatName | None) -> FormatName:
    """Return the format of a file or folder: as given, else by its name.

    A ``.tsv`` whose first line is all numbers is the UCR archive's, a ``.txt`` whose
    first line begins with ``__label__`` fastText's.

    Raises
    ------
    DatasetError
        Neither is known, or there is no such file.
    """
    if not path.exists():
        raise DatasetError(
            f"{path}: expected a file or folder, found none; correct the path "
            "(in a suite, relative paths start from --data-dir, LSTM_BENCH_DATA or "
            "the suite's folder)"
        )
    if given is not None:
        return given
    if path.is_dir():
        return "folder"
    name = path.with_suffix("") if is_gzipped(path) else path
    suffix = name.suffix.lower()
    if suffix == ".tsv" and looks_like_ucr(path):
        return "ucr"
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix in (".txt", "") and next(lines(path), "").startswith(PREFIX):
        return "fasttext"
    raise DatasetError(
        f"{path}: expected a name that ends in {listed(sorted(SUFFIXES))} (or that "
        f"and .gz), got {path.name!r}; rename the file, or set format, one of "
        f"{listed(FORMATS)}"
    )


def part_files(options: FileOptions, folder: Path) -> list[PartFile]:
    """Return the files of a dataset, train first.

    A folder as `file` holds a folder for each class, the folders ``train`` and
    ``test`` with such folders, or files with train and test in their names.

    Raises
    ------
    DatasetError
        A folder holds none of these.
    """
    if options.file is None:
        given = (options.train, options.validation, options.test)
        return [
            PartFile(folder / name, part)
            for part, name in zip((TRAIN, VALIDATION, TEST), given, strict=True)
            if name is not None
        ]
    path = folder / options.file
    if not path.is_dir():
        return [PartFile(path, None)]
    folders = part_folders(path)
    if TRAIN in folders:
        return [PartFile(folders[part], part) for part in sorted(folders)]
    if has_class_folders(path):
        return [PartFile(path, None)]
    named = _named_files(path)
    if TRAIN not in {file.part for file in named}:
        raise DatasetError(
            f"{path}: expected a folder for each class with .txt files in it, folders "
            "train and test with such folders, or files with train and test in their "
            f"names, found {listed(sorted(p.name for p in path.iterdir())) or 'none'}; "
            "name the files with train and test"
        )
    return named


def _named_files(folder: Path) -> list[PartFile]:
    """Return the files in a folder whose names contain train, valid or test."""
    found = []
    for path in sorted(folder.iterdir()):
        name = path.with_suffix("") if is_gzipped(path) else path
        if not path.is_file() or name.suffix.lower() not in SUFFIXES:
            continue
        words = name.stem.casefold().replace("_", "-").replace(".", "-").split("-")
        parts = {PART_NAMES[w] for w in words if w in PART_NAMES and not w.isdigit()}
        if len(parts) == 1:
            found.append(PartFile(path, parts.pop()))
    return sorted(found, key=lambda file: (file.part, file.path.name))


def open_sources(files: Sequence[PartFile], options: FileOptions) -> list[Source]:
    """Open the files; columns are inferred from the first, and hold for all.

    Raises
    ------
    DatasetError
        A file cannot be opened, or is of another kind than the first.
    """
    sources: list[Source] = []
    for file in files:
        like = sources[0].columns if sources else None
        source = open_source(file, options, like)
        first = sources[0] if sources else source
        if (source.kind, source.channels) != (first.kind, first.channels):
            raise DatasetError(
                f"{file.path}: expected {_kind_text(first)} as in {first.path.name}, "
                f"got {_kind_text(source)}; give files of one kind"
            )
        sources.append(source)
    return sources


def open_inputs(path: Path, options: FileOptions) -> Source:
    """Open a file of examples whose classes are to be predicted.

    Labels need not be there, and are not read. The examples of a table keep all its
    columns, those of a folder the names of its files, those of a table of steps the
    names of the series.

    Raises
    ------
    DatasetError
        The file cannot be opened.
    """
    return open_source(PartFile(path, None), options, needs_label=False)


def open_source(
    file: PartFile,
    options: FileOptions,
    like: Columns | None = None,
    needs_label: bool = True,
) -> Source:
    """Open one file or folder.

    Parameters
    ----------
    like : Columns or None
        Columns that a table must have; None to infer them.
    """
    path = file.path
    name = format_of(path, options.format)
    if path.is_dir() != (name == "folder"):
        what = "a folder" if name == "folder" else "a file"
        raise DatasetError(f"{path}: expected {what} for format {name}; correct either")
    if name in TABLES:
        table = open_table(path, name, options.header)
        is_part = file.part is not None
        return table_source(
            table, options, like, is_part=is_part, needs_label=needs_label
        )
    return _SOURCES[name](path, needs_label)


def _kind_text(source: Source) -> str:
    if source.kind != "vectors":
        return source.kind
    return f"vectors of {len(source.channels)} channels ({listed(source.channels)})"
