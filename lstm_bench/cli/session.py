"""What sweep, confirm and train share: data, tracker, confirmation, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm_bench.cli.output import (
    open_console,
    say,
    say_left_out,
    say_reading,
    say_waiting,
    stopped,
)
from lstm_bench.errors import LstmBenchError
from lstm_bench.masking import bare_url, mask_text
from lstm_bench.system.command_line import command_line
from lstm_bench.text import count

if TYPE_CHECKING:
    from lstm_bench.analysis.comparisons import Analysis
    from lstm_bench.search.study import StudyStore
    from lstm_bench.suites.config import TrialConfig
    from lstm_bench.suites.suite import Suite
    from lstm_bench.system.console import LastingConsole
    from lstm_bench.tracking.results import Results
    from lstm_bench.tracking.tracker import Tracker
    from lstm_bench.training.prepare import Prepared
    from lstm_bench.workers.options import Workers
    from lstm_bench.workers.progress import Progress


def make_report(
    names: tuple[str, ...],
    formats: tuple[str, ...],
    mlflow_url: str | None,
    tracking_uri: str | None,
    out: Path | None,
) -> None:
    """Write the report on one study, or on several side by side."""
    from lstm_bench.analysis.comparisons import analyse
    from lstm_bench.analysis.tables.studies import compare_studies
    from lstm_bench.report.render import write_report, write_sections
    from lstm_bench.report.studies.answers import study_answers, warnings
    from lstm_bench.report.studies.sections import build_study_sections, studies_page
    from lstm_bench.stores import store_errors
    from lstm_bench.system.folders import make_folder
    from lstm_bench.tracking.find import load_studies, report_name

    console = open_console()
    console.doing("loading the results from MLflow")
    with store_errors():
        results = load_studies(tracking_uri, names)
    if mlflow_url is not None:
        url = bare_url(mlflow_url)
        results = [replace(one, tracking_url=url) for one in results]
    folder = make_folder(out or Path("reports") / report_name(results, names), "--out")
    keep_whole_report(results, folder)
    console.doing("writing the report")
    if len(results) == 1:
        say_left_out(console, results[0])
        page = write_report(analyse(results[0]), folder, formats)
    else:
        compared = compare_studies([analyse(one) for one in results])
        for label, name in zip(compared.labels, names, strict=True):
            if label != name:
                say(console, f"{label}: {mask_text(name)}")
        for answer in study_answers(compared):
            say(console, f"{answer.question}: {answer.text}")
        for warning in warnings(compared):
            say(console, f"warning: {warning}")
        sections = build_study_sections(compared)
        page = write_sections(sections, studies_page(compared), folder, formats)
    say(console, f"report: {page}")
    end_if_poorer(results, page)


def keep_whole_report(results: Sequence[Results], folder: Path) -> None:
    """End the command where a report without lost files would replace another."""
    from lstm_bench.tracking.names import REPORT_FILES

    missing = next((one.missing for one in results if one.missing), None)
    if missing and any((folder / name).exists() for name in REPORT_FILES):
        raise LstmBenchError(
            f"no report: {missing}. The report in {folder} is left as it is. Bring the "
            "files back, delete those runs in MLflow, or write a report without them "
            "into another folder: lstm-bench report ... --out DIR"
        )


def end_if_poorer(results: Sequence[Results], page: Path) -> None:
    """End the command with an error where a report was made without lost files."""
    missing = next((one.missing for one in results if one.missing), None)
    if missing:
        raise LstmBenchError(f"{page} was made without what is lost: {missing}")


def load(suite: str) -> Suite:
    """Return the suite of a file or a name."""
    from lstm_bench.suites.suite import load_suite

    return load_suite(suite)


def describe_plan(suite: Suite, n_trials: int) -> str:
    """Return what a sweep will do, in one line."""
    parts = []
    if suite.references:
        parts.append(count(len(suite.references), "reference"))
    if len(suite.space):
        n = suite.space.n_configurations
        many = "a continuous space" if n is None else count(n, "configuration")
        parts.append(
            f"{count(n_trials, 'trial')} ({suite.search_text(n_trials)}) over {many} "
            f"of {', '.join(suite.space.axes)}"
        )
    plan = f"{' and '.join(parts)} on {suite.dataset.name}"
    if suite.confirm is not None:
        seeds = count(suite.confirm.n_replicates, "fresh seed")
        plan += f"; confirmed on {seeds}"
    return plan


def report_folder(suite: Suite, out: Path | None) -> Path:
    """Return the report's folder, made now: better to fail before the sweep."""
    from lstm_bench.system.folders import make_folder

    return make_folder(
        out if out is not None else Path("reports") / suite.name, "--out"
    )


def confirm_and_print(
    console: LastingConsole,
    prepared: Prepared,
    tracker: Tracker,
    n_best: int | None,
    n_replicates: int | None,
    parent_run_id: str | None,
    *,
    workers: Workers,
    store: StudyStore | None,
) -> str:
    """Run a confirmation round and return its run; ends the command if stopped."""
    from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS
    from lstm_bench.confirm import choose_candidates, run_confirm
    from lstm_bench.tracking.load import load_results
    from lstm_bench.workers.progress import make_progress

    suite = prepared.suite
    if suite.confirm is None:
        raise TypeError("a round needs a suite with a confirm section")
    n_best = suite.confirm.n_best if n_best is None else n_best
    n_replicates = n_replicates or suite.confirm.n_replicates
    results = None
    if len(suite.space) and n_best:
        console.doing("loading the search from MLflow")
        results = load_results(tracker.tracking_uri, suite)
        say_left_out(console, results)
    candidates = choose_candidates(suite, results, n_best)
    say(
        console,
        f"confirming {count(len(candidates), 'configuration')} on "
        f"{count(n_replicates, 'fresh seed')}"
        + (
            f" (too few for verdicts, which take {MIN_SEEDS})"
            if n_replicates < MIN_SEEDS
            else ""
        )
        + ": "
        + "; ".join(candidate.label for candidate in candidates),
    )
    outcome = run_confirm(
        prepared,
        tracker,
        make_progress(console),
        candidates,
        n_replicates=n_replicates,
        parent_run_id=parent_run_id,
        workers=workers,
        store=store,
    )
    if outcome.interrupted:
        say_waiting(console, tracker)
        stopped(console, outcome.n_finished, outcome.n_total)
    return outcome.run_id


def conclude(
    console: LastingConsole,
    named: str,
    tracker: Tracker,
    folder: Path,
    prepared: Prepared,
    *run_ids: str,
) -> Analysis | None:
    """Write the report and the verdicts, log them, and say the answer.

    Parameters
    ----------
    named : str
        The suite, as the command line names it.

    Returns
    -------
    Analysis or None
        None unless all is tracked: it is said what waits and what writes it.
    """
    suite = prepared.suite
    from lstm_bench.analysis.comparisons import analyse
    from lstm_bench.analysis.verdicts import answers, confirmation_summary
    from lstm_bench.report.render import write_report
    from lstm_bench.tracking.load import load_results
    from lstm_bench.tracking.server import is_away

    analysis = None
    console.doing("loading the results from MLflow")
    if tracker.catch_up() and workers_wrote_all(console, tracker, suite):
        try:
            analysis = analyse(load_results(tracker.tracking_uri, suite))
        except Exception as error:
            if not is_away(error):
                raise
    if analysis is None:
        say_waiting(console, tracker)
        say(
            console,
            "no report: it is made from what is tracked, and the tracking server does "
            "not answer; when it does and all is written: "
            + command_line("report", named),
        )
        return None
    console.doing("writing the report")
    keep_whole_report([analysis.results], folder)
    say_left_out(console, analysis.results)
    page = write_report(analysis, folder)
    end_if_poorer([analysis.results], page)
    for run_id in run_ids:
        tracker.log_report(run_id, folder)
        if analysis.contenders:
            tracker.log_verdicts(run_id, *confirmation_summary(analysis))
    if len(analysis.results.confirmed) and not analysis.contenders:
        say(console, "no training of the round was completed; the report says why")
    for answer in answers(analysis):
        say(console, f"{answer.question}: {answer.text}")
    say(console, f"report: {page}")
    return None if say_waiting(console, tracker) else analysis


def log_winner(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    analysis: Analysis | None,
    run_id: str,
) -> None:
    """Log the confirmed winner's model; the next start does, if the server is away."""
    from lstm_bench.confirm import log_winners_model
    from lstm_bench.errors import TrialFailed

    if analysis is None:
        return
    try:
        log_winners_model(prepared, tracker, progress, analysis, run_id)
    except TrialFailed as error:
        progress.say(f"the winner's model is not logged: {error}")


def is_confirmed(analysis: Analysis) -> bool:
    """Whether what a confirmation would take first is confirmed already."""
    from lstm_bench.confirm import choose_candidates

    results = analysis.results
    confirmed = {contender.key for contender in analysis.contenders}
    # One of several that tie for the best: the same one each time.
    first = choose_candidates(results.suite, results, n_best=1)[0]
    return first.config.config_id in confirmed


def workers_wrote_all(console: LastingConsole, tracker: Tracker, suite: Suite) -> bool:
    """Write what workers of this machine left behind, if the server takes it."""
    from lstm_bench.errors import TrackingError
    from lstm_bench.tracking.sync import sync

    try:
        sync(tracker.tracking_uri, suite.study_name)
    except TrackingError as error:
        say(console, str(error))
        return False
    return True


def open_tracker(
    console: LastingConsole, uri: str, suite: Suite, progress: Progress
) -> Tracker:
    """Return the study's tracker, with what earlier sessions left behind written."""
    from lstm_bench.tracking.artifacts import find_moves, record_moves
    from lstm_bench.tracking.sync import sync
    from lstm_bench.tracking.tracker import Tracker
    from lstm_bench.tracking.writer import operations_text

    earlier = sync(uri, suite.study_name)
    if earlier.n_operations:
        say(
            console,
            "written to the tracking server, which was away: "
            + operations_text(earlier.n_operations, earlier.n_runs),
        )
    tracker = Tracker(uri, suite.study_name, progress.say)
    moves = find_moves(uri)
    if moves:
        record_moves(uri, moves)
        say(
            console,
            f"the tracking store was moved or copied: its artifacts are in "
            f"{moves[0].new} now, no longer in {moves[0].old}, and so it has them now",
        )
    # A command that ends in an error says it, too.
    context = click.get_current_context()
    context.call_on_close(lambda: say_waiting(console, tracker))
    return tracker


def prepare_data(
    console: LastingConsole,
    suite: Suite,
    data_dir: Path | None,
    config: TrialConfig | None = None,
    n_replicates: int = 0,
) -> Prepared:
    """Load the data, and see that the engine that the suite asks for runs here."""
    from lstm_bench.packed.self_test import require_running
    from lstm_bench.training.prepare import prepare

    say_reading(suite.dataset.name)
    console.doing("loading the data")
    prepared = prepare(suite, data_dir, config, n_replicates)
    console.doing("seeing that the LSTM's engine runs here")
    require_running(suite.engine, lambda line: say(console, line))
    return prepared
