"""The task that a Dask worker runs: train for a session. It contains no password.

It runs the same code as `lstm_bench.workers.join`. Errors are returned as a report and
not raised, because Dask logs an error together with the task's arguments.
"""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lstm_bench import __version__
from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.masking import mask_text, masked_output, without_password
from lstm_bench.search.storage import find_suite, resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.stores import store_errors
from lstm_bench.system.startup import settle
from lstm_bench.system.threads import VARIABLE, n_cores, thread_variables
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.sync import sync
from lstm_bench.workers.join import work
from lstm_bench.workers.progress import LoggedProgress
from lstm_bench.workers.session import Session, is_open

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
# Below Dask's logger, so that messages appear in the Dask worker's log.
LOG = logging.getLogger("distributed.worker.lstm_bench")


@dataclass(frozen=True)
class Address:
    """A store's address without its password.

    Attributes
    ----------
    variable : str
        Environment variable in which a worker may have the address with the password.
    is_bare : bool
        Whether a password was removed.
    """

    url: str
    variable: str
    is_bare: bool

    @classmethod
    def of(cls, url: str, variable: str) -> Address:
        """Return the address of `url` without its password."""
        bare = without_password(url)
        return cls(bare, variable, bare != url)

    def here(self) -> str:
        """Return the address with the password from this process's environment."""
        own = os.environ.get(self.variable, "")
        is_same = _store_of(without_password(own)) == _store_of(self.url)
        return own if is_same else self.url

    def hint(self) -> str:
        """Return which variable lacks the password, if one was removed."""
        if not self.is_bare or self.here() != self.url:
            return ""
        login = (
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            if self.url.startswith("http")
            else "~/.pgpass"
        )
        return (
            f"\n{self.url} was sent to the Dask worker without its password, and "
            f"{self.variable} in the worker's environment does not name the same "
            f"store; set it there with the password, or use {login}"
        )


def _store_of(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    # postgresql+psycopg and postgresql differ in the driver alone.
    return scheme.partition("+")[0], rest.rstrip("/")


@dataclass(frozen=True)
class Errand:
    """The arguments of a task: a session to train for. Dask may log them.

    Attributes
    ----------
    version : str
        Version of this package where the session was opened.
    n_on_host : mapping of str to int
        Number of Dask workers by host; workers on one host share its cores.
    threads : int or None
        TensorFlow threads; None divides the cores.
    """

    study: str
    session: Session = field(repr=False)
    storage: Address = field(repr=False)
    tracking: Address = field(repr=False)
    data_dir: str | None = field(repr=False)
    n_on_host: Mapping[str, int] = field(repr=False)
    threads: int | None = None
    version: str = __version__


@dataclass(frozen=True)
class Report:
    """The outcome of a task.

    Attributes
    ----------
    code : int
        The exit code of `lstm-bench worker`: 0; 2 for an error that the user can
        fix; 1 for a defect, with a traceback as message.
    """

    code: int
    message: str = ""


def check_threads(n_threads: Mapping[str, int]) -> None:
    """Raise LstmBenchError unless each Dask worker has one thread.

    Parameters
    ----------
    n_threads : mapping of str to int
        By address.
    """
    several = {address: n for address, n in n_threads.items() if n != 1}
    if several:
        address, n = next(iter(several.items()))
        raise LstmBenchError(
            f"--backend dask: expected workers of one thread, got {len(several)} with "
            f"more ({address} has {n}): TensorFlow has one state for each process; "
            "start them with: dask worker SCHEDULER --nthreads 1 --nworkers N"
        )


def run_errand(errand: Errand) -> Report:
    """Train for the session of `errand` until no work is left, in a Dask worker.

    Errors are returned in the report, never raised.
    """
    where = socket.gethostname()
    with masked_output():
        try:
            settle()
            _check_version(errand)
            _check_worker(errand)
            message = _work(errand)
        except LstmBenchError as error:
            return _failed(2, f"on {where}: {error}")
        except Exception:
            return _failed(1, f"on {where}:\n{mask_text(traceback.format_exc())}")
    return Report(0, f"on {where}: {message}" if message else "")


def _failed(code: int, message: str) -> Report:
    LOG.error("%s", message)
    return Report(code, message)


def _check_version(errand: Errand) -> None:
    if errand.version != __version__:
        raise LstmBenchError(
            f"expected lstm-bench {errand.version}, as where the session was started, "
            f"got {__version__}; install the same version in the Dask workers' "
            "environment and start them again"
        )


def _check_worker(errand: Errand) -> None:
    """Raise for a Dask worker with several threads; share the host's cores."""
    from distributed import get_worker

    worker = get_worker()
    check_threads({worker.address: worker.state.nthreads})
    # Once per process: TensorFlow reads it when it starts.
    if errand.threads is not None or VARIABLE not in os.environ:
        host = urlsplit(worker.address).hostname or ""
        shared = max(1, n_cores() // errand.n_on_host.get(host, 1))
        os.environ.update(thread_variables(errand.threads or shared))


def _work(errand: Errand) -> str:
    progress = LoggedProgress(LOG.info)
    try:
        with store_errors():
            storage = resolve_storage(errand.storage.here())
            store = StudyStore(find_suite(storage, errand.study), storage)
            # The process continues with other tasks, and connections are scarce.
            with closing(store):
                if not is_open(store, errand.session):
                    # The session ended while this task was queued.
                    return ""
                uri = resolve_tracking_uri(errand.tracking.here())
                # Results that an earlier task saved here while the server was
                # unreachable.
                sync(uri, errand.study)
                progress.say(f"joining the {errand.session.kind} of {errand.study}")
                data_dir = None if errand.data_dir is None else Path(errand.data_dir)
                left = work(store, errand.session, uri, data_dir, progress)
    except TrackingError as error:
        hints = errand.storage.hint() + errand.tracking.hint()
        raise TrackingError(f"{error}{hints}") from error
    progress.say(f"trainings done here: {left.n_trained}")
    return "" if left.waiting is None else left.waiting.describe(uri)
