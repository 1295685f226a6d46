"""One worker: runs the trainings of a session, one after another, until none is left.

A sweep with one worker trains in the command's process. Several workers are processes,
on this machine or others, that share the two stores and the data.
"""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial

from lstm_bench.errors import TrialPruned, TrialTaken
from lstm_bench.search.queue import ABOUT, Tickets
from lstm_bench.search.study import Next, StudyStore
from lstm_bench.search.trials import RUN_ID, OwnedStudy
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.engines import EngineName
from lstm_bench.system.limits import Limits
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import metric_key
from lstm_bench.workers.progress import Ended, Progress, Training
from lstm_bench.workers.session import Session, work_left
from lstm_bench.workers.tracked_run import Tracked, train_tracked

STARTING = "importing TensorFlow and compiling the LSTM"
TAKEN = "another process took it over, since this one had not been heard of"


@dataclass(frozen=True)
class Job:
    """A training to run.

    Attributes
    ----------
    kind : {"trial", "reference", "replicate"}
    name : str
        The name shown.
    is_search : bool
        Whether it may be pruned.
    tags : dict
        Further arguments of `Tracker.start_run`.
    """

    owned: OwnedStudy
    trial: Trial
    config: TrialConfig
    kind: str
    name: str
    replicate: int
    is_search: bool
    tags: dict[str, Any]


class Worker:
    """Trains for one session, in this process.

    Parameters
    ----------
    is_stopped : callable
        Called before a training and after every epoch; where it returns True, the
        worker ends as by Ctrl-C.

    Attributes
    ----------
    n_trained : int
        Trainings of this worker that ended without an interruption.
    """

    def __init__(
        self,
        prepared: Prepared,
        tracker: Tracker,
        progress: Progress,
        session: Session,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.prepared = prepared
        self.suite = prepared.suite
        self.tracker = tracker
        self.progress = progress
        self.session = session
        self.is_stopped = is_stopped
        self.n_trained = 0

    # The search

    def search(self, store: StudyStore) -> None:
        """Train the queued references, then the trials that the sampler suggests.

        Raises
        ------
        SuiteError
            The packed engine is requested and cannot run.
        KeyboardInterrupt
            The session was stopped; the training is requeued and its run closed.
        """
        if work_left(store, self.session):
            self.progress.doing(STARTING)
            _get_ready(self.suite.engine, self.progress.say)
        while (step := self._next(store)) is not None:
            self._train_step(store, step)

    def _next(self, store: StudyStore) -> Next | None:
        self._check_stopped()
        step = store.next_reference()
        if step is not None:
            return step
        deadline = self.session.deadline
        if deadline is not None and time.time() >= deadline:
            return None
        return store.next_trial(self.session.n_trials, self.progress.skipped)

    def _train_step(self, store: StudyStore, step: Next) -> None:
        is_search = step.reference is None
        job = Job(
            step.owned,
            step.trial,
            step.config,
            kind="trial" if is_search else "reference",
            name=step.label,
            replicate=self.prepared.replicate,
            is_search=is_search,
            tags={
                "trial": step.trial.number if is_search else None,
                "reference": step.reference,
            },
        )
        position = store.n_finished() + 1

        def best_so_far() -> float | None:
            n, best = store.so_far(step.trial)
            if best is None:
                return None
            self.tracker.log_best(self.session.run_id, n, best.value)
            return best.value

        self._train(job, position, best_so_far)

    # A confirmation

    def confirm(self, tickets: Tickets, n_done: Callable[[], int]) -> None:
        """Train the queued (configuration, seed) pairs, and score test once each.

        Parameters
        ----------
        n_done : callable
            Returns how many trainings of the confirmation are done.

        Raises
        ------
        KeyboardInterrupt
            The session was stopped; the training is requeued and its run closed.
        """
        if tickets.n_waiting():
            self.progress.doing(STARTING)
            _get_ready(self.suite.engine, self.progress.say)
        while (taken := self._take(tickets)) is not None:
            trial, config = taken
            about = trial.user_attrs[ABOUT]
            job = Job(
                tickets,
                trial,
                config,
                kind="replicate",
                name=f"{about['label']}, seed {about['replicate']}",
                replicate=about["replicate"],
                is_search=False,
                tags={key: about[key] for key in ("reference", "label", "origin")},
            )
            # No best score is shown: a confirmation must not be steered by its scores.
            self._train(job, n_done() + 1, lambda: None)

    def _take(self, tickets: Tickets) -> tuple[Trial, TrialConfig] | None:
        self._check_stopped()
        return tickets.take(f"{self.session.run_id}/")

    # A training

    def _check_stopped(self) -> None:
        if self.is_stopped():
            raise KeyboardInterrupt

    def _train(
        self,
        job: Job,
        position: int,
        best_so_far: Callable[[], float | None],
    ) -> None:
        """Train `job` as an MLflow run and close its trial.

        Parameters
        ----------
        best_so_far : callable
            Returns the best objective after the training, to be shown.
        """
        # Heartbeats start here: splitting the data and opening the run may take long.
        with job.owned.beating(job.trial):
            self._train_beating(job, position, best_so_far)

    def _train_beating(
        self,
        job: Job,
        position: int,
        best_so_far: Callable[[], float | None],
    ) -> None:
        from lstm_bench.training.trial import free_memory

        training = Training(
            job.name, position, self.session.total, job.config.max_epochs
        )
        start = time.monotonic()
        self.progress.training(training)
        if self.prepared.replicate != job.replicate:
            self.prepared = self.prepared.at(job.replicate)
        try:
            run_id = self._open_run(job)
            ended = self._train_run(job, training, run_id)
        except BaseException:
            # Requeued, so that a worker resumes the trial.
            job.owned.give_up(job.trial)
            raise
        value = None if ended.result is None else ended.result.objective
        if ended.state != "interrupted" and not job.owned.tell(
            job.trial, ended.state, value, ended.reason
        ):
            # Another process has taken over the trial: only its training counts.
            self.tracker.close_run(run_id, "interrupted", TAKEN)
            ended = Tracked("interrupted", TAKEN, is_stop_asked=ended.is_stop_asked)
            value = None
        self.n_trained += ended.state != "interrupted"
        ended = replace(ended, model=None)
        free_memory()
        self.progress.ended(
            training,
            Ended(
                ended.state,
                value,
                best_so_far(),
                time.monotonic() - start,
                ended.reason,
            ),
        )
        if ended.is_stop_asked:
            raise KeyboardInterrupt

    def _train_run(self, job: Job, training: Training, run_id: str) -> Tracked:
        study = self.suite.study
        limits = Limits(study.trial_timeout_s, study.trial_memory_gib)
        try:
            job.trial.set_user_attr(RUN_ID, run_id)
        except UpdateFinishedTrialError:
            self.tracker.close_run(run_id, "interrupted", TAKEN)
            return Tracked("interrupted", TAKEN)
        return train_tracked(
            self.prepared,
            job.config,
            self.tracker,
            run_id,
            score_test=job.kind == "replicate",
            on_epoch=lambda entry: self._on_epoch(job, training, entry),
            on_step=limits.check,
            say=self.progress.say,
        )

    def _on_epoch(self, job: Job, training: Training, entry: dict[str, float]) -> None:
        objective = metric_key("val", self.suite.metric.name)
        self.progress.epoch(training, entry, objective)
        epoch, value = int(entry["epoch"]), entry[objective]
        try:
            job.trial.report(value, epoch)
        except UpdateFinishedTrialError:
            raise TrialTaken(TAKEN) from None
        self._check_stopped()
        if job.is_search and job.trial.should_prune():
            raise TrialPruned(f"pruned after epoch {epoch} at {objective} {value:.4f}")

    def _open_run(self, job: Job) -> str:
        return self.tracker.start_run(
            job.config,
            suite=self.suite,
            kind=job.kind,
            parent_run_id=self.session.run_id,
            dataset=self.prepared.about_data,
            environment=self.prepared.about_machine,
            seeds=self.prepared.seeds,
            **job.tags,
        )


@functools.cache
def _get_ready(engine: EngineName, say: Callable[[str], None]) -> None:
    """Import Keras and compile the kernel, so that no training's time includes it.

    Raises
    ------
    SuiteError
        The packed engine is requested and cannot run.
    """
    import lstm_bench.training.trial  # noqa: F401
    from lstm_bench.packed.choice import choose_engine

    choose_engine(engine, say)
    # A million permanent objects, which `free_memory` would scan each time.
    gc.freeze()
