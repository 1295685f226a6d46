"""Load the compiled recurrence from Numba's cache, or compile it."""

from __future__ import annotations

import functools
import hashlib
import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numba.core import event

from lstm_bench.packed.backward import backward_function
from lstm_bench.packed.forward import forward_function, table_function
from lstm_bench.packed.vectors import target_of_this_machine
from lstm_bench.system.file_lock import lock_within
from lstm_bench.system.folders import cache_folder

LOADING_S = 3.0
"""A process that holds the lock for longer compiles, and does not only load."""


@dataclass(frozen=True)
class Kernel:
    """The compiled functions; they release the GIL.

    Attributes
    ----------
    fill_table, forward, backward : callable
        See `forward.table_function`, `forward.forward_function` and
        `backward.backward_function`.
    """

    fill_table: Any
    forward: Any
    backward: Any


class _Announcing(event.Listener):  # type: ignore[misc]
    """Reports the first time that Numba compiles."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._has_said = False

    def on_start(self, event: Any) -> None:
        if not self._has_said:
            self._has_said = True
            self._say(
                "compiling the packed engine (once on this machine, 5 to 20 s) ..."
            )

    def on_end(self, event: Any) -> None:
        """Do nothing: the training that follows shows that compiling is done."""


def compile_kernel(say: Callable[[str], None]) -> None:
    """Load the kernel; call `say` if it has to be compiled."""
    with _alone(say), event.install_listener("numba:compile", _Announcing(say)):
        load_kernel()
        # It is compiled at import.
        importlib.import_module("lstm_bench.packed.grouped")


@contextmanager
def _alone(say: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from compiling at the same time; they use the cache."""
    file = cache_folder("kernel.lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.open("a")
    except OSError:
        # Without a writable cache, each process compiles for itself.
        yield
        return
    with lock:
        if not lock_within(lock.fileno(), LOADING_S):
            say("waiting for another process that compiles the packed engine ...")
            lock_within(lock.fileno(), math.inf)
        yield


@functools.cache
def load_kernel() -> Kernel:
    """Return the kernel, from Numba's cache where this machine has compiled it."""
    # Numba invalidates its cache only by the file of the function itself; this adds the
    # text of all other files to the key.
    text = repr(target_of_this_machine()).encode()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        text += file.read_bytes()
    version = hashlib.sha256(text).hexdigest()
    return Kernel(
        table_function(version), forward_function(version), backward_function(version)
    )
