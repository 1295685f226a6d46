"""Folders: the cache, and the output folders of commands."""

from __future__ import annotations

import os
from pathlib import Path

from lstm_bench.errors import OutputError


def cache_folder(*parts: str) -> Path:
    """Return the folder `parts` of the cache; it may not exist yet.

    It is below ``lstm-bench`` in LSTM_BENCH_CACHE, else in XDG_CACHE_HOME, else in
    ``~/.cache``; an empty variable counts as unset.
    """
    named = os.environ.get("LSTM_BENCH_CACHE") or os.environ.get("XDG_CACHE_HOME")
    root = Path(named) if named else Path.home() / ".cache"
    return root.joinpath("lstm-bench", *parts)


def make_folder(folder: Path, option: str) -> Path:
    """Create `folder` and its parents; return it.

    Raises
    ------
    OutputError
        It cannot be created or written; the message names `option`, which sets it.
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
