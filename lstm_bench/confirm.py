"""Confirmation: retrain the best configurations on fresh seeds, and score test once.

In a replicate, every configuration has the same split, initial seeds and order of
examples, so configurations are compared in pairs. Finished trainings are read from
MLflow alone, so a confirmation resumes without Optuna's storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.formatting import config_of_row
from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS
from lstm_bench.analysis.tables.select import trial_runs
from lstm_bench.data.dataset import copies_in
from lstm_bench.errors import SuiteError, TrackingError, TrialFailed
from lstm_bench.open_study import OpenStudy, open_study, stopped
from lstm_bench.search.queue import Tickets
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.system.command_line import command_line
from lstm_bench.system.process import is_gone, is_here
from lstm_bench.text import count
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import (
    StoredFit,
    StoredRun,
    StoredTraining,
    describe_left_out,
    parse_runs,
)
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import Prepared, data_folder
from lstm_bench.training.result import OBJECTIVE
from lstm_bench.winner import log_winners_model
from lstm_bench.workers.options import (
    ONE_HERE,
    Workers,
    as_many_as_needed,
    choose_workers,
    is_in_process,
)
from lstm_bench.workers.progress import Progress
from lstm_bench.workers.recovery import close_orphaned_runs, recover
from lstm_bench.workers.session import Session, open_sessions
from lstm_bench.workers.supervise import oversee
from lstm_bench.workers.tracked_run import say_left_out, track_baselines
from lstm_bench.workers.worker import Worker


@dataclass(frozen=True)
class Candidate:
    """A configuration to confirm, its name and its origin, one of `ORIGINS`."""

    config: TrialConfig
    label: str
    origin: str
    reference: str | None = None
    trial: int | None = None


@dataclass(frozen=True)
class ConfirmOutcome:
    """How the trainings of a confirmation ended."""

    run_id: str
    n_finished: int
    n_total: int
    interrupted: bool


def run_confirmation(
    suite: Suite,
    progress: Progress,
    *,
    n_best: int | None = None,
    n_replicates: int | None = None,
    data_dir: Path | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    out: Path | None = None,
) -> Analysis | None:
    """Confirm the best configurations of a search, and write the report.

    The same call resumes a confirmation that was stopped.

    Parameters
    ----------
    n_best, n_replicates, data_dir, n_workers, scheduler, tracking_uri, storage, out
        As in `lstm_bench.run_confirmation`.

    Returns
    -------
    Analysis or None
        None while results are not yet written to the tracking server.

    Raises
    ------
    SuiteError
        The suite has no confirmation, or there is nothing to confirm.
    LstmBenchError
        The data, a store or a worker cannot be used.
    KeyboardInterrupt
        The confirmation was stopped; finished trainings are saved.
    """
    if suite.confirm is None:
        raise SuiteError(
            f"{suite.path}: the suite has no `confirm:` section; add one, for example "
            "confirm: {n_best: 3, n_replicates: 5, pairs: {head: [sigmoid, softmax]}}"
        )
    workers = choose_workers(n_workers, scheduler, data_folder(suite, data_dir))
    # One worker trains in this process, and needs no storage.
    storage_url = None if is_in_process(workers, suite) else resolve_storage(storage)
    with (
        store_errors(),
        open_study(
            suite,
            progress,
            workers,
            tracking_uri=tracking_uri,
            storage_url=storage_url,
            out=out,
            n_replicates=n_replicates or suite.confirm.n_replicates,
        ) as study,
        nullcontext()
        if storage_url is None
        else closing(StudyStore(suite, storage_url)) as store,
    ):
        return confirm_study(study, store, n_best=n_best, n_replicates=n_replicates)


def confirm_study(
    study: OpenStudy,
    store: StudyStore | None,
    *,
    n_best: int | None = None,
    n_replicates: int | None = None,
    sweep_run_id: str | None = None,
) -> Analysis | None:
    """Confirm an open study, write its report and log the winner's model.

    Parameters
    ----------
    store : StudyStore or None
        The trials' database, needed for several workers.
    sweep_run_id : str or None
        Run of the sweep that started the confirmation; the report is logged with it,
        too.
    """
    suite, progress, tracker = study.suite, study.progress, study.tracker
    if suite.confirm is None:
        raise TypeError("a confirmation needs a suite with a confirm section")
    n_best = suite.confirm.n_best if n_best is None else n_best
    n_replicates = n_replicates or suite.confirm.n_replicates
    results = None
    if len(suite.space) and n_best:
        progress.doing("loading the search from MLflow")
        results = load_results(tracker.tracking_uri, suite)
        if left_out := describe_left_out(results.left_out):
            progress.say(f"warning: {left_out}")
    candidates = choose_candidates(suite, results, n_best)
    too_few = f" (too few for verdicts, which need {MIN_SEEDS})"
    progress.say(
        f"confirming {count(len(candidates), 'configuration')} on "
        f"{count(n_replicates, 'fresh seed')}"
        + (too_few if n_replicates < MIN_SEEDS else "")
        + ": "
        + "; ".join(candidate.label for candidate in candidates)
    )
    outcome = confirm_candidates(
        study.prepared,
        tracker,
        progress,
        candidates,
        n_replicates=n_replicates,
        parent_run_id=sweep_run_id,
        workers=study.workers,
        store=store,
    )
    if outcome.interrupted:
        raise stopped(outcome.n_finished, outcome.n_total)
    run_id = outcome.run_id
    analysis = study.report(*[run_id, sweep_run_id] if sweep_run_id else [run_id])
    if analysis is not None:
        # Otherwise the next start logs the model.
        try:
            log_winners_model(study.prepared, tracker, progress, analysis, run_id)
        except TrialFailed as error:
            progress.say(f"the winner's model is not logged: {error}")
    return analysis


def is_confirmed(analysis: Analysis) -> bool:
    """Whether the first of `choose_candidates`, the search's best, is confirmed."""
    results = analysis.results
    confirmed = {contender.key for contender in analysis.contenders}
    # Among several that tie for the best, always the same one.
    first = choose_candidates(results.suite, results, n_best=1)[0]
    return first.config.config_id in confirmed


def choose_candidates(
    suite: Suite, results: Results | None, n_best: int
) -> list[Candidate]:
    """Return the candidates: the search's best, the references, and their pairs.

    Parameters
    ----------
    results : Results or None
        Of the search; None where the suite has no search.
    n_best : int
        Configurations to take from the search, by validation objective.

    Raises
    ------
    SuiteError
        There is nothing to confirm.
    """
    chosen = [] if results is None else _best_of_search(results, n_best)
    chosen += [
        Candidate(config, suite.name_of(config), "reference", name)
        for name, config in suite.references.items()
    ]
    # A trial that is also another one's pair has its trial name.
    names = {} if results is None else results.names
    flipped = []
    for base in chosen:
        for config in suite.pairs_of(base.config):
            label = names.get(config.config_id) or suite.name_of(
                config, base.trial, pair_of=base.config
            )
            flipped.append(Candidate(config, label, "pair"))
    distinct = {c.config.config_id: c for c in reversed([*chosen, *flipped])}
    if not distinct:
        raise SuiteError(
            f"{suite.name}: nothing to confirm: no complete trial of the search was "
            f"taken (best {n_best} asked for) and the suite has no reference; ask for "
            "--best 1 or more, or run `lstm-bench sweep` first"
        )
    return list(reversed(distinct.values()))


def _best_of_search(results: Results, n_best: int) -> list[Candidate]:
    runs = trial_runs(results)
    scores = runs[OBJECTIVE].to_numpy(dtype=float)
    ranked = runs.iloc[results.suite.metric.order(scores)]
    best = ranked.drop_duplicates("config_id").head(n_best)
    return [
        Candidate(
            config_of_row(row),
            results.names[row["config_id"]],
            "search",
            trial=int(row["trial"]),
        )
        for _, row in best.iterrows()
    ]


def confirm_candidates(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    candidates: Sequence[Candidate],
    *,
    n_replicates: int,
    parent_run_id: str | None = None,
    workers: Workers = ONE_HERE,
    store: StudyStore | None = None,
) -> ConfirmOutcome:
    """Train every candidate on replicates 1 to `n_replicates` and score test.

    Trainings of earlier commands count, and a later command may add replicates.
    Replicates are the outer loop, so that a stopped confirmation has complete pairs.
    The confirmation's MLflow run is closed; the caller makes verdicts and report.

    Parameters
    ----------
    store : StudyStore or None
        Queue of trainings for several workers; one worker needs none.

    Raises
    ------
    TrackingError
        A store failed, or has this study's runs on other data, or another command on
        this machine is confirming the same study.
    """
    with store_errors():
        return _Confirmation(
            prepared,
            tracker,
            progress,
            candidates,
            n_replicates,
            parent_run_id,
            workers,
            store,
        ).run()


@dataclass
class _Confirmation:
    prepared: Prepared
    tracker: Tracker
    progress: Progress
    candidates: Sequence[Candidate]
    n_replicates: int
    parent_run_id: str | None
    workers: Workers
    store: StudyStore | None

    def run(self) -> ConfirmOutcome:
        self.suite = self.prepared.suite
        if self.store is not None:
            self.store.check_whole()
            self._check_alone(self.store)
        close_orphaned_runs(self.tracker, self.suite.study_name)
        # Read once: the server may be unreachable later.
        self.known, left_out = parse_runs(self.tracker.runs_of(self.suite.study_name))
        say_left_out(left_out, self.progress)
        self._check_digest(self.known)
        requested = {
            (candidate.config.config_id, replicate)
            for candidate in self.candidates
            for replicate in range(1, self.n_replicates + 1)
        }
        self.done = requested & {
            (run.config.config_id, run.replicate)
            for run in self.known
            if isinstance(run, StoredTraining)
            and run.kind == "replicate"
            and run.state in ("complete", "failed")
        }
        self.total = len(requested)
        n_left = self.total - len(self.done)
        self.workers = as_many_as_needed(self.workers, n_left)
        self.run_id = self.tracker.start_session(
            "confirm",
            self.suite,
            self.prepared.about_data,
            self.prepared.about_machine,
            {
                "n_replicates": self.n_replicates,
                "n_candidates": len(self.candidates),
                "n_workers": self.workers.n,
            },
            self.parent_run_id,
        )
        test = self.prepared.dataset.test
        reviews = pd.DataFrame(
            {
                "length": test.lengths,
                "in_train": copies_in(test, self.prepared.dataset.train),
            }
        )
        self.tracker.log_test_reviews(self.run_id, reviews)
        self.progress.begin(self.total, len(self.done), self.workers.n)
        self.session = Session(
            kind="confirm",
            run_id=self.run_id,
            experiment_id=self.tracker.experiment_id,
            total=self.total,
        )
        try:
            if self.store is None or is_in_process(self.workers, self.suite):
                self._train_here()
            else:
                self._train_with(self.store)
        except KeyboardInterrupt:
            self.tracker.end_session(self.run_id, "KILLED")
            return self._outcome(interrupted=True)
        except BaseException:
            self.tracker.end_session(self.run_id, "FAILED")
            raise
        finally:
            self.progress.close()
        self.tracker.end_session(self.run_id, "FINISHED")
        return self._outcome(interrupted=False)

    def _outcome(self, interrupted: bool) -> ConfirmOutcome:
        return ConfirmOutcome(self.run_id, self._n_done(), self.total, interrupted)

    def _n_done(self) -> int:
        prefix = f"{self.run_id}/"
        names = [name for name in self.tickets.done() if name.startswith(prefix)]
        return len(self.done) + len(names)

    def _check_alone(self, store: StudyStore) -> None:
        for session in open_sessions(store, "confirm"):
            if is_here(session.owner) and not is_gone(session.owner):
                raise TrackingError(
                    f"another command is confirming {self.suite.study_name} on this "
                    "machine; wait for it, or join it: "
                    + command_line("worker", self.suite.study_name)
                )

    def _check_digest(self, known: Sequence[StoredRun]) -> None:
        digest = self.prepared.dataset.digest[:12]
        others = {
            run.dataset_digest
            for run in known
            if isinstance(run, StoredFit) and run.dataset_digest is not None
        } - {digest}
        if others:
            raise TrackingError(
                f"study {self.suite.study_name} was begun on other data (digest "
                f"{', '.join(sorted(others))}, now {digest}); give the same data, or "
                "another --tracking-uri to begin anew"
            )

    def _train_here(self) -> None:
        self.tickets = Tickets.in_memory()
        worker = Worker(self.prepared, self.tracker, self.progress, self.session)
        for replicate in range(1, self.n_replicates + 1):
            self._fit_baselines(replicate)
            self._put(replicate)
            worker.confirm(self.tickets, self._n_done)

    def _train_with(self, store: StudyStore) -> None:
        self.tickets = store.confirm
        recover(store, self.tracker)
        # Trainings queued by a killed command, which may have had other candidates.
        store.confirm.clear()
        for replicate in range(1, self.n_replicates + 1):
            self._put(replicate)

        def fit_baselines() -> None:
            for replicate in range(1, self.n_replicates + 1):
                self._fit_baselines(replicate)

        oversee(
            self.workers,
            store,
            self.tracker,
            self.session,
            self.progress,
            fit_baselines,
            self._n_done,
        )

    def _fit_baselines(self, replicate: int) -> None:
        track_baselines(
            self.prepared.at(replicate),
            self.tracker,
            self.run_id,
            self.progress,
            self.known,
            score_test=True,
        )

    def _put(self, replicate: int) -> None:
        """Queue the trainings of a replicate."""
        self.tickets.put_all(
            (
                f"{self.run_id}/{candidate.config.config_id}/{replicate}",
                candidate.config,
                {
                    "replicate": replicate,
                    "label": candidate.label,
                    "origin": candidate.origin,
                    "reference": candidate.reference,
                },
            )
            for candidate in self.candidates
            if (candidate.config.config_id, replicate) not in self.done
        )
