"""Write files so that no reader ever sees half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a path to write to; at the end, what is there replaces `file`.

    Readers see the old file or the new one, whole, also after a power failure. An
    error leaves the old one. The folder of `file` is made if there is none.

    Raises
    ------
    OSError
        The folder or the file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: other processes may write the same file.
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        yield partial
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
