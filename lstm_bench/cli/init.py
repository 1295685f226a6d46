"""``lstm-bench init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lstm_bench.cli.data import echo_findings
from lstm_bench.cli.options import TIME
from lstm_bench.cli.output import echo, filled
from lstm_bench.errors import LstmBenchError
from lstm_bench.system.command_line import command_line
from lstm_bench.text import quoted


def _assignments(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Parse ``field=value``, each value as in YAML."""
    import yaml

    from lstm_bench.suites.yaml_file import safe_yaml

    found: dict[str, Any] = {}
    for value in values:
        name, sign, text = value.partition("=")
        try:
            found[name.strip()] = safe_yaml(text)
        except yaml.YAMLError:
            sign = ""
        if not sign:
            raise click.BadParameter(
                f"expected field=value, such as shape=[28,28], got {quoted(value)}",
                context,
                option,
            )
    return found


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--text", metavar="COL", help="Column of the texts.")
@click.option("--label", metavar="COL", help="Column of the classes.")
@click.option("--split", metavar="COL", help="Column with train, validation, test.")
@click.option("--group", metavar="COL", help="Column whose values stay in one part.")
@click.option("--time", metavar="COL", help="Column whose order the parts follow.")
@click.option("--test", metavar="FILE", help="File of the test part.")
@click.option("--format", metavar="NAME", help="Format of the file. [default: by name]")
@click.option(
    "--tokens",
    metavar="HOW",
    help="words, words_and_punctuation, whitespace, characters.",
)
@click.option(
    "--set",
    "others",
    metavar="FIELD=VALUE",
    multiple=True,
    callback=_assignments,
    help="Another field of `dataset:` for files, such as shape=[28,28].",
)
@click.option(
    "--budget",
    "budget_s",
    metavar="TIME",
    default="30m",
    show_default=True,
    type=TIME,
    help="Time for `sweep --confirm` on this machine.",
)
@click.option(
    "--out",
    metavar="SUITE",
    type=click.Path(path_type=Path),
    help="The suite's file. [default: beside FILE, named after it, .yaml]",
)
def init(
    file: Path,
    others: dict[str, Any],
    budget_s: float,
    out: Path | None,
    **columns: str | None,
) -> None:
    """Look at FILE, your own labelled texts or series, and write a suite for it.

    Columns, classes and lengths are inferred; one short training on this machine tells
    how many trials and seeds fit the budget. An existing suite is never overwritten.
    """
    from lstm_bench.data.dataset import VECTORS
    from lstm_bench.init.init import init as write_suite

    twice = sorted(name for name in others if columns.get(name) is not None)
    if twice:
        raise LstmBenchError(
            f"--set {twice[0]}: given by --{twice[0]}, too; leave one out"
        )
    done = write_suite(
        file, {**columns, **others}, budget_s, out, lambda line: echo(line, err=True)
    )
    echo(filled(done.dataset.description))
    echo(
        filled(
            "What was taken for what, and what is proposed (why; the option of init "
            "that changes it):"
        )
    )
    section = ""
    for choice in done.choices:
        if choice.section != section:
            section = choice.section
            echo(f"{section}:")
        about = "; ".join(filter(None, (choice.why, choice.option)))
        echo(filled(f"{choice}  ({about})" if about else str(choice), "  "))
    plan = done.plan
    echo(
        filled(
            f"about {plan.total_s / 60:.0f} of {budget_s / 60:g} minutes on this "
            f"machine: {plan.search_s / 60:.1f} for the search, "
            f"{plan.confirm_s / 60:.1f} to confirm, {plan.others_s / 60:.1f} for "
            "baselines, starts and reports"
        )
    )
    echo_findings(done.findings)
    suite = str(done.file)
    echo(f"{suite} is written. To change a value, edit it, or give the option above")
    echo(f"the data once more: {command_line('data check', suite)}")
    echo(f"search and confirm: {command_line('sweep', suite, '--confirm')}")
    example = "--file NEW.csv" if done.dataset.kind == VECTORS else '"a new text"'
    echo(f"use the winner: lstm-bench predict {done.file.stem} {example}")
