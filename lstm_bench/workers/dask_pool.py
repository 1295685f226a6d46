"""A worker pool on a Dask cluster that is already running; tasks go through joblib.

When a Dask worker is lost, Dask repeats its task on another one.
`lstm_bench.workers.supervise` recovers the training that was lost, as for any worker.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.masking import bare_url, mask_url
from lstm_bench.search.storage import STORAGE_VARIABLE
from lstm_bench.search.study import StudyStore
from lstm_bench.stores import sqlite_file
from lstm_bench.text import first_line
from lstm_bench.tracking.server import is_server
from lstm_bench.workers.dask_task import (
    TRACKING_VARIABLE,
    Address,
    Errand,
    Report,
    check_threads,
    run_errand,
)
from lstm_bench.workers.options import Workers
from lstm_bench.workers.pool import CLOSING_S, ReplacingCrew
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.session import Session, someone_at_work

if TYPE_CHECKING:
    from distributed import Client

# Time for a scheduler to answer, and to return after it was unreachable.
ANSWER_S = 8.0
# Between two requests for the cluster's number of workers.
COUNT_EVERY_S = 3.0
# Joblib gives up on a cluster without workers; an adaptive cluster starts with none.
WAIT_FOR_WORKERS_S = 10**7
LOOK_EVERY_S = 0.3
LOST = -1


def find_cluster(workers: Workers, storage_url: str, tracking_uri: str) -> Workers:
    """Check that the cluster can train; return `workers` with their number.

    Raises
    ------
    LstmBenchError
        Dask is not installed, its scheduler does not answer, its workers have
        several threads, or a store is a file, which other machines cannot reach.
    """
    advice = (
        "which the workers of a Dask cluster do not share; with --backend dask give "
        "--storage postgresql://USER@HOST/DATABASE, and --tracking-uri "
        "http://HOST:5000 for an MLflow server"
    )
    if sqlite_file(storage_url) is not None:
        raise TrackingError(
            f"--storage: {storage_url} is a file of this machine, {advice}"
        )
    if not is_server(tracking_uri):
        # A tracking database does not help: without a server, artifacts go to a folder.
        raise TrackingError(
            f"--tracking-uri: {mask_url(tracking_uri)} keeps its artifacts in a folder "
            f"of this machine, {advice}"
        )
    client = _connect(workers)
    try:
        n_threads = client.nthreads()
        check_threads(n_threads)
    finally:
        client.close()
    # An adaptive cluster may have none yet.
    n = workers.n or max(1, len(n_threads))
    return replace(workers, n=n, grows=workers.n == 0)


def _connect(workers: Workers) -> Client:
    address = workers.scheduler
    if address is None:
        raise TypeError("workers without the address of a scheduler are local")
    try:
        from distributed import Client
    except ImportError as error:
        raise LstmBenchError(
            "--backend dask: Dask is not installed here; pip install "
            "'lstm-bench[dask]' (and the same where its workers run)"
        ) from error
    # Lost connections are reported here, once; Dask would log each of them.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    shown = bare_url(address)
    advice = "start it with `dask scheduler`, or give its address as tcp://HOST:8786"
    try:
        # Checked first: a client waits forever for an address that does not answer.
        kind = asyncio.run(asyncio.wait_for(_ask_kind(address), ANSWER_S))
    except (OSError, ValueError, TypeError) as error:
        # Dask raises TypeError for tls:// without certificates in its configuration.
        why = "no answer" if isinstance(error, TimeoutError) else first_line(error)
        raise LstmBenchError(
            f"--scheduler: no Dask scheduler answers at {shown} within {ANSWER_S:g} s "
            f"({why}); {advice}"
        ) from error
    if kind != "Scheduler":
        raise LstmBenchError(
            f"--scheduler: expected a Dask scheduler at {shown}, got a Dask "
            f"{kind.lower()}; {advice}"
        )
    return Client(address, timeout=ANSWER_S, set_as_default=False)


async def _ask_kind(address: str) -> str:
    """Return the kind of Dask process at `address`: Scheduler, Worker or Nanny."""
    from distributed import rpc
    from distributed.security import Security

    arguments = Security().get_connection_args("client")
    async with rpc(address, timeout=ANSWER_S, connection_args=arguments) as remote:
        return str((await remote.identity())["type"])


class ErrandPlace:
    """A task submitted to Dask, seen as one worker of the pool."""

    def __init__(self, number: int, errand: Errand, client: Client) -> None:
        self.number = number
        self.errors: list[str] = []
        self.what = ""
        self._said: list[str] = []
        self._code: int | None = None
        # Daemonic: a task that runs on another machine cannot be cancelled.
        self._thread = threading.Thread(
            target=self._run,
            args=(errand, client),
            name=f"errand {number}",
            daemon=True,
        )
        self._thread.start()

    def _run(self, errand: Errand, client: Client) -> None:
        try:
            report = _send(errand, client)
        except (Exception, asyncio.CancelledError) as error:
            self.errors, self._code = self._explain(error)
            return
        if report.code == 0:
            self._said += [report.message] if report.message else []
        else:
            self.errors = [report.message]
        self._code = report.code

    def _explain(self, error: BaseException) -> tuple[list[str], int]:
        """Return the error lines and exit code of a task that returned no report."""
        from distributed import KilledWorker

        if isinstance(error, ImportError | AttributeError) and "lstm_bench" in str(
            error
        ):
            return [
                "a Dask worker cannot load this lstm-bench "
                f"({first_line(error)}); install the same version, with its "
                "dependencies, in the environment of the Dask workers"
            ], 2
        if isinstance(error, KilledWorker):
            self.what = "Dask gave it several workers, and all were lost"
            return [], LOST
        if isinstance(error, asyncio.CancelledError | OSError):
            self.what = f"Dask lost it ({first_line(error)})"
            return [], LOST
        return ["".join(traceback.format_exception(error))], 1

    def ended(self) -> int | None:
        """Return the exit code of a local worker with this outcome; None before."""
        return None if self._thread.is_alive() else self._code

    def lines(self) -> list[str]:
        """Return new output lines; the rest is in the Dask worker's log."""
        said, self._said = self._said, []
        return said

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _send(errand: Errand, client: Client) -> Report:
    """Run a task on Dask, and wait for its report."""
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(
        backend="dask", client=client, wait_for_workers_timeout=WAIT_FOR_WORKERS_S
    ):
        reports: list[Any] = Parallel(batch_size=1)([delayed(run_errand)(errand)])
    if not isinstance(reports[0], Report):
        raise TypeError(f"expected a report of the errand, got {reports[0]!r}")
    return reports[0]


class DaskCrew(ReplacingCrew[ErrandPlace]):
    """Workers on a Dask cluster.

    This command cannot end their processes: each worker stops after its running epoch.
    A training that exceeds `trial_timeout_s` fails by itself; if its process hangs,
    only the cluster's owner can end it.

    Raises
    ------
    LstmBenchError
        The scheduler does not answer, its workers have several threads; from `look`:
        the scheduler has ended, a worker cannot work, or too many workers die.
    """

    def __init__(
        self,
        workers: Workers,
        store: StudyStore,
        tracking_uri: str,
        session: Session,
        progress: Progress,
    ) -> None:
        super().__init__(store, session, progress)
        self.workers = workers
        self.tracking_uri = tracking_uri
        self.client = _connect(workers)
        self._n_threads = self.client.nthreads()
        self._counted_at = time.monotonic()
        check_threads(self._n_threads)
        if not self._n_threads:
            progress.say("the Dask cluster has no worker yet; waiting for one")
        for _ in range(max(1, workers.n)):
            self._start()

    def _new(self, number: int) -> ErrandPlace:
        data_dir = self.workers.data_dir
        errand = Errand(
            self.store.suite.study_name,
            self.session,
            Address.of(self.store.url, STORAGE_VARIABLE),
            Address.of(self.tracking_uri, TRACKING_VARIABLE),
            None if data_dir is None else str(data_dir.absolute()),
            Counter(urlsplit(address).hostname or "" for address in self._n_threads),
            self.workers.threads,
        )
        return ErrandPlace(number, errand, self.client)

    def _n_wanted(self) -> int:
        now = time.monotonic()
        if self._retry_at is not None or now - self._counted_at < COUNT_EVERY_S:
            return 1
        self._counted_at = now
        try:
            self._n_threads = self.client.sync(
                self.client.scheduler.ncores, workers=None, callback_timeout=ANSWER_S
            )
        except OSError:
            # Unreachable now: the next `look` raises if this lasts.
            return 1
        return max(1, len(self._n_threads)) if self.workers.grows else self.workers.n

    def _what(self, place: ErrandPlace, code: int) -> str:
        return place.what

    def watched(self) -> Collection[int]:
        """Return none: a cluster's processes cannot be observed."""
        return ()

    def _died(self, place: ErrandPlace, reason: str) -> None:
        """Do nothing: the stores record which training the worker had."""

    def _check(self, place: ErrandPlace) -> None:
        """Do nothing: a process on another machine cannot be checked."""

    def look(self) -> bool:
        """Whether any worker runs; lost workers are replaced."""
        if self.client.status == "closed":
            raise TrackingError(
                f"the Dask scheduler at {bare_url(str(self.workers.scheduler))} is "
                f"gone and was not back within {ANSWER_S:g} s. What was finished is "
                "kept; start it and its workers again, and then the same command"
            )
        if self.client.status != "running":
            return True
        is_any = super().look()
        if self._is_stopping:
            # A task still queued behind other work would not return.
            return is_any and someone_at_work(self.store, self.session)
        return is_any

    def ask_to_stop(self) -> None:
        """Submit no more tasks; each worker stops after its running epoch."""
        self._is_stopping = True

    def stop_now(self) -> None:
        """Submit no more tasks, and show that running epochs are finished first."""
        self._is_stopping = True
        if any(place.ended() is None for place in self.places):
            self.progress.say(
                "Dask workers cannot be stopped at once: each gives its training back "
                "after the epoch it is at"
            )

    def close(self) -> None:
        """Wait for the tasks, at most `CLOSING_S`, and abandon the others."""
        self._is_stopping = True
        end = time.monotonic() + CLOSING_S
        while (
            self.client.status == "running"
            and someone_at_work(self.store, self.session)
            and any(place.ended() is None for place in self.places)
            and time.monotonic() < end
        ):
            time.sleep(LOOK_EVERY_S)
        for place in self.places:
            self._say(place)
        self.places.clear()
        self.client.close()
