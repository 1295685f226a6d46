"""An Optuna study whose running trials belong to processes, on any machine.

A trial that its process left behind is told by the process on the same host, and by
heartbeats elsewhere: Optuna's storage keeps them, and says which have stopped. What
Optuna would do then, fail the trial and copy it with all its attributes, loses the
result of a training that had ended; here the trial is closed as its MLflow run ended,
or queued again with its values.
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
# Of silence, after which another host's process counts as gone.
GRACE_S = 60
# Workers that a trial may take with it before it is failed.
MAX_DEATHS = 3


def heartbeat_and_grace_s() -> tuple[int, int]:
    """Return the seconds between two heartbeats, and those of silence allowed."""
    return HEARTBEAT_S, GRACE_S


@dataclass(frozen=True)
class Orphan:
    """A trial that a process left behind when it was killed."""

    owned: OwnedStudy
    trial: FrozenTrial

    @property
    def run_id(self) -> str | None:
        """The trial's MLflow run, where it had come so far."""
        run_id = self.trial.user_attrs.get(RUN_ID)
        return None if run_id is None else str(run_id)

    @property
    def owner(self) -> list[Any] | None:
        """The process that had it, where it had come so far."""
        return self.trial.user_attrs.get(OWNER)

    @property
    def n_deaths(self) -> int:
        """How many processes had died with this training before."""
        return int(self.trial.user_attrs.get(N_DEATHS, 0))

    def settle(
        self,
        state: str | None,
        value: float | None = None,
        reason: str | None = None,
        is_death: bool = False,
    ) -> None:
        """Close it, or queue it again: `OwnedStudy.settle`."""
        self.owned.settle(self.trial._trial_id, state, value, reason, is_death)


class OwnedStudy:
    """A study, and who works on its trials.

    Parameters
    ----------
    study : optuna.Study
    lock : StoreLock
        Held while something is asked for, and while orphans are settled.
    """

    def __init__(self, study: optuna.Study, lock: StoreLock) -> None:
        self.study = study
        self.lock = lock

    def trials(self, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Return all trials, or those in one of `states`, not to be changed.

        Optuna keeps those that have ended and reads the others again.
        """
        with collector_paused():
            return self.study.get_trials(deepcopy=False, states=states)

    def finished(self) -> list[FrozenTrial]:
        """Return the trials that count: ended by themselves, not duplicates."""
        return [trial for trial in self.trials() if counts(trial)]

    def running(self) -> list[FrozenTrial]:
        """Return the trials that some process is at."""
        return [t for t in self.trials([TrialState.RUNNING]) if is_running(t)]

    def ask(self) -> Trial:
        """Return Optuna's next trial; the lock must be held until it is owned."""
        # Optuna reads once more whatever waits.
        with collector_paused(), warnings.catch_warnings():
            # Heartbeats are meant for `Study.optimize`; `beating` gives them here.
            warnings.filterwarnings("ignore", message="Heartbeat of storage")
            return self.study.ask()

    def own(self, trial: Trial, config_id: str) -> None:
        """Mark a trial as this process's."""
        # The heartbeat first: an owner elsewhere without one would never be missed.
        self.beat(trial)
        trial.set_user_attr(CONFIG_ID, config_id)
        trial.set_user_attr(OWNER, this_process())

    # Heartbeats

    @property
    def _storage(self) -> BaseStorage:
        return self.study._storage

    def beat(self, trial: Trial) -> None:
        """Say that the trial's process is there."""
        if isinstance(self._storage, BaseHeartbeat):
            self._storage.record_heartbeat(trial._trial_id)

    @contextmanager
    def beating(self, trial: Trial) -> Iterator[None]:
        """Say so every `HEARTBEAT_S` seconds, from a thread.

        A heartbeat that finds the storage busy or away is left out: the next is soon,
        and the training itself says so when it writes.
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

    # How a trial ended

    def tell(
        self, trial: Trial, state: str, value: float | None, reason: str | None = None
    ) -> bool:
        """Close a trial as complete, pruned or failed.

        Returns
        -------
        bool
            False if another process has taken the trial over; nothing changes then.
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
        """Close a trial that was interrupted; it is taken up again."""
        with self.lock.held():
            frozen = self._storage.get_trial(trial._trial_id)
            if not frozen.state.is_finished():
                self._interrupt(frozen)

    def orphans(self) -> list[Orphan]:
        """Return the running trials whose process is gone.

        A trial is asked for and then marked with its process while the lock is held:
        one without a mark was left in between.
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
        """Close an orphan as its run ended, or queue it again if it did not.

        Does nothing if the trial was closed meanwhile.

        Parameters
        ----------
        state : str or None
            The run's state; "complete", "pruned" and "failed" mean that it ended.
        value : float or None
            The objective of a complete one.
        reason : str or None
            Of a failed one.
        is_death : bool
            Whether its process was seen to die, which is counted.
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
        # Queued first: killed in between, the trial is an orphan still and is queued
        # once more, which whoever takes the second finds out.
        self._requeue(trial, {N_DEATHS: n_deaths} if n_deaths else {})
        self._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        self._end(trial._trial_id, TrialState.FAIL)

    def _requeue(self, trial: FrozenTrial, attrs: dict[str, Any]) -> None:
        """Queue what `trial` was about once more."""
        params = trial.params or trial.system_attrs.get("fixed_params", {})
        if params:
            self.study.enqueue_trial(params, user_attrs=attrs)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial ended by itself and is no duplicate."""
    return (
        trial.state.is_finished()
        and INTERRUPTED not in trial.user_attrs
        and DUPLICATE_OF not in trial.user_attrs
        and RUN_ID in trial.user_attrs
    )


def is_running(trial: FrozenTrial) -> bool:
    """Whether some process is at a trial."""
    return trial.state == TrialState.RUNNING and OWNER in trial.user_attrs
