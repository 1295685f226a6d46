"""``lstm-bench suites``."""

from __future__ import annotations

import click

from lstm_bench.cli.output import echo
from lstm_bench.cli.session import describe_plan, load
from lstm_bench.errors import LstmBenchError


@click.group(invoke_without_command=True)
@click.pass_context
def suites(context: click.Context) -> None:
    """List the suites in benchmarks/; check or show one.

    One that is not valid is listed with its first mistake, and ends the command with
    code 2 when all are listed.
    """
    if context.invoked_subcommand is not None:
        return
    from lstm_bench.errors import SuiteError
    from lstm_bench.suites.suite import SUITE_FOLDER, load_suite, suite_files
    from lstm_bench.text import first_line

    files = suite_files()
    if not files:
        raise LstmBenchError(
            f"{SUITE_FOLDER}/: no suites here; run in a checkout of lstm-bench, or "
            "give a suite's path to the commands"
        )
    n_invalid = 0
    for file in files:
        try:
            loaded = load_suite(file)
        except SuiteError as error:
            n_invalid += 1
            echo(f"{file.stem:12} not valid: {first_line(error)}")
            continue
        echo(f"{loaded.name:12} {describe_plan(loaded, loaded.study.n_trials)}")
        echo(f"{'':12} {loaded.description.strip()}")
    if n_invalid:
        raise LstmBenchError(
            f"{n_invalid} of {len(files)} suites in {SUITE_FOLDER}/ "
            f"{'is' if n_invalid == 1 else 'are'} not valid; `lstm-bench suites check "
            "FILE` shows all of what is wrong with one"
        )


@suites.command()
@click.argument("file")
def check(file: str) -> None:
    """Validate the suite FILE."""
    loaded = load(file)
    echo(f"{file}: valid ({describe_plan(loaded, loaded.study.n_trials)})")


@suites.command()
@click.argument("file")
def show(file: str) -> None:
    """Print what the suite FILE resolves to."""
    loaded = load(file)
    n = loaded.space.n_configurations
    echo(f"{loaded.name}: {loaded.description.strip()}")
    echo(f"study name: {loaded.study_name}")
    echo("dataset:")
    for key, value in loaded.dataset.model_dump().items():
        echo(f"  {key}: {value}")
    echo("space:" if len(loaded.space) else "space: none")
    for name, axis in loaded.space:
        echo(f"  {name}: {axis.describe()}")
    if len(loaded.space):
        echo(f"configurations: {'no end of them' if n is None else n}")
    echo("defaults:")
    for key, value in loaded.defaults.model_dump().items():
        if key not in loaded.space.axes:
            echo(f"  {key}: {value}")
    for label, config in loaded.references.items():
        base = loaded.defaults.model_dump()
        differs = {k: v for k, v in config.model_dump().items() if base[k] != v}
        echo(
            f"reference {label}: "
            + (", ".join(f"{k}={v}" for k, v in differs.items()) or "the defaults")
        )
    echo(f"engine: {loaded.engine}")
    parts = {"study": loaded.study, "confirm": loaded.confirm}
    for name, part in parts.items():
        echo(f"{name}:" if part else f"{name}: none")
        for key, value in (part.model_dump() if part else {}).items():
            echo(f"  {key}: {value}")
