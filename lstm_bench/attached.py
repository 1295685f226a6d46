"""What a worker hears from the command that started it, and that this is gone."""

from __future__ import annotations

import os
import signal
import threading
import time

from lstm_bench.system.console import silence
from lstm_bench.system.threads import lend_threads


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
