"""``lstm-bench register``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import data_dir_option, or_empty, tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.cli.predict import refit_option


@click.command()
@click.argument("name")
@click.argument("model_name")
@click.option(
    "--alias",
    metavar="ALIAS",
    callback=or_empty(click.STRING),
    help="Alias to move to the new version, such as champion. [default: none]",
)
@refit_option
@data_dir_option
@tracking_uri_option
def register(
    name: str,
    model_name: str,
    alias: str | None,
    refit: bool,
    data_dir: Path | None,
    tracking_uri: str | None,
) -> None:
    """Put the model called NAME into MLflow's model registry as MODEL_NAME.

    NAME is a suite, which means its confirmed winner, or SUITE:CONFIGURATION, as for
    `lstm-bench predict`. The new version has the suite, the study and each metric on
    test with its interval as tags.

    lstm-bench register reviews film-reviews --alias champion
    """
    from lstm_bench.register import register_model
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.models import read_about
    from lstm_bench.winner import find_logged_model
    from lstm_bench.workers.progress import make_progress

    console = open_console()
    progress = make_progress(console)
    progress.doing("loading the results from MLflow")
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        found = find_logged_model(uri, name, progress, refit=refit, data_dir=data_dir)
        registered = register_model(uri, found, model_name, alias)
    say(console, read_about(found.folder)["why"])
    say(
        console,
        f"version {registered.version} of {registered.name}: {registered.address}",
    )
