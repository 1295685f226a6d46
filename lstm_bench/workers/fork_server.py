"""A process that has imported what a training needs, from which local workers fork."""

from __future__ import annotations

import signal
import sys
from multiprocessing import forkserver, resource_tracker

from lstm_bench.system.threads import LIBRARIES
from lstm_bench.system.variables import variables_set

METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How local workers start; elsewhere system libraries do not survive a fork."""


def start_fork_server() -> None:
    """Let it begin to import, while the command loads its data; once in a process.

    TensorFlow is imported once and not by every worker, and a worker that replaces a
    dead one is there at once.
    """
    # Where a process starts it, it unblocks the signals.
    resource_tracker.ensure_running()
    if METHOD != "forkserver":
        return
    forkserver.set_forkserver_preload([f"{__package__}.imports"])
    # It and its workers get no Ctrl-C and no hangup of the terminal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        # A process with threads of its own cannot be forked.
        with variables_set(dict.fromkeys(LIBRARIES, "1")):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
