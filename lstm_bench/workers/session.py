"""Sessions: the running search or confirmation that workers find in the storage."""

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
    """A sweep's search or a confirmation while it runs.

    Attributes
    ----------
    run_id, experiment_id : str
        The command's MLflow run, the parent of its trainings.
    total : int
        Trainings to reach, including those of earlier sessions.
    n_trials : int
        Finished trials of the search to reach.
    deadline : float or None
        Unix time in seconds after which no training starts.
    owner : list
        The command's process.
    began : float
        Unix time in seconds.
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
    """Write `session` to the storage, where workers find it.

    Sessions of commands that have ended are stopped: a cluster's workers may still
    train for them.
    """
    for other in open_sessions(store):
        if is_gone(other.owner):
            stop_session(store, other)
    store.keep_suite()
    _write(store, session, "open")


def close_session(store: StudyStore, session: Session) -> None:
    """Mark the session as finished; workers can no longer join."""
    if not is_stopped(store, session):
        _write(store, session, "over")


def stop_session(store: StudyStore, session: Session) -> None:
    """Stop all workers of `session` after their running epoch."""
    _write(store, session, "stopped")


def is_stopped(store: StudyStore, session: Session) -> bool:
    """Whether `session` was stopped."""
    about = store.search.study.user_attrs.get(_key(session))
    return about is None or about[_STATE] == "stopped"


def is_open(store: StudyStore, session: Session) -> bool:
    """Whether `session` is neither finished nor stopped."""
    about = store.search.study.user_attrs.get(_key(session))
    return about is not None and about[_STATE] == "open"


def open_sessions(store: StudyStore, kind: Kind | None = None) -> list[Session]:
    """Return a study's open sessions, newest first."""
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
    """Whether a worker that starts now would find a training to start."""
    if session.kind == "confirm":
        return store.confirm.n_waiting() > 0
    if store.references.n_waiting():
        return True
    if session.deadline is not None and time.time() >= session.deadline:
        return False
    n = len(store.search.finished()) + len(store.search.running())
    return n < session.n_trials and not store.is_exhausted()


def studies_of(store: StudyStore, session: Session) -> tuple[OwnedStudy, ...]:
    """Return the Optuna studies whose trials `session` trains."""
    if session.kind == "confirm":
        return (store.confirm,)
    return (store.references, store.search)


def someone_at_work(store: StudyStore, session: Session) -> bool:
    """Whether any worker, here or elsewhere, trains for the session."""
    return any(owned.running() for owned in studies_of(store, session))
