"""What trainings of one split need alike: fitted by one of them, read by the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from lstm_bench.inference import Arrays
from lstm_bench.system.file_lock import lock_within
from lstm_bench.system.files import replacing
from lstm_bench.system.folders import cache_folder

WAIT_S = 1.0


def fitted_once(
    name: str,
    key: bytes,
    fit: Callable[[], Arrays],
    on_wait: Callable[[], None] = lambda: None,
) -> Arrays:
    """Return what `fit` returns, or what an earlier call with this key has put aside.

    Parameters
    ----------
    name : str
        Folder in the cache.
    key : bytes
        All that the result depends on.
    fit : callable
        Returns arrays by name.
    on_wait : callable
        Called about every second while another process fits the same; may raise.
    """
    file = cache_folder(name, f"{hashlib.sha256(key).hexdigest()}.npz")
    file.parent.mkdir(parents=True, exist_ok=True)
    # Workers of one search need the same: one of them fits, the others wait.
    with file.with_suffix(".lock").open("w") as lock:
        while not lock_within(lock.fileno(), WAIT_S):
            on_wait()
        if not file.exists():
            with replacing(file) as partial, partial.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **fit())
    with np.load(file, allow_pickle=False) as stored:
        return dict(stored)
