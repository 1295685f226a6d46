"""A worker that somebody started does not outlive whoever that was."""

from __future__ import annotations

import os
import signal
import threading
import time

from lstm_bench.terminal import silence


def leave_with_parent() -> None:
    """End at once when standard input closes: the process at its other end is gone.

    As two signals of a person would: the training's run and trial are closed.
    """

    def wait() -> None:
        # Not by `sys.stdin`, whose lock Python wants when it ends.
        while os.read(0, 1):
            pass
        # Whoever read what this prints is gone as well.
        silence()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    threading.Thread(target=wait, name="parent", daemon=True).start()
