"""An Optuna study whose running trials belong to processes, on any machine.

A trial whose process has died is detected on the same host by the process, and
elsewhere by the heartbeats in Optuna's storage. Optuna would then fail the trial and
copy it with all its attributes, which loses the result of a training that had ended;
here the trial is closed as its MLflow run ended, or queued again with its values.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, Trial, TrialState

from lstm_bench.masking import mask_text
from lstm_bench.search.locks import StoreLock
from lstm_bench.system.garbage import collector_paused
from lstm_bench.system.process import is_gone, is_here, this_process

RUN_ID, CONFIG_ID = "run_id", "config_id"
INTERRUPTED, DUPLICATE_OF, OWNER = "interrupted", "duplicate_of", "owner"
N_DEATHS, REASON = "n_deaths", "reason"

HEARTBEAT_S = 10
# Without a heartbeat, after which another host's process counts as gone.
GRACE_S = 60
# Worker deaths in one trial before it is failed.
MAX_DEATHS = 3


def heartbeat_and_grace_s() -> tuple[int, int]:
    """Return the seconds between two heartbeats, and the longest silence allowed."""
    return HEARTBEAT_S, GRACE_S


@dataclass(frozen=True)
class Orphan:
    """A running trial whose process was killed."""

    owned: OwnedStudy
    trial: FrozenTrial

    @property
    def run_id(self) -> str | None:
        """The trial's MLflow run, if it had one yet."""
        run_id = self.trial.user_attrs.get(RUN_ID)
        return None if run_id is None else str(run_id)

    @property
    def owner(self) -> list[Any] | None:
        """The process that owned the trial, if it was marked yet."""
        return self.trial.user_attrs.get(OWNER)

    @property
    def n_deaths(self) -> int:
        """The number of processes that died with this training before."""
        return int(self.trial.user_attrs.get(N_DEATHS, 0))

    def settle(
        self,
        state: str | None,
        value: float | None = None,
        reason: str | None = None,
        is_death: bool = False,
    ) -> None:
        """Close the trial or queue it again: see `OwnedStudy.settle`."""
        self.owned.settle(self.trial._trial_id, state, value, reason, is_death)


class OwnedStudy:
    """A study and the processes that own its trials.

    Parameters
    ----------
    study : optuna.Study
    lock : StoreLock
        Held while a trial is requested, and while orphans are settled.
    """

    def __init__(self, study: optuna.Study, lock: StoreLock) -> None:
        self.study = study
        self.lock = lock

    def trials(self, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return all trials, or those in one of `states`; do not change them.

        Optuna caches finished trials and reads the others again.
        """
        with collector_paused():
            return self.study.get_trials(deepcopy=False, states=states)

    def finished(self) -> list[FrozenTrial]:
        """Return the trials that count: ended by themselves, without duplicates."""
        return [trial for trial in self.trials() if counts(trial)]

    def running(self) -> list[FrozenTrial]:
        """Return the trials that are running."""
        return [t for t in self.trials([TrialState.RUNNING]) if is_running(t)]

    def ask(self) -> Trial:
        """Return Optuna's next trial; the lock must be held until it is owned."""
        # Optuna reads all waiting trials again.
        with collector_paused(), warnings.catch_warnings():
            # Heartbeats are meant for `Study.optimize`; `beating` sends them here.
            warnings.filterwarnings("ignore", message="Heartbeat of storage")
            return self.study.ask()

    def own(self, trial: Trial, config_id: str) -> None:
        """Mark a trial as this process's."""
        # First the heartbeat: without one, a dead owner elsewhere would go unnoticed.
        self.beat(trial)
        trial.set_user_attr(CONFIG_ID, config_id)
        trial.set_user_attr(OWNER, this_process())

    # Heartbeats

    @property
    def _storage(self) -> BaseStorage:
        return self.study._storage

    def beat(self, trial: Trial) -> None:
        """Record a heartbeat of the trial's process."""
        if isinstance(self._storage, BaseHeartbeat):
            self._storage.record_heartbeat(trial._trial_id)

    @contextmanager
    def beating(self, trial: Trial) -> Iterator[None]:
        """Record one every `HEARTBEAT_S` seconds, from a thread.

        A heartbeat is skipped if the storage is busy or unreachable: the next one is
        soon, and the training records one when it writes.
        """
        over = threading.Event()

        def beat() -> None:
            while not over.wait(HEARTBEAT_S):
                try:
                    self.beat(trial)
                except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError):
                    continue

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # The end of a trial

    def tell(
        self, trial: Trial, state: str, value: float | None, reason: str | None = None
    ) -> bool:
        """Close a trial as complete, pruned or failed.

        Returns
        -------
        bool
            False if another process has taken over the trial; then nothing changes.
        """
        with self.lock.held():
            if self._storage.get_trial(trial._trial_id).state.is_finished():
                return False
            if reason is not None:
                trial.set_user_attr(REASON, mask_text(reason))
            if state == "complete":
                self.study.tell(trial, value)
            elif state == "pruned":
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, state=TrialState.FAIL)
            return True

    def give_up(self, trial: Trial) -> None:
        """Close a trial that was interrupted, and queue it again."""
        with self.lock.held():
            frozen = self._storage.get_trial(trial._trial_id)
            if not frozen.state.is_finished():
                self._interrupt(frozen)

    def orphans(self) -> list[Orphan]:
        """Return the running trials whose process is gone.

        A trial is requested and then marked with its process while the lock is held: a
        trial without a mark was left in between.
        """
        with self.lock.held():
            return self._orphans()

    def _orphans(self) -> list[Orphan]:
        silent: set[int] = set()
        if isinstance(self._storage, BaseHeartbeat):
            silent = set(self._storage._get_stale_trial_ids(self.study._study_id))
        found = []
        for trial in self.trials([TrialState.RUNNING]):
            owner = trial.user_attrs.get(OWNER)
            if (
                owner is None
                or is_gone(owner)
                or (not is_here(owner) and trial._trial_id in silent)
            ):
                found.append(Orphan(self, trial))
        return found

    def settle(
        self,
        trial_id: int,
        state: str | None,
        value: float | None = None,
        reason: str | None = None,
        is_death: bool = False,
    ) -> None:
        """Close an orphan as its run ended, or queue it again if the run did not end.

        Does nothing if the trial was closed meanwhile.

        Parameters
        ----------
        state : str or None
            State of its run; "complete", "pruned" and "failed" mean that the run ended.
        value : float or None
            Objective of a complete one.
        reason : str or None
            Failure reason.
        is_death : bool
            Whether its process died, which is counted.
        """
        with self.lock.held():
            trial = self._storage.get_trial(trial_id)
            if trial.state.is_finished():
                return
            if reason is not None:
                self._storage.set_trial_user_attr(trial_id, REASON, mask_text(reason))
            if state == "complete" and value is not None:
                self._end(trial_id, TrialState.COMPLETE, [value])
            elif state == "pruned":
                self._end(trial_id, TrialState.PRUNED)
            elif state == "failed":
                self._end(trial_id, TrialState.FAIL)
            else:
                self._interrupt(trial, is_death)

    def _end(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        self._storage.set_trial_state_values(trial_id, state, values)

    def _interrupt(self, trial: FrozenTrial, is_death: bool = False) -> None:
        n_deaths = trial.user_attrs.get(N_DEATHS, 0) + is_death
        # Queued first: if this process is killed in between, the orphan is queued once
        # more, and the worker that takes the second copy finds the duplicate.
        self._requeue(trial, {N_DEATHS: n_deaths} if n_deaths else {})
        self._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        self._end(trial._trial_id, TrialState.FAIL)

    def _requeue(self, trial: FrozenTrial, attrs: dict[str, Any]) -> None:
        """Queue the training of `trial` once more."""
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        if params:
            self.study.enqueue_trial(params, user_attrs=attrs)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial ended by itself and is not a duplicate."""
    return (
        trial.state.is_finished()
        and INTERRUPTED not in trial.user_attrs
        and DUPLICATE_OF not in trial.user_attrs
        and RUN_ID in trial.user_attrs
    )


def is_running(trial: FrozenTrial) -> bool:
    """Whether a trial is running."""
    return trial.state == TrialState.RUNNING and OWNER in trial.user_attrs
