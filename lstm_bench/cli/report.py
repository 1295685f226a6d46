"""``lstm-bench report``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import (
    chosen_formats,
    http_url,
    or_empty,
    tracking_uri_option,
)
from lstm_bench.cli.output import open_console, say


@click.command()
@click.argument("names", metavar="STUDY...", nargs=-1, required=True)
@click.option(
    "--format",
    "formats",
    metavar="LIST",
    callback=chosen_formats,
    help="What to write, separated by commas: html, csv, md, latex. [default: all]",
)
@click.option(
    "--mlflow-url",
    metavar="URL",
    callback=http_url,
    help="MLflow server that rows link to. [default: the store, where it is one]",
)
@tracking_uri_option
@click.option(
    "--out",
    metavar="DIR",
    callback=or_empty(click.Path(path_type=Path)),
    help="Folder for the report. [default: reports/SUITE, or reports/A_vs_B]",
)
def report(
    names: tuple[str, ...],
    formats: tuple[str, ...],
    mlflow_url: str | None,
    tracking_uri: str | None,
    out: Path | None,
) -> None:
    """Rebuild the report on STUDY from MLflow alone, or compare several.

    STUDY is a suite, or a study's name as it stands in the store, such as
    imdb_small-1a2b3c4d: an earlier version of a suite. With @STORE after it, as in
    imdb_small@sqlite:///other/mlflow.db, it is read from another tracking store:
    another machine, another day.

    Two or more are set side by side, with differences, intervals and warnings where
    data, protocols, machines or code differ.
    """
    from lstm_bench.report.write import report_studies
    from lstm_bench.system.garbage import collector_paused

    console = open_console()
    console.doing("loading the results from MLflow and writing the report")
    with collector_paused():
        report_studies(
            names,
            tracking_uri=tracking_uri,
            out=out,
            formats=formats,
            mlflow_url=mlflow_url,
            say=lambda line: say(console, line),
        )
