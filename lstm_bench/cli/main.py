"""The command line: each command reads its options and calls the library.

Imports stay inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import traceback
from types import FrameType

import click

from lstm_bench import __version__
from lstm_bench.cli.compare import compare
from lstm_bench.cli.confirm import confirm
from lstm_bench.cli.data import data
from lstm_bench.cli.doctor import doctor
from lstm_bench.cli.output import INTERRUPTED, echo
from lstm_bench.cli.publish import publish
from lstm_bench.cli.report import report
from lstm_bench.cli.studies import studies
from lstm_bench.cli.suites import suites
from lstm_bench.cli.sweep import sweep
from lstm_bench.cli.sync import sync
from lstm_bench.cli.train import train
from lstm_bench.cli.ui import ui
from lstm_bench.cli.worker import worker
from lstm_bench.errors import LstmBenchError
from lstm_bench.masking import (
    hide_arguments,
    known_secrets,
    masked_output,
    passwords_in,
)
from lstm_bench.system.startup import settle, settle_output
from lstm_bench.text import MAX_MESSAGE, quoted, shortened


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lstm-bench")
def cli() -> None:
    """Find out which LSTM to use on your sequences, and believe the answer."""


for command in (
    sweep,
    confirm,
    worker,
    train,
    report,
    publish,
    compare,
    studies,
    ui,
    doctor,
    sync,
    suites,
    data,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; a user's error ends with one message and code 2."""
    hide_arguments()
    settle_output()
    with masked_output():
        code = _run()
    # What is alive now ends with the process; looking through it for cycles on the
    # way out takes a second after a report.
    gc.freeze()
    sys.exit(code)


def _run() -> int:
    try:
        signal.signal(signal.SIGTERM, _stop)
        settle()
        _check_project_run()
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shortened(shown.getvalue().rstrip(), MAX_MESSAGE), err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        # Click raises its own for a KeyboardInterrupt, whose message has what is saved.
        echo(str(error.__cause__ or error) or "stopped", err=True)
        code = INTERRUPTED
    except LstmBenchError as error:
        echo(f"error: {shortened(str(error), MAX_MESSAGE)}", err=True)
        code = 2
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            # Met first wherever a path that was given is looked at.
            echo(
                f"error: {quoted(error.filename)}: too long for a file's name here; "
                "give a shorter one",
                err=True,
            )
            return 2
        if not known_secrets():
            raise
        # Here, where standard error is masked; the interpreter's own would not be.
        traceback.print_exc()
        code = 1
    return code or 0


def _stop(signum: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def _check_project_run() -> None:
    """Refuse passwords among the parameters of `mlflow run`, which it keeps."""
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if run_id is None or not any(map(passwords_in, sys.argv[1:])):
        return
    raise LstmBenchError(
        "a password among the parameters of `mlflow run`: MLflow has written it into "
        f"run {run_id} and shows it in the list of processes. Change it, remove the "
        f"run (`mlflow runs delete --run-id {run_id}`, then `mlflow gc`), and give "
        "addresses with passwords as LSTM_BENCH_STORAGE and MLFLOW_TRACKING_URI"
    )
