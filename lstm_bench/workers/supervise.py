"""Supervise the workers of a session: show progress, recover from deaths, stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from lstm_bench.errors import TrackingError
from lstm_bench.search.queue import ABOUT
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import DUPLICATE_OF, REASON, RUN_ID, counts, is_running
from lstm_bench.stores import is_store_error
from lstm_bench.system.signals import stopping_after_the_epoch
from lstm_bench.tracking.sync import sync
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.result import metric_key
from lstm_bench.workers.dask_pool import DaskCrew
from lstm_bench.workers.options import Workers
from lstm_bench.workers.pool import Crew, LocalCrew
from lstm_bench.workers.progress import Ended, Progress, Training
from lstm_bench.workers.recovery import NO_DEATHS, Death, recover
from lstm_bench.workers.session import (
    Session,
    close_session,
    open_session,
    someone_at_work,
    stop_session,
    studies_of,
)
from lstm_bench.workers.worker import STARTING

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


LOOK_EVERY_S = 0.3
RECOVER_EVERY_S = 10.0
# For a worker that joined or that a cluster runs, whose death is not observed here.
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
    """Start the workers of a session and supervise them until no work is left.

    Parameters
    ----------
    meanwhile : callable
        Called in this process while the workers start.
    n_finished : callable
        Returns the number of the session's finished trainings.

    Raises
    ------
    KeyboardInterrupt
        The session was stopped; its workers have ended.
    LstmBenchError
        A worker cannot work.
    """
    open_session(store, session)
    try:
        _oversee(workers, store, tracker, session, progress, meanwhile, n_finished)
    except BaseException as error:
        # A worker that is stopping may have been interrupted during its last writes.
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
                # Workers that joined are waited for, too.
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
    """Recover what dead workers left; return False while the server is unreachable."""
    try:
        # The dead worker's journal may contain the final state of its run.
        sync(tracker.tracking_uri, store.suite.study_name)
    except TrackingError:
        return False
    recovered = tracker.if_there(
        lambda: recover(store, tracker, deaths, unseen, watched)
    )
    return recovered is not None


class Watch:
    """Shows trainings as they start, finish an epoch, and end.

    Trainings that ended before it was created are not shown.
    """

    def __init__(self, store: StudyStore, session: Session, progress: Progress) -> None:
        self.store = store
        self.suite = store.suite
        self.session = session
        self.progress = progress
        self.metric = metric_key("val", self.suite.metric.name)
        self.studies = studies_of(store, session)
        self._shown: dict[int, tuple[Training, int]] = {}
        self._over = {
            trial._trial_id
            for owned in self.studies
            for trial in owned.trials()
            if trial.state.is_finished()
        }

    def look(self, n_finished: int) -> int:
        """Show what changed since the last call; return how many trainings ended.

        Parameters
        ----------
        n_finished : int
            Trainings finished before this call.
        """
        n_before = n_finished
        for owned in self.studies:
            for trial in owned.trials():
                if trial._trial_id in self._over:
                    continue
                # A trial without a run may not have all its parameters yet.
                if is_running(trial) and RUN_ID in trial.user_attrs:
                    self._show(trial, n_finished + 1)
                elif trial.state.is_finished():
                    self._over.add(trial._trial_id)
                    if counts(trial):
                        n_finished += 1
                        self._end(trial, n_finished)
                    elif DUPLICATE_OF in trial.user_attrs:
                        earlier = str(trial.user_attrs[DUPLICATE_OF])
                        self.progress.skipped(f"trial {trial.number}", earlier)
                    elif trial._trial_id in self._shown:
                        training, _ = self._shown.pop(trial._trial_id)
                        self.progress.ended(
                            replace(training, position=n_finished + 1),
                            Ended("interrupted", None, None, _seconds(trial)),
                        )
        return n_finished - n_before

    def _show(self, trial: FrozenTrial, position: int) -> None:
        if trial._trial_id not in self._shown:
            training = self._training(trial, position)
            self._shown[trial._trial_id] = (training, 0)
            self.progress.training(training)
        training, last = self._shown[trial._trial_id]
        epoch = trial.last_step or 0
        if epoch > last:
            self._shown[trial._trial_id] = (training, epoch)
            value = trial.intermediate_values[epoch]
            entry = {"epoch": epoch, self.metric: value}
            self.progress.epoch(training, entry, self.metric)

    def _end(self, trial: FrozenTrial, position: int) -> None:
        if trial._trial_id not in self._shown:
            self._show(trial, position)
        training = replace(self._shown.pop(trial._trial_id)[0], position=position)
        best = self.store.best() if self.session.kind == "sweep" else None
        state = STATES[trial.state]
        self.progress.ended(
            training,
            Ended(
                state,
                trial.value if state == "complete" else None,
                None if best is None else best.value,
                _seconds(trial),
                trial.user_attrs.get(REASON),
            ),
        )

    def _training(self, trial: FrozenTrial, position: int) -> Training:
        config = self.store.config_of(trial)
        about = trial.user_attrs.get(ABOUT, {})
        label = self.store.suite.name_of(config, trial.number)
        if "label" in about:
            label = f"{about['label']}, seed {about['replicate']}"
        return Training(label, position, self.session.total, config.max_epochs)


def _seconds(trial: FrozenTrial) -> float:
    # Optuna stores local time without a zone.
    start, end = trial.datetime_start, trial.datetime_complete
    return 0.0 if start is None else ((end or datetime.now()) - start).total_seconds()
