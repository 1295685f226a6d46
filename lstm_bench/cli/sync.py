"""``lstm-bench sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lstm_bench.cli.options import tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.errors import LstmBenchError
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
    same study. This command does it now.
    """
    from lstm_bench.report.figures.training import draw_training
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.outbox import known_stores, store_to_sync
    from lstm_bench.tracking.outbox import sync as write_waiting

    console = open_console()
    uri = store_to_sync(tracking_uri)
    if uri is None:
        say(console, "no run waits for any tracking server")
        return

    def skip(record: Record, why: str) -> None:
        say(console, f"given up: {record.name}, which the server refuses ({why})")

    with store_errors():
        uri = resolve_tracking_uri(uri, create=False)
        done = write_waiting(uri, draw_training, skip=skip if skip_refused else None)
    rest = "running commands have the rest" if done.n_in_use else "nothing is left"
    say(console, f"written: {count(done.n_runs, 'run')}; {rest}")
    others = known_stores()
    if others:
        say(console, f"runs also wait for --tracking-uri {', '.join(others)}")
    if done.n_in_use:
        raise LstmBenchError(
            f"{count(done.n_in_use, 'command')} still running here; each writes its "
            "own runs when the server answers"
        )
