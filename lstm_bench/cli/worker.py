"""``lstm-bench worker``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lstm_bench.cli.options import data_dir_option, storage_option, tracking_uri_option
from lstm_bench.cli.output import (
    INTERRUPTED,
    open_console,
    say,
)

if TYPE_CHECKING:
    from lstm_bench.workers.session import Kind


@click.command()
@click.argument("study")
@data_dir_option
@tracking_uri_option
@storage_option
@click.option(
    "--threads",
    metavar="K",
    type=click.IntRange(1, 1024),
    help="Threads to train with. [default: one per core]",
)
@click.option("--kind", type=click.Choice(("sweep", "confirm")), hidden=True)
@click.option("--attached", is_flag=True, hidden=True)
def worker(
    study: str,
    data_dir: Path | None,
    tracking_uri: str | None,
    storage: str | None,
    threads: int | None,
    kind: Kind | None,
    attached: bool,
) -> None:
    """Train for a sweep or confirmation that is running.

    STUDY is the study's name, as the sweep prints it, or its suite's. The sweep may run
    on this machine or another. A worker needs the package, the addresses of both stores
    and the data. It ends when no training is left to start, or when the sweep is
    stopped.
    """
    from lstm_bench.system.threads import thread_variables

    if threads is not None:
        os.environ.update(thread_variables(threads))
    if attached:
        from lstm_bench.workers.local import listen_to_parent

        listen_to_parent()
    from lstm_bench.search.storage import find_suite, resolve_storage
    from lstm_bench.search.study import StudyStore
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.join import session_to_join, work
    from lstm_bench.workers.progress import SayingProgress, make_progress

    console = open_console()
    with store_errors():
        storage_url = resolve_storage(storage, create=False)
        store = StudyStore(find_suite(storage_url, study), storage_url)
        session = session_to_join(store, kind)
        uri = resolve_tracking_uri(tracking_uri)
        progress = SayingProgress(console) if attached else make_progress(console)
        if not attached:
            say(console, f"joining the {session.kind} of {store.suite.study_name}")
        left = work(store, session, uri, data_dir, progress)
        progress.close()
        if left.waiting is not None:
            say(console, left.waiting.describe(uri))
    if not attached:
        why = "it was stopped" if left.interrupted else "no training is left to start"
        say(console, f"trainings done here: {left.n_trained}; {why}")
    if left.interrupted:
        raise SystemExit(INTERRUPTED)
