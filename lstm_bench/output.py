"""Folders that a command will write to, checked before hours of work go into it."""

from __future__ import annotations

import os
from pathlib import Path

from lstm_bench.errors import OutputError


def make_folder(folder: Path, option: str) -> Path:
    """Make `folder` and its parents; return it.

    Raises
    ------
    OutputError
        It cannot be made or written; names `option`, which chooses another.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder with "
            f"{option}"
        ) from error
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"{folder}: cannot be written; choose another folder with {option}"
        )
    return folder
