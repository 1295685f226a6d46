"""Run commands in this process, and read the commands that they print."""

from __future__ import annotations

import re
import shlex
import sys

import click

from lstm_bench.cli import main as cli


def run(*arguments: str) -> int:
    """Call the command line in this process; return its exit code."""
    original, sys.argv = sys.argv, ["lstm-bench", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as stopped:
        return int(stopped.code or 0)
    finally:
        sys.argv = original
    raise AssertionError("main returned")


def parsed(command: str) -> click.Context:
    """Return what the command line makes of a command that a shell was given."""
    program, name, *arguments = shlex.split(command)
    assert program == "lstm-bench"
    group = click.Context(cli.cli, info_name="lstm-bench")
    return cli.cli.commands[name].make_context(name, arguments, parent=group)


def hints(said: str) -> list[str]:
    """Return the commands that stand at the end of a line."""
    return re.findall(r"[:?] (lstm-bench .+)$", said, re.MULTILINE)
