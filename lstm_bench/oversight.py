"""Let a crew work through a session: show it, mend what it leaves, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from lstm_bench.cluster import DaskCrew
from lstm_bench.crew import Crew, LocalCrew, Workers
from lstm_bench.errors import TrackingError
from lstm_bench.progress import Progress
from lstm_bench.recovery import NO_DEATHS, Death, recover
from lstm_bench.search.study import StudyStore
from lstm_bench.session import (
    Session,
    close_session,
    open_session,
    someone_at_work,
    stop_session,
)
from lstm_bench.stores import is_store_error
from lstm_bench.system.signals import stopping_after_the_epoch
from lstm_bench.tracking.sync import sync
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.watch import Watch
from lstm_bench.worker import STARTING

LOOK_EVERY_S = 0.3
RECOVER_EVERY_S = 10.0
# Of a worker that joined or that a cluster runs: another's, or another host's.
UNSEEN = Death("its worker was gone")


def oversee(
    workers: Workers,
    store: StudyStore,
    tracker: Tracker,
    session: Session,
    progress: Progress,
    meanwhile: Callable[[], None],
    n_finished: Callable[[], int],
) -> None:
    """Let workers do what a session has to do.

    Parameters
    ----------
    meanwhile : callable
        What this process does while the workers start.
    n_finished : callable
        Trainings of the session that are finished.

    Raises
    ------
    KeyboardInterrupt
        Somebody asked to stop; the workers have left.
    LstmBenchError
        A worker cannot work.
    """
    open_session(store, session)
    try:
        _oversee(workers, store, tracker, session, progress, meanwhile, n_finished)
    except BaseException as error:
        # A worker that is told to leave may be amid its last writes.
        if not is_store_error(error):
            _recover(store, tracker)
        raise


def _oversee(
    workers: Workers,
    store: StudyStore,
    tracker: Tracker,
    session: Session,
    progress: Progress,
    meanwhile: Callable[[], None],
    n_finished: Callable[[], int],
) -> None:
    watch = Watch(store, session, progress)
    n_shown = n_finished()
    with _crew(workers, store, tracker, session, progress) as crew:
        meanwhile()
        progress.doing(f"waiting for the workers, which begin by {STARTING}")
        deaths: dict[int, Death] = {}
        recovered_at = time.monotonic()
        is_asked = False
        with stopping_after_the_epoch(progress.say) as stop:
            while True:
                # Others may have joined; they are waited for, too.
                is_on = crew.look() or (
                    not is_asked and someone_at_work(store, session)
                )
                n_shown += watch.look(n_shown)
                if stop.is_asked and not is_asked:
                    is_asked = True
                    stop_session(store, session)
                    crew.ask_to_stop()
                deaths |= crew.deaths
                now = time.monotonic()
                if crew.deaths or now - recovered_at > RECOVER_EVERY_S:
                    crew.deaths.clear()
                    recovered_at = now
                    if not store.orphans() or _recover(
                        store, tracker, deaths, UNSEEN, crew.watched()
                    ):
                        deaths.clear()
                if not is_on and not deaths:
                    break
                time.sleep(LOOK_EVERY_S)
    if is_asked:
        raise KeyboardInterrupt


@contextmanager
def _crew(
    workers: Workers,
    store: StudyStore,
    tracker: Tracker,
    session: Session,
    progress: Progress,
) -> Iterator[Crew]:
    kind = LocalCrew if workers.scheduler is None else DaskCrew
    crew: Crew = kind(workers, store, tracker.tracking_uri, session, progress)
    try:
        yield crew
    except BaseException:
        try:
            stop_session(store, session)
        finally:
            crew.stop_now()
        raise
    finally:
        try:
            close_session(store, session)
        finally:
            crew.close()


def _recover(
    store: StudyStore,
    tracker: Tracker,
    deaths: Mapping[int, Death] = NO_DEATHS,
    unseen: Death | None = None,
    watched: Collection[int] = (),
) -> bool:
    """Mend what dead workers left; return False while the server is away."""
    try:
        # Its run may have ended in the journal of the dead.
        sync(tracker.tracking_uri, store.suite.study_name)
    except TrackingError:
        return False
    recovered = tracker.if_there(
        lambda: recover(store, tracker, deaths, unseen, watched)
    )
    return recovered is not None
