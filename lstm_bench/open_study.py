"""Open a study for training: data, stores and tracker; write its report at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lstm_bench.analysis.comparisons import Analysis, analyse
from lstm_bench.analysis.verdicts import answers, confirmation_summary
from lstm_bench.data.embedding import coverage_text, file_text
from lstm_bench.packed.self_test import require_running
from lstm_bench.report.figures.training import draw_training
from lstm_bench.report.render import write_report
from lstm_bench.report.write import end_if_poorer, keep_whole_report
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.system.command_line import command_line
from lstm_bench.system.environment import bytecode_advice
from lstm_bench.system.folders import make_folder
from lstm_bench.text import count, listed
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.artifacts import find_moves, record_moves
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.outbox import sync
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.server import is_away
from lstm_bench.tracking.stored_runs import (
    StoredBaseline,
    StoredRun,
    describe_left_out,
    left_out_frame,
    parse_runs,
)
from lstm_bench.tracking.tracker import OpenRun, Tracker, seed_text
from lstm_bench.training.baselines import BaselineResult, baselines_of
from lstm_bench.training.check import check_data
from lstm_bench.training.prepare import SEARCH_REPLICATE, Prepared, prepare
from lstm_bench.workers.driver import Done, Driver, Plan, Task, open_driver
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Progress


@dataclass(frozen=True)
class OpenStudy:
    """The data, stores and driver of a sweep or a confirmation.

    Attributes
    ----------
    folder : Path
        Folder of the report.
    """

    prepared: Prepared
    tracker: Tracker
    store: StudyStore
    driver: Driver
    folder: Path
    progress: Progress

    @property
    def suite(self) -> Suite:
        """The study's suite."""
        return self.prepared.suite

    def known_runs(self) -> list[StoredRun]:
        """Return the study's runs; warn of those that cannot be read."""
        runs = self.tracker.runs_of(self.suite.study_name)
        known, left_out = parse_runs(runs)
        if text := describe_left_out(left_out_frame(left_out)):
            self.progress.say(f"warning: {text}")
        return known

    def run(self, plans: Iterable[Plan], session: OpenRun) -> None:
        """Run plans one after the other, and close the command's run.

        Each is asked for when the one before it has ended.

        Raises
        ------
        KeyboardInterrupt
            It was stopped; the message has what is saved.
        """
        n_done = total = 0
        try:
            for plan in plans:
                try:
                    self.driver.run(plan)
                finally:
                    n_done, total = plan.n_done, plan.total
        except KeyboardInterrupt:
            session.end("KILLED")
            raise KeyboardInterrupt(
                f"stopped: {n_done} of {total} trainings are finished and saved; the "
                "same command resumes there"
            ) from None
        except BaseException:
            session.end("FAILED")
            raise
        session.end("FINISHED")

    def training(
        self,
        config: TrialConfig,
        shown: str,
        session: OpenRun,
        *,
        kind: str,
        replicate: int = SEARCH_REPLICATE,
        score_test: bool = False,
        reference: str | None = None,
        n_subset: int | None = None,
        **tags: Any,
    ) -> Task:
        """Return the task of a training; `kind` and `tags` as in `Tracker.start_run`.

        Parameters
        ----------
        shown : str
            Its name in messages.
        session : OpenRun
            The command's run.
        """
        job = self.driver.job(
            replicate,
            config=config,
            n_subset=n_subset,
            score_test=score_test,
            explains=kind == "reference",
        )

        def open_run(prepared: Prepared, engine: str) -> OpenRun:
            return self.tracker.start_run(
                config,
                prepared,
                kind=kind,
                parent_run_id=session.run_id,
                engine=engine,
                reference=reference,
                n_subset=n_subset,
                **tags,
            )

        return Task(job, shown, open_run, reference or "")

    def baselines(
        self,
        session: OpenRun,
        known: Sequence[StoredRun],
        replicate: int,
        *,
        score_test: bool,
        n_subset: int | None = None,
    ) -> list[Task]:
        """Return the tasks of the baselines that are not complete for a replicate.

        Parameters
        ----------
        known : sequence of StoredRun
            The study's runs when the command began.
        """
        # One that would take too long is said to be skipped once.
        done = {
            run.baseline
            for run in known
            if isinstance(run, StoredBaseline)
            and run.state in ("complete", rec.SKIPPED)
            and (run.replicate, run.n_subset) == (replicate, n_subset)
            and (
                run.state == rec.SKIPPED or not score_test or run.test_scored == "true"
            )
        }
        data = self.prepared.dataset
        return [
            self._baseline(
                name, baseline.label, session, replicate, score_test, n_subset
            )
            for name, baseline in baselines_of(data.kind, data.task).items()
            if name not in done
        ]

    def _baseline(
        self,
        name: str,
        label: str,
        session: OpenRun,
        replicate: int,
        score_test: bool,
        n_subset: int | None,
    ) -> Task:
        def open_run(prepared: Prepared, engine: str) -> OpenRun:
            return self.tracker.start_baseline(
                name, prepared, str(session.run_id), n_subset
            )

        seed = f", {self.seed_text(replicate, n_subset)}" if replicate else ""
        job = self.driver.job(
            replicate, baseline=name, n_subset=n_subset, score_test=score_test
        )
        return Task(job, f"baseline {label}{seed}", open_run)

    def seed_text(self, replicate: int, n_subset: int | None) -> str:
        """Return the words for a replicate: ``seed 1``, or ``seed 1, 500 reviews``."""
        return seed_text(replicate, n_subset, self.prepared.dataset.example)

    def say_baseline(self, task: Task, done: Done) -> None:
        """Show how a baseline ended."""
        result, metric = done.outcome.result, self.suite.metric
        if done.state == rec.SKIPPED:
            self.progress.say(f"{task.label} is not fitted: {done.reason}")
        if not isinstance(result, BaselineResult):
            return
        for note in result.notes:
            self.progress.say(note)
        val = result.predictions[0]
        self.progress.say(
            f"{task.label}: validation {metric.label} "
            f"{metric.fn(val.y_true, val.y_proba):{metric.form}}, fitted in "
            f"{result.train_time_s:.1f} s"
            + (" (from the cache)" if result.cached else "")
        )

    def report(self, *run_ids: str) -> Analysis | None:
        """Write the report, log it and the verdicts with each run, show the answers.

        Returns
        -------
        Analysis or None
            None while results are not yet written to the tracking server.

        Raises
        ------
        LstmBenchError
            Files of runs are lost, so the report is incomplete.
        """
        progress, tracker = self.progress, self.tracker
        self.driver.tick()
        progress.doing("loading the results from MLflow")
        analysis = self._analyse()
        if analysis is None:
            progress.say(
                "no report: it is made from what is tracked, and the tracking server "
                "does not answer"
            )
            return None
        progress.doing("writing the report")
        keep_whole_report([analysis.results], self.folder)
        if left_out := describe_left_out(analysis.results.left_out):
            progress.say(f"warning: {left_out}")
        page = write_report(analysis, self.folder)
        end_if_poorer([analysis.results], page)
        for run_id in run_ids:
            tracker.log_report(run_id, self.folder)
            if analysis.contenders:
                tracker.log_verdicts(run_id, *confirmation_summary(analysis))
        if len(analysis.results.confirmed) and not analysis.contenders:
            progress.say(
                "no training of the confirmation was completed; the report has the "
                "reasons"
            )
        for answer in answers(analysis):
            progress.say(f"{answer.question}: {answer.text}")
        progress.say(f"report: {page}")
        return analysis

    def write_again(self, *run_ids: str) -> None:
        """Write the report again and log it with each run, without a word."""
        self.progress.doing("writing the report")
        analysis = self._analyse()
        if analysis is not None:
            write_report(analysis, self.folder)
            for run_id in run_ids:
                self.tracker.log_report(run_id, self.folder)

    def results(self) -> Results | None:
        """Return the results; None while not all are written to the server."""
        if not self.tracker.catch_up():
            return None
        try:
            return load_results(self.tracker.tracking_uri, self.suite)
        except Exception as error:
            if not is_away(error):
                raise
            return None

    def _analyse(self) -> Analysis | None:
        results = self.results()
        return None if results is None else analyse(results)


@contextmanager
def open_study(
    suite: Suite,
    progress: Progress,
    command: str,
    workers: Workers,
    *,
    data_dir: Path | None,
    tracking_uri: str | None,
    storage: str | None,
    out: Path | None,
    n_replicates: int,
) -> Iterator[OpenStudy]:
    """Check the stores, load the data, and open the study for this command alone.

    Parameters
    ----------
    command : str
        Name of the command, for others that want the same study.
    storage : str or None
        As `resolve_storage` takes it.
    out : Path or None
        Folder of the report, created now; None is ``reports/SUITE``.
    n_replicates : int
        Replicates of a planned confirmation, whose splits are checked now.

    Raises
    ------
    LstmBenchError
        A store, the cluster, the data, the engine or the report's folder cannot be
        used, or another command works on the study.
    """
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        storage_url = resolve_storage(storage)
        prepared = load_data(suite, data_dir, progress, n_replicates)
        folder = make_folder(report_folder(suite, out), "--out")
        dataset, splits = prepared.dataset, prepared.splits
        progress.say(
            f"{suite.data_name}: {len(splits.train):,} training and "
            f"{len(splits.val):,} validation {dataset.examples} "
            f"({dataset.source})"
        )
        say_start(progress)
        with (
            closing(StudyStore(suite, storage_url)) as store,
            store.leased(command) as lease,
            open_tracker(uri, suite, progress) as tracker,
            open_driver(workers, prepared, tracker, progress, lease.check) as driver,
        ):
            yield OpenStudy(prepared, tracker, store, driver, folder, progress)


def report_folder(suite: Suite, out: Path | None) -> Path:
    """Return the folder of a study's report, by default ``reports/SUITE``."""
    return out or Path("reports") / suite.name


def load_data(
    suite: Suite,
    data_dir: Path | None,
    progress: Progress,
    n_replicates: int = 0,
    config: TrialConfig | None = None,
) -> Prepared:
    """Load and check the data, and check that the suite's engine runs here."""
    progress.doing("loading the data")
    prepared = prepare(suite, data_dir, config, n_replicates)
    if (embedding := prepared.about_data.get("embedding")) is not None:
        progress.say(f"embedding file: {file_text(embedding)}")
        for covered in embedding["coverage"]:
            progress.say(coverage_text(covered))
    progress.doing("checking the data")
    findings = check_data(suite, prepared.dataset, prepared.splits)
    if errors := [finding for finding in findings if finding.level == "error"]:
        progress.say(
            f"warning: {count(len(errors), 'error')} in the data "
            f"({listed(finding.text for finding in errors)}): "
            + command_line("data check", suite.path)
        )
    about = {**prepared.about_data, "check": [asdict(finding) for finding in findings]}
    prepared = replace(prepared, about_data=about)
    progress.doing("checking that the LSTM's engine runs here")
    require_running(suite.engine, progress.say)
    return prepared


def say_start(progress: Progress) -> None:
    """Show that opening the study takes some seconds."""
    if (advice := bytecode_advice()) is not None:
        progress.say(advice)
    progress.say("opening the stores ...")
    progress.doing("opening the stores")


@contextmanager
def open_tracker(uri: str, suite: Suite, progress: Progress) -> Iterator[Tracker]:
    """Open a study's tracker, and write the results that earlier commands could not.

    Results still not written at the end are shown, even after an error.
    """
    n_late = sync(uri, draw_training, suite.study_name)
    if n_late:
        progress.say(
            "written to the tracking server, which an earlier command did not reach: "
            + count(n_late, "run")
        )
    tracker = Tracker(uri, suite.study_name, progress.say, draw_training)
    if moves := find_moves(uri):
        record_moves(uri, moves)
        progress.say(
            f"the tracking store was moved or copied: its artifacts are in "
            f"{moves[0].new}, no longer in {moves[0].old}; the store is updated"
        )
    try:
        yield tracker
    finally:
        tracker.close()
