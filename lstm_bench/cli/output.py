"""Output of the commands: control characters are escaped, passwords masked."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import click

from lstm_bench.masking import printable

if TYPE_CHECKING:
    from lstm_bench.system.console import LastingConsole


INTERRUPTED = 130


def announce_reading(name: str, shown: str | None = None) -> None:
    """Print a message on stderr that reading a dataset may take a minute.

    Parameters
    ----------
    shown : str or None
        Its name in the message, if that is not `name`.
    """
    from lstm_bench.data.registry import dataset_names, is_synthetic

    if name in dataset_names() and not is_synthetic(name):
        echo(f"reading {shown or name} (up to a minute the first time) ...", err=True)


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
