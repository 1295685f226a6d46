"""``lstm-bench doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench.cli.options import data_dir_option, storage_option, tracking_uri_option
from lstm_bench.cli.output import open_console, say
from lstm_bench.text import count


@click.command()
@click.argument("suite", required=False)
@data_dir_option
@tracking_uri_option
@storage_option
@click.option("--fix", is_flag=True, help="Mend what can be mended.")
def doctor(
    suite: str | None,
    data_dir: Path | None,
    tracking_uri: str | None,
    storage: str | None,
    fix: bool,
) -> None:
    """Say what is wrong with this machine and with SUITE's study.

    Without SUITE it is a report on the system, for a report of a bug. With SUITE
    its two stores are compared: runs and trials of processes that are gone, trials
    without runs, runs without files, and the data with that of the study. Exit code 1
    if something is left.
    """
    from lstm_bench.doctor import (
        examine_data,
        examine_journals,
        examine_moves,
        examine_study,
        examine_system,
        mend,
        store_facts,
        system_facts,
    )

    console = open_console()
    for term, fact in system_facts(Path.cwd()):
        say(console, f"{term}: {fact}")
    findings = examine_system(Path.cwd())
    if suite is not None:
        from lstm_bench.data.registry import load_dataset
        from lstm_bench.search.storage import resolve_storage
        from lstm_bench.search.study import StudyStore
        from lstm_bench.stores import store_errors
        from lstm_bench.suites.suite import load_suite
        from lstm_bench.tracking.address import resolve_tracking_uri
        from lstm_bench.tracking.tracker import Tracker

        loaded = load_suite(suite)
        spec = loaded.dataset
        dataset = load_dataset(spec.name, spec.options, data_dir, loaded.study.seed)
        with store_errors():
            uri = resolve_tracking_uri(tracking_uri, create=False)
            storage_url = resolve_storage(storage, create=False)
            tracker = Tracker(uri, loaded.study_name, create=False)
            store = StudyStore(loaded, storage_url, create=False)
            for term, fact in store_facts(store, tracker):
                say(console, f"{term}: {fact}")
            n_runs = len(tracker.runs_of(loaded.study_name))
            if store.damages():
                say(
                    console,
                    f"study {loaded.study_name}: {count(n_runs, 'run')}; its trials "
                    "are damaged" + (", so nothing is mended" if fix else ""),
                )
            else:
                say(
                    console,
                    f"study {loaded.study_name}: "
                    f"{count(len(store.finished()), 'finished trial')}, "
                    f"{count(len(store.finished_references()), 'reference')}, "
                    f"{count(n_runs, 'run')}",
                )
                if fix:
                    say(console, f"mended: {mend(store, tracker)}")
                findings += examine_data(store, tracker, dataset.digest)
            findings += examine_journals(tracker)
            findings += examine_moves(tracker)
            findings += examine_study(store, tracker)
    for finding in findings:
        hint = " (--fix mends it)" if finding.is_mended_by_fix else ""
        say(console, f"- {finding.text}{hint}")
    if findings:
        raise SystemExit(1)
    say(console, "nothing is wrong")
