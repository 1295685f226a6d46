"""Threads that share out a training step's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lstm_bench.system.threads import MOST


class Team:
    """Some threads, the caller's own among them.

    Parameters
    ----------
    n_threads : callable
        Returns how many they are, at least 1; asked whenever there is work, since a
        worker may get the threads of those that have left.
    """

    def __init__(self, n_threads: Callable[[], int]) -> None:
        self._n_threads = n_threads
        # Starts no more than were ever wanted at once.
        self._pool = ThreadPoolExecutor(MOST, "packed-lstm")

    @property
    def n_threads(self) -> int:
        """How many threads there are just now."""
        return self._n_threads()

    def do(self, work: Sequence[Callable[[], None]]) -> None:
        """Do all of `work`; each thread takes what is next when it is free."""
        waiting = deque(work)

        def take_turns() -> None:
            while True:
                try:
                    each = waiting.popleft()
                except IndexError:
                    return  # another thread has taken the last
                each()

        n_others = min(self.n_threads, len(work)) - 1
        others = [self._pool.submit(take_turns) for _ in range(n_others)]
        take_turns()
        for other in others:
            other.result()
