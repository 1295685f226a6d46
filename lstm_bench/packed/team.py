"""Threads that share a training step's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lstm_bench.system.threads import MOST


class Team:
    """Some threads, including the caller's own.

    Parameters
    ----------
    n_threads : callable
        Returns their number, at least 1; called for each piece of work, since a worker
        may get the threads of workers that have ended.
    """

    def __init__(self, n_threads: Callable[[], int]) -> None:
        self._n_threads = n_threads
        # Starts no more threads than were ever needed at once.
        self._pool = ThreadPoolExecutor(MOST, "packed-lstm")

    @property
    def n_threads(self) -> int:
        """The current number of threads."""
        return self._n_threads()

    def do(self, work: Sequence[Callable[[], None]]) -> None:
        """Run all of `work`; each free thread takes the next item."""
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
