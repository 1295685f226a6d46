"""What a Dask worker does: train one configuration, or fit one baseline.

A worker needs the package and nothing else. It imports neither MLflow nor Optuna, and
knows no address and no password: its job has the suite and the digest of the data, and
what it returns is plain data.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from distributed import Event, Worker, get_worker

from lstm_bench import __version__
from lstm_bench.data.dataset import Dataset, joined
from lstm_bench.data.folder import kept_folder, open_kept
from lstm_bench.data.preprocessing import preprocessed
from lstm_bench.data.splits import Splits
from lstm_bench.errors import LstmBenchError, TrialFailed
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.engines import join_engines
from lstm_bench.suites.suite import Suite, suite_from_text
from lstm_bench.system.environment import describe_environment
from lstm_bench.system.limits import Limits
from lstm_bench.system.startup import settle
from lstm_bench.system.threads import VARIABLE, n_cores, thread_variables
from lstm_bench.training.baselines import (
    BASELINES,
    BaselineResult,
    run_baseline,
    why_not_run,
)
from lstm_bench.training.checkpoint import Checkpoint
from lstm_bench.training.model_folder import Origin
from lstm_bench.training.prepare import split
from lstm_bench.training.result import TrialResult


@dataclass(frozen=True)
class Job:
    """One training, or one baseline's fit, as a worker gets it.

    Attributes
    ----------
    key : str
        Unique; the name of the Dask task and of the event that stops it.
    topic : str
        Dask topic of its events.
    suite_name, suite_text : str
    data : str
        Digest of the data's folder, see `lstm_bench.data.folder`.
    config : TrialConfig or None
        None: a baseline.
    baseline : str
        Name of the baseline.
    n_subset : int or None
        Number of training examples, of a subset; None: all.
    is_refit : bool
        Whether it is trained on train and validation together, for all of the
        configuration's epochs, and scored on nothing.
    origin : Origin or None
        Given: the model folder is returned, too.
    explains : bool
        Whether the samples are explained where no model folder is returned.
    n_on_host : mapping of str to int
        Workers by host, which share its cores; empty: the process's own setting.
    version : str
        Of this package where the command runs.
    """

    key: str
    topic: str
    suite_name: str
    suite_text: str
    data: str
    replicate: int = 0
    config: TrialConfig | None = None
    baseline: str = ""
    n_subset: int | None = None
    score_test: bool = False
    is_refit: bool = False
    origin: Origin | None = None
    explains: bool = False
    n_on_host: Mapping[str, int] = field(default_factory=dict)
    version: str = __version__


State = Literal["complete", "failed", "stopped", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    state : str
        "stopped" where the driver asked for it, to prune or to end; "skipped" for a
        baseline that would take too long.
    epochs : list of dict
        As in `History`, of a training.
    result : TrialResult, BaselineResult or None
    model : dict of str to bytes
        Files of the model folder.
    engine : str
        Of the LSTMs; see `join_engines`.
    explained : list of dict
        From `explain_samples`, where the model folder is returned, or the job asks.
    """

    state: State
    reason: str | None = None
    epochs: list[dict[str, float]] = field(default_factory=list)
    result: TrialResult | BaselineResult | None = None
    model: dict[str, bytes] = field(default_factory=dict)
    engine: str = ""
    explained: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class DataMissing:
    """The worker at `address` does not have the data: the driver sends them."""

    address: str


class Stopped(Exception):
    """The driver asked for the end of this training."""


def run_job(job: Job) -> Outcome | DataMissing:
    """Run a job in a Dask worker.

    Events of its topic are dicts with ``what`` and ``key``: "started" (with
    ``address``, ``engine`` and ``machine``), "epoch" (with ``entry``) and "origin"
    (with ``number`` and ``n``, see `OnOrigin`); and "said" with ``text``, of the whole
    process.
    """
    worker = get_worker()
    _set_up(job)
    dataset = _dataset(job.data)
    if dataset is None:
        return DataMissing(worker.address)

    def tell(what: str, **about: Any) -> None:
        worker.log_event(job.topic, {"key": job.key, "what": what, **about})

    suite = _suite(job.suite_name, job.suite_text)
    splits = _splits(
        job.suite_name, job.suite_text, job.data, job.replicate, job.n_subset
    )
    if job.config is None:
        return _fit_baseline(job, dataset, splits, tell)
    return _train(job, job.config, suite, dataset, splits, tell)


def _set_up(job: Job) -> None:
    """Prepare the process before the first job imports TensorFlow."""
    settle()
    # Again: a worker may have joined since the command began.
    check_worker(job.version, get_worker())
    if job.n_on_host and VARIABLE not in os.environ:
        host = urlsplit(get_worker().address).hostname or ""
        shared = max(1, n_cores() // job.n_on_host.get(host, 1))
        os.environ.update(thread_variables(shared))


@functools.lru_cache(maxsize=1)
def _dataset(digest: str) -> Dataset | None:
    return open_kept(digest)


@functools.lru_cache(maxsize=4)
def _suite(name: str, text: str) -> Suite:
    return suite_from_text(name, text)


@functools.lru_cache(maxsize=1)
def _splits(
    name: str, text: str, data: str, replicate: int, n_subset: int | None
) -> Splits:
    dataset = _dataset(data)
    if dataset is None:
        raise RuntimeError(f"the data {data} are gone")
    return split(_suite(name, text), dataset, replicate, n_subset)


@functools.lru_cache(maxsize=1)
def _machine() -> dict[str, Any]:
    return describe_environment()


def _fit_baseline(
    job: Job, dataset: Dataset, splits: Splits, tell: Callable[..., None]
) -> Outcome:
    tell("started", address=get_worker().address, engine="", machine=_machine())
    name = job.baseline
    if job.is_refit or job.origin is not None:
        train = splits.train
        if job.is_refit:
            train = preprocessed(dataset, joined(splits.train, splits.val))
        predictor = BASELINES[name].fit(train, dataset.n_targets)
        from lstm_bench.training.model_folder import write_baseline

        def write(folder: Path, origin: Origin) -> None:
            write_baseline(folder, name, predictor.arrays(), dataset, train, origin)

        return Outcome("complete", model=_model(job, write))
    reason = why_not_run(name, splits, score_test=job.score_test)
    if reason is not None:
        return Outcome("skipped", reason)
    result = run_baseline(name, dataset, splits, score_test=job.score_test)
    return Outcome("complete", result=result)


def _train(
    job: Job,
    config: TrialConfig,
    suite: Suite,
    dataset: Dataset,
    splits: Splits,
    tell: Callable[..., None],
) -> Outcome:
    # No training's time includes an import.
    importlib.import_module("lstm_bench.workers.imports")
    from lstm_bench.packed.choice import choose_engine
    from lstm_bench.training.model_folder import write_network
    from lstm_bench.training.trial import (
        free_memory,
        refit,
        run_trial,
        sample_rows,
    )

    engine = choose_engine(suite.engine, config.cell, _sayer(job.topic))
    checkpoint = None
    if suite.checkpoint and not job.is_refit and job.origin is None:
        checkpoint = Checkpoint.of(
            suite.study_name, config.config_id, job.replicate, job.n_subset
        )
    saved = checkpoint.load() if checkpoint is not None else None
    engines = join_engines([*(saved.engines if saved else []), engine])
    limits = Limits(suite.study.trial_timeout_s, suite.study.trial_memory_gib)
    tell("started", address=get_worker().address, engine=engines, machine=_machine())
    stop = Event(job.key)
    epochs: list[dict[str, float]] = []

    def on_step() -> None:
        limits.check()
        if _is_cancelled():
            raise Stopped

    def on_epoch(entry: dict[str, float]) -> None:
        epochs.append(entry)
        tell("epoch", entry=entry)
        if stop.is_set():
            raise Stopped

    def on_origin(number: int, n: int) -> None:
        tell("origin", number=number, n=n)
        if stop.is_set():
            raise Stopped

    seeds: dict[str, Any] = {
        "root_seed": suite.study.seed,
        "replicate": job.replicate,
        "on_epoch": on_epoch,
        "on_step": on_step,
        "engine": engine,
    }
    if job.score_test and (n := len(splits.test_origins)):
        _sayer(job.topic)(
            f"refit: each training is followed by {n:,} more, one at every test "
            "origin, for as many epochs as it kept"
        )
    train, result = splits.train, None

    def write(folder: Path, origin: Origin) -> None:
        write_network(folder, model, config, dataset, train, origin)

    try:
        if job.is_refit:
            train = preprocessed(dataset, joined(splits.train, splits.val))
            model = refit(config, dataset, train, **seeds)
        else:
            result, model = run_trial(
                config,
                dataset,
                splits,
                metric=suite.metric,
                score_test=job.score_test,
                on_origin=on_origin,
                checkpoint=checkpoint,
                **seeds,
            )
        files = _model(job, write)
        explained = []
        if (files or job.explains) and not job.is_refit:
            from lstm_bench.explaining.samples import explain_samples

            rows = sample_rows(splits, suite.study.seed)
            explained = explain_samples(model, config, dataset, splits, rows)
    except Stopped:
        return Outcome("stopped", None, epochs)
    except TrialFailed as error:
        if checkpoint is not None:
            checkpoint.discard()
        return Outcome("failed", str(error), epochs)
    finally:
        free_memory()
    if checkpoint is not None:
        checkpoint.discard()
    return Outcome("complete", None, epochs, result, files, engines, explained)


def _model(job: Job, write: Callable[[Path, Origin], None]) -> dict[str, bytes]:
    if job.origin is None:
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        folder.mkdir()
        write(folder, job.origin)
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def _is_cancelled() -> bool:
    """Whether the driver has given up this task, or is gone."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state not in ("executing", "long-running")


@functools.lru_cache(maxsize=1)
def _sayer(topic: str) -> Callable[[str], None]:
    """Return the same function each time: `choose_engine` remembers it."""
    worker = get_worker()
    return lambda text: worker.log_event(topic, {"what": "said", "text": text})


# What the driver asks all workers, beside their jobs


def check_worker(version: str, dask_worker: Worker) -> None:
    """Raise LstmBenchError unless this worker can train for a driver of `version`.

    Parameters
    ----------
    dask_worker : distributed.Worker
        Dask gives it to a function that it runs beside the jobs.
    """
    where = socket.gethostname()
    n_threads = dask_worker.state.nthreads
    if n_threads != 1:
        raise LstmBenchError(
            f"--scheduler: expected workers of one thread, got one of {n_threads} on "
            f"{where}: TensorFlow has one state for each process; start them with: "
            "dask worker SCHEDULER --nthreads 1 --nworkers N"
        )
    if version != __version__:
        raise LstmBenchError(
            f"--scheduler: expected lstm-bench {version} in the Dask workers, as "
            f"where the command runs, got {__version__} on {where}; install the same "
            "version there and start the workers again"
        )


def put_part(digest: str, name: str, offset: int, content: bytes) -> None:
    """Write a piece of a file of the data into this machine's cache."""
    partial = kept_folder(digest).with_name(f".{digest}.{os.getpid()}")
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / name).open("ab") as file:
        file.truncate(offset)
        file.write(content)


def put_end(digest: str) -> None:
    """Use the data, which are complete."""
    folder = kept_folder(digest)
    partial = folder.with_name(f".{digest}.{os.getpid()}")
    try:
        partial.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        # Another worker of this machine got the same data meanwhile.
        shutil.rmtree(partial)
    _dataset.cache_clear()


# A local worker process


def dask_setup(worker: object) -> None:
    """Prepare a local worker's process; Dask calls it as a preload.

    In a session of its own it gets no Ctrl-C and no hangup of the terminal: the driver
    stops its trainings.
    """
    os.setsid()
    # The fork server has imported it, for any number of threads.
    if (backend := sys.modules.get("lstm_bench.models.backend")) is not None:
        backend.limit_threads()
