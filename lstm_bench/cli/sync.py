"""``lstm-bench sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lstm_bench.cli.options import tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.errors import LstmBenchError
from lstm_bench.text import count

if TYPE_CHECKING:
    from lstm_bench.system.console import LastingConsole


@click.command()
@tracking_uri_option
@click.option(
    "--skip-refused",
    is_flag=True,
    help="Skip what the server refuses, such as writes to a run that was deleted.",
)
def sync(tracking_uri: str | None, skip_refused: bool) -> None:
    """Write to an MLflow server what waits for it on this machine.

    What could not be logged while the server was unreachable is saved on this machine,
    and logged when the server answers again, by the same command or the next one on
    the same study. This command does it now.
    """
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.server import is_server
    from lstm_bench.tracking.sync import store_to_sync
    from lstm_bench.tracking.sync import sync as write_waiting
    from lstm_bench.tracking.writer import operations_text

    console = open_console()
    uri = store_to_sync(tracking_uri)
    if uri is None:
        say(console, "nothing waits for any tracking server")
        return
    if not is_server(uri):
        with store_errors():
            resolve_tracking_uri(uri, create=False)
        say(console, "nothing waits for a database: it is written at once")
        say_servers_beside(console, uri)
        return

    def skip(operation: dict[str, Any], why: str) -> None:
        say(
            console,
            f"skipped: {operation['op']} of {operation.get('run', 'the experiment')}, "
            f"which the server refuses ({why})",
        )

    with store_errors():
        done = write_waiting(uri, skip=skip if skip_refused else None)
    say(
        console,
        f"written: {operations_text(done.n_operations, done.n_runs)}; "
        + (
            "nothing is left" if not done.n_in_use else "running commands have the rest"
        ),
    )
    say_servers_beside(console, uri)
    if done.n_in_use:
        raise LstmBenchError(
            f"left to commands that are running: {count(done.n_in_use, 'journal')}, "
            "which they write when the server answers"
        )


def say_servers_beside(console: LastingConsole, uri: str) -> None:
    """Print the other servers for which this machine has unwritten results."""
    from lstm_bench.tracking.sync import servers_beside

    others = servers_beside(uri)
    if others:
        say(console, f"something also waits for --tracking-uri {', '.join(others)}")
