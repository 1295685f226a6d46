"""The command line: each command reads its options and calls the library.

Imports stay inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import gc
import io
import math
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lstm_bench import __version__
from lstm_bench.errors import LstmBenchError
from lstm_bench.masking import (
    bare_url,
    hide_arguments,
    known_secrets,
    mask_text,
    mask_url,
    masked_output,
    passwords_in,
    printable,
)
from lstm_bench.system.command_line import command_line
from lstm_bench.system.startup import settle, settle_output
from lstm_bench.text import MAX_MESSAGE, count, listed, quoted, shortened

if TYPE_CHECKING:
    from lstm_bench.analysis.comparisons import Analysis
    from lstm_bench.search.study import StudyStore
    from lstm_bench.suites.config import TrialConfig
    from lstm_bench.suites.suite import Suite
    from lstm_bench.system.console import LastingConsole
    from lstm_bench.tracking.results import Results
    from lstm_bench.tracking.tracker import Tracker
    from lstm_bench.tracking.writer import Waiting
    from lstm_bench.training.prepare import Prepared
    from lstm_bench.workers.options import Workers
    from lstm_bench.workers.progress import Progress
    from lstm_bench.workers.session import Kind

INTERRUPTED = 130


Callback = Callable[[click.Context, click.Parameter, Any], Any]


def _or_empty(inner: click.ParamType[Any]) -> Callback:
    """Read an option as `inner`; empty, as `mlflow run` passes it unset, is None."""
    return _read_by(lambda: inner)


def _read_by(make_type: Callable[[], click.ParamType[Any]]) -> Callback:
    def convert(context: click.Context, option: click.Parameter, value: Any) -> Any:
        if value is None or value == "":
            return None
        read = make_type().convert(value, option, context)
        # No bound refuses it: NaN compares as false with everything.
        if isinstance(read, float) and not math.isfinite(read):
            raise click.BadParameter(
                f"expected a finite number, got {quoted(value)}", context, option
            )
        return read

    return convert


def _as_in_suite(part: str, field: str, **bounds: Any) -> Callback:
    """Read an option as a suite's `field` of `part`, within the same bounds.

    `bounds` replace those, as click's ranges take them.
    """

    def make_type() -> click.ParamType[Any]:
        from lstm_bench.suites.suite import bounds_of

        is_float, own = bounds_of(part, field)
        return (click.FloatRange if is_float else click.IntRange)(**own | bounds)

    return _read_by(make_type)


def _http_url(
    context: click.Context, option: click.Parameter, value: str | None
) -> str | None:
    if value is None or value.startswith(("http://", "https://")):
        return value
    raise click.BadParameter(
        f"expected an address such as http://127.0.0.1:5000, got {mask_url(value)!r}"
    )


_tracking_uri = click.option(
    "--tracking-uri",
    metavar="URI",
    callback=_or_empty(click.STRING),
    help="MLflow store: sqlite:///FILE or http://HOST:PORT. "
    "[default: $MLFLOW_TRACKING_URI or mlflow.db here]",
)
_data_dir = click.option(
    "--data-dir",
    metavar="DIR",
    callback=_or_empty(click.Path(path_type=Path)),
    help="Folder with the raw data. [default: $LSTM_BENCH_DATA]",
)
_storage = click.option(
    "--storage",
    metavar="URL",
    callback=_or_empty(click.STRING),
    help="Optuna database URL. [default: $LSTM_BENCH_STORAGE or optuna.db here]",
)
_out = click.option(
    "--out",
    metavar="DIR",
    callback=_or_empty(click.Path(path_type=Path)),
    help="Folder for the report. [default: reports/SUITE]",
)


def _crew_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what says who trains."""
    for option in (
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            callback=_or_empty(click.STRING),
            help="Of the Dask cluster: tcp://HOST:PORT.",
        ),
        click.option(
            "--backend",
            metavar="NAME",
            default="local",
            callback=_or_empty(click.Choice(("local", "dask"))),
            help="Where workers run: local, or dask with --scheduler.",
        ),
        click.option(
            "--workers",
            "n_workers",
            metavar="N",
            callback=_or_empty(click.IntRange(min=1, max=1024)),
            help="Processes that train at the same time and share the cores. "
            "[default: one for each core, where there is memory; with dask, one for "
            "each of its workers]",
        ),
    ):
        command = option(command)
    return command


def _workers(
    n_workers: int | None,
    backend: str | None,
    scheduler: str | None,
    data_dir: Path | None,
) -> Workers:
    """Return who trains, as the options say."""
    from lstm_bench.workers.options import Workers, default_workers

    if backend == "dask" and scheduler is None:
        raise LstmBenchError(
            "--backend dask: expected --scheduler with the cluster's address, such as "
            "tcp://HOST:8786, got none"
        )
    if scheduler is not None and backend != "dask":
        raise LstmBenchError("--scheduler: it is Dask's; give --backend dask, too")
    default = default_workers() if scheduler is None else 0
    n = default if n_workers is None else n_workers
    return Workers(n, data_dir, scheduler, is_joinable=n_workers is not None)


def _found(workers: Workers, storage: str | None, tracking_uri: str | None) -> Workers:
    """Return `workers` as they are there; a cluster is asked before anything begins."""
    if workers.scheduler is None:
        return workers
    from lstm_bench.search.storage import resolve_storage
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.dask_pool import find_cluster

    with store_errors():
        return find_cluster(
            workers, resolve_storage(storage), resolve_tracking_uri(tracking_uri)
        )


def _formats(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[str, ...]:
    """Read formats separated by commas; empty means all."""
    from lstm_bench.report.render import FORMATS

    names = tuple(
        dict.fromkeys(n.strip() for n in (value or "").split(",") if n.strip())
    )
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise click.BadParameter(
            f"expected some of {', '.join(FORMATS)}, separated by commas, got "
            f"{listed(map(repr, unknown))}",
            context,
            option,
        )
    return names or FORMATS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lstm-bench")
def cli() -> None:
    """Find out which LSTM to use on your sequences, and believe the answer."""


@cli.command()
@click.argument("suite")
@_data_dir
@click.option(
    "--trials",
    metavar="N",
    callback=_as_in_suite("study", "n_trials"),
    help="Finished trials to reach in all. [default: as the suite says]",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    callback=_as_in_suite("study", "timeout_s"),
    help="Seconds after which no further trial starts. [default: the suite's]",
)
@_crew_options
@_tracking_uri
@_storage
@_out
@click.option(
    "--confirm/--no-confirm",
    default=False,
    help="Then confirm the best few, where the suite declares it.",
)
def sweep(
    suite: str,
    data_dir: Path | None,
    trials: int | None,
    timeout: float | None,
    n_workers: int | None,
    backend: str | None,
    scheduler: str | None,
    tracking_uri: str | None,
    storage: str | None,
    out: Path | None,
    confirm: bool,
) -> None:
    """Run the study of SUITE and write its report.

    SUITE is a file, or the name of one in benchmarks/. Started again, a study
    goes on where it stopped.
    """
    console = _console()
    console.doing("starting MLflow and Optuna")
    workers = _workers(n_workers, backend, scheduler, data_dir)
    workers = _found(workers, storage, tracking_uri)
    loaded = _load(suite)
    n_trials = trials or loaded.study.n_trials
    _say(
        console,
        f"lstm-bench {__version__}, suite {loaded.name}: {_plan(loaded, n_trials)}",
    )
    n_replicates = loaded.confirm.n_replicates if confirm and loaded.confirm else 0
    prepared = _prepare(console, loaded, data_dir, n_replicates=n_replicates)
    folder = _report_folder(loaded, out)
    _say_data(console, prepared)

    from lstm_bench.analysis.formatting import config_of_row, settings
    from lstm_bench.search.storage import resolve_storage
    from lstm_bench.search.study import StudyStore
    from lstm_bench.stores import store_errors
    from lstm_bench.sweep import run_sweep
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.progress import make_progress

    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        storage_url = resolve_storage(storage)
        signal.signal(signal.SIGTERM, _stop)
        progress = make_progress(console)
        tracker = _open_tracker(console, uri, loaded, progress)
        store = StudyStore(loaded, storage_url)
        outcome = run_sweep(
            prepared,
            tracker,
            store,
            progress,
            n_trials=n_trials,
            timeout_s=timeout or loaded.study.timeout_s,
            workers=workers,
        )
        if outcome.interrupted:
            tracker.end_session(outcome.run_id, "KILLED")
            _say_waiting(console, tracker)
            _stopped(console, outcome.n_finished, outcome.n_total)
        # Closed first, so that the report is the one that can be rebuilt later.
        tracker.end_session(outcome.run_id, "FINISHED")
        if outcome.best is None:
            _say(
                console,
                "no training was completed; the report says why each one failed",
            )
        else:
            _say(
                console,
                f"best: {outcome.best.label} with validation {loaded.study.metric} "
                f"{outcome.best.value:.4f} (configuration {outcome.best.config_id})",
            )
        analysis = _conclude(console, suite, tracker, folder, prepared, outcome.run_id)
        next_line = command_line("confirm", suite)
        if confirm and loaded.confirm is None:
            _say(console, "no confirmation: the suite has no `confirm:` section")
        elif confirm and analysis is None:
            _say(
                console,
                "no confirmation: it begins from what is tracked; when all is "
                f"written: {next_line}",
            )
        elif confirm and outcome.best is not None:
            run_id = _confirm(
                console,
                prepared,
                tracker,
                None,
                None,
                outcome.run_id,
                workers=workers,
                store=store,
            )
            run_ids = (run_id, outcome.run_id)
            analysis = _conclude(console, suite, tracker, folder, prepared, *run_ids)
            _log_model(prepared, tracker, progress, analysis, run_id)
        elif (
            loaded.confirm is not None
            and outcome.best is not None
            and not (analysis and _is_confirmed(analysis))
        ):
            _say(console, f"next, is it so? {next_line}")
        if analysis is not None:
            if loaded.confirm is None and outcome.best is not None:
                runs = analysis.results.runs
                best = runs[runs["config_id"] == outcome.best.config_id].iloc[0]
                words = settings(loaded, config_of_row(best))
                again = command_line("train", suite, *words)
                _say(console, f"to train the best again and log its model: {again}")
            _say(console, f"runs, curves and artifacts: {command_line('ui')}")


@cli.command()
@click.argument("suite")
@_data_dir
@click.option(
    "--best",
    metavar="K",
    callback=_as_in_suite("confirm", "n_best"),
    help="Configurations to take from the search. [default: as the suite says]",
)
@click.option(
    "--replicates",
    metavar="R",
    callback=_as_in_suite("confirm", "n_replicates"),
    help="Fresh seeds to reach in all. [default: as the suite says]",
)
@_crew_options
@_tracking_uri
@_storage
@_out
def confirm(
    suite: str,
    data_dir: Path | None,
    best: int | None,
    replicates: int | None,
    n_workers: int | None,
    backend: str | None,
    scheduler: str | None,
    tracking_uri: str | None,
    storage: str | None,
    out: Path | None,
) -> None:
    """Train SUITE's best again on fresh seeds, score test, and give a verdict.

    The search's best configurations, the references and the pairs that the suite
    names are trained on the same fresh seeds and scored on the test set once each.
    Started again, the round goes on where it stopped.
    """
    console = _console()
    console.doing("starting MLflow and Optuna")
    workers = _workers(n_workers, backend, scheduler, data_dir)
    workers = _found(workers, storage, tracking_uri)
    loaded = _load(suite)
    if loaded.confirm is None:
        raise LstmBenchError(
            f"{suite}: the suite has no `confirm:` section; add one, for example "
            "confirm: {n_best: 3, n_replicates: 5, pairs: {head: [sigmoid, softmax]}}"
        )
    _say(console, f"lstm-bench {__version__}, confirmation of suite {loaded.name}")
    n_replicates = replicates or loaded.confirm.n_replicates
    prepared = _prepare(console, loaded, data_dir, n_replicates=n_replicates)
    folder = _report_folder(loaded, out)
    _say_data(console, prepared)

    from lstm_bench.search.storage import resolve_storage
    from lstm_bench.search.study import StudyStore
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.options import is_in_process
    from lstm_bench.workers.progress import make_progress

    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        signal.signal(signal.SIGTERM, _stop)
        progress = make_progress(console)
        tracker = _open_tracker(console, uri, loaded, progress)
        # One worker is told what to do within its process, and needs no storage.
        store = (
            None
            if is_in_process(workers, loaded)
            else StudyStore(loaded, resolve_storage(storage))
        )
        run_id = _confirm(
            console,
            prepared,
            tracker,
            best,
            replicates,
            None,
            workers=workers,
            store=store,
        )
        analysis = _conclude(console, suite, tracker, folder, prepared, run_id)
        _log_model(prepared, tracker, progress, analysis, run_id)


@cli.command()
@click.argument("study")
@_data_dir
@_tracking_uri
@_storage
@click.option(
    "--threads",
    metavar="K",
    type=click.IntRange(1, 1024),
    help="Threads to train with. [default: one for each core]",
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
    """Join the sweep or confirmation of STUDY that is running, here or elsewhere.

    STUDY is a study's name, as the sweep says it, or a suite's. A worker needs the
    package, the addresses of both stores and the data. It leaves when nothing is left
    to be started, or when the command it has joined is stopped.
    """
    from lstm_bench.system.threads import thread_variables

    if threads is not None:
        os.environ.update(thread_variables(threads))
    signal.signal(signal.SIGTERM, _stop)
    if attached:
        from lstm_bench.workers.local import listen_to_parent

        listen_to_parent()
    from lstm_bench.search.storage import find_suite, resolve_storage
    from lstm_bench.search.study import StudyStore
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.workers.join import session_to_join, work
    from lstm_bench.workers.progress import SayingProgress, make_progress

    console = _console()
    with store_errors():
        storage_url = resolve_storage(storage, create=False)
        store = StudyStore(find_suite(storage_url, study), storage_url)
        session = session_to_join(store, kind)
        uri = resolve_tracking_uri(tracking_uri)
        progress = SayingProgress(console) if attached else make_progress(console)
        if not attached:
            _say(console, f"joining the {session.kind} of {store.suite.study_name}")
        left = work(store, session, uri, data_dir, progress)
        progress.close()
        if left.waiting is not None:
            _say_what_waits(console, left.waiting, uri)
    if not attached:
        why = "it was stopped" if left.interrupted else "nothing is left to be started"
        _say(console, f"trainings done here: {left.n_trained}; {why}")
    if left.interrupted:
        raise SystemExit(INTERRUPTED)


@cli.command()
@click.argument("suite")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Set a hyperparameter; may be given several times.",
)
@click.option(
    "--config",
    "assignment_text",
    default="",
    help="The same as one text, separated by spaces: 'units=64 head=softmax'.",
)
@_data_dir
@click.option(
    "--test/--no-test",
    default=False,
    help="Score the test set too; the run is tagged as having looked at it.",
)
@click.option("--log-model/--no-log-model", default=True, help="Log the trained model.")
@click.option(
    "--replicate",
    metavar="R",
    callback=_as_in_suite("confirm", "n_replicates", min=0),
    default=0,
    help="Split and seeds of a confirmation's replicate. [default: 0, the search's]",
)
@_tracking_uri
def train(
    suite: str,
    assignments: tuple[str, ...],
    assignment_text: str,
    data_dir: Path | None,
    test: bool,
    log_model: bool,
    replicate: int | None,
    tracking_uri: str | None,
) -> None:
    """Train one configuration of SUITE and score it on validation.

    The configuration is the suite's defaults with every --set applied.
    """
    console = _console()
    loaded = _load(suite)
    config = loaded.with_overrides([*assignment_text.split(), *assignments])
    _say(console, f"lstm-bench {__version__}, one training of suite {loaded.name}")
    prepared = _prepare(console, loaded, data_dir, config).at(replicate or 0)
    _say_start(console)

    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.train import train_one
    from lstm_bench.workers.progress import make_progress

    signal.signal(signal.SIGTERM, _stop)
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        progress = make_progress(console)
        tracker = _open_tracker(console, uri, loaded, progress)
        run_id, result = train_one(
            prepared,
            config,
            tracker,
            progress,
            score_test=test,
            log_model=log_model,
        )
        if tracker.catch_up():
            run_id = tracker.writer.operations.real_id(run_id)
        _say_waiting(console, tracker)
    from lstm_bench.metrics import METRICS
    from lstm_bench.training.result import TRAIN_TIME, metric_key

    for entry in result.history.epochs:
        _say(
            console,
            f"epoch {entry['epoch']:g}: train loss {entry['train_loss']:.4f}, "
            f"validation loss {entry['val_loss']:.4f}, validation accuracy "
            f"{entry['val_accuracy']:.4f}, {entry['epoch_time_s']:.1f} s",
        )
    for prediction in result.predictions:
        scores = ", ".join(
            f"{metric.label} "
            f"{result.metrics[metric_key(prediction.split, metric.name)]:.4f}"
            for metric in METRICS.values()
        )
        _say(console, f"{prediction.split} (n = {len(prediction.y_true):,}): {scores}")
    _say(console, f"trained in {result.metrics[TRAIN_TIME]:.1f} s; MLflow run {run_id}")


@cli.command()
@click.argument("names", metavar="STUDY...", nargs=-1, required=True)
@click.option(
    "--format",
    "formats",
    metavar="LIST",
    callback=_formats,
    help="What to write, separated by commas: html, csv, md, latex. [default: all]",
)
@click.option(
    "--mlflow-url",
    metavar="URL",
    callback=_http_url,
    help="MLflow server that rows link to. [default: the store, where it is one]",
)
@_tracking_uri
@click.option(
    "--out",
    metavar="DIR",
    callback=_or_empty(click.Path(path_type=Path)),
    help="Folder for the report. [default: reports/SUITE, or reports/A_vs_B]",
)
def report(
    names: tuple[str, ...],
    formats: tuple[str, ...],
    mlflow_url: str | None,
    tracking_uri: str | None,
    out: Path | None,
) -> None:
    """Rebuild the report on STUDY from MLflow alone, or compare several.

    STUDY is a suite, or a study's name as it stands in the store, such as
    imdb_small-1a2b3c4d: an earlier version of a suite. With @STORE after it, as in
    imdb_small@sqlite:///other/mlflow.db, it is read from another tracking store:
    another machine, another day.

    Two or more are set side by side, with differences, intervals and warnings where
    data, protocols, machines or code differ.
    """
    from lstm_bench.system.garbage import collector_paused

    with collector_paused():
        _report(names, formats, mlflow_url, tracking_uri, out)


@cli.command()
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...")
@_tracking_uri
@click.option(
    "--out",
    metavar="DIR",
    callback=_or_empty(click.Path(path_type=Path)),
    help="Folder for README.md and published/. [default: reports]",
)
@click.option(
    "--allow-synthetic",
    is_flag=True,
    help="Publish studies of synthetic data too.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Replace published reports that are there already.",
)
def publish(
    suites: tuple[str, ...],
    tracking_uri: str | None,
    out: Path | None,
    allow_synthetic: bool,
    replace: bool,
) -> None:
    """Write the reports that are committed with a project, and their index.

    Each SUITE's report goes to reports/published/SUITE, made from MLflow alone, with
    a summary.json. reports/README.md then lists every study published so far, also
    those not named now. A report that is there is replaced only with --replace.
    Nothing is written where a file would show a path on this machine.
    """
    from lstm_bench.publish.publish import check_publication
    from lstm_bench.publish.publish import publish as publish_studies
    from lstm_bench.stores import store_errors
    from lstm_bench.system.folders import make_folder
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.load import load_results

    loaded = [_load(suite) for suite in suites]
    folder = out if out is not None else Path("reports")
    check_publication(loaded, folder, allow_synthetic=allow_synthetic, replace=replace)
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        studies = [load_results(uri, suite) for suite in loaded]
    done = publish_studies(
        studies,
        make_folder(folder, "--out"),
        allow_synthetic=allow_synthetic,
        replace=replace,
    )
    console = _console()
    for page in done.pages:
        _say(console, f"published: {page}")
    _say(console, f"index: {done.index}")
    for warning in done.warnings:
        _say(console, f"warning: {warning}")


@cli.command()
@click.argument("a")
@click.argument("b")
@_tracking_uri
def compare(a: str, b: str, tracking_uri: str | None) -> None:
    """Give the verdict on A against B, from a confirmation round.

    A and B are suites (their best confirmed configurations are compared), or
    SUITE:CONFIGURATION, where the configuration is a label ("trial 7", "small"), a
    baseline ("nb_lr") or the first digits of an id; those digits do alone, too.
    """
    from lstm_bench.compare import compare_by_name
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri

    console = _console()
    console.doing("loading the results from MLflow")
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        lines = compare_by_name(uri, a, b)
    for line in lines:
        _say(console, line)


@cli.command()
@_tracking_uri
def studies(tracking_uri: str | None) -> None:
    """List the studies of a store; nothing is written.

    The trials that have ended, the state of the latest command, and the best
    validation score of the search. The names are those that `lstm-bench report` takes.
    """
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.find import list_studies, studies_table
    from lstm_bench.tracking.stored_runs import describe_left_out, left_out_frame

    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        entries, left_out = list_studies(uri)
    for line in studies_table(entries):
        _echo(line)
    if not entries:
        _echo("the store holds no study; run `lstm-bench sweep` first")
    note = describe_left_out(left_out_frame(left_out))
    if note is not None:
        _echo(f"warning: {note}")


@cli.command()
@_tracking_uri
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Any other than this machine's own opens the store to "
    "whoever reaches it.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(tracking_uri: str | None, host: str, port: int) -> None:
    """Open MLflow's UI on this machine and print each study's chart view."""
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.artifacts import find_moves
    from lstm_bench.ui import serve

    console = _console()
    signal.signal(signal.SIGTERM, _stop)
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        if moves := find_moves(uri):
            _say(
                console,
                f"the store was moved or copied: MLflow looks for its artifacts in "
                f"{moves[0].old}, they are in {moves[0].new}; lstm-bench doctor SUITE "
                "--fix writes that into the store",
            )
        serve(uri, host, port, lambda text: _say(console, text))


@cli.command()
@click.argument("suite", required=False)
@_data_dir
@_tracking_uri
@_storage
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

    console = _console()
    for term, fact in system_facts(Path.cwd()):
        _say(console, f"{term}: {fact}")
    findings = examine_system(Path.cwd())
    if suite is not None:
        from lstm_bench.data.registry import load_dataset
        from lstm_bench.search.storage import resolve_storage
        from lstm_bench.search.study import StudyStore
        from lstm_bench.stores import store_errors
        from lstm_bench.tracking.address import resolve_tracking_uri
        from lstm_bench.tracking.tracker import Tracker

        loaded = _load(suite)
        spec = loaded.dataset
        dataset = load_dataset(spec.name, spec.options, data_dir, loaded.study.seed)
        with store_errors():
            uri = resolve_tracking_uri(tracking_uri, create=False)
            storage_url = resolve_storage(storage, create=False)
            tracker = Tracker(uri, loaded.study_name, create=False)
            store = StudyStore(loaded, storage_url, create=False)
            for term, fact in store_facts(store, tracker):
                _say(console, f"{term}: {fact}")
            n_runs = len(tracker.runs_of(loaded.study_name))
            if store.damages():
                _say(
                    console,
                    f"study {loaded.study_name}: {count(n_runs, 'run')}; its trials "
                    "are damaged" + (", so nothing is mended" if fix else ""),
                )
            else:
                _say(
                    console,
                    f"study {loaded.study_name}: "
                    f"{count(len(store.finished()), 'finished trial')}, "
                    f"{count(len(store.finished_references()), 'reference')}, "
                    f"{count(n_runs, 'run')}",
                )
                if fix:
                    _say(console, f"mended: {mend(store, tracker)}")
                findings += examine_data(store, tracker, dataset.digest)
            findings += examine_journals(tracker)
            findings += examine_moves(tracker)
            findings += examine_study(store, tracker)
    for finding in findings:
        hint = " (--fix mends it)" if finding.is_mended_by_fix else ""
        _say(console, f"- {finding.text}{hint}")
    if findings:
        raise SystemExit(1)
    _say(console, "nothing is wrong")


@cli.command()
@_tracking_uri
@click.option(
    "--skip-refused",
    is_flag=True,
    help="Leave out what the server refuses, such as writes to a run deleted since.",
)
def sync(tracking_uri: str | None, skip_refused: bool) -> None:
    """Write what waits for a tracking server that was away.

    What a training could not write is kept on this machine and written when the
    server answers again, by the same command or the next; this does it now.
    """
    from lstm_bench.stores import store_errors
    from lstm_bench.tracking.address import resolve_tracking_uri
    from lstm_bench.tracking.server import is_server
    from lstm_bench.tracking.sync import store_to_sync
    from lstm_bench.tracking.sync import sync as write_waiting
    from lstm_bench.tracking.writer import operations_text

    console = _console()
    uri = store_to_sync(tracking_uri)
    if uri is None:
        _say(console, "nothing waits for any tracking server")
        return
    if not is_server(uri):
        with store_errors():
            resolve_tracking_uri(uri, create=False)
        _say(console, "nothing waits for a database: it is written to at once")
        _say_servers_beside(console, uri)
        return

    def skip(operation: dict[str, Any], why: str) -> None:
        _say(
            console,
            f"left out: {operation['op']} of {operation.get('run', 'the experiment')}, "
            f"which the server refuses ({why})",
        )

    with store_errors():
        done = write_waiting(uri, skip=skip if skip_refused else None)
    _say(
        console,
        f"written: {operations_text(done.n_operations, done.n_runs)}; "
        + ("nothing is left" if not done.n_in_use else "the rest is held by others"),
    )
    _say_servers_beside(console, uri)
    if done.n_in_use:
        raise LstmBenchError(
            f"left to commands that are running: {count(done.n_in_use, 'journal')}, "
            "which they write themselves when the server answers"
        )


def _say_servers_beside(console: LastingConsole, uri: str) -> None:
    from lstm_bench.tracking.sync import servers_beside

    others = servers_beside(uri)
    if others:
        _say(console, f"for --tracking-uri {', '.join(others)} something waits, too")


@cli.group(invoke_without_command=True)
@click.pass_context
def suites(context: click.Context) -> None:
    """List the suites in benchmarks/; check or show one.

    One that is not valid is listed with its first mistake, and ends the command with
    code 2 when all are listed.
    """
    if context.invoked_subcommand is not None:
        return
    from lstm_bench.errors import SuiteError
    from lstm_bench.suites.suite import SUITE_FOLDER, load_suite, suite_files
    from lstm_bench.text import first_line

    files = suite_files()
    if not files:
        raise LstmBenchError(
            f"{SUITE_FOLDER}/: no suites here; run in a checkout of lstm-bench, or "
            "give a suite's path to the commands"
        )
    n_invalid = 0
    for file in files:
        try:
            loaded = load_suite(file)
        except SuiteError as error:
            n_invalid += 1
            _echo(f"{file.stem:12} not valid: {first_line(error)}")
            continue
        _echo(f"{loaded.name:12} {_plan(loaded, loaded.study.n_trials)}")
        _echo(f"{'':12} {loaded.description.strip()}")
    if n_invalid:
        raise LstmBenchError(
            f"{n_invalid} of {len(files)} suites in {SUITE_FOLDER}/ "
            f"{'is' if n_invalid == 1 else 'are'} not valid; `lstm-bench suites check "
            "FILE` shows all of what is wrong with one"
        )


@suites.command()
@click.argument("file")
def check(file: str) -> None:
    """Validate the suite FILE."""
    loaded = _load(file)
    _echo(f"{file}: valid ({_plan(loaded, loaded.study.n_trials)})")


@suites.command()
@click.argument("file")
def show(file: str) -> None:
    """Print what the suite FILE resolves to."""
    loaded = _load(file)
    n = loaded.space.n_configurations
    _echo(f"{loaded.name}: {loaded.description.strip()}")
    _echo(f"study name: {loaded.study_name}")
    _echo("dataset:")
    for key, value in loaded.dataset.model_dump().items():
        _echo(f"  {key}: {value}")
    _echo("space:" if len(loaded.space) else "space: none")
    for name, axis in loaded.space:
        _echo(f"  {name}: {axis.describe()}")
    if len(loaded.space):
        _echo(f"configurations: {'no end of them' if n is None else n}")
    _echo("defaults:")
    for key, value in loaded.defaults.model_dump().items():
        if key not in loaded.space.axes:
            _echo(f"  {key}: {value}")
    for label, config in loaded.references.items():
        base = loaded.defaults.model_dump()
        differs = {k: v for k, v in config.model_dump().items() if base[k] != v}
        _echo(
            f"reference {label}: "
            + (", ".join(f"{k}={v}" for k, v in differs.items()) or "the defaults")
        )
    _echo(f"engine: {loaded.engine}")
    parts = {"study": loaded.study, "confirm": loaded.confirm}
    for name, part in parts.items():
        _echo(f"{name}:" if part else f"{name}: none")
        for key, value in (part.model_dump() if part else {}).items():
            _echo(f"  {key}: {value}")


@cli.group()
def data() -> None:
    """Look at the datasets."""


@data.command()
@click.argument("name")
@_data_dir
def info(name: str, data_dir: Path | None) -> None:
    """Say what dataset NAME is: sizes, balance, lengths, digest, duplicates."""
    from lstm_bench.data.dataset import describe_dataset
    from lstm_bench.data.registry import load_dataset

    _say_reading(name)
    about = describe_dataset(load_dataset(name, data_dir=data_dir))
    _echo(f"{about['name']}: {about['description']}")
    _echo(f"source: {about['source']}")
    _echo(f"digest (SHA-256 of ids and labels): {about['digest']}")
    _echo(f"vocabulary: {about['vocabulary_words']:,} words")
    for part in ("train", "test"):
        facts = about[part]
        classes = ", ".join(f"{n:,} {name}" for name, n in facts["classes"].items())
        _echo(f"{part}: {facts['n']:,} {about['example']}s ({classes})")
        quantiles = ", ".join(
            f"{q} {v:g}" for q, v in facts["length_quantiles"].items()
        )
        _echo(
            f"  length in tokens, start included: mean {facts['length_mean']:.1f}, "
            f"{quantiles}"
        )
        _echo(f"  copies of another of them: {facts['n_copies']:,}")
    _echo(
        f"test {about['example']}s that also stand in train: {about['n_test_in_train']}"
    )
    if about["best_possible_accuracy"] is not None:
        _echo(f"best possible accuracy: {about['best_possible_accuracy']:.4f}")
    for note in about["notes"]:
        _echo(f"note: {note}")


def _report(
    names: tuple[str, ...],
    formats: tuple[str, ...],
    mlflow_url: str | None,
    tracking_uri: str | None,
    out: Path | None,
) -> None:
    """Write the report on one study, or on several side by side."""
    from lstm_bench.analysis.comparisons import analyse
    from lstm_bench.analysis.tables.studies import compare_studies
    from lstm_bench.report.render import write_report, write_sections
    from lstm_bench.report.studies.answers import study_answers, warnings
    from lstm_bench.report.studies.sections import build_study_sections, studies_page
    from lstm_bench.stores import store_errors
    from lstm_bench.system.folders import make_folder
    from lstm_bench.tracking.find import load_studies, report_name

    console = _console()
    console.doing("loading the results from MLflow")
    with store_errors():
        results = load_studies(tracking_uri, names)
    if mlflow_url is not None:
        url = bare_url(mlflow_url)
        results = [replace(one, tracking_url=url) for one in results]
    folder = make_folder(out or Path("reports") / report_name(results, names), "--out")
    _keep_whole_report(results, folder)
    console.doing("writing the report")
    if len(results) == 1:
        _say_left_out(console, results[0])
        page = write_report(analyse(results[0]), folder, formats)
    else:
        compared = compare_studies([analyse(one) for one in results])
        for label, name in zip(compared.labels, names, strict=True):
            if label != name:
                _say(console, f"{label}: {mask_text(name)}")
        for answer in study_answers(compared):
            _say(console, f"{answer.question}: {answer.text}")
        for warning in warnings(compared):
            _say(console, f"warning: {warning}")
        sections = build_study_sections(compared)
        page = write_sections(sections, studies_page(compared), folder, formats)
    _say(console, f"report: {page}")
    _end_if_poorer(results, page)


def _keep_whole_report(results: Sequence[Results], folder: Path) -> None:
    """End the command where a report without lost files would replace another."""
    from lstm_bench.tracking.names import REPORT_FILES

    missing = next((one.missing for one in results if one.missing), None)
    if missing and any((folder / name).exists() for name in REPORT_FILES):
        raise LstmBenchError(
            f"no report: {missing}. The report in {folder} is left as it is. Bring the "
            "files back, delete those runs in MLflow, or write a report without them "
            "into another folder: lstm-bench report ... --out DIR"
        )


def _end_if_poorer(results: Sequence[Results], page: Path) -> None:
    """End the command with an error where a report was made without lost files."""
    missing = next((one.missing for one in results if one.missing), None)
    if missing:
        raise LstmBenchError(f"{page} was made without what is lost: {missing}")


def _load(suite: str) -> Suite:
    from lstm_bench.suites.suite import load_suite

    return load_suite(suite)


def _plan(suite: Suite, n_trials: int) -> str:
    parts = []
    if suite.references:
        parts.append(count(len(suite.references), "reference"))
    if len(suite.space):
        n = suite.space.n_configurations
        many = "a continuous space" if n is None else count(n, "configuration")
        parts.append(
            f"{count(n_trials, 'trial')} ({suite.search_text(n_trials)}) over {many} "
            f"of {', '.join(suite.space.axes)}"
        )
    plan = f"{' and '.join(parts)} on {suite.dataset.name}"
    if suite.confirm is not None:
        seeds = count(suite.confirm.n_replicates, "fresh seed")
        plan += f"; confirmed on {seeds}"
    return plan


def _report_folder(suite: Suite, out: Path | None) -> Path:
    """Return the report's folder, made now: better to fail before the sweep."""
    from lstm_bench.system.folders import make_folder

    return make_folder(
        out if out is not None else Path("reports") / suite.name, "--out"
    )


def _confirm(
    console: LastingConsole,
    prepared: Prepared,
    tracker: Tracker,
    n_best: int | None,
    n_replicates: int | None,
    parent_run_id: str | None,
    *,
    workers: Workers,
    store: StudyStore | None,
) -> str:
    """Run a confirmation round and return its run; ends the command if stopped."""
    from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS
    from lstm_bench.confirm import choose_candidates, run_confirm
    from lstm_bench.tracking.load import load_results
    from lstm_bench.workers.progress import make_progress

    suite = prepared.suite
    if suite.confirm is None:
        raise TypeError("a round needs a suite with a confirm section")
    n_best = suite.confirm.n_best if n_best is None else n_best
    n_replicates = n_replicates or suite.confirm.n_replicates
    results = None
    if len(suite.space) and n_best:
        console.doing("loading the search from MLflow")
        results = load_results(tracker.tracking_uri, suite)
        _say_left_out(console, results)
    candidates = choose_candidates(suite, results, n_best)
    _say(
        console,
        f"confirming {count(len(candidates), 'configuration')} on "
        f"{count(n_replicates, 'fresh seed')}"
        + (
            f" (too few for verdicts, which take {MIN_SEEDS})"
            if n_replicates < MIN_SEEDS
            else ""
        )
        + ": "
        + "; ".join(candidate.label for candidate in candidates),
    )
    outcome = run_confirm(
        prepared,
        tracker,
        make_progress(console),
        candidates,
        n_replicates=n_replicates,
        parent_run_id=parent_run_id,
        workers=workers,
        store=store,
    )
    if outcome.interrupted:
        _say_waiting(console, tracker)
        _stopped(console, outcome.n_finished, outcome.n_total)
    return outcome.run_id


def _conclude(
    console: LastingConsole,
    named: str,
    tracker: Tracker,
    folder: Path,
    prepared: Prepared,
    *run_ids: str,
) -> Analysis | None:
    """Write the report and the verdicts, log them, and say the answer.

    Parameters
    ----------
    named : str
        The suite, as the command line names it.

    Returns
    -------
    Analysis or None
        None unless all is tracked: it is said what waits and what writes it.
    """
    suite = prepared.suite
    from lstm_bench.analysis.comparisons import analyse
    from lstm_bench.analysis.verdicts import answers, confirmation_summary
    from lstm_bench.report.render import write_report
    from lstm_bench.tracking.load import load_results
    from lstm_bench.tracking.server import is_away

    analysis = None
    console.doing("loading the results from MLflow")
    if tracker.catch_up() and _workers_wrote_all(console, tracker, suite):
        try:
            analysis = analyse(load_results(tracker.tracking_uri, suite))
        except Exception as error:
            if not is_away(error):
                raise
    if analysis is None:
        _say_waiting(console, tracker)
        _say(
            console,
            "no report: it is made from what is tracked, and the tracking server does "
            "not answer; when it does and all is written: "
            + command_line("report", named),
        )
        return None
    console.doing("writing the report")
    _keep_whole_report([analysis.results], folder)
    _say_left_out(console, analysis.results)
    page = write_report(analysis, folder)
    _end_if_poorer([analysis.results], page)
    for run_id in run_ids:
        tracker.log_report(run_id, folder)
        if analysis.contenders:
            tracker.log_verdicts(run_id, *confirmation_summary(analysis))
    if len(analysis.results.confirmed) and not analysis.contenders:
        _say(console, "no training of the round was completed; the report says why")
    for answer in answers(analysis):
        _say(console, f"{answer.question}: {answer.text}")
    _say(console, f"report: {page}")
    return None if _say_waiting(console, tracker) else analysis


def _log_model(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    analysis: Analysis | None,
    run_id: str,
) -> None:
    """Log the confirmed winner's model; the next start does, if the server is away."""
    from lstm_bench.confirm import log_winners_model
    from lstm_bench.errors import TrialFailed

    if analysis is None:
        return
    try:
        log_winners_model(prepared, tracker, progress, analysis, run_id)
    except TrialFailed as error:
        progress.say(f"the winner's model is not logged: {error}")


def _is_confirmed(analysis: Analysis) -> bool:
    """Whether what a confirmation would take first is confirmed already."""
    from lstm_bench.confirm import choose_candidates

    results = analysis.results
    confirmed = {contender.key for contender in analysis.contenders}
    # One of several that tie for the best: the same one each time.
    first = choose_candidates(results.suite, results, n_best=1)[0]
    return first.config.config_id in confirmed


def _workers_wrote_all(console: LastingConsole, tracker: Tracker, suite: Suite) -> bool:
    """Write what workers of this machine left behind, if the server takes it."""
    from lstm_bench.errors import TrackingError
    from lstm_bench.tracking.sync import sync

    try:
        sync(tracker.tracking_uri, suite.study_name)
    except TrackingError as error:
        _say(console, str(error))
        return False
    return True


def _open_tracker(
    console: LastingConsole, uri: str, suite: Suite, progress: Progress
) -> Tracker:
    """Return the study's tracker, with what earlier sessions left behind written."""
    from lstm_bench.tracking.artifacts import find_moves, record_moves
    from lstm_bench.tracking.sync import sync
    from lstm_bench.tracking.tracker import Tracker
    from lstm_bench.tracking.writer import operations_text

    earlier = sync(uri, suite.study_name)
    if earlier.n_operations:
        _say(
            console,
            "written to the tracking server, which was away: "
            + operations_text(earlier.n_operations, earlier.n_runs),
        )
    tracker = Tracker(uri, suite.study_name, progress.say)
    moves = find_moves(uri)
    if moves:
        record_moves(uri, moves)
        _say(
            console,
            f"the tracking store was moved or copied: its artifacts are in "
            f"{moves[0].new} now, no longer in {moves[0].old}, and so it has them now",
        )
    # A command that ends in an error says it, too.
    context = click.get_current_context()
    context.call_on_close(lambda: _say_waiting(console, tracker))
    return tracker


def _say_waiting(console: LastingConsole, tracker: Tracker) -> bool:
    """Say what waits for the tracking server and let go of it; return if anything."""
    waiting = tracker.writer.waiting
    if waiting is None:
        return False
    _say_what_waits(console, waiting, tracker.tracking_uri)
    tracker.writer.close()
    return True


def _say_what_waits(console: LastingConsole, waiting: Waiting, uri: str) -> None:
    _say(console, waiting.describe(uri))


def _stopped(console: LastingConsole, n_finished: int, n_total: int) -> NoReturn:
    _say(
        console,
        f"stopped: {n_finished} of {n_total} trainings are finished and kept; the same "
        "command goes on from there",
    )
    raise SystemExit(INTERRUPTED)


def _prepare(
    console: LastingConsole,
    suite: Suite,
    data_dir: Path | None,
    config: TrialConfig | None = None,
    n_replicates: int = 0,
) -> Prepared:
    """Load the data, and see that the engine that the suite asks for runs here."""
    from lstm_bench.packed.self_test import require_running
    from lstm_bench.training.prepare import prepare

    _say_reading(suite.dataset.name)
    console.doing("loading the data")
    prepared = prepare(suite, data_dir, config, n_replicates)
    console.doing("seeing that the LSTM's engine runs here")
    require_running(suite.engine, lambda line: _say(console, line))
    return prepared


def _say_reading(name: str) -> None:
    """Announce what may take a minute, on stderr: it is no part of an answer."""
    from lstm_bench.data.registry import dataset_names, is_synthetic

    if name in dataset_names() and not is_synthetic(name):
        _echo(f"reading {name} (up to a minute the first time) ...", err=True)


def _say_data(console: LastingConsole, prepared: Prepared) -> None:
    _say(
        console,
        f"{prepared.dataset.name}: {len(prepared.splits.train):,} training and "
        f"{len(prepared.splits.val):,} validation {prepared.dataset.example}s "
        f"({prepared.dataset.source})",
    )
    _say_start(console)


def _say_start(console: LastingConsole) -> None:
    from lstm_bench.system.environment import bytecode_advice

    advice = bytecode_advice()
    if advice is not None:
        _say(console, advice)
    _say(console, "starting TensorFlow and MLflow (10-20 s) ...")
    console.doing("starting TensorFlow and MLflow")


def _console() -> LastingConsole:
    from lstm_bench.system.console import LastingConsole

    console = LastingConsole()
    click.get_current_context().call_on_close(console.close)
    return console


def _echo(text: str, err: bool = False) -> None:
    click.echo(printable(text), err=err)


def _say(console: LastingConsole, message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _say_left_out(console: LastingConsole, results: Results) -> None:
    """Warn of what the tracking store holds of a study and could not be read."""
    from lstm_bench.tracking.stored_runs import describe_left_out

    if left_out := describe_left_out(results.left_out):
        _say(console, f"warning: {left_out}")


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


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
        settle()
        _check_project_run()
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        _echo(shortened(shown.getvalue().rstrip(), MAX_MESSAGE), err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _echo("stopped", err=True)
        code = INTERRUPTED
    except LstmBenchError as error:
        _echo(f"error: {shortened(str(error), MAX_MESSAGE)}", err=True)
        code = 2
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            # Met first wherever a path that was given is looked at.
            _echo(
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


if __name__ == "__main__":
    main()
