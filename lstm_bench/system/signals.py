"""Stop a training on a signal: after the epoch, or at once on a second signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lstm_bench.system.console import silence_lost_terminal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = "stopping after this epoch; the same signal again stops at once"


class Stop:
    """Whether a signal has requested a stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.is_asked = False
        self._say = say

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if signum == signal.SIGHUP:
            silence_lost_terminal()
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True
        self._say(PATIENCE)

    def epoch_has_ended(self) -> None:
        """Raise KeyboardInterrupt if a signal has requested a stop."""
        if self.is_asked:
            raise KeyboardInterrupt


@contextmanager
def stopping_after_the_epoch(say: Callable[[str], None]) -> Iterator[Stop]:
    """Defer SIGINT, SIGTERM and SIGHUP until `Stop.epoch_has_ended` is called.

    Only the main thread receives signals; in other threads this has no effect. SIGHUP
    stays ignored under `nohup`.
    """
    stop = Stop(say)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {
        number: signal.signal(number, stop.handle)
        for number in SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
