"""Output of the commands: control characters are escaped, passwords masked."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from lstm_bench.masking import printable

if TYPE_CHECKING:
    from lstm_bench.system.console import LastingConsole


INTERRUPTED = 130


def announce_reading(name: str, options: Mapping[str, Any] | None = None) -> None:
    """Print a message on stderr that reading a dataset may take a minute.

    Parameters
    ----------
    options : mapping, optional
        The dataset's options, which name files of one's own.
    """
    from lstm_bench.data.registry import OWN_FILES, dataset_names, is_synthetic

    if name in dataset_names() and not is_synthetic(name):
        given = options or {}
        file = given.get("file") or given.get("train")
        shown = file if name == OWN_FILES and file else name
        echo(f"reading {shown} (up to a minute the first time) ...", err=True)


def open_console(err: bool = False) -> LastingConsole:
    """Return the console of this command, closed when it ends.

    Parameters
    ----------
    err : bool
        Whether it prints on standard error, for a command whose output is data.
    """
    from lstm_bench.system.console import LastingConsole

    console = LastingConsole(stderr=err)
    click.get_current_context().call_on_close(console.close)
    return console


def echo(text: str, err: bool = False) -> None:
    """Print a line, control characters escaped."""
    click.echo(printable(text), err=err)


def filled(text: str, indent: str = "") -> str:
    """Return `text` in lines of 80 characters, all but the first indented by two."""
    return fill(text, 80, initial_indent=indent, subsequent_indent=f"{indent}  ")


def say(console: LastingConsole, message: str) -> None:
    """Print a message without interpreting markup."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)
