"""``lstm-bench compare``."""

from __future__ import annotations

import click

from lstm_bench.cli.options import tracking_uri_option
from lstm_bench.cli.output import open_console, say


@click.command()
@click.argument("a")
@click.argument("b")
@tracking_uri_option
def compare(a: str, b: str, tracking_uri: str | None) -> None:
    """Compare two confirmed configurations, A and B, by a paired test.

    A and B are suites (their best confirmed configurations are compared), or
    SUITE:CONFIGURATION, where the configuration is a trial ("trial 7"), a reference
    ("small"), a baseline ("nb_lr"), a name from the report, or the first digits of an
    id. Such digits alone are enough, too.
    """
    from lstm_bench.compare_by_name import compare_by_name
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri

    console = open_console()
    console.doing("loading the results from MLflow")
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        comparison = compare_by_name(uri, a, b)
    for line in comparison.lines:
        say(console, line)
