"""The command line: each command reads its options and calls the library.

Imports are inside the commands, so that ``--help`` is fast.
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
from lstm_bench.cli.explain import explain
from lstm_bench.cli.export import export
from lstm_bench.cli.init import init
from lstm_bench.cli.output import INTERRUPTED, echo
from lstm_bench.cli.predict import predict
from lstm_bench.cli.publish import publish
from lstm_bench.cli.register import register
from lstm_bench.cli.report import report
from lstm_bench.cli.serve import serve
from lstm_bench.cli.studies import studies
from lstm_bench.cli.suites import suites
from lstm_bench.cli.sweep import sweep
from lstm_bench.cli.sync import sync
from lstm_bench.cli.train import train
from lstm_bench.cli.ui import ui
from lstm_bench.errors import LstmBenchError
from lstm_bench.masking import masked_output, passwords_in
from lstm_bench.system.startup import settle, settle_output
from lstm_bench.text import MAX_MESSAGE, quoted, shortened


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lstm-bench")
def cli() -> None:
    """Find out which LSTM to use on your sequences, and believe the answer."""


for command in (
    init,
    sweep,
    confirm,
    train,
    report,
    publish,
    compare,
    export,
    predict,
    explain,
    serve,
    register,
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
    settle_output()
    with masked_output():
        code = _run()
    # After a report, collecting garbage at exit takes a second.
    gc.freeze()
    sys.exit(code)


def _run() -> int:
    try:
        signal.signal(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _stop)
        settle()
        _refuse_passwords()
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shortened(shown.getvalue().rstrip(), MAX_MESSAGE), err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        # Click raises Abort for a KeyboardInterrupt, whose message has what is saved.
        echo(str(error.__cause__ or error) or "stopped", err=True)
        code = INTERRUPTED
    except LstmBenchError as error:
        echo(f"error: {shortened(str(error), MAX_MESSAGE)}", err=True)
        code = 2
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            # Raised by the first use of a path option.
            echo(
                f"error: {quoted(error.filename)}: too long for a file's name here; "
                "give a shorter one",
                err=True,
            )
            return 2
        # Here, where standard error is masked.
        traceback.print_exc()
        code = 1
    return code or 0


def _stop(signum: int, frame: FrameType | None) -> None:
    """Stop as Ctrl-C does."""
    if signum == signal.SIGHUP:
        from lstm_bench.system.console import silence_lost_terminal

        silence_lost_terminal()
    raise KeyboardInterrupt


def _refuse_passwords() -> None:
    """Raise LstmBenchError for an argument that contains a URL with a password."""
    if not any("://" in word and passwords_in(word) for word in sys.argv[1:]):
        return
    advice = (
        "give the address in LSTM_BENCH_STORAGE or MLFLOW_TRACKING_URI instead; or "
        "leave the password out, and set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD for an MLflow server, or write it to ~/.pgpass for "
        "PostgreSQL"
    )
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if run_id is not None:
        raise LstmBenchError(
            f"a password among the parameters of `mlflow run`: MLflow has written it "
            f"into run {run_id} and shows it in the list of processes. Change it, "
            f"remove the run (`mlflow runs delete --run-id {run_id}`, then `mlflow "
            f"gc`), and {advice}"
        )
    raise LstmBenchError(
        "a password on the command line, which every user of this machine can read in "
        f"the list of processes: {advice}"
    )
