"""Open a study for training: data, stores and tracker; write its report at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lstm_bench.analysis.comparisons import Analysis, analyse
from lstm_bench.analysis.verdicts import answers, confirmation_summary
from lstm_bench.errors import TrackingError
from lstm_bench.packed.self_test import require_running
from lstm_bench.report.render import write_report
from lstm_bench.report.write import end_if_poorer, keep_whole_report
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.system.command_line import command_line
from lstm_bench.system.environment import bytecode_advice
from lstm_bench.system.folders import make_folder
from lstm_bench.text import count, listed
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.artifacts import find_moves, record_moves
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.server import is_away
from lstm_bench.tracking.stored_runs import describe_left_out
from lstm_bench.tracking.sync import sync
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.tracking.writer import operations_text
from lstm_bench.training.check import check_data
from lstm_bench.training.prepare import Prepared, prepare
from lstm_bench.workers.dask_pool import find_cluster
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Progress


@dataclass(frozen=True)
class OpenStudy:
    """The data, tracker and workers of a sweep or a confirmation.

    Attributes
    ----------
    folder : Path
        Folder of the report.
    """

    prepared: Prepared
    tracker: Tracker
    workers: Workers
    folder: Path
    progress: Progress

    @property
    def suite(self) -> Suite:
        """The study's suite."""
        return self.prepared.suite

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
        progress.doing("loading the results from MLflow")
        analysis = self._analyse()
        if analysis is None:
            say_waiting(tracker, progress)
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
        return None if say_waiting(tracker, progress) else analysis

    def _analyse(self) -> Analysis | None:
        """Return the analysis; None while results are not yet written to the server."""
        if not self.tracker.catch_up():
            return None
        try:
            # Results that this machine's workers could not write.
            sync(self.tracker.tracking_uri, self.suite.study_name)
        except TrackingError as error:
            self.progress.say(str(error))
            return None
        try:
            return analyse(load_results(self.tracker.tracking_uri, self.suite))
        except Exception as error:
            if not is_away(error):
                raise
            return None


@contextmanager
def open_study(
    suite: Suite,
    progress: Progress,
    workers: Workers,
    *,
    tracking_uri: str | None,
    storage_url: str | None,
    out: Path | None,
    n_replicates: int,
) -> Iterator[OpenStudy]:
    """Check the stores, load the data and open the tracker of a study.

    Parameters
    ----------
    storage_url : str or None
        From `resolve_storage`; None where the trials' database is not used.
    out : Path or None
        Folder of the report, created now; None is ``reports/SUITE``.
    n_replicates : int
        Replicates of a planned confirmation, whose splits are checked now.

    Raises
    ------
    LstmBenchError
        A store, the cluster, the data, the engine or the report's folder cannot be
        used.
    """
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        if workers.scheduler is not None and storage_url is not None:
            workers = find_cluster(workers, storage_url, uri)
        prepared = load_data(suite, workers.data_dir, progress, n_replicates)
        folder = make_folder(report_folder(suite, out), "--out")
        dataset, splits = prepared.dataset, prepared.splits
        progress.say(
            f"{dataset.name}: {len(splits.train):,} training and "
            f"{len(splits.val):,} validation {dataset.examples} "
            f"({dataset.source})"
        )
        say_start(progress)
        with open_tracker(uri, suite, progress) as tracker:
            yield OpenStudy(prepared, tracker, workers, folder, progress)


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
    progress.say("starting TensorFlow and MLflow (10-20 s) ...")
    progress.doing("starting TensorFlow and MLflow")


@contextmanager
def open_tracker(uri: str, suite: Suite, progress: Progress) -> Iterator[Tracker]:
    """Open a study's tracker, and write the results that earlier commands could not.

    Results still not written at the end are shown, even after an error.
    """
    earlier = sync(uri, suite.study_name)
    if earlier.n_operations:
        progress.say(
            "written to the tracking server, which was unreachable: "
            + operations_text(earlier.n_operations, earlier.n_runs)
        )
    tracker = Tracker(uri, suite.study_name, progress.say)
    if moves := find_moves(uri):
        record_moves(uri, moves)
        progress.say(
            f"the tracking store was moved or copied: its artifacts are in "
            f"{moves[0].new}, no longer in {moves[0].old}; the store is updated"
        )
    try:
        yield tracker
    finally:
        say_waiting(tracker, progress)


def say_waiting(tracker: Tracker, progress: Progress) -> bool:
    """Show and release the results not yet written to the server; return if any."""
    waiting = tracker.writer.waiting
    if waiting is None:
        return False
    progress.say(waiting.describe(tracker.tracking_uri))
    tracker.writer.close()
    return True


def stopped(n_finished: int, n_total: int) -> KeyboardInterrupt:
    """Return the exception of a stopped study; its message has what is saved."""
    return KeyboardInterrupt(
        f"stopped: {n_finished} of {n_total} trainings are finished and saved; the "
        "same command resumes there"
    )
