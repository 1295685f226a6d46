"""``lstm-bench sweep``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm_bench import __version__
from lstm_bench.cli.options import (
    as_in_suite,
    as_many_as_needed_here,
    chosen_workers,
    data_dir_option,
    out_option,
    storage_option,
    tracking_uri_option,
    worker_options,
)
from lstm_bench.cli.output import (
    open_console,
    say,
    say_data,
    say_waiting,
    stop_on_signal,
    stopped,
)
from lstm_bench.cli.session import (
    conclude,
    confirm_and_print,
    describe_plan,
    is_confirmed,
    load,
    log_winner,
    open_tracker,
    prepare_data,
    report_folder,
)
from lstm_bench.system.command_line import command_line

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("suite")
@data_dir_option
@click.option(
    "--trials",
    metavar="N",
    callback=as_in_suite("study", "n_trials"),
    help="Finished trials to reach in all. [default: as the suite says]",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    callback=as_in_suite("study", "timeout_s"),
    help="Seconds after which no further trial starts. [default: the suite's]",
)
@worker_options
@tracking_uri_option
@storage_option
@out_option
@click.option(
    "--confirm/--no-confirm",
    default=False,
    help="Then confirm the best few, where the suite declares it.",
)
def sweep(
    suite: str,
    data_dir: Path | None,
    trials: int | None,
    timeout: float | None,
    n_workers: int | None,
    backend: str | None,
    scheduler: str | None,
    tracking_uri: str | None,
    storage: str | None,
    out: Path | None,
    confirm: bool,
) -> None:
    """Run the study of SUITE and write its report.

    SUITE is a file, or the name of one in benchmarks/ or of one that
    `lstm-bench suites` lists as shipped. Started again, a study goes on where it
    stopped.
    """
    console = open_console()
    console.doing("starting MLflow and Optuna")
    workers = chosen_workers(n_workers, backend, scheduler, data_dir)
    workers = as_many_as_needed_here(workers, storage, tracking_uri)
    loaded = load(suite)
    n_trials = trials or loaded.study.n_trials
    say(
        console,
        f"lstm-bench {__version__}, suite {loaded.name}: "
        + describe_plan(loaded, n_trials),
    )
    n_replicates = loaded.confirm.n_replicates if confirm and loaded.confirm else 0
    prepared = prepare_data(console, loaded, data_dir, n_replicates=n_replicates)
    folder = report_folder(loaded, out)
    say_data(console, prepared)

    from lstm_bench.analysis.formatting import config_of_row, settings
    from lstm_bench.search.storage import resolve_storage
    from lstm_bench.search.study import StudyStore
    from lstm_bench.stores import store_errors
    from lstm_bench.sweep import run_sweep
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.progress import make_progress

    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        storage_url = resolve_storage(storage)
        signal.signal(signal.SIGTERM, stop_on_signal)
        progress = make_progress(console)
        tracker = open_tracker(console, uri, loaded, progress)
        store = StudyStore(loaded, storage_url)
        outcome = run_sweep(
            prepared,
            tracker,
            store,
            progress,
            n_trials=n_trials,
            timeout_s=timeout or loaded.study.timeout_s,
            workers=workers,
        )
        if outcome.interrupted:
            tracker.end_session(outcome.run_id, "KILLED")
            say_waiting(console, tracker)
            stopped(console, outcome.n_finished, outcome.n_total)
        # Closed first, so that the report is the one that can be rebuilt later.
        tracker.end_session(outcome.run_id, "FINISHED")
        if outcome.best is None:
            say(
                console,
                "no training was completed; the report says why each one failed",
            )
        else:
            say(
                console,
                f"best: {outcome.best.label} with validation {loaded.study.metric} "
                f"{outcome.best.value:.4f} (configuration {outcome.best.config_id})",
            )
        analysis = conclude(console, suite, tracker, folder, prepared, outcome.run_id)
        next_line = command_line("confirm", suite)
        if confirm and loaded.confirm is None:
            say(console, "no confirmation: the suite has no `confirm:` section")
        elif confirm and analysis is None:
            say(
                console,
                "no confirmation: it begins from what is tracked; when all is "
                f"written: {next_line}",
            )
        elif confirm and outcome.best is not None:
            run_id = confirm_and_print(
                console,
                prepared,
                tracker,
                None,
                None,
                outcome.run_id,
                workers=workers,
                store=store,
            )
            run_ids = (run_id, outcome.run_id)
            analysis = conclude(console, suite, tracker, folder, prepared, *run_ids)
            log_winner(prepared, tracker, progress, analysis, run_id)
        elif (
            loaded.confirm is not None
            and outcome.best is not None
            and not (analysis and is_confirmed(analysis))
        ):
            say(console, f"next, is it so? {next_line}")
        if analysis is not None:
            if loaded.confirm is None and outcome.best is not None:
                runs = analysis.results.runs
                best = runs[runs["config_id"] == outcome.best.config_id].iloc[0]
                words = settings(loaded, config_of_row(best))
                again = command_line("train", suite, *words)
                say(console, f"to train the best again and log its model: {again}")
            say(console, f"runs, curves and artifacts: {command_line('ui')}")
