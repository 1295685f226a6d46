"""Local worker processes: their output, and the threads that the command lends them."""

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
    """Read lent threads from standard input; stop at once when it closes.

    Each line is a number for `lend_threads`. Standard input closes when the parent
    process ends; this process then sends itself two stop signals, so that the
    training's run and trial are closed.
    """

    def wait() -> None:
        said = b""
        # Not `sys.stdin`: Python needs its lock at exit.
        while more := os.read(0, 64):
            *lines, said = (said + more).split(b"\n")
            for line in lines:
                lend_threads(int(line))
        # The parent also read this process's output.
        silence()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    threading.Thread(target=wait, name="parent", daemon=True).start()


class Seat:
    """A worker process and its output."""

    def __init__(
        self, number: int, command: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self.number = number
        self._n_lent = 0
        self.process = subprocess.Popen(
            command,
            # The worker prints UTF-8, whatever the encoding of this console.
            env={**env, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C reaches only the command, which stops its workers.
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
        """Return the exit code once all output is read; None while it runs."""
        code = self.process.poll()
        if code is not None:
            for reader in self._readers:
                reader.join(timeout=5.0)
        return code

    def lines(self) -> list[str]:
        """Return the output lines since the last call."""
        found = []
        while not self.said.empty():
            found.append(self.said.get())
        return found

    def lend(self, n: int) -> None:
        """Let it use `n` threads in addition to its own."""
        if n == self._n_lent or self.process.stdin is None:
            return
        self._n_lent = n
        # It may have ended since the last check.
        with contextlib.suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), f"{n}\n".encode())

    def close(self) -> None:
        """Close the pipes of a process that has ended."""
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _read(stream: IO[str] | None, keep: Callable[[str], None]) -> None:
    if stream is not None:
        for line in stream:
            keep(line.rstrip("\n"))
