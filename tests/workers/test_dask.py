"""Several machines' worth of servers on this one: PostgreSQL, MLflow and Dask.

They are real, and what is killed is killed with -9.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import ROOT, TINY_SUITE
from dask_cluster import DaskCluster
from mlflow import MlflowClient
from mlflow_server import MlflowServer, free_port
from postgresql import PASSWORD, PostgresqlServer, binaries
from runs import Recorder

from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.search import trials as owned
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import N_EPOCHS
from lstm_bench.workers import dask_pool, supervise
from lstm_bench.workers.dask_task import Address, Errand, check_threads
from lstm_bench.workers.options import Workers
from lstm_bench.workers.recovery import SILENT
from lstm_bench.workers.session import open_sessions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        binaries() is None,
        reason="PostgreSQL's server is not installed (Debian's package postgresql)",
    ),
    # Of Dask and its event loop, when a server it talks to is killed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

N_TRIALS = 5
SUITE = (
    TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}").replace(
        "max_epochs: 2", "max_epochs: 4"
    )
    + "references: {wide: {units: 6}}\n"
    + "confirm: {n_best: 1, n_replicates: 2}\n"
)
WAIT_S = 120


@dataclass(frozen=True)
class Servers:
    """What the sweeps of this module share."""

    postgresql: PostgresqlServer
    mlflow: MlflowServer
    dask: DaskCluster
    storage: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Start all servers; end them whatever happens."""
    root = tmp_path_factory.mktemp("servers")
    postgresql = PostgresqlServer()
    stops = [postgresql.stop]
    try:
        postgresql.start()
        storage = postgresql.create("trials")
        folder = root / "mlflow"
        folder.mkdir()
        mlflow = MlflowServer(
            folder,
            postgresql.create("runs").replace("postgresql:", "postgresql+psycopg:"),
        )
        stops.append(mlflow.stop)
        mlflow.start()
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
            "LSTM_BENCH_CACHE": str(root / "cache"),
            "PYTHONPATH": os.pathsep.join(
                (str(ROOT), os.environ.get("PYTHONPATH", ""))
            ),
        }
        (root / "dask").mkdir()
        # The password is in its own environment, and in nothing that it is sent.
        dask = DaskCluster(root / "dask", environment | {"LSTM_BENCH_STORAGE": storage})
        stops.append(dask.stop)
        dask.start_scheduler()
        dask.start_worker("nanny")
        dask.start_worker("plain", nanny=False)
        dask.wait_for(2)
        yield Servers(postgresql, mlflow, dask, storage, environment)
    finally:
        for stop in reversed(stops):
            stop()


@pytest.fixture
def start(servers, tmp_path):
    """Start lstm-bench commands in a folder; end those that are left."""
    begun = []

    def command(*arguments: str, code: str | None = None) -> subprocess.Popen[str]:
        program = ["-m", "lstm_bench"] if code is None else ["-c", code]
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=tmp_path,
            env=servers.environment | {"LSTM_BENCH_STORAGE": servers.storage},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        return process

    yield command
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def open_store(servers):
    """Open a suite's study, and close it in the end."""
    opened = []

    def open_it(suite: Suite, url: str | None = None) -> StudyStore:
        opened.append(StudyStore(suite, resolve_storage(url or servers.storage)))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


def write_suite(folder: Path, seed: int, text: str = SUITE) -> Suite:
    """Write a suite that no other test has: the seed is part of its study's name."""
    file = folder / "tiny.yaml"
    file.write_text(text.replace("seed: 7", f"seed: {seed}"))
    return load_suite(file)


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=2 * WAIT_S)
    assert process.returncode == 0, said[-3000:]
    return said


def wait_until(is_so, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WAIT_S
    while not is_so():
        if process.poll() is not None:
            pytest.fail(f"ended too early:\n{process.communicate()[0][-3000:]}")
        assert time.monotonic() < end
        time.sleep(0.1)


def at_work(store: StudyStore, pid: int) -> bool:
    """Whether a process trains: it has a trial, and has finished an epoch of it."""
    return any(
        trial.user_attrs[owned.OWNER][1] == pid and trial.intermediate_values
        for study in store.studies
        for trial in study.running()
    )


def check_whole(
    servers: Servers, store: StudyStore, n_trials: int = N_TRIALS
) -> pd.DataFrame:
    """Check that every training is finished once and whole; return their runs."""
    suite = store.suite
    finished = store.finished()
    assert len(finished) == n_trials
    assert len({trial.user_attrs[owned.CONFIG_ID] for trial in finished}) == n_trials
    assert store.finished_references() == set(suite.references)
    assert store.orphans() == []
    uri = servers.mlflow.uri
    client = MlflowClient(uri)
    runs = find_runs(client, f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'")
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    results = load_results(uri, suite)
    complete = pd.concat([results.runs, results.confirmed])
    complete = complete[complete["state"] == "complete"]
    assert not complete.duplicated(["config_id", "replicate"]).any()
    for run_id, n_epochs in zip(complete["run_id"], complete[N_EPOCHS], strict=True):
        for metric in ("val_accuracy", "train_loss"):
            points = client.get_metric_history(run_id, metric)
            assert [p.step for p in points] == list(range(1, int(n_epochs) + 1))
        held = {item.path for item in client.list_artifacts(run_id)}
        assert held >= {rec.CURVES, rec.SAMPLES, rec.PREDICTIONS, rec.SUITE_FILE}
    return complete


def owner_pids(store: StudyStore) -> Counter[int]:
    """Return how many trainings each process finished."""
    trials = [trial for study in store.studies for trial in study.finished()]
    return Counter(trial.user_attrs[owned.OWNER][1] for trial in trials)


# Dask


@pytest.mark.parametrize(
    ("seed", "victims"),
    [(10, ()), pytest.param(11, ("nanny", "plain"), marks=pytest.mark.chaos)],
    ids=["calm", "killed"],
)
def test_a_dask_sweep_is_whole_although_workers_are_killed_and_shows_no_password(
    servers, start, open_store, tmp_path, seed, victims
):
    suite = write_suite(tmp_path, seed)
    n_trials = N_TRIALS if victims else 2
    sweep = start(
        *("sweep", "tiny.yaml", "--confirm", "--trials", str(n_trials)),
        *("--backend", "dask", "--scheduler", servers.dask.address),
        *("--tracking-uri", servers.mlflow.uri),
    )
    store = open_store(suite)
    wait_until(lambda: open_sessions(store), sweep)
    titles = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    for name in victims:
        victim = servers.dask.worker_process(name)
        wait_until(lambda pid=victim.pid: at_work(store, pid), sweep)
        victim.kill()
        if name == "plain":
            # The nanny starts its own again; here somebody has to.
            servers.dask.start_worker("plain again", nanny=False)
    said = finish(sweep)
    complete = check_whole(servers, store, n_trials)
    kinds = {"trial": n_trials, "reference": 1, "replicate": 4}
    assert Counter(complete["kind"]) == kinds
    assert len(owner_pids(store)) > len(victims) // 2
    page = (tmp_path / "reports" / "tiny" / "index.html").read_text()
    assert page.rstrip().endswith("</html>")
    logs = servers.dask.said()
    assert "trainings done here" in logs
    assert servers.storage.partition("://")[2] not in logs
    runs = find_runs(
        MlflowClient(servers.mlflow.uri),
        f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'",
    )
    everything = {
        "sweep": said,
        "Dask": logs,
        "report": page,
        "titles": json.dumps(titles),
        "runs": json.dumps([run.to_dictionary() for run in runs]),
        "artifacts": "".join(
            file.read_text(errors="replace")
            for file in (servers.mlflow.folder / "artifacts").rglob("*")
            if file.is_file()
        ),
    }
    assert [name for name, text in everything.items() if PASSWORD in text] == []


def sweep_here(servers, store, workers=None):
    """Run a sweep in this process, its workers elsewhere; return what it said."""
    recorder = Recorder()
    tracker = Tracker(resolve_tracking_uri(servers.mlflow.uri))
    outcome = run_search(
        prepare(store.suite, None),
        tracker,
        store,
        recorder,
        n_trials=store.suite.study.n_trials,
        timeout_s=None,
        workers=workers or Workers(2, scheduler=servers.dask.address),
    )
    tracker.end_session(outcome.run_id, "FINISHED")
    return recorder.text()


def statuses(servers, suite) -> set[str]:
    found = find_runs(
        MlflowClient(servers.mlflow.uri),
        f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'",
    )
    return {run.info.status for run in found}


def test_another_version_in_a_dask_worker_is_one_message(
    servers, open_store, tmp_path, monkeypatch
):
    suite = write_suite(tmp_path, seed=12)
    monkeypatch.setattr(dask_pool, "Errand", partial(Errand, version="9.9"))
    with pytest.raises(LstmBenchError, match=r"expected lstm-bench 9\.9.*install"):
        sweep_here(servers, open_store(suite))
    assert "RUNNING" not in statuses(servers, suite)


def test_a_dask_worker_without_the_password_says_where_it_belongs(
    servers, open_store, tmp_path
):
    suite = write_suite(tmp_path, seed=13)
    other = servers.postgresql.create("other")
    with pytest.raises(LstmBenchError) as caught:
        sweep_here(servers, open_store(suite, other))
    said = str(caught.value)
    assert "without its password" in said
    assert "LSTM_BENCH_STORAGE" in said
    assert "~/.pgpass" in said
    assert PASSWORD not in said
    assert "RUNNING" not in statuses(servers, suite)


def test_dask_workers_with_several_threads_are_refused():
    check_threads({"tcp://a:1": 1, "tcp://b:2": 1})
    with pytest.raises(LstmBenchError, match=r"tcp://b:2 has 4.*--nthreads 1"):
        check_threads({"tcp://a:1": 1, "tcp://b:2": 4})


def test_a_cluster_is_asked_before_anything_begins(servers, monkeypatch):
    uri, storage = servers.mlflow.uri, servers.storage
    here = Workers(0, scheduler=servers.dask.address)
    found = dask_pool.find_cluster(here, storage, uri)
    assert (found.n, found.grows) == (2, True)
    for urls in (("sqlite:////tmp/optuna.db", uri), (storage, "sqlite:////tmp/m.db")):
        with pytest.raises(TrackingError, match="--storage postgresql://"):
            dask_pool.find_cluster(here, *urls)
    monkeypatch.setattr(dask_pool, "ANSWER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Listens and says nothing; then a server that is not Dask's; then nobody.
        silent_port = silent.getsockname()[1]
        for port in (silent_port, servers.mlflow.port, free_port()):
            nobody = Workers(0, scheduler=f"tcp://127.0.0.1:{port}")
            with pytest.raises(LstmBenchError, match="no Dask scheduler answers"):
                dask_pool.find_cluster(nobody, storage, uri)


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LstmBenchError, match=r"pip install 'lstm-bench\[dask\]'"):
        dask_pool.find_cluster(
            Workers(0, scheduler="tcp://127.0.0.1:8786"),
            "postgresql://me@host/db",
            "http://host:5000",
        )


def test_an_address_is_sent_bare_and_completed_from_the_environment(monkeypatch):
    sent = Address.of("postgresql+psycopg://me:secret@host/db", "OWN")
    assert sent.url == "postgresql+psycopg://me@host/db"
    monkeypatch.setenv("OWN", "postgresql://me:secret@elsewhere/db")
    assert sent.here() == sent.url
    assert "OWN" in sent.hint()
    monkeypatch.setenv("OWN", "postgresql://me:secret@host/db")
    assert sent.here() == "postgresql://me:secret@host/db"
    assert sent.hint() == ""
    assert Address.of("http://host:5000", "OWN").hint() == ""


# Without Dask


# A worker that takes itself for another host's, and whose silence is noticed soon.
ELSEWHERE = """
import sys
from lstm_bench.cli import main as cli
from lstm_bench.search import trials
from lstm_bench.system import process
trials.HEARTBEAT_S, trials.GRACE_S = 1, 3
process._host = lambda: "elsewhere"
sys.argv[0] = "lstm-bench"
cli.main()
"""


def join(start, servers, suite, code=None):
    return start(
        *("worker", suite.study_name, "--tracking-uri", servers.mlflow.uri),
        code=code,
    )


@pytest.mark.chaos
def test_a_worker_that_joins_trains_some_and_leaves(
    servers, start, open_store, tmp_path
):
    suite = write_suite(tmp_path, seed=21)
    store = open_store(suite)
    sweep = start(
        *("sweep", "tiny.yaml", "--workers", "1"),
        *("--tracking-uri", servers.mlflow.uri),
    )
    wait_until(lambda: open_sessions(store), sweep)
    killed, joined = (join(start, servers, suite) for _ in range(2))
    wait_until(lambda: at_work(store, killed.pid), sweep)
    killed.kill()
    assert "joining the sweep" in finish(joined)
    finish(sweep)
    check_whole(servers, store)
    n_trained = owner_pids(store)
    assert n_trained[joined.pid] >= 1
    assert killed.pid not in n_trained or n_trained[killed.pid] < N_TRIALS


@pytest.mark.chaos
def test_what_a_silent_host_was_at_is_taken_over(
    servers, start, open_store, tmp_path, monkeypatch
):
    monkeypatch.setattr(owned, "HEARTBEAT_S", 1)
    monkeypatch.setattr(owned, "GRACE_S", 3)
    monkeypatch.setattr(supervise, "RECOVER_EVERY_S", 1.0)
    suite = write_suite(tmp_path, seed=22)
    store = open_store(suite)
    said: list[str] = []
    sweep = threading.Thread(
        target=lambda: said.append(
            sweep_here(servers, store, Workers(is_joinable=True))
        )
    )
    sweep.start()
    elsewhere = None
    try:
        watched = open_store(suite)
        end = time.monotonic() + WAIT_S
        while not open_sessions(watched) and time.monotonic() < end:
            time.sleep(0.1)
        elsewhere = join(start, servers, suite, ELSEWHERE)
        wait_until(lambda: at_work(watched, elsewhere.pid), elsewhere)
    finally:
        if elsewhere is not None:
            elsewhere.kill()
        sweep.join(timeout=WAIT_S)
    assert said
    complete = check_whole(servers, watched)
    left = [
        t
        for s in watched.studies
        for t in s.trials()
        if owned.INTERRUPTED in t.user_attrs
    ]
    assert [trial.user_attrs[owned.OWNER][0] for trial in left] == ["elsewhere"]
    run_id = left[0].user_attrs[owned.RUN_ID]
    run = MlflowClient(servers.mlflow.uri).get_run(run_id)
    assert run.data.tags[rec.TAG_STATE] == "interrupted"
    assert run.data.tags[rec.TAG_FAILURE] == SILENT
    assert left[0].user_attrs[owned.CONFIG_ID] in set(complete["config_id"])


# The lock

ASK = """
import sys
from lstm_bench.search.storage import find_suite
from lstm_bench.search.study import StudyStore
url, name = sys.stdin.readline().split()
store = StudyStore(find_suite(url, name), url)
print("ready", flush=True)
sys.stdin.readline()
while (step := store.next_reference() or store.next_trial(4)) is not None:
    print(step.reference or step.trial.number, step.config.config_id)
print("none", flush=True)
# What was asked for is at work as long as its process is there.
sys.stdin.readline()
"""


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_who_asks_at_the_same_time_is_given_different_trials(
    servers, open_store, tmp_path, kind
):
    suite = write_suite(tmp_path, seed=30)
    store = open_store(
        suite, f"sqlite:///{tmp_path}/o.db" if kind == "sqlite" else None
    )
    store.keep_suite()
    store.put_references()
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK],
            env=servers.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    given = []
    try:
        for process in asking:
            process.stdin.write(f"{store.url} {suite.study_name}\n")
            process.stdin.flush()
        for process in asking:
            assert process.stdout.readline() == "ready\n"
        for process in asking:
            process.stdin.write("now\n")
            process.stdin.flush()
        for process in asking:
            while (line := process.stdout.readline().strip()) != "none":
                assert line
                given.append(line.split())
    finally:
        for process in asking:
            process.kill()
            process.communicate()
    assert Counter(name for name, _ in given) == Counter(["wide", "0", "1", "2", "3"])
    assert len({config_id for _, config_id in given}) == len(given)
