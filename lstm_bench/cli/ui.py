"""``lstm-bench ui``."""

from __future__ import annotations

import click

from lstm_bench.cli.options import tracking_uri_option
from lstm_bench.cli.output import open_console, say


@click.command()
@tracking_uri_option
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. With any but a loopback address, everyone who reaches "
    "this machine can change the store.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on.",
)
def ui(tracking_uri: str | None, host: str, port: int) -> None:
    """Start MLflow's UI, and print the address of each study's charts."""
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.artifacts import find_moves
    from lstm_bench.ui import serve

    console = open_console()
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        if moves := find_moves(uri):
            say(
                console,
                f"the store was moved or copied: MLflow looks for its artifacts in "
                f"{moves[0].old}, but they are in {moves[0].new}; lstm-bench doctor "
                "SUITE --fix updates the store",
            )
        serve(uri, host, port, lambda text: say(console, text))
