"""Where a command prints; nobody has to be there to read it."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console

from lstm_bench.masking import printable


class LastingConsole(Console):
    """A console that outlives whoever read it.

    Rich ends the process when a pipe is closed at its other end or a terminal goes
    away. A sweep of many hours goes on: its results are in its stores.
    """

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does, with what would steer the terminal written out."""
        shown = (printable(one) if isinstance(one, str) else one for one in objects)
        super().print(*shown, **settings)

    def on_broken_pipe(self) -> None:
        """Print to nowhere from now on."""
        self.quiet = True
        silence()


def silence() -> None:
    """Send standard output and error to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
