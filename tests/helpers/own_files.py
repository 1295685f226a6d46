"""Read a file of one's own as the tests of its formats need it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.examples import Examples, Source
from lstm_bench.data.files.formats import PartFile, open_inputs, open_source
from lstm_bench.data.files.options import FileOptions


def open_file(path: Path, **options: Any) -> Source:
    return open_source(PartFile(path, None), FileOptions(file="a", **options))


def read_file(path: Path, **options: Any) -> tuple[Examples, BadRows]:
    """Return all examples as one block, and the bad rows, which are dropped."""
    return _read(open_file(path, **options))


def read_inputs(path: Path, **options: Any) -> tuple[Examples, BadRows]:
    """Return the same without labels."""
    return _read(open_inputs(path, FileOptions(file="a", **options)))


def messages(bad: BadRows) -> list[str]:
    """Return the first bad row of each reason."""
    return [str(row) for row in bad.examples.values()]


def _read(source: Source) -> tuple[Examples, BadRows]:
    bad, found = BadRows("drop"), Examples()
    for block in source.blocks(bad):
        for field in fields(Examples):
            if field.name != "columns":
                getattr(found, field.name).extend(getattr(block, field.name))
        for name, cells in block.columns.items():
            found.columns.setdefault(name, []).extend(cells)
    assert tuple(found.columns) == source.kept
    return found, bad
