"""``lstm-bench confirm``."""

from __future__ import annotations

from typing import Any

import click

from lstm_bench import __version__
from lstm_bench.cli.options import as_in_suite, study_options
from lstm_bench.cli.output import announce_reading, open_console, say
from lstm_bench.system.command_line import command_line


@click.command()
@click.argument("suite")
@click.option(
    "--best",
    metavar="K",
    callback=as_in_suite("confirm", "n_best"),
    help="Configurations to take from the search. [default: the suite's]",
)
@click.option(
    "--replicates",
    metavar="R",
    callback=as_in_suite("confirm", "n_replicates"),
    help="Fresh seeds to reach in total; not with the suite's until: settled. "
    "[default: the suite's]",
)
@study_options
def confirm(
    suite: str, best: int | None, replicates: int | None, **shared: Any
) -> None:
    """Retrain the best configurations on fresh seeds, and compare them.

    The best configurations of SUITE's search, its references and their pairs are
    trained on the same fresh seeds, and each model is scored on the test set once.
    The same command resumes a confirmation that was stopped.
    """
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.workers.fork_server import start_fork_server

    console = open_console()
    console.doing("starting MLflow and Optuna")
    loaded = load_suite(suite)
    say(console, f"lstm-bench {__version__}, confirmation of suite {loaded.name}")
    announce_reading(loaded.dataset.name, loaded.data_name)
    if shared["scheduler"] is None:
        start_fork_server()

    from lstm_bench.confirm import run_confirmation
    from lstm_bench.workers.progress import make_progress

    analysis = run_confirmation(
        loaded,
        make_progress(console),
        n_best=best,
        n_replicates=replicates,
        **shared,
    )
    if analysis is None:
        say(console, f"when everything is tracked: {command_line('report', suite)}")
