"""A queue of trainings that are known in advance, from which workers take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from lstm_bench.search.locks import StoreLock
from lstm_bench.search.trials import INTERRUPTED, OwnedStudy, counts
from lstm_bench.suites.config import TrialConfig

NAME, CONFIG, ABOUT = "ticket", "config", "about"
OLD_NAME = "reference"


class Tickets(OwnedStudy):
    """A study without a search: each trial is a named training.

    References are queued here, and so is each (configuration, seed) of a confirmation.
    """

    @classmethod
    def in_memory(cls) -> Tickets:
        """Return a queue for this process alone."""
        # Otherwise Optuna prints a message about the new study.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return cls(optuna.create_study(), StoreLock(None, ""))

    def put(
        self, name: str, config: TrialConfig, about: Mapping[str, Any] | None = None
    ) -> None:
        """Queue a training, unless one of that name waits, runs or is done.

        Parameters
        ----------
        about : mapping, optional
            Metadata for the worker, as plain JSON types.
        """
        self.put_all([(name, config, about or {})])

    def put_all(
        self, tickets: Iterable[tuple[str, TrialConfig, Mapping[str, Any]]]
    ) -> None:
        """Queue several trainings, as `put` does."""
        with self.lock.held():
            known = {
                name_of(trial)
                for trial in self.trials()
                if counts(trial) or not trial.state.is_finished()
            }
            for name, config, about in tickets:
                if name not in known:
                    self.study.enqueue_trial(
                        {},
                        user_attrs={
                            NAME: name,
                            CONFIG: config.model_dump(),
                            ABOUT: dict(about),
                        },
                    )

    def take(self, prefix: str = "") -> tuple[Trial, TrialConfig] | None:
        """Return the first waiting training and make it this process's; None if none.

        Parameters
        ----------
        prefix : str
            Of the names to take; trainings with other names are obsolete and removed.
        """
        with self.lock.held():
            while self.n_waiting():
                trial = self.ask()
                if not name_of(trial).startswith(prefix):
                    self._take_back(trial._trial_id)
                    continue
                config = TrialConfig.model_validate(trial.user_attrs[CONFIG])
                self.own(trial, config.config_id)
                return trial, config
        return None

    def clear(self) -> None:
        """Remove the trainings that wait and were not taken."""
        with self.lock.held():
            for trial in self.trials([TrialState.WAITING]):
                self._take_back(trial._trial_id)

    def _take_back(self, trial_id: int) -> None:
        self._storage.set_trial_user_attr(trial_id, INTERRUPTED, True)
        self._end(trial_id, TrialState.FAIL)

    def n_waiting(self) -> int:
        """Return the number of waiting trainings."""
        return len(self.trials([TrialState.WAITING]))

    def done(self) -> set[str]:
        """Return the names of the trainings that are done."""
        return {name_of(trial) for trial in self.finished()}

    def _requeue(self, trial: FrozenTrial, attrs: dict[str, Any]) -> None:
        kept = {
            key: trial.user_attrs[key]
            for key in (NAME, CONFIG, ABOUT)
            if key in trial.user_attrs
        }
        # An earlier version did not queue references: the next start queues it.
        if CONFIG in kept:
            self.study.enqueue_trial({}, user_attrs={**kept, **attrs})


def name_of(trial: FrozenTrial | Trial) -> str:
    """Return the name of a training."""
    attrs = trial.user_attrs
    return str(attrs[NAME] if NAME in attrs else attrs.get(OLD_NAME, ""))
