"""Threads that share out a training step's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


class Team:
    """Some threads, the caller's own among them.

    Parameters
    ----------
    n_threads : int
        At least 1.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._pool = ThreadPoolExecutor(max(1, n_threads - 1), "packed-lstm")

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
