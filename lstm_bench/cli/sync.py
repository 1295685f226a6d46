"""``lstm-bench sync``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from lstm_bench.cli.options import tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.text import count

if TYPE_CHECKING:
    from lstm_bench.tracking.outbox import Record


@click.command()
@tracking_uri_option
@click.option(
    "--skip-refused",
    is_flag=True,
    help="Give up runs that the server refuses, such as one that was deleted.",
)
def sync(tracking_uri: str | None, skip_refused: bool) -> None:
    """Write to MLflow the finished runs that wait for it on this machine.

    A run that ended while the server was unreachable is kept on this machine, and
    written when the server answers again, by the same command or the next one on the
    same study. This command does it now, for every server unless one is named.
    """
    from lstm_bench.report.figures.training import draw_training
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.outbox import known_stores
    from lstm_bench.tracking.outbox import sync as write_waiting

    console = open_console()
    asked = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    stores = [asked] if asked else known_stores()
    if not stores:
        say(console, "no run waits for any tracking server")

    def skip(record: Record, why: str) -> None:
        say(console, f"given up: {record.name}, which the server refuses ({why})")

    for store in stores:
        with store_errors():
            uri = resolve_tracking_uri(store, create=False)
            n = write_waiting(uri, draw_training, skip=skip if skip_refused else None)
        where = f" to {store}" if len(stores) > 1 else ""
        say(console, f"written{where}: {count(n, 'run')}; nothing is left")
