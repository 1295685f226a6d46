"""Folders of text files, one folder per class, as Keras reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lstm_bench.data.files.bad_rows import NOT_UTF8, BadRows
from lstm_bench.data.files.examples import (
    LONG_TEXT,
    PART_NAMES,
    Examples,
    Source,
    label_fault,
    text_fault,
)
from lstm_bench.data.files.streams import BLOCK_CHARACTERS, BLOCK_ROWS, MAX_TEXT
from lstm_bench.errors import DatasetError
from lstm_bench.text import listed

MAX_UTF8_BYTES = 4


def part_folders(folder: Path) -> dict[int, Path]:
    """Return the folders called train, validation and test, by part."""
    return {
        PART_NAMES[name.casefold()]: folder / name
        for name in _folders(folder)
        if not name.isdigit() and name.casefold() in PART_NAMES
    }


def has_class_folders(folder: Path) -> bool:
    """Whether a folder has folders with text files in them."""
    return any(_text_files(folder / name) for name in _folders(folder))


def text_files(folder: Path) -> list[Path]:
    """Return the text files of all classes, in order; links are ignored."""
    return [file for name in _folders(folder) for file in _text_files(folder / name)]


def folder_source(folder: Path, needs_label: bool = True) -> Source:
    """Open a folder whose folders are classes: ``pos/1.txt``, ``neg/1.txt``.

    Without `needs_label` the files may be in the folder itself; the examples keep
    their names as column ``file``.

    Raises
    ------
    DatasetError
        There is no such file.
    """
    files = text_files(folder)
    if not (needs_label or files):
        files = _text_files(folder)
    if not files:
        raise DatasetError(
            f"{folder}: expected a folder for each class with .txt files in it, found "
            f"the folders {listed(_folders(folder)) or '(none)'}; move the files, "
            "or name a table"
        )
    kept = () if needs_label else ("file",)

    def blocks(bad: BadRows) -> Iterator[Examples]:
        return _blocks(folder, files, kept, bad)

    return Source(folder, "texts", blocks, kept=kept)


def _blocks(
    folder: Path, files: list[Path], kept: tuple[str, ...], bad: BadRows
) -> Iterator[Examples]:
    found, n_characters = Examples(columns={name: [] for name in kept}), 0
    for file in files:
        bad.n_read += 1
        name = file.relative_to(folder).as_posix()
        text, fault = _read(file)
        if not kept:
            fault = fault or label_fault(file.parent.name, bad.is_numeric)
        if fault is not None:
            bad.add(folder, name, *fault)
            continue
        found.labels.append("" if kept else file.parent.name)
        found.values.append(text)
        for cells in found.columns.values():
            cells.append(name)
        n_characters += len(text)
        if len(found.labels) == BLOCK_ROWS or n_characters >= BLOCK_CHARACTERS:
            yield found
            found, n_characters = Examples(columns={name: [] for name in kept}), 0
    yield found


def _read(file: Path) -> tuple[str, tuple[str, str] | None]:
    try:
        if file.stat().st_size > MAX_TEXT * MAX_UTF8_BYTES:
            return "", (LONG_TEXT, f"{file.stat().st_size:,} bytes")
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "", (NOT_UTF8, str(error))
    except OSError as error:
        return "", ("a file that cannot be read", str(error.strerror))
    return text, text_fault(text)


def _folders(folder: Path) -> list[str]:
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise DatasetError(
            f"{folder}: expected a folder that can be read, got {error.strerror}; "
            "correct its permissions, or the path"
        ) from error
    return sorted(
        path.name
        for path in paths
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    )


def _text_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.glob("*.txt")
        if path.is_file() and not path.is_symlink()
    )
