"""What a person sees of workers: read from the store that they write to.

So workers of this machine, of a cluster and those that joined look alike.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from lstm_bench.progress import Ended, Progress, Training
from lstm_bench.search.queue import ABOUT, CONFIG, name_of
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import DUPLICATE_OF, REASON, RUN_ID, counts, is_running
from lstm_bench.session import Session, studies_of
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.result import metric_key

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


class Watch:
    """Shows trainings as they begin, reach an epoch, and end.

    What had ended before the first look is not shown.
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
        """Show what has changed; return how many trainings ended since the last look.

        Parameters
        ----------
        n_finished : int
            Trainings that were finished before this look.
        """
        n_before = n_finished
        for owned in self.studies:
            for trial in owned.trials():
                if trial._trial_id in self._over:
                    continue
                # Before it has a run, its configuration is not whole.
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
        attrs = trial.user_attrs
        if CONFIG in attrs:
            config = TrialConfig.model_validate(attrs[CONFIG])
        else:
            values = {**self.suite.defaults.model_dump(), **trial.params}
            config = TrialConfig.model_validate(values)
        about = attrs.get(ABOUT, {})
        label = name_of(trial) or f"trial {trial.number}"
        if "label" in about:
            label = f"{about['label']}, seed {about['replicate']}"
        return Training(
            label,
            position,
            self.session.total,
            self.suite.settings_text(config),
            config.max_epochs,
        )


def _seconds(trial: FrozenTrial) -> float:
    # Optuna keeps local time without a zone.
    start, end = trial.datetime_start, trial.datetime_complete
    return 0.0 if start is None else ((end or datetime.now()) - start).total_seconds()
