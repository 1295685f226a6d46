"""What a command that trains has begun, for its own workers and those that join."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import OwnedStudy
from lstm_bench.system.process import is_gone, this_process

Kind = Literal["sweep", "confirm"]
_PREFIX = "session:"
_STATE = "state"  # open, over or stopped


@dataclass(frozen=True)
class Session:
    """A sweep's search or a confirmation round while it runs.

    Attributes
    ----------
    run_id, experiment_id : str
        Of the command's own MLflow run, the parent of its trainings.
    total : int
        Trainings to reach, those of earlier sessions included.
    n_trials : int
        Finished trials of the search to reach.
    deadline : float or None
        Seconds since 1970 after which no training is started.
    owner : list
        The command's process.
    began : float
        Seconds since 1970.
    """

    kind: Kind
    run_id: str
    experiment_id: str
    total: int
    n_trials: int = 0
    deadline: float | None = None
    owner: list[Any] = field(default_factory=this_process)
    began: float = field(default_factory=time.time)


def open_session(store: StudyStore, session: Session) -> None:
    """Let workers that look into the storage know of `session`.

    Sessions of commands that are gone are stopped: a cluster's workers may be at them
    still, and nobody else could tell them.
    """
    for other in open_sessions(store):
        if is_gone(other.owner):
            stop_session(store, other)
    store.keep_suite()
    _write(store, session, "open")


def close_session(store: StudyStore, session: Session) -> None:
    """Say that all is done; nobody can join any more."""
    if not is_stopped(store, session):
        _write(store, session, "over")


def stop_session(store: StudyStore, session: Session) -> None:
    """Ask the workers of `session`, wherever they are, to stop after their epoch."""
    _write(store, session, "stopped")


def is_stopped(store: StudyStore, session: Session) -> bool:
    """Whether the command that opened `session` wants no more of it."""
    about = store.search.study.user_attrs.get(_key(session))
    return about is None or about[_STATE] == "stopped"


def is_open(store: StudyStore, session: Session) -> bool:
    """Whether `session` still has work, or waits for it to be done."""
    about = store.search.study.user_attrs.get(_key(session))
    return about is not None and about[_STATE] == "open"


def open_sessions(store: StudyStore, kind: Kind | None = None) -> list[Session]:
    """Return the sessions that are open in a study, the newest first."""
    found = [
        about
        for key, about in store.search.study.user_attrs.items()
        if key.startswith(_PREFIX) and about[_STATE] == "open"
    ]
    sessions = [
        Session(**{key: value for key, value in about.items() if key != _STATE})
        for about in found
        if kind in (None, about["kind"])
    ]
    return sorted(sessions, key=lambda session: session.began, reverse=True)


def _write(store: StudyStore, session: Session, state: str) -> None:
    about = {**asdict(session), _STATE: state}
    store.search.study.set_user_attr(_key(session), about)


def _key(session: Session) -> str:
    return f"{_PREFIX}{session.run_id}"


def work_left(store: StudyStore, session: Session) -> bool:
    """Whether a worker that starts now would find something to do."""
    if session.kind == "confirm":
        return store.confirm.n_waiting() > 0
    if store.references.n_waiting():
        return True
    if session.deadline is not None and time.time() >= session.deadline:
        return False
    n = len(store.search.finished()) + len(store.search.running())
    return n < session.n_trials and not store.is_exhausted()


def studies_of(store: StudyStore, session: Session) -> tuple[OwnedStudy, ...]:
    """Return the studies whose trials are trained for `session`."""
    if session.kind == "confirm":
        return (store.confirm,)
    return (store.references, store.search)


def someone_at_work(store: StudyStore, session: Session) -> bool:
    """Whether anybody trains for the session, here or elsewhere."""
    return any(owned.running() for owned in studies_of(store, session))
