"""Open a file that anybody may have written: decompressed, decoded, within limits."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lstm_bench.errors import DatasetError

MAX_BYTES = 1 << 34
"""Most bytes of one file when decompressed: 16 GiB."""
MAX_TEXT = 20_000_000
"""Most characters of one text."""
MAX_LINE = 5 * MAX_TEXT
"""Most characters of one line."""
BLOCK_ROWS = 4096
BLOCK_CHARACTERS = 1 << 24
"""A block ends with the row that reaches one of these."""
_UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


def is_gzipped(path: Path) -> bool:
    """Whether a file is compressed, according to its name."""
    return path.suffix.lower() == ".gz"


@contextmanager
def binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, decompressed if its name ends in .gz.

    Raises
    ------
    DatasetError
        It is not there, cannot be read, is truncated or damaged, or is too large.
    """
    if not path.is_file():
        is_there = path.exists()
        raise DatasetError(
            f"{path}: expected a file, found {'none' if not is_there else 'no file'}; "
            "correct the path (relative paths: see --data-dir)"
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path)
        if not is_gzipped(path):
            with path.open("rb") as stream:
                yield stream
            return
        with gzip.open(path) as unzipped:
            limited = _Limited(cast(BinaryIO, unzipped), path)
            yield cast(BinaryIO, io.BufferedReader(limited, 1 << 17))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(
            f"{path}: expected a complete gzip file, got a truncated or damaged one of "
            f"{path.stat().st_size:,} bytes ({error}); get or compress it again"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{path}: expected a readable file, got {error.strerror or error}; check "
            "its permissions and its disk"
        ) from error


@contextmanager
def text(path: Path, newline: str) -> Iterator[TextIO]:
    """Open a file to read its UTF-8 text; each other byte becomes a surrogate.

    Parameters
    ----------
    newline : str
        As of `open`: "" ends lines at a carriage return, too, and keeps all ends.
    """
    with binary(path) as stream:
        buffered = cast(io.BufferedReader, stream)
        head = buffered.peek(4)[:4]
        if head.startswith(_OTHER_BOMS):
            raise DatasetError(
                f"{path}: expected UTF-8, got UTF-16; convert the file (iconv -f "
                "utf-16 -t utf8 OLD > NEW)"
            )
        if head.startswith(_UTF8_BOM):
            buffered.read(len(_UTF8_BOM))
        yield io.TextIOWrapper(
            buffered, encoding="utf-8", errors="surrogateescape", newline=newline
        )


def lines(path: Path, newline: str = "\n") -> Iterator[str]:
    """Yield the lines of a text file, with their ends.

    Raises
    ------
    DatasetError
        As `binary`; or a line has more than `MAX_LINE` characters.
    """
    with text(path, newline) as stream:
        number = 0
        while line := stream.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise DatasetError(
                    f"{path}: line {number:,}: expected at most {MAX_LINE:,} "
                    "characters, got more; is it a text file?"
                )
            yield line


def has_other_bytes(decoded: str) -> bool:
    """Whether a text from `text` had bytes that are not UTF-8."""
    if decoded.isascii():
        return False
    try:
        decoded.encode()
    except UnicodeEncodeError:
        return True
    return False


def other_bytes(decoded: str) -> str:
    """Return the first byte that is not UTF-8, and what stands before it."""
    try:
        decoded.encode()
    except UnicodeEncodeError as error:
        code = ord(decoded[error.start])
        # `surrogateescape` puts byte 0xe9 at U+DCE9; others come from JSON's \\ud800.
        what = f"0x{code - 0xDC00:x}" if 0xDC80 <= code <= 0xDCFF else f"U+{code:X}"
        return f"{what} after {decoded[max(0, error.start - 20) : error.start]!r}"
    return ""


class _Limited(io.RawIOBase):
    """A stream that raises an error before it fills the disk or takes too long."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path, self._n_left = stream, path, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        self._n_left -= len(content)
        if self._n_left < 0:
            raise _too_large(self._path)
        buffer[: len(content)] = content
        return len(content)


def _too_large(path: Path) -> DatasetError:
    return DatasetError(
        f"{path}: expected at most {MAX_BYTES:,} bytes when decompressed, got more; "
        "give a part of the examples"
    )
