"""``lstm-bench doctor``."""

from __future__ import annotations

from typing import Any

import click

from lstm_bench.cli.options import data_dir_option, storage_option, tracking_uri_option
from lstm_bench.cli.output import open_console, say


@click.command()
@click.argument("suite", required=False)
@data_dir_option
@tracking_uri_option
@storage_option
@click.option("--fix", is_flag=True, help="Repair what can be repaired.")
def doctor(suite: str | None, **options: Any) -> None:
    """Check this machine, and the stores of SUITE's study.

    Without SUITE it prints versions and settings for a bug report. With SUITE it also
    compares the study's MLflow runs, Optuna trials and data: runs and trials of
    processes that are gone, trials without runs, runs without files. Exit code 1 if a
    problem is left.
    """
    from lstm_bench.doctor import examine
    from lstm_bench.suites.suite import load_suite

    console = open_console()
    findings = examine(
        None if suite is None else load_suite(suite),
        say=lambda line: say(console, line),
        **options,
    )
    for finding in findings:
        hint = " (--fix repairs it)" if finding.is_repairable else ""
        say(console, f"- {finding.text}{hint}")
    if findings:
        raise SystemExit(1)
    say(console, "no problem was found")
