"""The console: it continues without a reader, and reports progress."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from lstm_bench.masking import printable

# For a line at least every 10 s, however busy the processor is.
QUIET_S = 8.0


class LastingConsole(Console):
    """A console that survives its reader, and is never silent for long.

    Rich ends the process when the other end of a pipe is closed or a terminal
    disappears. A sweep of many hours continues: its results are in its stores.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._what: str | None = None
        self._since = self._printed = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def doing(self, what: str | None, since: float | None = None) -> None:
        """Set the current activity, which is printed whenever nothing else is.

        Parameters
        ----------
        what : str or None
            Such as ``loading the data``; None for no activity.
        since : float or None
            Its start, on the monotonic clock; None for now.
        """
        self._what, self._since = what, since or time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._break_silence, daemon=True)
            self._thread.start()

    def _break_silence(self) -> None:
        while not self._over.wait(QUIET_S / 20):
            now = time.monotonic()
            if self._what is not None and now - self._printed >= QUIET_S:
                line = f"still {self._what}, {now - self._since:.0f} s"
                self.print(line, markup=False, highlight=False, soft_wrap=True)

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does, with control characters of the terminal escaped."""
        self._printed = time.monotonic()
        shown = (printable(one) if isinstance(one, str) else one for one in objects)
        super().print(*shown, **settings)

    def close(self) -> None:
        """Stop reporting the current activity."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def on_broken_pipe(self) -> None:
        """Discard all output from now on."""
        self.quiet = True
        silence()


def silence() -> None:
    """Discard standard output and error from now on."""
    _discard(lambda number: True)


def silence_lost_terminal() -> None:
    """Discard what goes to a terminal that was closed; writing to it fails."""
    _discard(lambda n: stat.S_ISCHR(os.fstat(n).st_mode) and not os.isatty(n))


def _discard(is_discarded: Callable[[int], bool]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and is_discarded(stream.fileno()):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Capture standard error, also of C++ code; show it on failure.

    TensorFlow prints before its own log level applies, so only redirecting the file
    descriptor itself silences it.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        original = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
