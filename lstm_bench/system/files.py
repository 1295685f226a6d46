"""Files: replacing one atomically, and digests."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end, the file there replaces `file`.

    Readers see either the old file or the new one, complete, also after a power
    failure. After an error the old one remains. A missing folder is created.

    Raises
    ------
    OSError
        The folder or the file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # A unique name: other processes may write the same file.
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write to; at the end it becomes `folder`, which is new.

    After an error nothing of it remains.

    Raises
    ------
    OSError
        `folder` has files already, or cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        yield partial
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial)
        raise


def files_digest(folder: Path, files: Sequence[Path]) -> str:
    """Return the hex SHA-256 of files: of their paths in `folder` and contents."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(file_sha256(file).encode())
    return digest.hexdigest()


def file_sha256(file: Path) -> str:
    """Return the hex SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
