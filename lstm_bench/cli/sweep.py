"""``lstm-bench sweep``."""

from __future__ import annotations

from typing import Any

import click

from lstm_bench import __version__
from lstm_bench.cli.options import TIME, as_in_suite, or_empty, study_options
from lstm_bench.cli.output import announce_reading, open_console, say
from lstm_bench.cli.suites import describe_plan
from lstm_bench.system.command_line import command_line


@click.command()
@click.argument("suite")
@click.option(
    "--trials",
    metavar="N",
    callback=as_in_suite("study", "n_trials"),
    help="Finished trials to reach in total. [default: the suite's]",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    callback=as_in_suite("study", "timeout_s"),
    help="Seconds after which no trial starts. [default: the suite's]",
)
@click.option(
    "--confirm/--no-confirm",
    default=False,
    help="Then run the suite's confirmation, if it has one.",
)
@click.option(
    "--budget",
    "budget_s",
    metavar="TIME",
    callback=or_empty(TIME),
    help="Time that the command should take, such as 45m or 2h: limits trials, and "
    "seeds of the confirmation.",
)
@study_options
def sweep(
    suite: str,
    trials: int | None,
    timeout: float | None,
    confirm: bool,
    budget_s: float | None,
    **shared: Any,
) -> None:
    """Search the hyperparameter space of SUITE and write a report.

    SUITE is a YAML file, or the name of one that `lstm-bench suites` lists. The same
    command resumes a study that was stopped.
    """
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.workers.fork_server import start_fork_server

    console = open_console()
    console.doing("starting MLflow and Optuna")
    loaded = load_suite(suite)
    n_trials = trials or loaded.study.n_trials
    plan = describe_plan(loaded, n_trials, confirm=confirm)
    say(console, f"lstm-bench {__version__}, suite {loaded.name}: {plan}")
    announce_reading(loaded.dataset.name, loaded.data_name)
    if shared["scheduler"] is None:
        start_fork_server()

    from lstm_bench.analysis.formatting import config_of_row, settings
    from lstm_bench.sweep import run_sweep
    from lstm_bench.workers.progress import make_progress

    done = run_sweep(
        loaded,
        make_progress(console),
        n_trials=trials,
        timeout_s=timeout,
        confirm=confirm,
        budget_s=budget_s,
        **shared,
    )
    if done.analysis is None:
        say(console, f"when everything is tracked: {command_line('report', suite)}")
    if confirm and loaded.confirm is None:
        say(console, "no confirmation: the suite has no `confirm:` section")
    elif done.is_confirmation_due:
        say(console, f"to confirm the best: {command_line('confirm', suite)}")
    if done.analysis is None:
        return
    if loaded.confirm is None and done.best is not None:
        runs = done.analysis.results.runs
        best = runs[runs["config_id"] == done.best.config_id].iloc[0]
        words = settings(loaded, config_of_row(best))
        again = command_line("train", suite, *words)
        say(console, f"to train the best again and log its model: {again}")
    say(console, f"runs, curves and artifacts: {command_line('ui')}")
