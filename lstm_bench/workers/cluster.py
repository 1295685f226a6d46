"""The Dask workers of a command: started on this machine, or of a running cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lstm_bench import __version__
from lstm_bench.data.folder import kept_files
from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.system.threads import lend_threads, n_cores, thread_variables
from lstm_bench.text import count, first_line
from lstm_bench.workers.fork_server import METHOD, start_fork_server
from lstm_bench.workers.job import (
    Job,
    check_worker,
    put_end,
    put_part,
    run_job,
)
from lstm_bench.workers.options import Workers

if TYPE_CHECKING:
    from distributed import Future, LocalCluster

# For a scheduler to answer, and to come back after it was unreachable.
ANSWER_S = 8.0
# Between two counts of a cluster's workers.
COUNT_EVERY_S = 3.0
# A training whose worker has died this often fails.
MAX_DEATHS = 3
PART_BYTES = 32 * 2**20


class HiddenMain:
    """Keeps new processes from running the user's script once more.

    Python imports the main module in each process that multiprocessing starts: a script
    without ``if __name__ == "__main__"`` would begin its sweep again in every worker.
    """

    def __init__(self) -> None:
        self._main = sys.modules["__main__"]
        self._file = vars(self._main).pop("__file__", None)
        self._spec, self._main.__spec__ = self._main.__spec__, None

    def show(self) -> None:
        """Give the main module back what tells where it comes from."""
        self._main.__spec__ = self._spec
        if self._file is not None:
            self._main.__file__ = self._file


def start_local(n_workers: int, threads: int) -> LocalCluster:
    """Start worker processes of `threads` threads of TensorFlow each."""
    import dask
    from distributed import LocalCluster

    start_fork_server()
    # Until the end: a worker that dies is started again.
    dask.config.set({"distributed.worker.multiprocessing-method": METHOD})
    # What the threads of this call start gets no Ctrl-C and no hangup of the terminal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            # Its spilling and pausing get in the way of TensorFlow.
            memory_limit=0,
            # Any free port; 8787 may be in use.
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            # The fork server has the variables of its start.
            env={**os.environ, **thread_variables(threads)},
            preload=[f"{__package__}.job"],
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _await_greeting(address: str) -> None:
    """Raise OSError if what listens there sends nothing, as a Dask scheduler does.

    Dask itself waits for it without end.
    """
    from distributed.comm import get_address_host_port, parse_address

    if parse_address(address)[0] != "tcp":
        return
    with socket.create_connection(get_address_host_port(address), ANSWER_S) as stream:
        if not stream.recv(1):
            raise OSError("the connection was closed")


class Cluster:
    """Dask workers of one thread each.

    Parameters
    ----------
    workers : Workers
    topic : str
        Dask topic of the jobs' events.
    on_event : callable
        Called in Dask's thread with each event of the topic.

    Raises
    ------
    LstmBenchError
        The scheduler does not answer, or its workers have several threads or another
        version of this package.
    """

    def __init__(
        self,
        workers: Workers,
        topic: str,
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        import dask
        from distributed import Client

        self.workers = workers
        self.is_local = workers.scheduler is None
        self._local = None
        # Lost connections and workers are reported here, once.
        for name in ("distributed", "distributed.client", "distributed.nanny"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self.is_local:
            self._threads = max(1, n_cores() // workers.n)
            dask.config.set({"distributed.scheduler.allowed-failures": MAX_DEATHS - 1})
            # Until the end: a worker that dies is started again.
            self._main = HiddenMain()
            self._local = start_local(workers.n, self._threads)
        try:
            if workers.scheduler is not None:
                _await_greeting(workers.scheduler)
            self.client = Client(self._local or workers.scheduler, timeout=ANSWER_S)
        # Others than OSError: tls:// without a certificate, an unknown protocol.
        except (OSError, TypeError, ValueError) as error:
            raise TrackingError(
                f"--scheduler: no Dask scheduler answers at "
                f"{bare_url(str(workers.scheduler))} ({first_line(error)}); start it "
                "(`dask scheduler`) and its workers, or leave the option out to train "
                "on this machine"
            ) from error
        self.client.subscribe_topic(topic, lambda event: on_event(event[1]))
        self._lost_at: float | None = None
        self._n_threads = dict(self.client.nthreads())
        self._counted_at = time.monotonic()
        if not self.is_local:
            self._check_workers()

    def _check_workers(self) -> None:
        try:
            self.client.run(check_worker, __version__)
        except (ImportError, AttributeError) as error:
            raise LstmBenchError(
                "--scheduler: a Dask worker cannot load this lstm-bench "
                f"({first_line(error)}); install the same version, with its "
                "dependencies, in the environment of the Dask workers"
            ) from error

    def n_wanted(self) -> int:
        """Return how many jobs keep all workers busy."""
        if self.is_local:
            return self.workers.n
        now = time.monotonic()
        if now - self._counted_at > COUNT_EVERY_S and self.client.status == "running":
            self._counted_at = now
            # Where the scheduler is going away, `check` finds out.
            with suppress(OSError):
                self._n_threads = dict(self.client.nthreads())
        # One waits in a cluster that has no worker yet.
        n = max(1, len(self._n_threads))
        return min(n, self.workers.n) if self.workers.n else n

    def describe(self) -> str:
        """Return where the trainings run."""
        if self.is_local:
            return (
                f"{count(self.workers.n, 'worker')} on this machine, "
                f"{count(self._threads, 'thread')} each"
            )
        n = len(self._n_threads)
        where = f"Dask cluster at {bare_url(str(self.workers.scheduler))}"
        if not n:
            return f"the {where} has no worker yet; waiting for one"
        return f"{count(n, 'worker')} of the {where}"

    def _n_on_host(self) -> Mapping[str, int]:
        """Return the number of workers by host, on a cluster."""
        if self.is_local:
            return {}
        hosts = (urlsplit(address).hostname or "" for address in self._n_threads)
        return Counter(hosts)

    def submit(self, job: Job) -> Future:
        """Give a job to a worker that is free."""
        job = replace(job, n_on_host=self._n_on_host())
        try:
            return self.client.submit(run_job, job, key=job.key, pure=False)
        except Exception as error:
            if self.client.status != "closed":
                raise
            raise self._gone() from error

    def check(self) -> None:
        """Raise TrackingError if the scheduler is gone and does not come back."""
        if self.client.status == "running":
            self._lost_at = None
            return
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        if self.client.status == "closed" or now - self._lost_at > ANSWER_S:
            raise self._gone()

    def _gone(self) -> TrackingError:
        return TrackingError(
            f"the Dask scheduler at {bare_url(str(self.workers.scheduler))} is gone. "
            "What was finished is kept; start it and its workers again, and then the "
            "same command"
        )

    def send_data(self, digest: str, address: str) -> None:
        """Send parsed data to a worker that does not have it, unless it is gone.

        Raises
        ------
        LstmBenchError
            The worker cannot write them.
        """
        from distributed.comm import CommClosedError

        try:
            self._send_data(digest, address)
        except CommClosedError:
            # Then another worker gets the job, and says whether it has the data.
            return
        except OSError as error:
            raise LstmBenchError(
                f"--scheduler: the worker at {address} cannot write the data "
                f"({error.strerror or error}); make room there, or set "
                "LSTM_BENCH_CACHE where it is started"
            ) from error

    def _send_data(self, digest: str, address: str) -> None:
        for file in kept_files(digest):
            with file.open("rb") as stream:
                offset, is_first = 0, True
                while (part := stream.read(PART_BYTES)) or is_first:
                    self.client.run(
                        put_part, digest, file.name, offset, part, workers=[address]
                    )
                    offset, is_first = offset + len(part), False
        self.client.run(put_end, digest, workers=[address])

    def restart(self, address: str) -> None:
        """End a worker's process and start another in its place."""
        self.client.restart_workers([address], raise_for_error=False)

    def lend(self, addresses: list[str]) -> None:
        """Let the last trainings on this machine use the cores that others left."""
        if self.is_local and addresses:
            n = self._threads * self.workers.n // len(addresses) - self._threads
            # A worker that has died meanwhile is not waited for.
            there = [a for a in self.client.nthreads() if a in addresses]
            self.client.run(lend_threads, n, workers=there, on_error="ignore")

    def lend_nothing(self) -> None:
        """Let each training on this machine use its own cores again."""
        if self.is_local:
            self.client.run(lend_threads, 0, on_error="ignore")

    def close(self) -> None:
        """End local workers; leave those of a cluster to themselves."""
        # A scheduler that is gone cannot be told.
        with suppress(OSError, TimeoutError):
            self.client.close(timeout=2)
        if self._local is not None:
            with suppress(OSError, TimeoutError):
                self._local.close(timeout=5)
            self._main.show()
