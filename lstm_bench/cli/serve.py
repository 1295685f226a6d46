"""``lstm-bench serve``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import data_dir_option, tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.cli.predict import ensemble_option, refit_option


@click.command()
@click.argument("name")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5001,
    show_default=True,
    help="Port to listen on.",
)
@refit_option
@ensemble_option
@data_dir_option
@tracking_uri_option
def serve(
    name: str,
    port: int,
    refit: bool,
    ensemble: bool,
    data_dir: Path | None,
    tracking_uri: str | None,
) -> None:
    """Serve the model called NAME over HTTP, on this machine alone.

    NAME is a suite, which means its confirmed winner, or SUITE:CONFIGURATION, as for
    `lstm-bench predict`. It is MLflow's scoring server: POST texts or series to
    /invocations, and a label and each class's probability come back. A line that
    works is printed once it answers; Ctrl-C stops it.

    lstm-bench serve reviews --port 5001
    """
    from contextlib import ExitStack

    from lstm_bench.classify import found_model
    from lstm_bench.serve import serve_model
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.models import read_about
    from lstm_bench.workers.progress import make_progress

    console = open_console()
    progress = make_progress(console)
    progress.doing("loading the results from MLflow")
    with ExitStack() as stack:
        with store_errors():
            uri = resolve_tracking_uri(tracking_uri, create=False)
            found = stack.enter_context(
                found_model(
                    uri,
                    name,
                    progress,
                    refit=refit,
                    ensemble=ensemble,
                    data_dir=data_dir,
                )
            )
        say(console, read_about(found.folder)["why"])
        console.doing(None)
        serve_model(found.folder, port, lambda line: say(console, line))
