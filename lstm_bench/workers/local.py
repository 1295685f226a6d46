"""What a worker hears from the command that started it, and that this is gone."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from lstm_bench.system.console import silence
from lstm_bench.system.threads import lend_threads

LAST_LINES = 200


def listen_to_parent() -> None:
    """Take the threads that standard input lends, and end at once when it closes.

    Each of its lines is a number for `lend_threads`. When it closes, the process at its
    other end is gone; the end is as by two signals of a person: the training's run and
    trial are closed.
    """

    def wait() -> None:
        said = b""
        # Not by `sys.stdin`, whose lock Python wants when it ends.
        while more := os.read(0, 64):
            *lines, said = (said + more).split(b"\n")
            for line in lines:
                lend_threads(int(line))
        # Whoever read what this prints is gone as well.
        silence()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    threading.Thread(target=wait, name="parent", daemon=True).start()


class Seat:
    """A worker process, and what it says."""

    def __init__(
        self, number: int, command: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self.number = number
        self._n_lent = 0
        self.process = subprocess.Popen(
            command,
            # Its lines are UTF-8, whatever the console of this process shows.
            env={**env, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C reaches the command alone, which passes it on.
            start_new_session=True,
        )
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.errors: deque[str] = deque(maxlen=LAST_LINES)
        self._readers = [
            threading.Thread(target=_read, args=(stream, keep), daemon=True)
            for stream, keep in (
                (self.process.stdout, self.said.put),
                (self.process.stderr, self.errors.append),
            )
        ]
        for reader in self._readers:
            reader.start()

    def ended(self) -> int | None:
        """Return the exit code, when all that it said is read; None while it runs."""
        code = self.process.poll()
        if code is not None:
            for reader in self._readers:
                reader.join(timeout=5.0)
        return code

    def lines(self) -> list[str]:
        """Return what it said since the last time."""
        found = []
        while not self.said.empty():
            found.append(self.said.get())
        return found

    def lend(self, n: int) -> None:
        """Let it use `n` threads beside its own."""
        if n == self._n_lent or self.process.stdin is None:
            return
        self._n_lent = n
        # It may have ended since somebody looked.
        with contextlib.suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), f"{n}\n".encode())

    def close(self) -> None:
        """Let go of a process that has ended."""
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _read(stream: IO[str] | None, keep: Callable[[str], None]) -> None:
    if stream is not None:
        for line in stream:
            keep(line.rstrip("\n"))
