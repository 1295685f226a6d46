"""``lstm-bench suites``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm_bench.cli.output import echo
from lstm_bench.errors import LstmBenchError
from lstm_bench.suites.cells import CELL_NAMES
from lstm_bench.system.command_line import command_line
from lstm_bench.text import count

if TYPE_CHECKING:
    from lstm_bench.suites.suite import Suite


@click.group(invoke_without_command=True)
@click.pass_context
def suites(context: click.Context) -> None:
    """List the suites; check, show or copy one.

    Listed are those that come with the package, those in benchmarks/, and those among
    the YAML files of the working directory. If one in benchmarks/ is not valid, it is
    listed with its first error, and the exit code is 2.
    """
    if context.invoked_subcommand is not None:
        return
    from lstm_bench.errors import SuiteError
    from lstm_bench.suites.files import SUITE_FOLDER, own_suites, shipped_suites
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.text import first_line

    here = sorted(Path().glob("*.yaml"))
    own, shipped = own_suites(), shipped_suites()
    n_invalid = 0
    for file in (*here, *own, *shipped):
        try:
            loaded = load_suite(file)
        except SuiteError as error:
            if file not in here:
                n_invalid += 1
                echo(f"{file.stem:12} not valid: {first_line(error)}")
            continue
        plan = describe_plan(loaded, loaded.study.n_trials, confirm=True)
        echo(f"{loaded.name:12} {plan}")
        echo(f"{'':12} {loaded.description.strip()}")
        echo(f"{'':12} {'shipped, ' if file in shipped else ''}in {file}")
    if shipped:
        echo(f"`lstm-bench suites copy {shipped[0].stem}` copies that suite here.")
    if n_invalid:
        raise LstmBenchError(
            f"{n_invalid} of {len(own)} suites in {SUITE_FOLDER}/ "
            f"{'is' if n_invalid == 1 else 'are'} not valid; `lstm-bench suites check "
            "FILE` shows all errors of one"
        )


@suites.command()
@click.argument("suite")
@click.argument("destination", required=False, type=click.Path(path_type=Path))
def copy(suite: str, destination: Path | None) -> None:
    """Copy SUITE, a name or a file, to edit it.

    DESTINATION is a folder or a new file. [default: the working directory]
    """
    from lstm_bench.suites.files import copy_suite, suite_file
    from lstm_bench.suites.suite import load_suite

    load_suite(suite)
    file = copy_suite(suite_file(suite), destination or Path())
    echo(f"{file} is written; edit it, then: {command_line('sweep', str(file))}")


@suites.command()
@click.argument("file")
def check(file: str) -> None:
    """Validate the suite FILE."""
    from lstm_bench.suites.suite import load_suite

    loaded = load_suite(file)
    plan = describe_plan(loaded, loaded.study.n_trials, confirm=True)
    echo(f"{file}: valid ({plan})")


@suites.command()
@click.argument("file")
def show(file: str) -> None:
    """Print the suite FILE with every default filled in."""
    from lstm_bench.suites.suite import load_suite

    loaded = load_suite(file)
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
        echo(f"configurations: {'infinitely many' if n is None else n}")
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
    parts = {
        "study": loaded.study,
        "confirm": loaded.confirm,
        "ensemble": loaded.ensemble,
    }
    for name, part in parts.items():
        echo(f"{name}:" if part else f"{name}: none")
        for key, value in (part.model_dump() if part else {}).items():
            echo(f"  {key}: {value}")


@suites.command()
@click.option(
    "--cell",
    default="lstm",
    show_default=True,
    type=click.Choice(list(CELL_NAMES)),
)
@click.option("--units", required=True, type=click.IntRange(1, 4096))
@click.option(
    "--inputs",
    required=True,
    type=click.IntRange(1),
    help="Numbers in a step: embedding_dim, or a series' channels.",
)
@click.option("--layers", default=1, show_default=True, type=click.IntRange(1, 8))
@click.option("--bidirectional", is_flag=True)
def units(cell: str, units: int, inputs: int, layers: int, bidirectional: bool) -> None:
    """Print the units with which cells have equal parameters.

    Each cell has most nearly as many recurrent parameters as --cell with --units; the
    embedding and the head are not counted.
    """
    from lstm_bench.suites.cells import equal_units, n_recurrent_parameters
    from lstm_bench.suites.schema import config_from

    given = {"cell": cell, "units": units, "num_layers": layers}
    config = config_from({}, {**given, "bidirectional": bidirectional}, "suites units")
    for other, name in CELL_NAMES.items():
        n_units = equal_units(config, other, inputs)
        equal = config.model_copy(update={"cell": other, "units": n_units})
        n = n_recurrent_parameters(equal, inputs)
        echo(f"{name:10} {count(n_units, 'unit'):>11}, {n:>11,} recurrent parameters")


def describe_plan(suite: Suite, n_trials: int, *, confirm: bool) -> str:
    """Return one line that describes what a sweep will do."""
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
    plan = f"{' and '.join(parts)} on {suite.data_name}"
    if confirm and suite.confirm is not None:
        plan += f"; confirmed on {suite.confirm.seeds_text(suite.confirm.n_replicates)}"
    return plan
