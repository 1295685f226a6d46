"""``lstm-bench explain``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import data_dir_option, or_empty, tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.errors import LstmBenchError


@click.command()
@click.argument("name")
@click.argument("text", required=False)
@click.option(
    "--file",
    metavar="FILE",
    callback=or_empty(click.Path(path_type=Path)),
    help="File with one text; of series, a CSV with a row per step and a column per "
    "channel; of forecasts, a file with one series like the study's.",
)
@click.option(
    "--example",
    metavar="N",
    callback=or_empty(click.IntRange(min=0)),
    help="Example N of the test set, from 0, as in the report's tables.",
)
@click.option(
    "--seeds",
    "n_seeds",
    metavar="N",
    callback=or_empty(click.IntRange(min=1, max=100)),
    help="Compare the models of N seeds of the confirmation; those that are not logged "
    "are trained once more. [default: those that are logged]",
)
@click.option(
    "--points",
    "n_points",
    metavar="N",
    callback=or_empty(click.IntRange(min=2, max=1000)),
    help="Points at which integrated gradients take the gradient. [default: 50]",
)
@click.option(
    "--step",
    metavar="K",
    callback=or_empty(click.IntRange(min=1)),
    help="Of forecasts, explain the K-th step ahead. [default: the mean of all]",
)
@click.option(
    "--out",
    metavar="FILE",
    callback=or_empty(click.Path(path_type=Path)),
    help="Page to write, with a JSON of the same name beside it. [default: "
    "reports/SUITE/explained.html]",
)
@data_dir_option
@tracking_uri_option
def explain(
    name: str,
    text: str | None,
    file: Path | None,
    example: int | None,
    n_seeds: int | None,
    n_points: int | None,
    step: int | None,
    out: Path | None,
    data_dir: Path | None,
    tracking_uri: str | None,
) -> None:
    """Show what the model called NAME makes of one TEXT, word by word, on a page.

    NAME is as for `lstm-bench predict`: a suite, or SUITE:CONFIGURATION, also a
    baseline. The page has the probability, number or forecast after each word or step,
    those it rests on by two measures, the gates and the memory of the units, and
    whether other seeds agree.

    lstm-bench explain reviews "what a film"

    lstm-bench explain reviews --example 17 --seeds 3

    lstm-bench explain co2 --file co2.csv --step 26
    """
    from lstm_bench.explain_by_name import (
        Given,
        check_out,
        explain_by_name,
        write_explanation,
    )
    from lstm_bench.explaining.explanation import N_POINTS
    from lstm_bench.explaining.page import answer
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.progress import make_progress

    n_given = sum(each is not None for each in (text, file, example))
    if n_given != 1:
        raise LstmBenchError(
            f"explain: expected one of TEXT, --file and --example, got {n_given}; for "
            f"example lstm-bench explain {name} --example 0"
        )
    check_out(out)
    console = open_console(err=True)
    progress = make_progress(console)
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        found = explain_by_name(
            uri,
            name,
            Given(text, file, example),
            progress,
            n_seeds=n_seeds,
            n_points=n_points or N_POINTS,
            step=step,
            data_dir=data_dir,
        )
    progress.doing("writing the page")
    page, data = write_explanation(found, out)
    say(console, found.why)
    say(console, answer(found))
    say(console, f"page: {page}")
    say(console, f"data: {data}")
