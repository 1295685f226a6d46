"""Read the reviews of the Large Movie Review Dataset from its archive or folder."""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self, cast

from lstm_bench.errors import DatasetError

ARCHIVE = "aclImdb_v1.tar.gz"
FOLDER = "aclImdb"
ARCHIVE_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
"""Of the file that the authors published: 84,125,825 bytes."""
# The longest review has 14 kB, and the 50,000 labelled ones 65 MB in total.
MAX_REVIEW_BYTES = 1 << 20
MAX_TEXT_BYTES = 1 << 28
# The archive has 100,000 files, the unlabelled reviews included, in some 300 MB.
MAX_ARCHIVE_BYTES = 1 << 30
MAX_MEMBERS = 400_000
# A member's long name or extended header is read whole; real names have 30 letters.
MAX_HEADER_BYTES = 1 << 16
_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/([0-9]{1,9})_([0-9]{1,2})\.txt")
WHAT_TO_DO = f"get {ARCHIVE} from its authors and give its folder as --data-dir"
Texts = dict[tuple[str, int], list[tuple[int, int, str]]]
"""(part, class) -> (number, rating, text) of each review."""
_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def read_texts(raw: Path) -> Texts:
    """Return the texts of all reviews in `raw`, an archive or a folder."""
    texts: Texts = {(part, y): [] for part in ("train", "test") for y in (0, 1)}
    total = 0
    for name, content in _members(raw):
        total += len(content)
        if total > MAX_TEXT_BYTES:
            raise DatasetError(
                f"imdb: {raw}: expected at most {MAX_TEXT_BYTES:,} bytes of text, got "
                f"more; {WHAT_TO_DO}"
            )
        match = _MEMBER.fullmatch(name)
        if match is None:  # _members yields no other names
            continue
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"imdb: {raw}: {name}: expected UTF-8 text, got {error}; {WHAT_TO_DO}"
            ) from error
        key = (match[1], int(match[2] == "pos"))
        texts[key].append((int(match[3]), int(match[4]), text))
    for (part, y), reviews in texts.items():
        if not reviews:
            counts = ", ".join(
                f"{p}/{('neg', 'pos')[c]} {len(r)}" for (p, c), r in texts.items()
            )
            raise DatasetError(
                f"imdb: {raw}: expected reviews in {part}/{('neg', 'pos')[y]} and the "
                f"other three folders, got {counts}; {WHAT_TO_DO}"
            )
        reviews.sort()
    return texts


def _members(raw: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every review; nothing is unpacked to disk."""
    if raw.is_dir():
        for path in review_files(raw):
            _check_size(raw, path.name, path.stat().st_size)
            yield f"{FOLDER}/{path.relative_to(raw).as_posix()}", path.read_bytes()
        return
    try:
        with (
            gzip.open(raw) as unzipped,
            # tarfile only calls `read` on a file that it reads as a stream.
            tarfile.open(
                fileobj=cast(IO[bytes], stream := _Limited(unzipped, raw)),
                mode="r|",
                tarinfo=_ShortHeader,
            ) as archive,
        ):
            for n_members, member in enumerate(archive):
                # A stream keeps every header that it has read; they are not needed.
                archive.members = []  # type: ignore[attr-defined]
                if n_members >= MAX_MEMBERS:
                    raise DatasetError(
                        f"imdb: {raw}: expected at most {MAX_MEMBERS:,} members, got "
                        f"more; {WHAT_TO_DO}"
                    )
                if not member.isreg() or not _MEMBER.fullmatch(member.name):
                    continue
                _check_size(raw, member.name, member.size)
                file = archive.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
            # tarfile stops at its end mark; gzip checks length and checksum at its own.
            while stream.read(1 << 20):
                pass
    except _DAMAGED as error:
        raise DatasetError(
            f"imdb: {raw}: expected a complete {ARCHIVE}, got a truncated or damaged "
            f"file of {raw.stat().st_size:,} bytes ({error}); {WHAT_TO_DO}"
        ) from error


class _ShortHeader(tarfile.TarInfo):
    """A member whose header cannot announce a size that would fill the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        is_header = member.type in _HEADER_TYPES and member.size > MAX_HEADER_BYTES
        if is_header or member.size < 0:
            raise _HostileHeaderError(f"a header of {member.size:,} bytes")
        return member


class _HostileHeaderError(Exception):
    """Not a TarError, which tarfile would treat as the archive's end."""


class _Limited:
    """A stream that raises an error before it fills memory or disk, or is too slow."""

    def __init__(self, file: gzip.GzipFile, raw: Path) -> None:
        self._file, self._raw, self._n_left = file, raw, MAX_ARCHIVE_BYTES

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._n_left + 1))
        self._n_left -= len(content)
        if self._n_left < 0:
            raise DatasetError(
                f"imdb: {self._raw}: expected at most {MAX_ARCHIVE_BYTES:,} bytes when "
                f"uncompressed, got more; {WHAT_TO_DO}"
            )
        return content


def _check_size(raw: Path, name: str, size: int) -> None:
    if size > MAX_REVIEW_BYTES:
        raise DatasetError(
            f"imdb: {raw}: {name}: expected at most {MAX_REVIEW_BYTES:,} bytes, got "
            f"{size:,}; {WHAT_TO_DO}"
        )


def review_files(unpacked: Path) -> list[Path]:
    """Return the reviews' files; links to files and to folders are ignored."""
    return sorted(
        path
        for part in ("train", "test")
        for label in ("neg", "pos")
        if not (unpacked / part).is_symlink()
        and not (unpacked / part / label).is_symlink()
        for path in unpacked.glob(f"{part}/{label}/*.txt")
        if path.is_file()
        and not path.is_symlink()
        and _MEMBER.fullmatch(f"{FOLDER}/{path.relative_to(unpacked).as_posix()}")
    )


_DAMAGED = (
    EOFError,
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    _HostileHeaderError,
    # From tarfile, for extended headers with invalid numbers.
    ValueError,
    OverflowError,
    # For headers that each announce another.
    RecursionError,
)
