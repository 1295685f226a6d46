"""Join a running session from any machine, given both stores and the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException

from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.search.study import StudyStore
from lstm_bench.system.command_line import command_line
from lstm_bench.system.process import is_gone
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.tracking.writer import Waiting
from lstm_bench.training.prepare import prepare
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.session import Kind, Session, is_stopped, open_sessions
from lstm_bench.workers.worker import Worker


@dataclass(frozen=True)
class Left:
    """How a worker ended.

    Attributes
    ----------
    interrupted : bool
        Whether the worker or its session was stopped.
    waiting : Waiting or None
        Results not written yet, because the tracking server was unreachable.
    """

    n_trained: int
    interrupted: bool
    waiting: Waiting | None


def session_to_join(store: StudyStore, kind: Kind | None = None) -> Session:
    """Return the newest open session of a study.

    Raises
    ------
    TrackingError
        No session is open, its command has ended, or the storage is damaged.
    """
    store.check_whole()
    name = store.suite.study_name
    found = open_sessions(store, kind)
    here = [session for session in found if not is_gone(session.owner)]
    if here:
        return here[0]
    if found:
        raise TrackingError(
            f"{name}: the {found[0].kind} that was running has ended without a word "
            "(was it killed?); start it again: "
            + command_line(found[0].kind, store.suite.name)
        )
    raise TrackingError(
        f"{name}: nothing is running that could be joined; start "
        f"`{command_line('sweep', store.suite.name)}` first, with --workers or "
        "--backend and the same --storage"
    )


def work(
    store: StudyStore,
    session: Session,
    tracking_uri: str,
    data_dir: Path | None,
    progress: Progress,
    on_ready: Callable[[Tracker], None] = lambda tracker: None,
) -> Left:
    """Train for `session` until no training is left to start.

    Parameters
    ----------
    tracking_uri : str
        From `resolve_tracking_uri`; must be the session's store.
    on_ready : callable
        Called with the tracker once it is open.

    Raises
    ------
    DatasetError
        The data is missing or damaged.
    TrackingError
        A store cannot be reached or is not the session's, or the data differs.
    """
    suite = store.suite
    prepared = prepare(suite, data_dir)
    store.check_digest(prepared.dataset.digest)
    tracker = Tracker(
        tracking_uri, suite.study_name, progress.say, session.experiment_id
    )
    on_ready(tracker)
    _check_same_store(tracker, session)
    worker = Worker(
        prepared, tracker, progress, session, lambda: is_stopped(store, session)
    )
    interrupted = False
    try:
        try:
            if session.kind == "sweep":
                worker.search(store)
            else:
                worker.confirm(store.confirm, lambda: len(store.confirm.done()))
        except KeyboardInterrupt:
            interrupted = True
        tracker.catch_up()
        return Left(worker.n_trained, interrupted, tracker.writer.waiting)
    finally:
        # Release the unwritten results, so that another process can write them.
        tracker.writer.close()


def _check_same_store(tracker: Tracker, session: Session) -> None:
    try:
        tracker.client.get_run(session.run_id)
    except MlflowException as error:
        raise TrackingError(
            f"--tracking-uri: {bare_url(tracker.tracking_uri)} does not have the run "
            f"{session.run_id} of the {session.kind} that is to be joined; give the "
            "address that the command was started with"
        ) from error
