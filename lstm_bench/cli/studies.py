"""``lstm-bench studies``."""

from __future__ import annotations

import click

from lstm_bench.cli.options import tracking_uri_option
from lstm_bench.cli.output import echo


@click.command()
@tracking_uri_option
def studies(tracking_uri: str | None) -> None:
    """List the studies in an MLflow store.

    With the number of trials that ended, the state of the latest command, and the best
    validation score. `lstm-bench report` takes the names. Nothing is written.
    """
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.find import list_studies, studies_table
    from lstm_bench.tracking.stored_runs import describe_left_out, left_out_frame

    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        entries, left_out = list_studies(uri)
    for line in studies_table(entries):
        echo(line)
    if not entries:
        echo("the store holds no study; run `lstm-bench sweep` first")
    note = describe_left_out(left_out_frame(left_out))
    if note is not None:
        echo(f"warning: {note}")
