"""Worker pools: start the workers of a session, watch them, and replace dead ones.

A local worker is a process with its share of the cores, which imports TensorFlow once
for the whole session. It runs `lstm-bench worker`, as a worker on another machine does,
so all that it needs is in the stores.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.search.storage import STORAGE_VARIABLE
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import OWNER
from lstm_bench.stores import sqlite_file
from lstm_bench.suites.engines import TAKES_STOCK
from lstm_bench.system.command_line import command_line
from lstm_bench.system.limits import PATIENCE_S, too_long
from lstm_bench.system.process import is_here
from lstm_bench.system.threads import n_cores, thread_variables
from lstm_bench.text import count
from lstm_bench.workers.local import Seat
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.recovery import Death
from lstm_bench.workers.session import Session, work_left

# More deaths with no training finished in between end the session.
MAX_DEATHS_IN_A_ROW = 10
# Until a worker that could not start is restarted, while others run.
RETRY_S = 15.0
CLOSING_S = 20.0
INTERRUPTED = 130


class Crew(Protocol):
    """A pool of running workers.

    Attributes
    ----------
    deaths : dict of int to Death
        Causes of death by process id on this machine, where the worker's training is
        not recovered yet.
    """

    deaths: dict[int, Death]

    def look(self) -> bool:
        """Whether any worker runs; dead workers are replaced."""

    def watched(self) -> Collection[int]:
        """Return the local process ids of workers whose deaths `look` will report."""

    def ask_to_stop(self) -> None:
        """Stop each worker after its running epoch."""

    def stop_now(self) -> None:
        """Stop each worker at once, without waiting for it."""

    def close(self) -> None:
        """Wait for all workers to end, and kill those that do not."""


class Place(Protocol):
    """One worker of a pool, local or on a cluster."""

    number: int

    @property
    def errors(self) -> Collection[str]:
        """The last lines of its error output."""

    def ended(self) -> int | None:
        """Return the exit code, None while it runs; negative if it died."""

    def lines(self) -> list[str]:
        """Return the output lines since the last call."""

    def close(self) -> None:
        """Release the resources of a worker that has ended."""


P = TypeVar("P", bound=Place)


class ReplacingCrew(ABC, Generic[P]):
    """A pool that replaces dead workers, up to a number of deaths in a row.

    Raises
    ------
    LstmBenchError
        From `look`: a worker cannot work, or too many workers die in a row.
    """

    def __init__(self, store: StudyStore, session: Session, progress: Progress) -> None:
        self.store = store
        self.session = session
        self.progress = progress
        self.deaths: dict[int, Death] = {}
        self.places: list[P] = []
        self._said_of_engines: set[str] = set()
        self._is_stopping = False
        self._n_started = 0
        self._n_deaths_in_a_row = 0
        self._n_finished = 0
        self._retry_at: float | None = None
        # Workers started until the first of a row could not go on.
        self._n_trusted: int | None = None

    def _start(self) -> None:
        self._n_started += 1
        self.places.append(self._new(self._n_started))

    @abstractmethod
    def _new(self, number: int) -> P:
        """Start a worker."""

    @abstractmethod
    def _what(self, place: P, code: int) -> str:
        """Return the cause of a worker's death."""

    @abstractmethod
    def watched(self) -> Collection[int]:
        """Return the local process ids of workers whose deaths `look` will report."""

    @abstractmethod
    def _died(self, place: P, reason: str) -> None:
        """Record that a worker died."""

    @abstractmethod
    def _check(self, place: P) -> None:
        """Check a running worker."""

    def _n_wanted(self) -> int:
        """Return the number of workers needed while work is left.

        One, for a training that was requeued after the others had ended.
        """
        return 1

    def look(self) -> bool:
        """Whether any worker runs; shows their output, replaces dead workers."""
        for place in list(self.places):
            code = place.ended()
            self._say(place)
            if code is None:
                self._check(place)
            else:
                self.places.remove(place)
                self._after(place, code)
                place.close()
        if self._is_stopping:
            return bool(self.places)
        if self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._retry_at = None
            self._start()
        n_missing = self._n_wanted() - len(self.places)
        if n_missing > 0 and work_left(self.store, self.session):
            for _ in range(n_missing):
                self._start()
        return bool(self.places)

    def _say(self, place: P) -> None:
        for line in place.lines():
            # Each worker reports its engine; the same message is shown once.
            if line.startswith(TAKES_STOCK):
                if line in self._said_of_engines:
                    continue
                self._said_of_engines.add(line)
            self.progress.say(f"worker {place.number}: {line}")

    def _after(self, place: P, code: int) -> None:
        """Handle the end of a worker by its exit code."""
        said = "\n".join(place.errors)
        if code == 0 or (code == INTERRUPTED and self._is_stopping):
            for line in place.errors:
                self.progress.say(f"worker {place.number}: {line}")
        elif code == 2 and self._others_may_work():
            self.progress.say(f"worker {place.number} could not go on: {said}")
            self._retry_at = time.monotonic() + RETRY_S
        elif code == 2:
            raise LstmBenchError(said.removeprefix("error: "))
        elif code == 1:
            raise RuntimeError(f"worker {place.number} has failed:\n{said}")
        else:
            self._bury(place, self._what(place, code))

    def _forgive_if_finished(self) -> None:
        """Forget earlier failures if a training has finished since."""
        n = len(self.store.finished()) + len(self.store.confirm.finished())
        if n > self._n_finished:
            self._n_finished, self._n_deaths_in_a_row = n, 0
            self._n_trusted = None

    def _others_may_work(self) -> bool:
        """Whether a worker is left that is no replacement of one that gave up.

        Otherwise workers that all fail would replace each other without end.
        """
        self._forgive_if_finished()
        if self._n_trusted is None:
            self._n_trusted = self._n_started
        return any(place.number <= self._n_trusted for place in self.places)

    def _bury(self, place: P, what: str) -> None:
        self._died(place, f"its worker died: {what}")
        self._forgive_if_finished()
        self._n_deaths_in_a_row += 1
        if self._n_deaths_in_a_row > MAX_DEATHS_IN_A_ROW:
            raise TrackingError(
                f"{self._n_deaths_in_a_row} workers died without finishing a training "
                f"({what}); is there memory for so many? --workers 1 needs the "
                "least. What was finished is kept"
            )
        if self._is_stopping:
            return
        said = "".join(f"\n{line}" for line in place.errors)
        self.progress.say(
            f"worker {place.number} died: {what}; another takes its place{said}"
        )
        self._start()


class LocalCrew(ReplacingCrew[Seat]):
    """Worker processes on this machine."""

    def __init__(
        self,
        workers: Workers,
        store: StudyStore,
        tracking_uri: str,
        session: Session,
        progress: Progress,
    ) -> None:
        super().__init__(store, session, progress)
        threads = workers.threads or max(1, n_cores() // workers.n)
        self._threads, self._all_threads = threads, threads * workers.n
        # Addresses with passwords are passed in the environment, which only its owner
        # can read.
        self.env = {
            **os.environ,
            **thread_variables(threads),
            STORAGE_VARIABLE: store.url,
            "MLFLOW_TRACKING_URI": tracking_uri,
        }
        self.command = [
            *(sys.executable, "-P", "-m", "lstm_bench", "worker"),
            store.suite.study_name,
            *("--kind", session.kind, "--attached"),
        ]
        if workers.data_dir is not None:
            self.command += ["--data-dir", str(workers.data_dir)]
        # A database file has a path relative to this folder, or local to this machine.
        place = "from anywhere" if sqlite_file(store.url) is None else "in this folder"
        progress.say(
            f"{count(workers.n, 'worker')} on this machine, "
            f"{count(threads, 'thread')} each; to "
            f"add one {place}: {command_line('worker', store.suite.study_name)}"
        )
        for _ in range(workers.n):
            self._start()

    def _new(self, number: int) -> Seat:
        return Seat(number, self.command, self.env)

    def look(self) -> bool:
        """Whether any worker runs; running workers share the threads of ended ones."""
        is_any = super().look()
        for seat in self.places:
            seat.lend(max(0, self._all_threads // len(self.places) - self._threads))
        return is_any

    def _what(self, place: Seat, code: int) -> str:
        if code > 0:
            return f"exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"{signal.Signals(-code).name}{hint}"

    def watched(self) -> Collection[int]:
        """Return the workers' process ids."""
        return [place.process.pid for place in self.places]

    def _died(self, place: Seat, reason: str) -> None:
        self.deaths.setdefault(place.process.pid, Death(reason))

    def _check(self, place: Seat) -> None:
        """Kill a worker that hangs: one that did not fail its training at the limit."""
        limit = self.store.suite.study.trial_timeout_s
        pid = place.process.pid
        if limit is None or pid in self.deaths:
            return
        for owned in self.store.studies:
            for trial in owned.running():
                owner, start = trial.user_attrs[OWNER], trial.datetime_start
                if not is_here(owner) or owner[1] != pid or start is None:
                    continue
                # Optuna stores local time without a zone.
                age_s = (datetime.now() - start).total_seconds()
                if age_s > limit + PATIENCE_S:
                    reason = f"{too_long(limit)}, and its worker did not answer"
                    self.deaths[pid] = Death(reason, is_final=True)
                    place.process.kill()
                    # Otherwise its trial would not count as orphaned yet.
                    place.process.wait()

    def ask_to_stop(self) -> None:
        """Stop each worker after its running epoch."""
        self._is_stopping = True
        for seat in self.places:
            if seat.process.poll() is None:
                seat.process.terminate()

    def stop_now(self) -> None:
        """Stop each worker at once."""
        self.ask_to_stop()
        # The second signal of `stopping_after_the_epoch`.
        time.sleep(0.2)
        self.ask_to_stop()

    def close(self) -> None:
        """Wait for the workers, at most `CLOSING_S`, and kill those that still run."""
        self._is_stopping = True
        end = time.monotonic() + CLOSING_S
        for seat in self.places:
            try:
                seat.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                seat.process.kill()
                seat.process.wait()
            seat.ended()
            self._say(seat)
            seat.close()
        self.places.clear()
