"""Run a study: references first, then the search, each training a tracked run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.entities import Run

from lstm_bench import records as rec
from lstm_bench.errors import TrackingError, TrialFailed, TrialPruned
from lstm_bench.masking import bare_url
from lstm_bench.model_log import MODEL_FILE
from lstm_bench.preparation import Prepared
from lstm_bench.progress import Ended, Progress, Training
from lstm_bench.records import TrialResult, metric_key
from lstm_bench.recovery import close_orphaned_runs, settle_orphaned_trials
from lstm_bench.space import TrialConfig
from lstm_bench.stores import store_errors
from lstm_bench.study import RUN_ID, Best, Next, StudyStore
from lstm_bench.tracked import track_baselines, train_tracked
from lstm_bench.tracking import Tracker


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep's session ended."""

    run_id: str
    n_finished: int
    n_total: int
    best: Best | None
    interrupted: bool


def run_sweep(
    prepared: Prepared,
    tracker: Tracker,
    store: StudyStore,
    progress: Progress,
    *,
    n_trials: int,
    timeout_s: float | None,
) -> SweepOutcome:
    """Train the references and search until `n_trials` trials are finished.

    Trials of earlier sessions of the same study count. A failed or pruned trial
    counts as finished, an interrupted one is taken up again. The sweep's MLflow
    run is left open for the caller to add a report and close.

    Parameters
    ----------
    timeout_s : float or None
        No training is started after so many seconds.

    Raises
    ------
    TrackingError
        A store gave out, holds another dataset's trials, or lost their runs.
    """
    with store_errors():
        return _Session(prepared, tracker, store, progress, n_trials, timeout_s).run()


class _Session:
    def __init__(
        self,
        prepared: Prepared,
        tracker: Tracker,
        store: StudyStore,
        progress: Progress,
        n_trials: int,
        timeout_s: float | None,
    ) -> None:
        self.prepared = prepared
        self.suite = prepared.suite
        self.tracker = tracker
        self.store = store
        self.progress = progress
        self.n_trials = n_trials if len(self.suite.space) else 0
        self.deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self.seconds_of_best = 0.0

    def run(self) -> SweepOutcome:
        known = self._check_stores()
        self._recover()
        self.run_id = self.tracker.start_session(
            "sweep",
            self.suite,
            self.prepared.about_data,
            self.prepared.about_machine,
            {
                "n_trials": self.n_trials,
                **{f"study.{k}": v for k, v in self.suite.study.model_dump().items()},
            },
        )
        total = len(self.suite.references) + self.n_trials
        interrupted = False
        with tempfile.TemporaryDirectory(prefix="lstm-bench-") as folder:
            self.model_folder = Path(folder)
            self.model_run_id: str | None = None
            self.progress.begin(total, self._n_finished())
            try:
                self._train_all(total, known)
            except KeyboardInterrupt:
                interrupted = True
            except BaseException:
                self.progress.close()
                self.tracker.end_session(self.run_id, "FAILED")
                raise
            self.progress.close()
            # Once more: a trial without its mark is told from a new one by its age.
            # With the server away it is left to the next start.
            self.tracker.if_there(self._recover)
            best = self.store.best()
            if best is not None and not interrupted:
                self._log_best_model(best)
        return SweepOutcome(self.run_id, self._n_finished(), total, best, interrupted)

    def _recover(self) -> None:
        """Put in order what earlier processes left behind when they were killed."""
        close_orphaned_runs(self.tracker, self.suite.study_name)
        settle_orphaned_trials(self.store, self.tracker)

    def _check_stores(self) -> list[Run]:
        """Compare both stores; return the study's MLflow runs."""
        self.store.check_digest(self.prepared.dataset.digest)
        known = self.tracker.runs_of(self.suite.study_name)
        self.store.name_runs(
            {
                run.data.tags[rec.TAG_JOURNAL]: run.info.run_id
                for run in known
                if rec.TAG_JOURNAL in run.data.tags
            }
        )
        lost = self.store.run_ids() - {run.info.run_id for run in known}
        if lost:
            raise TrackingError(
                f"the Optuna storage has {len(lost)} finished trainings whose MLflow "
                f"runs are not at {bare_url(self.tracker.tracking_uri)}; give the "
                "--tracking-uri they were written to, or another --storage to begin "
                "anew"
                + (
                    "; what was begun while the server was away waits where it was "
                    "begun, for `lstm-bench sync`"
                    if any(run_id.startswith(rec.LOCAL_PREFIX) for run_id in lost)
                    else ""
                )
            )
        return known

    def _n_finished(self) -> int:
        names = self.store.finished_references() & set(self.suite.references)
        return len(names) + len(self.store.finished())

    def _train_all(self, total: int, known: Sequence[Run]) -> None:
        track_baselines(self.prepared, self.tracker, self.run_id, self.progress, known)
        while (step := self.store.next_reference()) is not None:
            self._train(step, total)
        while len(self.store.finished()) < self.n_trials:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.progress.say("the timeout is reached; no further trial is started")
                return
            step = self.store.next_trial()
            if step is None:
                self.progress.say(
                    f"all {self.suite.space.n_configurations} configurations of the "
                    "space have been tried; nothing is left to search"
                )
                return
            self._train(step, total)

    def _train(self, step: Next, total: int) -> None:
        from lstm_bench.trial import free_memory

        position = self._n_finished() + 1
        label = step.reference or f"trial {step.trial.number}"
        training = Training(
            label,
            position,
            total,
            self.suite.settings_text(step.config),
            step.config.max_epochs,
        )
        start = time.monotonic()
        self.progress.training(training)
        objective = metric_key("val", self.suite.metric.name)

        def on_epoch(entry: dict[str, float]) -> None:
            self.progress.epoch(entry, objective)
            epoch = int(entry["epoch"])
            step.trial.report(entry[objective], epoch)
            if step.reference is None and step.trial.should_prune():
                raise TrialPruned(
                    f"pruned after epoch {epoch} at {objective} {entry[objective]:.4f}"
                )

        try:
            run_id = self._open_run(step, label)
            step.trial.set_user_attr(RUN_ID, run_id)
            ended = train_tracked(
                self.prepared,
                step.config,
                self.tracker,
                run_id,
                on_epoch=on_epoch,
                say=self.progress.say,
            )
        except BaseException:
            # Given back, so that the next start takes the trial up again.
            self.store.give_up(step)
            raise
        value = None if ended.result is None else ended.result.objective
        if value is not None:
            self._keep_if_best(value, ended.model, run_id)
        self.store.tell(step, ended.state, value)
        ended = replace(ended, model=None)
        free_memory()
        best = self.store.best()
        if best is not None:
            self.tracker.log_best(self.run_id, position, best.value)
        self.progress.ended(
            training,
            Ended(
                ended.state,
                value,
                None if best is None else best.value,
                time.monotonic() - start,
                ended.reason,
            ),
        )
        if ended.is_stop_asked:
            raise KeyboardInterrupt

    def _open_run(self, step: Next, label: str) -> str:
        return self.tracker.start_run(
            step.config,
            suite=self.suite,
            kind="trial" if step.reference is None else "reference",
            name=label,
            parent_run_id=self.run_id,
            dataset=self.prepared.about_data,
            environment=self.prepared.about_machine,
            seeds=self.prepared.seeds,
            trial=step.trial.number if step.reference is None else None,
            reference=step.reference,
        )

    def _keep_if_best(self, value: float, model: Any, run_id: str) -> None:
        best = self.store.best()
        if best is None or self.suite.metric.is_better(value, best.value):
            model.save(self.model_folder / MODEL_FILE)
            self.model_run_id = run_id

    def _log_best_model(self, best: Best) -> None:
        if self.model_run_id == best.run_id:
            packages = self.prepared.about_machine["packages"]
            self.tracker.log_model_file(best.run_id, self.model_folder, packages)
            return
        logged = self.tracker.has_model(best.run_id)
        if logged is None:
            self.progress.say(
                f"whether the model of {best.label}, trained earlier, is logged cannot "
                "be asked: the tracking server does not answer"
            )
        elif not logged:
            self.progress.say(
                f"the model of {best.label} was lost with an interrupted session; "
                "`lstm-bench train` with its configuration makes it again"
            )


def train_one(
    prepared: Prepared,
    config: TrialConfig,
    tracker: Tracker,
    progress: Progress,
    *,
    score_test: bool,
    log_model: bool,
) -> tuple[str, TrialResult]:
    """Train one configuration as a run of its own; return its id and result.

    Parameters
    ----------
    score_test : bool
        Score the test set too; the run is tagged as having done so.

    Raises
    ------
    TrialFailed
        Non-finite loss or memory exhausted; the run is closed as FAILED.
    """
    suite = prepared.suite
    objective = metric_key("val", suite.metric.name)
    with store_errors():
        run_id = tracker.start_run(
            config,
            suite=suite,
            kind="train",
            name=f"train {suite.name}",
            parent_run_id=None,
            dataset=prepared.about_data,
            environment=prepared.about_machine,
            seeds=prepared.seeds,
        )
        training = Training("training", 1, 1, "", config.max_epochs)
        progress.begin(1, 0)
        progress.training(training)
        try:
            ended = train_tracked(
                prepared,
                config,
                tracker,
                run_id,
                score_test=score_test,
                on_epoch=lambda entry: progress.epoch(entry, objective),
                say=progress.say,
            )
        finally:
            progress.close()
        if ended.result is None:
            raise TrialFailed(ended.reason or ended.state)
        if log_model:
            packages = prepared.about_machine["packages"]
            tracker.log_model(run_id, ended.model, packages)
    return run_id, ended.result
