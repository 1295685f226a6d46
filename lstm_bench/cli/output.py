"""What commands print: one function writes, and knows no password."""

from __future__ import annotations

from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from lstm_bench.masking import printable

if TYPE_CHECKING:
    from lstm_bench.system.console import LastingConsole
    from lstm_bench.tracking.results import Results
    from lstm_bench.tracking.tracker import Tracker
    from lstm_bench.tracking.writer import Waiting
    from lstm_bench.training.prepare import Prepared


INTERRUPTED = 130


def say_waiting(console: LastingConsole, tracker: Tracker) -> bool:
    """Say what waits for the tracking server and let go of it; return if anything."""
    waiting = tracker.writer.waiting
    if waiting is None:
        return False
    say_what_waits(console, waiting, tracker.tracking_uri)
    tracker.writer.close()
    return True


def say_what_waits(console: LastingConsole, waiting: Waiting, uri: str) -> None:
    """Say how much waits for `uri`."""
    say(console, waiting.describe(uri))


def stopped(console: LastingConsole, n_finished: int, n_total: int) -> NoReturn:
    """Say what is kept, and end the command as stopped."""
    say(
        console,
        f"stopped: {n_finished} of {n_total} trainings are finished and kept; the same "
        "command goes on from there",
    )
    raise SystemExit(INTERRUPTED)


def say_reading(name: str) -> None:
    """Announce what may take a minute, on stderr: it is no part of an answer."""
    from lstm_bench.data.registry import dataset_names, is_synthetic

    if name in dataset_names() and not is_synthetic(name):
        echo(f"reading {name} (up to a minute the first time) ...", err=True)


def say_data(console: LastingConsole, prepared: Prepared) -> None:
    """Say what data a study has."""
    say(
        console,
        f"{prepared.dataset.name}: {len(prepared.splits.train):,} training and "
        f"{len(prepared.splits.val):,} validation {prepared.dataset.example}s "
        f"({prepared.dataset.source})",
    )
    say_start(console)


def say_start(console: LastingConsole) -> None:
    """Say which version runs on what."""
    from lstm_bench.system.environment import bytecode_advice

    advice = bytecode_advice()
    if advice is not None:
        say(console, advice)
    say(console, "starting TensorFlow and MLflow (10-20 s) ...")
    console.doing("starting TensorFlow and MLflow")


def open_console() -> LastingConsole:
    """Return the console of this command, closed when it ends."""
    from lstm_bench.system.console import LastingConsole

    console = LastingConsole()
    click.get_current_context().call_on_close(console.close)
    return console


def echo(text: str, err: bool = False) -> None:
    """Write a line, without passwords."""
    click.echo(printable(text), err=err)


def say(console: LastingConsole, message: str) -> None:
    """Print a message as it is, without markup."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def say_left_out(console: LastingConsole, results: Results) -> None:
    """Warn of what the tracking store holds of a study and could not be read."""
    from lstm_bench.tracking.stored_runs import describe_left_out

    if left_out := describe_left_out(results.left_out):
        say(console, f"warning: {left_out}")


def stop_on_signal(signum: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt
