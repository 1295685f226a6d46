"""``lstm-bench predict``."""

from __future__ import annotations

import math
import sys
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lstm_bench.cli.options import data_dir_option, or_empty, tracking_uri_option
from lstm_bench.cli.output import echo, open_console, say
from lstm_bench.errors import LstmBenchError

if TYPE_CHECKING:
    from lstm_bench.classify import NamedModel

N_SHOWN = 10

refit_option = click.option(
    "--refit",
    is_flag=True,
    help="The model trained once more on train and validation together, for the median "
    "of the epochs that the confirmation kept. [default: the model of the seed with "
    "the median validation score]",
)

ensemble_option = click.option(
    "--ensemble",
    is_flag=True,
    help="The mean of several seeds of the confirmation, as many as the suite's "
    "`ensemble` says. Models that are not logged yet are trained once more.",
)


@click.command()
@click.argument("name")
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option(
    "--file",
    metavar="FILE",
    callback=or_empty(click.Path(path_type=Path)),
    help="File with a text or series per row: CSV, TSV, JSON Lines, Parquet, a folder "
    "of texts, and the other formats of a suite's dataset.",
)
@click.option(
    "--text",
    metavar="COLUMN",
    callback=or_empty(click.STRING),
    help="Column of FILE with the texts. [default: the suite's, or inferred]",
)
@click.option(
    "--out",
    metavar="FILE",
    callback=or_empty(click.Path(path_type=Path)),
    help="File to write: .csv or .jsonl. [default: CSV on standard output]",
)
@refit_option
@ensemble_option
@data_dir_option
@tracking_uri_option
def predict(
    name: str,
    texts: tuple[str, ...],
    file: Path | None,
    text: str | None,
    out: Path | None,
    refit: bool,
    ensemble: bool,
    data_dir: Path | None,
    tracking_uri: str | None,
) -> None:
    """Predict the classes, or numbers, of texts or series with the model called NAME.

    NAME is a suite, which means the winner of its confirmation, or
    SUITE:CONFIGURATION: a trial ("trial 6"), a reference or a baseline ("nb_lr").
    Inputs are each TEXT, the rows of --file, or the lines of standard input. Rows keep
    their columns; `label` and the probability of each class, `p_CLASS`, are added, or
    `prediction` by a model of numbers. For a model of series, TEXT or line is a JSON
    list of steps.

    A model of forecasts gives the next values of each series of a FILE like the one of
    its study, a row for each series and step: `unique_id`, `ds`, `horizon` and
    `prediction`. TEXT may name the file, or be a JSON list of one series' last values.

    lstm-bench predict reviews "what a film"

    lstm-bench predict reviews:nb_lr --file new.csv --out labelled.csv

    lstm-bench predict co2 co2.csv --out ahead.csv
    """
    from lstm_bench.classify import (
        check_files,
        lines_as_they_come,
        open_model,
        parse_input,
        predict_file,
        predict_lines,
    )
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.progress import make_progress

    if file is not None and texts:
        raise LstmBenchError("expected TEXT or --file, got both; leave out one")
    if text is not None and file is None:
        raise LstmBenchError("--text: names a column of --file; give --file, too")
    check_files(file, out)
    console = open_console(err=True)
    progress = make_progress(console)
    progress.doing("loading the results from MLflow")
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        named = open_model(
            uri, name, progress, refit=refit, ensemble=ensemble, data_dir=data_dir
        )
    say(console, named.why)
    console.doing(None)

    def note(line: str) -> None:
        say(console, line)

    if file is None and len(texts) == 1 and named.is_file(texts[0]):
        file = Path(texts[0])
        check_files(file, out)
    if file is not None:
        predict_file(named, file, out, sys.stdout, note, text)
    elif texts in ((), ("-",)):
        if not texts and sys.stdin.isatty():
            raise LstmBenchError(
                "predict: expected TEXT, --file or lines on standard input, got none; "
                f"for example lstm-bench predict {name} --file FILE"
            )
        # Bytes, because text streams wait for more than a line.
        stdin = cast(BufferedReader, sys.stdin.buffer)
        predict_lines(named, lines_as_they_come(stdin), out, sys.stdout, note)
    elif out is not None or len(texts) > 1:
        predict_lines(named, [texts], out, sys.stdout, note)
    else:
        _show(named, parse_input(named, texts[0]))


def _show(named: NamedModel, value: Any) -> None:
    """Print the classes of one input, the most probable first, or its numbers."""
    from lstm_bench.classify import predict_table

    model = named.model
    (row,) = predict_table(model, [value]).to_dict("records")
    if model.output_names:
        for name, value in zip(model.output_names, row.values(), strict=True):
            echo(f"{name}  {value:.6g}")
        return
    ranked = sorted(model.class_names, key=lambda name: -row[f"p_{name}"])
    shown = ranked[:N_SHOWN]
    width = max(map(len, shown))
    for class_name in shown:
        echo(f"{class_name:<{width}}  {row[f'p_{class_name}']:.4f}")
    if len(ranked) > N_SHOWN:
        echo(f"and {len(ranked) - N_SHOWN} classes of lower probability")
    unknown = model.unknown_share(value)
    if math.isnan(unknown):
        echo("the text has no words")
    elif unknown > 0.5:
        echo(f"the model does not know {unknown:.0%} of the words: do not rely on it")
