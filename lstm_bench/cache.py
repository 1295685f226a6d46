"""Where results that cost time and can be had again are kept between commands."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """Return the folder `parts` of the cache; it need not exist.

    Below ``lstm-bench`` in the folder that LSTM_BENCH_CACHE names, else in
    XDG_CACHE_HOME, else in ``~/.cache``; a variable that is empty counts as unset.
    """
    named = os.environ.get("LSTM_BENCH_CACHE") or os.environ.get("XDG_CACHE_HOME")
    root = Path(named) if named else Path.home() / ".cache"
    return root.joinpath("lstm-bench", *parts)
