"""A thread that writes to MLflow, so that no training waits for a server.

What is shown of a running training is written at once or not at all. A run that has
ended is a folder of the outbox, which is tried again until the server takes it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from lstm_bench.masking import known_secrets, mask_text
from lstm_bench.text import count
from lstm_bench.tracking.outbox import Draw, send
from lstm_bench.tracking.server import (
    describe,
    is_away,
    is_server,
    own_timeout_s,
    patience,
)

LIVE_TIMEOUT_S = 10
# At the end no training is delayed.
PATIENT_S = 60
TRY_EVERY_S = 5.0


@dataclass(frozen=True)
class Parcel:
    """A waiting run.

    Attributes
    ----------
    has_metrics : callable
        Whether its metrics were written while it ran.
    on_sent : callable
        Called with the id of the run.
    """

    folder: Path
    has_metrics: Callable[[], bool] = lambda: False
    on_sent: Callable[[str], None] = lambda run_id: None


class Writer:
    """Writes what it is given, in order, in a thread of its own.

    Attributes
    ----------
    waiting : list of Parcel
        Runs that the server has not taken yet.
    reason : str
        Why it did not.
    """

    def __init__(self, client: MlflowClient, outbox: Path, draw: Draw) -> None:
        self.client = client
        self.draw = draw
        self.outbox = outbox
        self.waiting: list[Parcel] = []
        self.reason = ""
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._is_away = False
        self._next_try = 0.0
        self._n_late = 0
        self._tasks: queue.SimpleQueue[Callable[[], None] | None]
        self._tasks = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="MLflow", daemon=True)
        self._thread.start()

    # From the command's thread

    def show(self, write: Callable[[], None]) -> None:
        """Write something of a running training; while the server is away, do not."""
        self._tasks.put(lambda: self._show(write))

    def send(self, parcel: Parcel) -> None:
        """Send a run that has ended, now or when the server takes it."""
        self._tasks.put(lambda: self._accept(parcel))

    def check(self, say: Callable[[str], None]) -> None:
        """Show messages of the thread; raise the error that it met, if any."""
        while not self._said.empty():
            say(self._said.get())
        if self._error is not None:
            raise self._error

    def flush(self, say: Callable[[str], None]) -> bool:
        """Wait until all was tried, patiently; return whether nothing waits."""
        done = threading.Event()
        self._tasks.put(lambda: self._send_all(own_timeout_s(PATIENT_S)))
        self._tasks.put(done.set)
        while not done.wait(0.1) and self._error is None:
            pass
        self.check(say)
        return not self.waiting

    def close(self) -> None:
        """End the thread, after what it was given."""
        self._tasks.put(None)
        self._thread.join()

    # In the thread

    def _run(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=TRY_EVERY_S if self.waiting else None)
            except queue.Empty:
                task = self._try_again
            if task is None:
                return
            if self._error is not None:
                continue
            try:
                task()
            except BaseException as error:
                self._error = error

    def _show(self, write: Callable[[], None]) -> None:
        if self._is_away:
            return
        try:
            with patience(own_timeout_s(LIVE_TIMEOUT_S)):
                write()
        except Exception as error:
            self._put_off(error)

    def _accept(self, parcel: Parcel) -> None:
        self.waiting.append(parcel)
        self._try_again()

    def _try_again(self) -> None:
        if not self._is_away or time.monotonic() >= self._next_try:
            self._send_all(own_timeout_s(LIVE_TIMEOUT_S))

    def _send_all(self, timeout_s: int) -> None:
        while self.waiting:
            parcel = self.waiting[0]
            try:
                with patience(timeout_s):
                    run_id = send(
                        self.client,
                        parcel.folder,
                        self.draw,
                        has_metrics=parcel.has_metrics(),
                    )
            except Exception as error:
                self._put_off(error)
                return
            self.waiting.pop(0)
            self._n_late += self._is_away
            if run_id is not None:
                parcel.on_sent(run_id)
        if self._is_away:
            self._is_away = False
            if self._n_late:
                self._said.put(
                    "the tracking server answers again; written: "
                    + count(self._n_late, "run")
                )

    def _put_off(self, error: Exception) -> None:
        uri = self.client.tracking_uri
        if not is_server(uri) or not is_away(error):
            raise error
        self.reason = mask_text(describe(error), known_secrets(uri))
        self._next_try = time.monotonic() + TRY_EVERY_S
        if not self._is_away:
            self._is_away, self._n_late = True, 0
            self._said.put(
                f"the tracking server does not answer ({self.reason}); training goes "
                f"on, and finished runs wait in {self.outbox}"
            )
