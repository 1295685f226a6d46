"""Run a study: references, the search, the report and, if requested, a confirmation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import ENDED
from lstm_bench.budget import Budget, minutes
from lstm_bench.confirm import confirm_study, is_confirmed
from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.open_study import OpenStudy, open_study
from lstm_bench.search.study import Best, Reference
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.text import score_text
from lstm_bench.tracking.stored_runs import StoredRun, StoredTraining
from lstm_bench.tracking.tracker import OpenRun
from lstm_bench.training.result import BEST_VALUE, OBJECTIVE
from lstm_bench.workers.driver import Done, Plan, Task
from lstm_bench.workers.options import choose_workers
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.recovery import lost_trials, recover


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Attributes
    ----------
    best : Best or None
        Best on validation; None where no training was completed.
    analysis : Analysis or None
        None, without a report, while results are not yet written to the tracking
        server.
    is_confirmation_due : bool
        Whether the suite has a confirmation and the best configuration is not yet
        confirmed.
    """

    best: Best | None
    analysis: Analysis | None
    is_confirmation_due: bool


def run_sweep(
    suite: Suite,
    progress: Progress,
    *,
    n_trials: int | None = None,
    timeout_s: float | None = None,
    confirm: bool = False,
    budget_s: float | None = None,
    data_dir: Path | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    out: Path | None = None,
) -> SweepResult:
    """Search the suite's space, write the report and, if requested, confirm the best.

    The same call resumes a study that was stopped.

    Parameters
    ----------
    n_trials, timeout_s, data_dir, n_workers, scheduler, tracking_uri, storage, out
        As in `lstm_bench.run_sweep`.
    confirm : bool
        Also run the suite's confirmation, if it has one.
    budget_s : float or None
        Seconds that the command should take: fewer trials than asked for are started,
        and fewer seeds confirmed, if they do not fit. A training is not cut off.

    Raises
    ------
    LstmBenchError
        The data, a store or a worker cannot be used.
    KeyboardInterrupt
        The sweep was stopped; finished trainings are saved.
    """
    declared = suite.confirm
    workers = choose_workers(n_workers, scheduler)
    budget = None
    if budget_s is not None:
        budget = Budget(budget_s, confirm and declared is not None)
        progress.say(f"budget of {budget.before()}")
    with open_study(
        suite,
        progress,
        "sweep",
        workers,
        data_dir=data_dir,
        tracking_uri=tracking_uri,
        storage=storage,
        out=out,
        n_replicates=declared.looks[-1] if confirm and declared else 0,
    ) as study:
        run_id = run_search(
            study,
            n_trials=n_trials or suite.study.n_trials,
            timeout_s=_timeout(timeout_s or suite.study.timeout_s, budget),
        )
        searched_s = budget.used() if budget else 0.0
        best = study.store.best()
        if best is None:
            progress.say(
                "no training was completed; the report has the reason for each"
            )
        else:
            progress.say(
                f"best: {best.label} with validation {suite.study.metric} "
                f"{score_text(best.value)} (configuration {best.config_id})"
            )
        analysis = study.report(run_id)
        is_due = declared is not None and best is not None
        if confirm and is_due and analysis is not None:
            analysis = confirm_study(study, sweep_run_id=run_id, budget=budget)
            is_due = False
        else:
            is_due = is_due and not (analysis and is_confirmed(analysis))
        if budget is not None:
            progress.say(
                f"{minutes(budget.used())} of {minutes(budget.seconds)} used, "
                f"{minutes(searched_s)} of them until the search had ended"
            )
        return SweepResult(best, analysis, is_due)


def _timeout(timeout_s: float | None, budget: Budget | None) -> float | None:
    limits = [timeout_s, None if budget is None else budget.search_s()]
    return min((each for each in limits if each is not None), default=None)


def run_search(study: OpenStudy, *, n_trials: int, timeout_s: float | None) -> str:
    """Train the references and search until `n_trials` trials are finished.

    Trials of earlier commands of the same study count. A failed or pruned trial counts
    as finished, an interrupted one is resumed.

    Parameters
    ----------
    timeout_s : float or None
        Seconds after which no training starts.

    Returns
    -------
    str
        The sweep's MLflow run, closed.

    Raises
    ------
    TrackingError
        A store failed, has another dataset's trials, or lost their runs.
    KeyboardInterrupt
        The search was stopped.
    """
    suite, store = study.suite, study.store
    store.check_data(study.prepared.dataset.identity)
    recover(study.tracker, store)
    known = study.known_runs()
    _check_no_run_lost(study)
    session = study.tracker.start_session(
        "sweep",
        study.prepared,
        {
            "n_trials": n_trials,
            "n_workers": study.driver.workers.n,
            **{f"study.{k}": v for k, v in suite.study.model_dump().items()},
        },
    )
    search = Search(study, session, known, n_trials, timeout_s)
    study.run([search], session)
    search.say_why_it_ended()
    return str(session.run_id)


class Search(Plan):
    """The plan of a search: baselines, references, then what the sampler suggests."""

    def __init__(
        self,
        study: OpenStudy,
        session: OpenRun,
        known: Sequence[StoredRun],
        n_trials: int,
        timeout_s: float | None,
    ) -> None:
        self.study, self.session = study, session
        self.suite, self.store = study.suite, study.store
        self.n_trials = n_trials if len(self.suite.space) else 0
        self.deadline = None if timeout_s is None else time.time() + timeout_s
        self._reported: set[tuple[int, int]] = set()
        for run in known:
            if isinstance(run, StoredTraining) and run.kind == "reference":
                self._add_reference(run)
        # One command works on the study, so that it need not be read again.
        self._best = self.store.best()
        first = [
            *study.baselines(session, known, 0, score_test=False),
            *(
                self._reference_task(name, config)
                for name, config in self.suite.references.items()
                if name not in self.store.references
            ),
        ]
        total = len(self.suite.references) + self.n_trials
        super().__init__(first, total, self.store.n_finished())

    def _add_reference(self, run: StoredTraining) -> None:
        name = run.reference or ""
        config = self.suite.references.get(name)
        is_done = run.state in ENDED
        if is_done and config is not None and config.config_id == run.config_id:
            value = run.metrics[OBJECTIVE] if run.state == "complete" else None
            label = self.suite.name_of(config)
            self.store.references[name] = Reference(label, run.config_id, value)

    def _reference_task(self, name: str, config: TrialConfig) -> Task:
        return self.study.training(
            config,
            self.suite.name_of(config),
            self.session,
            kind="reference",
            reference=name,
        )

    def n_left(self) -> int:
        """Return the number of tasks left to start, at most."""
        is_over = self.store.is_exhausted() or self._is_late()
        n_trials = 0 if is_over else self.n_trials - len(self.store.finished())
        return super().n_left() + max(0, n_trials)

    def _is_late(self) -> bool:
        return self.deadline is not None and time.time() >= self.deadline

    def next(self) -> Task | None:
        """Return the next baseline, reference or trial."""
        if (task := super().next()) is not None or self._is_late():
            return task
        step = self.store.next_trial(self.n_trials, self.study.progress.skipped)
        if step is None:
            return None
        task = self.study.training(
            step.config,
            step.label,
            self.session,
            kind="trial",
            trial=step.trial.number,
        )
        task.trial = step.trial
        return task

    def epoch(self, task: Task, epoch: int, value: float) -> bool:
        """Report an epoch to Optuna; return whether its pruner stops the trial."""
        if task.trial is None:
            return False
        # A training whose worker died begins again, with the same scores.
        if (key := (task.trial.number, epoch)) not in self._reported:
            self._reported.add(key)
            task.trial.report(value, epoch)
        return bool(task.trial.should_prune())

    def ended(self, task: Task, done: Done) -> None:
        """Tell Optuna how a trial ended."""
        if task.config is None:
            self.study.say_baseline(task, done)
            return
        if done.state == "interrupted":
            if task.trial is not None:
                self.store.requeue(task.trial)
            return
        config_id = task.config.config_id
        if task.trial is not None:
            self.store.tell(task.trial, done.state, done.value, done.reason)
        else:
            reference = Reference(task.label, config_id, done.value)
            self.store.references[task.reference] = reference
        super().ended(task, done)
        if done.value is None:
            return
        is_better = self.suite.metric.is_better
        if self._best is None or is_better(done.value, self._best.value):
            self._best = Best(done.value, config_id, task.label)
        self.session.log({BEST_VALUE: self._best.value}, self.n_done)

    def best(self) -> float | None:
        """Return the best objective so far."""
        return None if self._best is None else self._best.value

    def say_why_it_ended(self) -> None:
        """Show why there are fewer trials than asked for."""
        if len(self.store.finished()) >= self.n_trials:
            return
        say = self.study.progress.say
        if self._is_late():
            say("the timeout is reached; no further trial is started")
        elif self.store.is_exhausted():
            say(
                f"all {self.suite.space.n_configurations} configurations of the space "
                "have been tried; nothing is left to search"
            )


def _check_no_run_lost(study: OpenStudy) -> None:
    """Raise TrackingError if Optuna has trials whose runs MLflow does not have."""
    runs = study.tracker.runs_of(study.suite.study_name)
    if lost := lost_trials(study.store, runs):
        raise TrackingError(
            f"the Optuna storage has {len(lost)} finished trainings whose MLflow "
            f"runs are not at {bare_url(study.tracker.tracking_uri)}; give the "
            "--tracking-uri they were written to, or another --storage to begin "
            "anew. What was trained while the server was away waits on the machine "
            "of that command, for `lstm-bench sync`"
        )
