"""Limits on a training's time and on its process's memory."""

from __future__ import annotations

import time

import psutil

from lstm_bench.errors import TrialFailed

GIB = 2**30
# A check takes 20 microseconds, a training step a thousand times as long.
LOOK_EVERY_S = 0.5
# Time for a worker to fail a trial itself before it is killed.
PATIENCE_S = 30.0


class Limits:
    """The limits of one training, whose time starts now.

    Parameters
    ----------
    timeout_s, memory_gib : float or None
        None for no limit. The memory is the resident memory of the whole process.
    """

    def __init__(self, timeout_s: float | None, memory_gib: float | None) -> None:
        self.timeout_s = timeout_s
        self.memory_gib = memory_gib
        self._process = psutil.Process()
        self._start = self._looked = time.monotonic()

    def check(self) -> None:
        """Raise TrialFailed if a limit is exceeded; call it after every step."""
        now = time.monotonic()
        if self.timeout_s is not None and now - self._start > self.timeout_s:
            raise TrialFailed(too_long(self.timeout_s))
        if self.memory_gib is None or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        used = self._process.memory_info().rss / GIB
        if used > self.memory_gib:
            raise TrialFailed(
                f"its process took {used:.2f} GiB, more than trial_memory_gib "
                f"({self.memory_gib:g})"
            )


def too_long(timeout_s: float) -> str:
    """Return the failure reason of a training that exceeded `timeout_s`."""
    return f"took longer than trial_timeout_s ({timeout_s:g} s)"
