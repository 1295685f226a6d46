"""The driver: it keeps every worker busy, and alone writes to Optuna and MLflow.

A plan says which job comes next and learns how it ended. The driver submits the jobs to
Dask, receives their epochs as they happen, writes each training as an MLflow run, and
asks workers to stop.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from distributed import CancelledError, Event, KilledWorker
from optuna.trial import Trial

from lstm_bench.data.folder import keep
from lstm_bench.errors import TrackingError
from lstm_bench.stores import is_store_error
from lstm_bench.suites.config import TrialConfig
from lstm_bench.system.limits import PATIENCE_S, too_long
from lstm_bench.system.signals import Stop, stopping_after_the_epoch
from lstm_bench.text import first_line, score_text
from lstm_bench.tracking.tracker import OpenRun, Tracker
from lstm_bench.training.baselines import BaselineResult
from lstm_bench.training.checkpoint import Checkpoint
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import TrialResult, metric_key
from lstm_bench.workers.cluster import MAX_DEATHS, Cluster
from lstm_bench.workers.job import DataMissing, Job, Outcome
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Ended, Progress, Training

if TYPE_CHECKING:
    from distributed import Future

STARTING = "importing TensorFlow and compiling the LSTM"
STOPPED = "stopped by the user"
LOOK_EVERY_S = 0.3
GATHER_S = 30.0
# Trainings in a row whose workers died, after which the command gives up.
MAX_LOST_IN_A_ROW = 3


@dataclass
class Task:
    """A job, and how its run is opened.

    Attributes
    ----------
    open_run : callable
        Opens its MLflow run, given the data and machine as they are described, and the
        engine; None: it has no run.
    reference : str
        Name of a reference.
    trial : Trial or None
        Of the search.
    """

    job: Job
    label: str
    open_run: Callable[[Prepared, str], OpenRun] | None
    reference: str = ""
    trial: Trial | None = None

    @property
    def config(self) -> TrialConfig | None:
        """What is trained; None: a baseline."""
        return self.job.config


@dataclass(frozen=True)
class Done:
    """How a task ended, with its run.

    Attributes
    ----------
    state : str
        "complete", "pruned", "failed", "interrupted" or "skipped".
    value : float or None
        Objective of a complete training.
    """

    state: str
    value: float | None
    reason: str | None
    outcome: Outcome
    run: OpenRun | None


class Plan:
    """What a command trains: some tasks in order, or what a subclass makes of them.

    Attributes
    ----------
    total, n_done : int
        Trainings to have in the end, and finished ones, those of earlier commands
        included.
    """

    def __init__(self, tasks: Iterable[Task], total: int, n_done: int = 0) -> None:
        self.total = total
        self._tasks = [*tasks]
        self.n_done = n_done

    def n_left(self) -> int:
        """Return how many tasks there may be left to start."""
        return len(self._tasks)

    def next(self) -> Task | None:
        """Return the next task; None if there is none (now)."""
        return self._tasks.pop(0) if self._tasks else None

    def epoch(self, task: Task, epoch: int, value: float) -> bool:
        """Learn an epoch's objective; return whether the training is to be pruned."""
        return False

    def ended(self, task: Task, done: Done) -> None:
        """Learn that a task has ended; its run is kept already."""
        if task.config is not None and done.state != "interrupted":
            self.n_done += 1

    def best(self) -> float | None:
        """Return the best objective so far, where it is to be shown."""
        return None


class _Single(Plan):
    """A single task, whose end is kept."""

    done: Done | None = None

    def ended(self, task: Task, done: Done) -> None:
        super().ended(task, done)
        self.done = done


@dataclass
class _Running:
    task: Task
    future: Future
    since: float = field(default_factory=time.monotonic)
    started: float | None = None
    n_starts: int = 0
    n_given_up: int = 0
    address: str = ""
    run: OpenRun | None = None
    training: Training | None = None
    epochs: list[dict[str, float]] = field(default_factory=list)
    why_pruned: str | None = None


class Driver:
    """Runs plans on a cluster, which begins with the first of them.

    Parameters
    ----------
    tick : callable
        Called some times a second, from the command's thread.
    """

    def __init__(
        self,
        workers: Workers,
        prepared: Prepared,
        tracker: Tracker,
        progress: Progress,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.workers = workers
        self.prepared = prepared
        self.suite = prepared.suite
        self.tracker = tracker
        self.progress = progress
        self.tick = tick
        self.topic = _new_key()
        self.metric = metric_key("val", self.suite.metric.name)
        self._cluster: Cluster | None = None
        self._data: str | None = None
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._running: dict[str, _Running] = {}
        self._said: set[str] = set()
        self._n_lost = 0

    # Jobs

    def job(self, replicate: int, **about: Any) -> Job:
        """Return a job of this command's suite and data; `about` as in `Job`."""
        if self._data is None:
            self._data = keep(self.prepared.dataset)
        return Job(
            key=_new_key(),
            topic=self.topic,
            suite_name=self.suite.name,
            suite_text=self.suite.text,
            data=self._data,
            replicate=replicate,
            **about,
        )

    @property
    def cluster(self) -> Cluster:
        """The workers, which start now if they have not."""
        if self._cluster is None:
            self.progress.doing("starting the workers")
            self._cluster = Cluster(
                self.workers,
                self.topic,
                lambda event: self._events.put(("event", event)),
            )
            self.progress.say(self._cluster.describe())
        return self._cluster

    def run_one(self, task: Task) -> Done:
        """Run a single task; return how it ended.

        Raises
        ------
        KeyboardInterrupt
            It was stopped.
        """
        plan = _Single([task], total=1)
        self.run(plan)
        if plan.done is None:
            raise RuntimeError(f"{task.label}: the driver ended without it")
        return plan.done

    def close(self) -> None:
        """End the workers that this command has started."""
        if self._cluster is not None:
            self._cluster.close()

    # A plan

    def run(self, plan: Plan) -> None:
        """Run a plan until nothing is left of it.

        Raises
        ------
        KeyboardInterrupt
            A signal asked for the end; every training was stopped.
        LstmBenchError
            The cluster, a store or an engine cannot be used.
        """
        n_left = plan.n_left()
        if n_left and self._cluster is None and self.workers.scheduler is None:
            self.workers = replace(self.workers, n=min(self.workers.n, n_left))
        self.progress.begin(plan.total, plan.n_done, max(1, self.workers.n))
        if not n_left:
            self.progress.close()
            return
        try:
            with stopping_after_the_epoch(self.progress.say) as stop:
                self.cluster.lend_nothing()
                self._run(plan, stop)
                if stop.is_asked:
                    raise KeyboardInterrupt
        except BaseException as error:
            self._give_up(plan, error)
            raise
        finally:
            self.progress.close()

    def _run(self, plan: Plan, stop: Stop) -> None:
        is_stopping = is_over = False
        while True:
            self.tick()
            self.tracker.check()
            self.cluster.check()
            if stop.is_asked and not is_stopping:
                is_stopping = True
                self._ask_all_to_stop(plan)
            is_over = is_stopping or is_over
            while not is_over and len(self._running) < self.cluster.n_wanted():
                task = plan.next()
                if task is None:
                    is_over = True
                    self._lend()
                else:
                    self._submit(task)
            if not self._running:
                return
            self._end_hanging(plan)
            try:
                what, about = self._events.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                continue
            if what == "event":
                self._hear(plan, about)
            elif about in self._running and self._gather(plan, self._running[about]):
                # Where a training was requeued, there is work again.
                is_over = False

    def _submit(self, task: Task, earlier: _Running | None = None) -> None:
        if not self._running:
            self.progress.doing(f"waiting for a worker, {STARTING}")
        key = task.job.key
        future = self.cluster.submit(task.job)
        running = self._running[key] = _Running(task, future)
        if earlier is not None:
            running.training = earlier.training
            running.n_starts = earlier.n_starts
            running.n_given_up = earlier.n_given_up
        future.add_done_callback(lambda future: self._events.put(("done", key)))

    def _lend(self) -> None:
        """Share the cores of workers that have nothing left to do."""
        addresses = [r.address for r in self._running.values() if r.address]
        if len(addresses) < self.workers.n:
            self.cluster.lend(addresses)

    # While it runs

    def _hear(self, plan: Plan, event: Mapping[str, Any]) -> None:
        if event["what"] == "said":
            if event["text"] not in self._said:
                self._said.add(event["text"])
                self.progress.say(event["text"])
            return
        running = self._running.get(event["key"])
        if running is None:
            return
        if event["what"] == "started":
            self._begin(plan, running, event)
        elif event["what"] == "origin":
            if running.training is not None:
                self.progress.origin(running.training, event["number"], event["n"])
        else:
            self._hear_epoch(plan, running, event["entry"])
            if running.why_pruned is not None:
                self._prune(plan, running)

    def _begin(self, plan: Plan, running: _Running, event: Mapping[str, Any]) -> None:
        if running.n_starts >= MAX_DEATHS:
            self._fail_for_deaths(plan, running)
            return
        if running.started is not None:
            # Dask runs the task of a dead worker again, on another one.
            self.progress.say(
                f"the worker of {running.task.label} died; its training begins again"
            )
            self._abandon(running, "interrupted", "its worker died")
        running.started = time.monotonic()
        running.n_starts += 1
        running.address = event["address"]
        running.run = self._open_run(running.task, event["engine"], event["machine"])
        task = running.task
        if task.config is None:
            self.progress.doing(f"fitting {task.label}")
        elif running.training is None:
            running.training = Training(
                task.label, plan.n_done, plan.total, task.config.max_epochs
            )
            self.progress.training(running.training)

    def _open_run(
        self, task: Task, engine: str, machine: Mapping[str, Any]
    ) -> OpenRun | None:
        if task.open_run is None:
            return None
        # The machine that trains; the suite's file is the command's.
        about = {**self.prepared.about_machine, **machine}
        prepared = replace(
            self.prepared, about_machine=about, replicate=task.job.replicate
        )
        return task.open_run(prepared, engine)

    def _hear_epoch(
        self, plan: Plan, running: _Running, entry: dict[str, float]
    ) -> None:
        epoch, task = int(entry["epoch"]), running.task
        if epoch <= len(running.epochs):
            return
        running.epochs.append(entry)
        if running.run is not None:
            running.run.log_epoch(entry)
        if running.training is not None:
            shown = self.metric if self.metric in entry else ""
            self.progress.epoch(
                running.training, entry, shown or metric_key("train", self._name)
            )
        # A refit has no validation.
        value = entry.get(self.metric)
        if value is not None and plan.epoch(task, epoch, value):
            running.why_pruned = (
                f"pruned after epoch {epoch} at {self.metric} {score_text(value)}"
            )

    def _prune(self, plan: Plan, running: _Running) -> None:
        """End a training that is pruned; its worker stops at its next step."""
        job, config = running.task.job, running.task.config
        self._forget(running)
        if self.suite.checkpoint and config is not None:
            study = self.suite.study_name
            Checkpoint.of(study, config.config_id, job.replicate).discard()
        self._finish(plan, running, Outcome("stopped"))

    @property
    def _name(self) -> str:
        return self.suite.metric.name

    def _end_hanging(self, plan: Plan) -> None:
        """Restart the worker of a training that does not notice its time limit."""
        limit = self.suite.study.trial_timeout_s
        if limit is None:
            return
        for running in list(self._running.values()):
            started = running.started
            if running.task.config is None or started is None:
                continue
            if time.monotonic() - started > limit + PATIENCE_S:
                reason = f"{too_long(limit)}, and its worker did not answer"
                self._forget(running)
                self.cluster.restart(running.address)
                self._finish(plan, running, Outcome("failed", reason, running.epochs))

    # The end of a task

    def _gather(self, plan: Plan, running: _Running) -> bool:
        """Handle the result of a task; return whether it has ended."""
        future, key = running.future, running.task.job.key
        try:
            result = future.result(timeout=GATHER_S)
        except TimeoutError:
            # The worker died with the result: Dask computes it again.
            future.add_done_callback(lambda future: self._events.put(("done", key)))
            return False
        except KilledWorker:
            running.n_given_up += 1
            if max(running.n_starts, running.n_given_up) < MAX_DEATHS:
                # Dask counts deaths of workers at which it only waited, too.
                self._start_again(running, "its worker died")
                return False
            self._fail_for_deaths(plan, running)
            return True
        except CancelledError:
            if self.cluster.client.status != "running":
                # The scheduler is gone: `check` says so unless it comes back.
                time.sleep(LOOK_EVERY_S)
            self._start_again(running, "the cluster lost it")
            return False
        except Exception as error:
            self._forget(running)
            reason = f"{type(error).__name__}: {first_line(error)}"
            self._abandon(running, "failed", reason)
            # A defect, not the configuration's fault: it is queued again.
            outcome = Outcome("failed", reason)
            plan.ended(running.task, Done("interrupted", None, reason, outcome, None))
            raise
        if isinstance(result, DataMissing):
            self.progress.say(f"sending the data to the worker at {result.address}")
            self.cluster.send_data(running.task.job.data, result.address)
            self._start_again(running, "its worker had no data")
            return False
        self._n_lost = 0
        self._forget(running)
        self._finish(plan, running, result)
        return True

    def _fail_for_deaths(self, plan: Plan, running: _Running) -> None:
        reason = f"its worker died {MAX_DEATHS} times (killed; out of memory?)"
        self._forget(running)
        self._finish(plan, running, Outcome("failed", reason, running.epochs))
        self._n_lost += 1
        if self._n_lost >= MAX_LOST_IN_A_ROW:
            raise TrackingError(
                f"{self._n_lost} trainings in a row ended because their workers died; "
                "is there memory for so many? --workers 1 needs the least. What was "
                "finished is kept"
            )

    def _start_again(self, running: _Running, reason: str) -> None:
        self._forget(running)
        self._abandon(running, "interrupted", reason)
        job = replace(running.task.job, key=_new_key())
        self._submit(replace(running.task, job=job), running)

    def _forget(self, running: _Running) -> None:
        self._running.pop(running.task.job.key, None)
        if not running.future.done():
            running.future.cancel()
        running.future.release()

    def _finish(self, plan: Plan, running: _Running, outcome: Outcome) -> None:
        """Write a task's run and tell the plan how it ended."""
        task, reason = running.task, outcome.reason
        state: str = outcome.state
        if state == "stopped":
            state, reason = "interrupted", reason or STOPPED
        if running.run is None and state != "interrupted":
            running.run = self._open_run(task, "", {})
        result, value = outcome.result, None
        epochs = outcome.epochs
        if isinstance(result, TrialResult):
            epochs = result.history.epochs
        for entry in epochs[len(running.epochs) :]:
            if running.why_pruned is None:
                self._hear_epoch(plan, running, entry)
        if running.why_pruned is not None:
            state, reason, result = "pruned", running.why_pruned, None
        run = running.run
        if isinstance(result, TrialResult):
            value = result.objective
            if run is not None:
                run.finish_training(
                    result, self._name, outcome.model, outcome.explained
                )
        elif isinstance(result, BaselineResult) and run is not None:
            run.finish_baseline(result, self.prepared.dataset)
        elif state == "complete" and run is not None:
            run.close("complete", model=outcome.model)
        elif run is not None:
            self._abandon(running, state, reason)
        plan.ended(task, Done(state, value, reason, outcome, run))
        if running.training is not None:
            seconds = time.monotonic() - (running.started or running.since)
            training = replace(running.training, n_done=plan.n_done)
            ended = Ended(state, value, plan.best(), seconds, reason)
            self.progress.ended(training, ended)
        elif self._running and not any(r.training for r in self._running.values()):
            self.progress.doing(f"waiting for a worker, {STARTING}")

    def _abandon(self, running: _Running, state: str, reason: str | None) -> None:
        """Close the run of a task that has no result."""
        run, running.run = running.run, None
        config, epochs = running.task.config, running.epochs
        running.epochs = []
        if run is not None:
            run.abandon(state, reason, config, epochs)

    # The end of a command

    def _ask_all_to_stop(self, plan: Plan) -> None:
        for running in list(self._running.values()):
            if running.started is None or running.task.config is None:
                self._forget(running)
                self._finish(plan, running, Outcome("stopped"))
            else:
                Event(running.task.job.key, client=self.cluster.client).set()

    def _give_up(self, plan: Plan, error: BaseException) -> None:
        """Stop what runs at once, and close its runs and trials where that works."""
        is_stopped = isinstance(error, KeyboardInterrupt)
        reason = STOPPED if is_stopped else f"the command ended: {first_line(error)}"
        for running in list(self._running.values()):
            with suppress(OSError, CancelledError):
                self._forget(running)
            # A store that has failed would fail again: the next start closes them.
            if not is_store_error(error):
                self._finish(plan, running, Outcome("stopped", reason, running.epochs))
        self._running.clear()


def _new_key() -> str:
    return f"lstm-bench-{uuid.uuid4().hex}"


@contextmanager
def open_driver(
    workers: Workers,
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Driver]:
    """Yield a driver, and end its workers."""
    driver = Driver(workers, prepared, tracker, progress, tick)
    try:
        yield driver
    finally:
        driver.close()
