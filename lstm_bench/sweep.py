"""Run a study: references, the search, the report and, if requested, a confirmation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.confirm import confirm_study, is_confirmed
from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.open_study import open_study, stopped
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import Best, StudyStore
from lstm_bench.stores import store_errors
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.stored_runs import StoredRun, parse_runs
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import Prepared, data_folder
from lstm_bench.workers.options import (
    ONE_HERE,
    Workers,
    as_many_as_needed,
    choose_workers,
    is_in_process,
)
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.recovery import recover
from lstm_bench.workers.session import Session
from lstm_bench.workers.supervise import oversee
from lstm_bench.workers.tracked_run import say_left_out, track_baselines
from lstm_bench.workers.worker import Worker


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

    Raises
    ------
    LstmBenchError
        The data, a store or a worker cannot be used.
    KeyboardInterrupt
        The sweep was stopped; finished trainings are saved.
    """
    declared = suite.confirm
    storage_url = resolve_storage(storage)
    with (
        store_errors(),
        open_study(
            suite,
            progress,
            choose_workers(n_workers, scheduler, data_folder(suite, data_dir)),
            tracking_uri=tracking_uri,
            storage_url=storage_url,
            out=out,
            n_replicates=declared.n_replicates if confirm and declared else 0,
        ) as study,
        closing(StudyStore(suite, storage_url)) as store,
    ):
        outcome = run_search(
            study.prepared,
            study.tracker,
            store,
            progress,
            n_trials=n_trials or suite.study.n_trials,
            timeout_s=timeout_s or suite.study.timeout_s,
            workers=study.workers,
        )
        best = outcome.best
        # The run is closed before the report, so that a later report is the same.
        state = "KILLED" if outcome.interrupted else "FINISHED"
        study.tracker.end_session(outcome.run_id, state)
        if outcome.interrupted:
            raise stopped(outcome.n_finished, outcome.n_total)
        if best is None:
            progress.say(
                "no training was completed; the report has the reason for each"
            )
        else:
            progress.say(
                f"best: {best.label} with validation {suite.study.metric} "
                f"{best.value:.4f} (configuration {best.config_id})"
            )
        analysis = study.report(outcome.run_id)
        is_due = declared is not None and best is not None
        if confirm and is_due and analysis is not None:
            analysis = confirm_study(study, store, sweep_run_id=outcome.run_id)
            return SweepResult(best, analysis, is_confirmation_due=False)
        is_due = is_due and not (analysis and is_confirmed(analysis))
        return SweepResult(best, analysis, is_due)


@dataclass(frozen=True)
class SearchOutcome:
    """How a search ended."""

    run_id: str
    n_finished: int
    n_total: int
    best: Best | None
    interrupted: bool


def run_search(
    prepared: Prepared,
    tracker: Tracker,
    store: StudyStore,
    progress: Progress,
    *,
    n_trials: int,
    timeout_s: float | None,
    workers: Workers = ONE_HERE,
) -> SearchOutcome:
    """Train the references and search until `n_trials` trials are finished.

    Trials of earlier sessions of the same study count. A failed or pruned trial
    counts as finished, an interrupted one is resumed. The caller closes the sweep's
    MLflow run.

    Parameters
    ----------
    timeout_s : float or None
        Seconds after which no training starts.
    workers : Workers
        A single local worker trains in this process, unless the suite limits the time
        or the memory of a training.

    Raises
    ------
    TrackingError
        A store failed, has another dataset's trials, or lost their runs.
    """
    with store_errors():
        known = _check_stores(prepared, tracker, store, progress)
        recover(store, tracker)
        suite = prepared.suite
        n_trials = n_trials if len(suite.space) else 0
        total = len(suite.references) + n_trials
        workers = as_many_as_needed(workers, max(0, total - store.n_finished()))
        run_id = tracker.start_session(
            "sweep",
            suite,
            prepared.about_data,
            prepared.about_machine,
            {
                "n_trials": n_trials,
                "n_workers": workers.n,
                **{f"study.{k}": v for k, v in suite.study.model_dump().items()},
            },
        )
        session = Session(
            kind="sweep",
            run_id=run_id,
            experiment_id=tracker.experiment_id,
            total=total,
            n_trials=n_trials,
            deadline=None if timeout_s is None else time.time() + timeout_s,
        )
        store.put_references()
        progress.begin(session.total, store.n_finished(), workers.n)
        is_interrupted = False
        try:
            _train_all(prepared, tracker, store, progress, session, workers, known)
        except KeyboardInterrupt:
            is_interrupted = True
        except BaseException:
            progress.close()
            tracker.end_session(run_id, "FAILED")
            raise
        progress.close()
        # Again: other workers may have released unwritten results meanwhile. While the
        # server is unreachable, the next start writes them.
        tracker.if_there(lambda: recover(store, tracker))
        best = store.best()
        if not is_interrupted:
            _say_why_it_ended(store, session, progress)
        return SearchOutcome(
            run_id, store.n_finished(), session.total, best, is_interrupted
        )


def _check_stores(
    prepared: Prepared, tracker: Tracker, store: StudyStore, progress: Progress
) -> list[StoredRun]:
    """Check that both stores agree; return the study's MLflow runs."""
    store.check_whole()
    store.check_digest(prepared.dataset.digest)
    known = tracker.runs_of(prepared.suite.study_name)
    store.name_runs(
        {
            run.data.tags[rec.TAG_JOURNAL]: run.info.run_id
            for run in known
            if rec.TAG_JOURNAL in run.data.tags
        }
    )
    lost = store.run_ids() - {run.info.run_id for run in known}
    if lost:
        raise TrackingError(
            f"the Optuna storage has {len(lost)} finished trainings whose MLflow "
            f"runs are not at {bare_url(tracker.tracking_uri)}; give the "
            "--tracking-uri they were written to, or another --storage to begin "
            "anew"
            + (
                "; what was begun while the server was unreachable waits on the "
                "machine it was begun on, for `lstm-bench sync`"
                if any(run_id.startswith(rec.LOCAL_PREFIX) for run_id in lost)
                else ""
            )
        )
    readable, left_out = parse_runs(known)
    say_left_out(left_out, progress)
    return readable


def _train_all(
    prepared: Prepared,
    tracker: Tracker,
    store: StudyStore,
    progress: Progress,
    session: Session,
    workers: Workers,
    known: Sequence[StoredRun],
) -> None:
    def fit_baselines() -> None:
        track_baselines(prepared, tracker, session.run_id, progress, known)

    if is_in_process(workers, prepared.suite):
        fit_baselines()
        Worker(prepared, tracker, progress, session).search(store)
    else:
        oversee(
            workers,
            store,
            tracker,
            session,
            progress,
            fit_baselines,
            store.n_finished,
        )


def _say_why_it_ended(store: StudyStore, session: Session, progress: Progress) -> None:
    if len(store.finished()) >= session.n_trials:
        return
    if session.deadline is not None and time.time() >= session.deadline:
        progress.say("the timeout is reached; no further trial is started")
    elif store.is_exhausted():
        progress.say(
            f"all {store.suite.space.n_configurations} configurations of the space "
            "have been tried; nothing is left to search"
        )
