"""Tables: CSV and TSV (RFC 4180), JSON Lines and Parquet, read in blocks of rows."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lstm_bench.data.files.bad_rows import NOT_UTF8, OPEN_QUOTE, BadRows
from lstm_bench.data.files.streams import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    MAX_TEXT,
    binary,
    has_other_bytes,
    is_gzipped,
    lines,
    other_bytes,
)
from lstm_bench.errors import DatasetError
from lstm_bench.text import quoted

Cell = Any
"""A string from CSV and TSV; from JSON Lines and Parquet also a number, a truth value,
a date, a list or None."""
MAX_REREAD = 1 << 28
"""Most characters that are read again after quotes that were not closed."""
_KEYS_ROWS = 1000


@dataclass
class Rows:
    """A block of rows: some columns, as equally long lists.

    ``lines[i]`` is the line (CSV, TSV, JSON Lines) or row (Parquet) of row i, from 1.
    """

    columns: dict[str, list[Cell]]
    lines: list[int]


class Table(Protocol):
    """A file with rows and columns."""

    path: Path
    unit: str
    """What a row's number counts: ``line`` or ``row``."""
    columns: tuple[str, ...]
    nested: tuple[str, ...]
    """Columns that contain others, as Parquet has them."""

    def blocks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Rows]:
        """Yield the given columns in blocks; bad rows are added to `bad`."""


def open_table(path: Path, format_name: str, header: bool | None) -> Table:
    """Open a table and read the names of its columns.

    Parameters
    ----------
    format_name : {"csv", "tsv", "jsonl", "parquet"}
    header : bool or None
        Whether the first row of CSV or TSV has names; None: unless it is all numbers.

    Raises
    ------
    DatasetError
        The file cannot be read, or has no row.
    """
    if format_name == "parquet":
        return _parquet(path)
    if format_name == "jsonl":
        return _json_lines(path)
    return _separated(path, "\t" if format_name == "tsv" else _comma(path), header)


def head(table: Table, columns: Sequence[str], n: int) -> dict[str, list[Cell]]:
    """Return the first `n` good rows of some columns.

    Raises
    ------
    DatasetError
        There is no good row.
    """
    found: dict[str, list[Cell]] = {name: [] for name in columns}
    bad = BadRows("drop")
    n_found = 0
    for rows in table.blocks(columns, bad):
        n_found += len(rows.lines)
        for name in columns:
            found[name] += rows.columns[name]
        if n_found >= n:
            break
    if not n_found:
        first = next(iter(bad.examples.values()), None)
        raise DatasetError(
            f"{table.path}: expected rows, got "
            + (f"{bad.n_dropped:,} bad ones, as {first}" if first else "0")
            + "; give a file with examples"
        )
    return {name: cells[:n] for name, cells in found.items()}


# CSV and TSV


@dataclass
class _Separated:
    path: Path
    delimiter: str
    has_header: bool
    columns: tuple[str, ...]
    unit: str = "line"
    nested: tuple[str, ...] = ()

    def blocks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Rows]:
        indices = [self.columns.index(name) for name in columns]
        n_columns = len(self.columns)
        records = _records(self.path, self.delimiter, bad)
        if self.has_header:
            next(records)
        numbers: list[int] = []
        kept: list[list[str]] = []
        n_characters = 0
        for number, size, record in records:
            bad.n_read += 1
            if len(record) != n_columns:
                bad.add(
                    self.path,
                    f"line {number}",
                    "another number of columns than the first row",
                    f"expected {n_columns}, got {len(record)}",
                )
                continue
            cells = [record[i] for i in indices]
            if not all(map(str.isascii, cells)):
                wrong = next(filter(has_other_bytes, cells), None)
                if wrong is not None:
                    bad.add(self.path, f"line {number}", NOT_UTF8, other_bytes(wrong))
                    continue
            numbers.append(number)
            kept.append(cells)
            n_characters += size
            if len(kept) == BLOCK_ROWS or n_characters >= BLOCK_CHARACTERS:
                yield _transposed(columns, kept, numbers)
                numbers, kept, n_characters = [], [], 0
        if kept:
            yield _transposed(columns, kept, numbers)


def _comma(path: Path) -> str:
    """Return what separates columns: a semicolon if the first line has no comma.

    Excel writes semicolons where numbers have decimal commas.
    """
    unquoted = re.sub('"[^"]*"', "", next(lines(path, newline=""), ""))
    return ";" if ";" in unquoted and "," not in unquoted else ","


def _transposed(
    columns: Sequence[str], rows: list[list[Cell]], numbers: list[int]
) -> Rows:
    cells = map(list, zip(*rows, strict=True))
    return Rows(dict(zip(columns, cells, strict=True)), numbers)


def _separated(path: Path, delimiter: str, header: bool | None) -> _Separated:
    bad = BadRows("error")
    first = next(_records(path, delimiter, bad), None)
    bad.check()
    if first is None:
        raise DatasetError(f"{path}: expected rows, got an empty file; give another")
    names = [name.strip() for name in first[2]]
    wrong = next(filter(has_other_bytes, names), None)
    if wrong is not None:
        raise DatasetError(
            f"{path}: line 1: {NOT_UTF8} ({other_bytes(wrong)}); convert the file "
            "(iconv -f latin1 -t utf8 OLD > NEW)"
        )
    if header is None:
        header = not all(map(_is_number, names)) or _counts(names)
    if not header:
        names = [str(i) for i in range(1, len(names) + 1)]
    return _Separated(path, delimiter, header, tuple(names))


def _counts(names: list[str]) -> bool:
    """Whether names are 0, 1, 2, ... or 1, 2, 3, ..., as pandas names columns."""
    return len(names) > 1 and any(
        names == [str(i) for i in range(first, first + len(names))] for first in (0, 1)
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@dataclass
class _Lines:
    """Lines of a file for `csv.reader`; those of a bad record can be read again."""

    source: Iterator[str]
    number: int = 0
    record: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.pop() if self.again else next(self.source)
        self.record.append(line)
        self.number += 1
        return line

    def back_to_second_line(self) -> int:
        """Read the record again from its second line on; return its characters."""
        rest = self.record[1:]
        self.again += reversed(rest)
        self.number -= len(rest)
        return sum(map(len, rest))


def _records(
    path: Path, delimiter: str, bad: BadRows
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first line, number of characters and fields of each record.

    After a quote that is not closed, reading goes on in the line after it, so that one
    bad row costs no others.
    """
    csv.field_size_limit(MAX_TEXT)
    source = _Lines(lines(path, newline=""))
    n_reread = 0
    while True:
        reader = csv.reader(source, delimiter=delimiter, strict=True)
        try:
            while True:
                source.record.clear()
                record = next(reader)
                if record:
                    n_lines = len(source.record)
                    size = (
                        len(source.record[0])
                        if n_lines == 1
                        else sum(map(len, source.record))
                    )
                    yield source.number - n_lines + 1, size, record
        except StopIteration:
            return
        except csv.Error as error:
            first = source.number - len(source.record) + 1
            n_reread += source.back_to_second_line()
            if n_reread > MAX_REREAD:
                raise DatasetError(
                    f"{path}: line {first:,}: {OPEN_QUOTE}, as in many lines before; "
                    "write the file as RFC 4180 describes, or as JSON Lines"
                ) from error
            bad.n_read += 1
            if "field larger" in str(error):
                reason = f"a field of more than {MAX_TEXT:,} characters"
                bad.add(path, f"line {first}", reason)
            else:
                bad.add(path, f"line {first}", OPEN_QUOTE, str(error))


# JSON Lines


@dataclass
class _JsonLines:
    path: Path
    columns: tuple[str, ...]
    unit: str = "line"
    nested: tuple[str, ...] = ()

    def blocks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Rows]:
        numbers: list[int] = []
        kept: list[list[Cell]] = []
        n_characters = 0
        for number, size, row in _objects(self.path, bad):
            numbers.append(number)
            kept.append([row.get(name) for name in columns])
            n_characters += size
            if len(kept) == BLOCK_ROWS or n_characters >= BLOCK_CHARACTERS:
                yield _transposed(columns, kept, numbers)
                numbers, kept, n_characters = [], [], 0
        if kept:
            yield _transposed(columns, kept, numbers)


def _json_lines(path: Path) -> _JsonLines:
    names: dict[str, None] = {}
    first = next(filter(str.strip, lines(path)), "").strip()
    is_list = first == "[" or first.startswith("[{")
    for _, _, row in islice(_objects(path, BadRows("drop")), _KEYS_ROWS):
        names.update(dict.fromkeys(row))
    if is_list or not names:
        raise DatasetError(
            f"{path}: expected a JSON object with the same keys in each line, found "
            "none; write one object per line, without a list around them"
        )
    return _JsonLines(path, tuple(names))


def _objects(path: Path, bad: BadRows) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for number, line in enumerate(lines(path), 1):
        if line.isspace():
            continue
        bad.n_read += 1
        place = f"line {number}"
        if has_other_bytes(line):
            bad.add(path, place, NOT_UTF8, other_bytes(line))
            continue
        try:
            row = json.loads(line)
        # ValueError: also for numbers of more digits than Python converts.
        except (ValueError, RecursionError) as error:
            bad.add(path, place, "no JSON", str(error))
            continue
        if not isinstance(row, dict):
            bad.add(path, place, "no JSON object", quoted(row))
            continue
        yield number, len(line), row


# Parquet


@dataclass
class _Parquet:
    path: Path
    columns: tuple[str, ...]
    nested: tuple[str, ...]
    unit: str = "row"

    def blocks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Rows]:
        number = 0
        with _parquet_file(self.path) as file:
            batches = file.iter_batches(BLOCK_ROWS // 4, columns=list(columns))
            for batch in batches:
                numbers = list(range(number + 1, number + batch.num_rows + 1))
                number += batch.num_rows
                bad.n_read += batch.num_rows
                cells = [_cells(batch.column(name)) for name in columns]
                yield self._without_bad(columns, cells, numbers, bad)

    def _without_bad(
        self,
        columns: Sequence[str],
        cells: list[list[Cell]],
        numbers: list[int],
        bad: BadRows,
    ) -> Rows:
        wrong = {
            i: cell
            for column in cells
            for i, cell in enumerate(column)
            if isinstance(cell, _Unreadable)
        }
        for i, cell in wrong.items():
            bad.add(self.path, f"row {numbers[i]}", cell.reason, cell.found)
        good = [i for i in range(len(numbers)) if i not in wrong]
        return Rows(
            {
                name: [column[i] for i in good]
                for name, column in zip(columns, cells, strict=True)
            },
            [numbers[i] for i in good],
        )


@dataclass(frozen=True)
class _Unreadable:
    reason: str
    found: str


def _cells(column: pa.Array) -> list[Cell]:
    try:
        return cast(list[Cell], column.to_pylist())
    except (ValueError, OverflowError):
        return [_cell(value) for value in column]


def _cell(value: pa.Scalar) -> Cell:
    try:
        return value.as_py()
    except UnicodeDecodeError as error:
        return _Unreadable(NOT_UTF8, str(error))
    # A date beyond those that Python has.
    except (ValueError, OverflowError) as error:
        return _Unreadable("a value that cannot be read", str(error))


def _parquet(path: Path) -> _Parquet:
    with _parquet_file(path) as file:
        schema = file.schema_arrow
        if file.metadata.num_rows == 0:
            raise DatasetError(f"{path}: expected rows, got 0; give another file")
    nested = tuple(f.name for f in schema if pa.types.is_nested(f.type))
    return _Parquet(path, tuple(schema.names), nested)


@contextmanager
def _parquet_file(path: Path) -> Iterator[pq.ParquetFile]:
    with binary(path) as stream:
        try:
            with _seekable(path, stream) as source, pq.ParquetFile(source) as file:
                yield file
        # UnicodeDecodeError: for names of columns.
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{path}: expected a Parquet file, got {str(error).splitlines()[0]}; "
                "write it again"
            ) from error


@contextmanager
def _seekable(path: Path, stream: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the stream, decompressed to a temporary file if it is compressed."""
    if not is_gzipped(path):
        yield stream
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(stream, unpacked)
        unpacked.seek(0)
        yield cast(BinaryIO, unpacked)
