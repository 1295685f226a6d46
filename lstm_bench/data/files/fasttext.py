"""fastText's lines: ``__label__positive the text``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.examples import (
    NO_LABEL,
    Examples,
    Source,
    label_fault,
    text_fault,
)
from lstm_bench.data.files.streams import BLOCK_CHARACTERS, BLOCK_ROWS, lines
from lstm_bench.errors import DatasetError

PREFIX = "__label__"


def fasttext_source(path: Path, needs_label: bool = True) -> Source:
    """Open a file of fastText's lines; without `needs_label`, they may lack labels.

    Raises
    ------
    DatasetError
        It cannot be read, or its first lines have no label.
    """
    first = next(lines(path), "")
    if not first.strip():
        raise DatasetError(
            f"{path}: line 1: expected {PREFIX}CLASS and a text, got an empty "
            "line; give another file"
        )
    return Source(path, "texts", lambda bad: _blocks(path, needs_label, bad))


def _blocks(path: Path, needs_label: bool, bad: BadRows) -> Iterator[Examples]:
    found, n_characters = Examples(), 0
    for number, line in enumerate(lines(path), 1):
        content = line.strip()
        if not content:
            continue
        bad.n_read += 1
        place = f"line {number}"
        label, text = _divided(content)
        if needs_label and label is None:
            bad.add(path, place, f"{NO_LABEL}: expected {PREFIX}CLASS first", content)
            continue
        fault = text_fault(text)
        if needs_label:
            fault = label_fault(label, bad.is_numeric) or fault
        if fault is None and text.startswith(PREFIX):
            fault = "more than one label", text
        if fault is not None:
            bad.add(path, place, *fault)
            continue
        found.labels.append(label or "")
        found.values.append(text)
        n_characters += len(line)
        if len(found.labels) == BLOCK_ROWS or n_characters >= BLOCK_CHARACTERS:
            yield found
            found, n_characters = Examples(), 0
    yield found


def _divided(line: str) -> tuple[str | None, str]:
    if not line.startswith(PREFIX):
        return None, line
    label, _, text = line.partition(" ")
    if "\t" in label:
        label, _, text = line.partition("\t")
    return label.removeprefix(PREFIX), text.lstrip()
