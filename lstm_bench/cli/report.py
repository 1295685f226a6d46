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
    help="Formats to write, separated by commas: html, csv, md, latex. [default: all]",
)
@click.option(
    "--mlflow-url",
    metavar="URL",
    callback=http_url,
    help="MLflow server that links to runs lead to. [default: the store, if it is one]",
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
    """Write the report on one study, or on several side by side.

    Reports are made from MLflow alone. STUDY is a suite, or a study's name in MLflow,
    such as imdb_small-1a2b3c4d, for an earlier version of a suite. With @STORE after
    it, as in imdb_small@sqlite:///other/mlflow.db, it is read from another tracking
    store, such as another machine's.

    Two or more are compared: differences with intervals, and warnings where data,
    protocols, machines or code differ.
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
