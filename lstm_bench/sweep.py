"""Run a study: references first, then the search, each training a tracked run."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_bench.errors import TrackingError, TrialFailed, TrialPruned
from lstm_bench.preparation import SEARCH_REPLICATE, Prepared
from lstm_bench.progress import Ended, Progress, Training
from lstm_bench.records import History, TrialResult, metric_key
from lstm_bench.space import CONFIG_FIELDS, TrialConfig
from lstm_bench.stores import store_errors
from lstm_bench.study import RUN_ID, Best, Next, StudyStore
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
        self._check_stores()
        for run_id in self.store.close_orphans():
            self.tracker.close_run(run_id, "interrupted", "its process was gone")
        self.run_id = self.tracker.start_sweep(
            self.suite,
            self.prepared.about_data,
            self.prepared.about_machine,
            self.n_trials,
        )
        total = len(self.suite.references) + self.n_trials
        interrupted = False
        with tempfile.TemporaryDirectory(prefix="lstm-bench-") as folder:
            self.model_file = Path(folder) / "best.keras"
            self.model_run_id: str | None = None
            self.progress.begin(total, self._n_finished())
            try:
                self._train_all(total)
            except KeyboardInterrupt:
                interrupted = True
            except BaseException:
                self.progress.close()
                self.tracker.end_sweep(self.run_id, "FAILED")
                raise
            self.progress.close()
            best = self.store.best()
            if best is not None and not interrupted:
                self._log_best_model(best)
        return SweepOutcome(self.run_id, self._n_finished(), total, best, interrupted)

    def _check_stores(self) -> None:
        self.store.check_digest(self.prepared.dataset.digest)
        tracked = {
            run.info.run_id for run in self.tracker.runs_of(self.suite.study_name)
        }
        lost = self.store.run_ids() - tracked
        if lost:
            raise TrackingError(
                f"the Optuna storage has {len(lost)} finished trainings whose MLflow "
                f"runs are not at {self.tracker.tracking_uri}; give the --tracking-uri "
                "they were written to, or another --storage to begin anew"
            )

    def _n_finished(self) -> int:
        names = self.store.finished_references() & set(self.suite.references)
        return len(names) + len(self.store.finished())

    def _train_all(self, total: int) -> None:
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
        from lstm_bench.trial import free_memory, run_trial

        position = self._n_finished() + 1
        label = step.reference or f"trial {step.trial.number}"
        training = Training(
            label, position, total, self._shown(step.config), step.config.max_epochs
        )
        start = time.monotonic()
        self.progress.training(training)
        run_id: str | None = None
        history = History()
        objective = metric_key("val", self.suite.metric.name)

        def on_epoch(entry: dict[str, float]) -> None:
            history.epochs.append(entry)
            if run_id is None:
                raise RuntimeError("an epoch ended before its run was opened")
            self.tracker.log_epoch(run_id, entry)
            self.progress.epoch(entry, objective)
            epoch = int(entry["epoch"])
            step.trial.report(entry[objective], epoch)
            if step.reference is None and step.trial.should_prune():
                raise TrialPruned(
                    f"pruned after epoch {epoch} at {objective} {entry[objective]:.4f}"
                )

        state, reason, value = "complete", None, None
        try:
            run_id = self._open_run(step, label)
            step.trial.set_user_attr(RUN_ID, run_id)
            result, model = run_trial(
                step.config,
                self.prepared.dataset,
                self.prepared.splits,
                metric=self.suite.metric,
                root_seed=self.suite.study.seed,
                replicate=SEARCH_REPLICATE,
                on_epoch=on_epoch,
            )
            value = result.objective
            self._keep_if_best(result, model, run_id)
            self.tracker.finish_run(run_id, result, self.suite.metric.name)
            del model
        except TrialPruned as error:
            state, reason = "pruned", str(error)
        except TrialFailed as error:
            state, reason = "failed", str(error)
        except KeyboardInterrupt:
            self._abandon(run_id, step, history, "interrupted", "stopped by the user")
            raise
        except BaseException as error:
            self._abandon(
                run_id, step, history, "failed", f"{type(error).__name__}: {error}"
            )
            raise
        if run_id is not None and state != "complete":
            self.tracker.abandon_run(
                run_id, step.config, history.epochs, state, reason or state
            )
        self.store.tell(step, state, value)
        free_memory()
        best = self.store.best()
        if best is not None:
            self.tracker.log_best(self.run_id, position, best.value)
        self.progress.ended(
            training,
            Ended(
                state,
                value,
                None if best is None else best.value,
                time.monotonic() - start,
                reason,
            ),
        )

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

    def _abandon(
        self,
        run_id: str | None,
        step: Next,
        history: History,
        state: str,
        reason: str,
    ) -> None:
        """Close the run and give the trial back, so that a next start takes it up."""
        self.store.give_up(step)
        if run_id is not None:
            self.tracker.abandon_run(run_id, step.config, history.epochs, state, reason)

    def _shown(self, config: TrialConfig) -> str:
        """Return what sets a configuration apart within this suite."""
        axes = [name for name, _ in self.suite.space]
        defaults = self.suite.defaults
        names = axes + [
            name
            for name in CONFIG_FIELDS
            if name not in axes and getattr(config, name) != getattr(defaults, name)
        ]
        return " ".join(f"{name}={_value(getattr(config, name))}" for name in names)

    def _keep_if_best(self, result: TrialResult, model: Any, run_id: str) -> None:
        best = self.store.best()
        if best is None or self.suite.metric.is_better(result.objective, best.value):
            model.save(self.model_file)
            self.model_run_id = run_id

    def _log_best_model(self, best: Best) -> None:
        if self.tracker.has_model(best.run_id):
            return
        if self.model_run_id != best.run_id:
            self.progress.say(
                f"the model of {best.label} was lost with an interrupted session; "
                "`lstm-bench train` with its configuration makes it again"
            )
            return
        from lstm_bench.backend import keras

        model = keras.models.load_model(self.model_file, safe_mode=True)
        packages = self.prepared.about_machine["packages"]
        self.tracker.log_model(best.run_id, model, packages)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
    from lstm_bench.trial import run_trial

    suite = prepared.suite
    history = History()
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

        def on_epoch(entry: dict[str, float]) -> None:
            history.epochs.append(entry)
            tracker.log_epoch(run_id, entry)
            progress.epoch(entry, objective)

        try:
            result, model = run_trial(
                config,
                prepared.dataset,
                prepared.splits,
                metric=suite.metric,
                root_seed=suite.study.seed,
                replicate=SEARCH_REPLICATE,
                score_test=score_test,
                on_epoch=on_epoch,
            )
            tracker.finish_run(run_id, result, suite.metric.name)
            if log_model:
                tracker.log_model(run_id, model, prepared.about_machine["packages"])
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            state = "interrupted" if stopped else "failed"
            reason = "stopped by the user" if stopped else str(error)
            tracker.abandon_run(run_id, config, history.epochs, state, reason)
            raise
        finally:
            progress.close()
    return run_id, result
