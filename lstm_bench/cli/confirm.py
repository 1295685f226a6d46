"""``lstm-bench confirm``."""

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
from lstm_bench.cli.output import open_console, say, say_data, stop_on_signal
from lstm_bench.cli.session import (
    conclude,
    confirm_and_print,
    load,
    log_winner,
    open_tracker,
    prepare_data,
    report_folder,
)
from lstm_bench.errors import LstmBenchError

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("suite")
@data_dir_option
@click.option(
    "--best",
    metavar="K",
    callback=as_in_suite("confirm", "n_best"),
    help="Configurations to take from the search. [default: as the suite says]",
)
@click.option(
    "--replicates",
    metavar="R",
    callback=as_in_suite("confirm", "n_replicates"),
    help="Fresh seeds to reach in all. [default: as the suite says]",
)
@worker_options
@tracking_uri_option
@storage_option
@out_option
def confirm(
    suite: str,
    data_dir: Path | None,
    best: int | None,
    replicates: int | None,
    n_workers: int | None,
    backend: str | None,
    scheduler: str | None,
    tracking_uri: str | None,
    storage: str | None,
    out: Path | None,
) -> None:
    """Train SUITE's best again on fresh seeds, score test, and give a verdict.

    The search's best configurations, the references and the pairs that the suite
    names are trained on the same fresh seeds and scored on the test set once each.
    Started again, the round goes on where it stopped.
    """
    console = open_console()
    console.doing("starting MLflow and Optuna")
    workers = chosen_workers(n_workers, backend, scheduler, data_dir)
    workers = as_many_as_needed_here(workers, storage, tracking_uri)
    loaded = load(suite)
    if loaded.confirm is None:
        raise LstmBenchError(
            f"{suite}: the suite has no `confirm:` section; add one, for example "
            "confirm: {n_best: 3, n_replicates: 5, pairs: {head: [sigmoid, softmax]}}"
        )
    say(console, f"lstm-bench {__version__}, confirmation of suite {loaded.name}")
    n_replicates = replicates or loaded.confirm.n_replicates
    prepared = prepare_data(console, loaded, data_dir, n_replicates=n_replicates)
    folder = report_folder(loaded, out)
    say_data(console, prepared)

    from lstm_bench.search.storage import resolve_storage
    from lstm_bench.search.study import StudyStore
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.options import is_in_process
    from lstm_bench.workers.progress import make_progress

    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        signal.signal(signal.SIGTERM, stop_on_signal)
        progress = make_progress(console)
        tracker = open_tracker(console, uri, loaded, progress)
        # One worker is told what to do within its process, and needs no storage.
        store = (
            None
            if is_in_process(workers, loaded)
            else StudyStore(loaded, resolve_storage(storage))
        )
        run_id = confirm_and_print(
            console,
            prepared,
            tracker,
            best,
            replicates,
            None,
            workers=workers,
            store=store,
        )
        analysis = conclude(console, suite, tracker, folder, prepared, run_id)
        log_winner(prepared, tracker, progress, analysis, run_id)
