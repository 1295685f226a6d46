"""``lstm-bench export``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lstm_bench.cli.options import (
    data_dir_option,
    or_empty,
    read_by,
    tracking_uri_option,
)
from lstm_bench.cli.output import open_console, say
from lstm_bench.cli.predict import refit_option


def _format() -> click.ParamType[str]:
    from lstm_bench.export.formats import FORMATS

    return click.Choice(tuple(FORMATS))


@click.command()
@click.argument("name")
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    callback=read_by(_format),
    required=True,
    help="keras: a .keras file; onnx: an ONNX file; saved_model: TensorFlow's "
    "SavedModel; mlflow: an MLflow model, which baselines have, too.",
)
@click.option(
    "--out",
    metavar="DIR",
    callback=or_empty(click.Path(path_type=Path)),
    help="New folder for the model. [default: exports/NAME-FORMAT]",
)
@refit_option
@data_dir_option
@tracking_uri_option
def export(
    name: str,
    form: str,
    out: Path | None,
    refit: bool,
    data_dir: Path | None,
    tracking_uri: str | None,
) -> None:
    """Write the model NAME to a folder, for use without this program.

    NAME is a suite (the winner of its confirmation), or SUITE:CONFIGURATION as for
    `compare`. The folder has a README.md with code that works. It is written only if
    the exported model gives the probabilities of the model itself, to 1e-5, on 256
    validation examples, or on random sequences where the data are not at hand.
    """
    from lstm_bench.export.by_name import export_by_name
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.progress import make_progress

    console = open_console()
    console.doing("starting MLflow")
    with store_errors():
        done = export_by_name(
            resolve_tracking_uri(tracking_uri, create=False),
            name,
            form,
            _folder(name, form) if out is None else out,
            make_progress(console),
            refit=refit,
            data_dir=data_dir,
        )
    say(console, f"model: {done.why}")
    say(
        console,
        f"compared on {done.examples}: the largest difference of {done.what} is "
        f"{done.difference:.1e}",
    )
    say(console, f"exported: {done.folder}")


def _folder(name: str, form: str) -> Path:
    """Return the default folder: ``exports/reviews-trial-6-onnx``."""
    suite, _, configuration = name.partition(":")
    words = re.findall(r"[\w.]+", f"{Path(suite).stem} {configuration} {form}")
    return Path("exports", "-".join(words))
