"""Check this machine and a study's two stores, and repair what can be repaired.

Optuna's storage records which trials are done, MLflow their results. `examine_study`
compares the two and changes nothing; `repair` does what every start of a sweep does
first: it closes the runs and trials that killed commands left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from mlflow.entities import Run

from lstm_bench.data.dataset import how_different, short_identity
from lstm_bench.errors import StoredError
from lstm_bench.masking import bare_url
from lstm_bench.report.figures.training import draw_training
from lstm_bench.search.lease import at_work
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import CONFIG_ID, DIGEST, StudyStore
from lstm_bench.stores import store_errors
from lstm_bench.suites.suite import Suite
from lstm_bench.system.environment import (
    bytecode_advice,
    describe_environment,
    gpu_names,
)
from lstm_bench.system.process import parse_owner
from lstm_bench.text import count
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.artifacts import find_moves, record_moves
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.outbox import sync, waiting, waiting_text
from lstm_bench.tracking.server import is_server, server_version
from lstm_bench.tracking.stored_runs import (
    LeftOut,
    StoredRun,
    StoredSession,
    StoredTraining,
    data_identities,
    left_out_frame,
    parse_runs,
)
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import load_dataset_of
from lstm_bench.workers.options import default_workers
from lstm_bench.workers.recovery import left_runs, lost_trials, recover

# With less, a sweep of a few dozen trainings may fill the disk.
ENOUGH_DISK_GIB = 2.0


@dataclass(frozen=True)
class Finding:
    """A problem that was found.

    Attributes
    ----------
    is_repairable : bool
        Whether `repair` solves it; if not, `text` describes what the user can do.
    """

    text: str
    is_repairable: bool = False


def examine(
    suite: Suite | None,
    *,
    data_dir: Path | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    fix: bool = False,
    say: Callable[[str], None] = print,
) -> list[Finding]:
    """Check this machine and, for a suite, its study's stores and data.

    Parameters
    ----------
    suite : Suite or None
        None checks the machine alone.
    data_dir, tracking_uri, storage
        As `lstm_bench.run_sweep` takes them; nothing is created.
    fix : bool
        Whether to repair first what can be repaired.
    say : callable
        Called with each fact, one line per call.

    Raises
    ------
    LstmBenchError
        The data, a store or the study is missing.
    """
    for term, fact in system_facts(Path.cwd()):
        say(f"{term}: {fact}")
    findings = examine_system(Path.cwd())
    if suite is None:
        return findings
    name, dataset = suite.study_name, load_dataset_of(suite, data_dir)
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        storage_url = resolve_storage(storage, create=False)
        tracker = Tracker(uri, name, create=False)
        store = StudyStore(suite, storage_url, create=False)
        for term, fact in store_facts(store, tracker):
            say(f"{term}: {fact}")
        runs = count(len(tracker.runs_of(name)), "run")
        command = None
        if store.damages():
            unrepaired = ", so nothing is repaired" if fix else ""
            say(f"study {name}: {runs}; its trials are damaged{unrepaired}")
        else:
            say(
                f"study {name}: {count(len(store.finished()), 'finished trial')}, "
                f"{runs}"
            )
            command = at_work(store.study)
            if command is not None:
                say(f"works on it now: {command}")
            if fix:
                say(f"repaired: {repair(store, tracker)}")
            findings += examine_data(store, tracker, dataset.identity)
        return [
            *findings,
            # A command at work sends its own runs.
            *(examine_outbox(tracker) if command is None else ()),
            *examine_moves(tracker),
            *examine_study(store, tracker),
        ]


def system_facts(folder: Path) -> list[tuple[str, str]]:
    """Return the facts for a bug report: machine, versions and settings."""
    about = describe_environment()
    commit = about["git_commit"]
    changed = " with uncommitted changes" if about["git_dirty"] else ""
    settings = ", ".join(f"{k}={v}" for k, v in about["settings"].items())
    free_gib = shutil.disk_usage(folder).free / 2**30
    available_gib = psutil.virtual_memory().available / 2**30
    return [
        ("lstm-bench", str(about["lstm_bench"])),
        ("git commit", f"{commit[:12]}{changed}" if commit else "not in a checkout"),
        ("Python", str(about["python"])),
        ("packages", ", ".join(f"{k} {v}" for k, v in about["packages"].items())),
        ("bytecode", bytecode_advice() or "compiled"),
        ("operating system", str(about["os"])),
        ("processor", f"{about['cpu_model']}, {about['n_cores']} cores"),
        ("memory", f"{about['memory_gib']} GiB, {available_gib:.1f} GiB available"),
        ("disk", f"{free_gib:.1f} GiB free in the working directory"),
        ("settings that may change results", settings or "none"),
        ("workers", f"{default_workers()} unless --workers is given"),
        ("GPU", ", ".join(gpu_names()) or "none seen (NVIDIA driver)"),
    ]


def store_facts(store: StudyStore, tracker: Tracker) -> list[tuple[str, str]]:
    """Return where a study's two stores are.

    A database has tables of the installed version, or it would not have been opened.
    """
    uri = tracker.tracking_uri
    server = f", MLflow {server_version(uri)}" if is_server(uri) else ""
    return [
        ("Optuna's store", bare_url(store.url)),
        ("MLflow's store", f"{bare_url(uri)}{server}"),
    ]


def examine_system(folder: Path) -> list[Finding]:
    """Return the problems of this machine that would prevent a sweep."""
    free_gib = shutil.disk_usage(folder).free / 2**30
    if free_gib >= ENOUGH_DISK_GIB:
        return []
    return [
        Finding(
            f"disk: {free_gib:.1f} GiB free in the working directory, expected at "
            f"least {ENOUGH_DISK_GIB:g}; make room, or send stores elsewhere with "
            "--tracking-uri and --storage"
        )
    ]


def examine_data(store: StudyStore, tracker: Tracker, identity: str) -> list[Finding]:
    """Compare the data's `identity` with those that the study was run on."""
    runs, _ = parse_runs(tracker.runs_of(store.suite.study_name))
    known = data_identities(runs)
    recorded = store.study.user_attrs.get(DIGEST)
    if recorded is not None:
        known.add(short_identity(str(recorded)))
    now = short_identity(identity)
    return [
        Finding(
            f"data: the study was run on {how_different(other, now)}; give the same "
            "with --data-dir"
        )
        for other in sorted(known - {now})
    ]


def examine_outbox(tracker: Tracker) -> list[Finding]:
    """Return what waits on this machine for an MLflow server that was unreachable."""
    uri = tracker.tracking_uri
    return [Finding(waiting_text(uri), True)] if waiting(uri) else []


def examine_moves(tracker: Tracker) -> list[Finding]:
    """Return the experiments whose artifacts were moved with the store."""
    return [
        Finding(
            f"artifacts: the store was moved or copied; its artifacts are in "
            f"{move.new}, where lstm-bench reads them, and MLflow looks in {move.old}",
            True,
        )
        for move in find_moves(tracker.tracking_uri)
    ]


def examine_study(store: StudyStore, tracker: Tracker) -> list[Finding]:
    """Compare both stores of a study; change nothing.

    Returns
    -------
    list of Finding
        Empty if both agree and every finished run is complete.
    """
    runs = tracker.runs_of(store.suite.study_name)
    known, left_out = parse_runs(runs)
    damages = store.damages()
    found = [Finding(text) for text in damages]
    found += _incomplete(store, tracker, known, left_out)
    found += _foreign_runs(runs)
    if not damages:
        if at_work(store.study) is None:
            found += [*_left(store, runs), *_lost_runs(store, tracker, runs)]
        found += _unknown(store, known)
    return found


def repair(store: StudyStore, tracker: Tracker) -> int:
    """Close the runs and trials that were left open; return how many there were.

    Runs that wait in the outbox are written first, and each counts, as does an
    experiment whose artifacts were moved.

    Raises
    ------
    TrackingError
        The tracking server refuses a waiting run, or another command works on the
        study.
    """
    with store.leased("doctor --fix"):
        n_late = sync(tracker.tracking_uri, draw_training)
        moves = find_moves(tracker.tracking_uri)
        record_moves(tracker.tracking_uri, moves)
        return n_late + len(moves) + recover(tracker, store)


def _name(run: Run) -> str:
    return f"run {run.info.run_id} ({run.info.run_name})"


def _incomplete(
    store: StudyStore,
    tracker: Tracker,
    known: Sequence[StoredRun],
    left_out: Sequence[LeftOut],
) -> Iterator[Finding]:
    """Yield what a report leaves out, or misses."""
    frame, missing = left_out_frame(left_out), ""
    if any(isinstance(run, StoredSession | StoredTraining) for run in known):
        results = load_results(tracker.tracking_uri, store.suite)
        frame, missing = results.left_out, results.missing
    for row in frame.to_dict("records"):
        part = "" if row["part"] == "run" else f"{row['part']} of "
        yield Finding(
            f"{part}run {row['run_id']} ({row['run_name']}) cannot be read: "
            f"{row['reason']}; the report leaves it out"
        )
    if missing:
        yield Finding(
            f"{missing}; restore them, or delete the runs in MLflow: without them the "
            "report is incomplete"
        )


def _foreign_runs(runs: Sequence[Run]) -> Iterator[Finding]:
    """Yield the open runs of which it is not known who works on them."""
    for run in runs:
        if run.info.status != "RUNNING":
            continue
        stored = run.data.tags.get(rec.TAG_OWNER)
        try:
            parse_owner(stored)
        except StoredError as error:
            why = f"the tag {rec.TAG_OWNER} cannot be read: {error}"
            if stored is None:
                why = "its process is not known"
            yield Finding(
                f"{_name(run)} is RUNNING, and {why}; if none works on it, delete it "
                "in MLflow's UI"
            )


def _left(store: StudyStore, runs: Sequence[Run]) -> Iterator[Finding]:
    """Yield the runs and trials that a command has left open."""
    for run in left_runs(runs):
        yield Finding(f"{_name(run)} is RUNNING, but its command is gone", True)
    for trial in store.running():
        yield Finding(
            f"trial {trial.number} is running in Optuna, but its command is gone; it "
            "would be closed as its run ended, or queued again",
            True,
        )


def _lost_runs(
    store: StudyStore, tracker: Tracker, runs: Sequence[Run]
) -> Iterator[Finding]:
    lost = lost_trials(store, runs)
    # They may be among those that wait on this machine.
    if lost and not waiting(tracker.tracking_uri):
        yield Finding(
            f"{len(lost)} finished trials have no run in this tracking store (the "
            f"first: trial {lost[0]}); give the --tracking-uri they were written to, "
            "or another --storage to start over"
        )


def _unknown(store: StudyStore, known: Sequence[StoredRun]) -> Iterator[Finding]:
    trials = {
        (trial.number, trial.user_attrs.get(CONFIG_ID))
        for trial in [*store.finished(), *store.running()]
    }
    unknown = [
        run
        for run in known
        if isinstance(run, StoredTraining)
        and (run.kind, run.state) == ("trial", "complete")
        and (run.trial, run.config_id) not in trials
    ]
    if unknown:
        yield Finding(
            f"{len(unknown)} complete runs are unknown to Optuna (the first: run "
            f"{unknown[0].run_id}, {unknown[0].run_name}); they are in the report, but "
            "a search with this --storage does not learn from them"
        )
