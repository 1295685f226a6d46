"""A real Dask cluster on loopback, whose processes are killed with -9."""

from __future__ import annotations

import os
import signal
import socket

import pytest
from conftest import ROOT, TINY_SUITE
from dask_cluster import DaskCluster
from mlflow_server import free_port
from processes import Place, wait_for
from whole import running_trials, whole_runs

from lstm_bench.errors import LstmBenchError
from lstm_bench.workers import cluster as module
from lstm_bench.workers.cluster import Cluster
from lstm_bench.workers.options import Workers

pytestmark = [
    pytest.mark.slow,
    # Of Dask and its event loop, when a process it talks to is gone.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

N_TRIALS = 4
TEXT = (
    TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}").replace(
        "max_epochs: 2", "max_epochs: 3"
    )
    + "engine: stock\n"
)
# In a worker: each step takes longer, and leaves a mark of its process.
MARKED = """
import os, time
from pathlib import Path
import lstm_bench.system.limits as limits
def check(self):
    Path({folder!r}, str(os.getpid())).touch()
    time.sleep(0.2)
limits.Limits.check = check
"""


def bare(folder, code=""):
    """Return a worker's environment: no address, no password, a cache of its own."""
    (folder / "injected").mkdir()
    (folder / "injected" / "sitecustomize.py").write_text(code)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((str(folder / "injected"), str(ROOT))),
        "LSTM_BENCH_CACHE": str(folder / "cache"),
        "LSTM_BENCH_THREADS": "1",
    }


@pytest.fixture
def cluster(tmp_path):
    """A scheduler without workers."""
    folder = tmp_path / "dask"
    (folder / "trained").mkdir(parents=True)
    code = MARKED.format(folder=str(folder / "trained"))
    cluster = DaskCluster(folder, bare(folder, code))
    cluster.start_scheduler()
    yield cluster
    cluster.stop()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "here").mkdir()
    return Place(tmp_path / "here", TEXT)


def trained(cluster):
    """Return the ids of the processes that trained."""
    return {int(file.name) for file in (cluster.folder / "trained").iterdir()}


def test_a_cluster_gets_the_data_may_grow_and_loses_workers(cluster, place):
    cluster.start_worker("first")
    command = ("sweep", "tiny.yaml", "--scheduler", cluster.address)
    process = place.start(*command)
    wait_for(lambda: running_trials(place))
    victim = cluster.worker_process("first")
    cluster.start_worker("second", nanny=False)
    cluster.wait_for(2)
    wait_for(lambda: cluster.processes["second"].pid in trained(cluster))
    victim.kill()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    assert "sending the data to the worker at" in said
    assert "died; its training begins again" in said
    assert {victim.pid, cluster.processes["second"].pid} <= trained(cluster)
    complete = whole_runs(place.uri, place.suite)
    assert len(complete) == N_TRIALS
    assert place.store().running() == []
    # It is left to itself.
    assert cluster.processes["first"].poll() is None
    assert cluster.processes["second"].poll() is None


@pytest.mark.chaos
def test_a_scheduler_that_is_killed_ends_the_command_and_the_same_goes_on(
    cluster, place
):
    cluster.start_worker("first")
    command = ("sweep", "tiny.yaml", "--scheduler", cluster.address)
    process = place.start(*command)
    wait_for(lambda: running_trials(place))
    cluster.processes["scheduler"].send_signal(signal.SIGKILL)
    cluster.processes["scheduler"].wait()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2, said[-3000:]
    assert "Traceback" not in said
    lines = said.splitlines()
    assert [line for line in lines if "is gone" in line] == lines[-1:]
    assert lines[-1].startswith(f"error: the Dask scheduler at {cluster.address} is")
    assert "RUNNING" not in place.statuses()
    cluster.stop()
    cluster.start_scheduler()
    cluster.start_worker("again")
    place.run(*command)
    assert len(whole_runs(place.uri, place.suite)) == N_TRIALS
    assert place.store().running() == []


def refusal(address):
    with pytest.raises(LstmBenchError) as caught:
        Cluster(Workers(0, scheduler=address), "topic", print)
    return str(caught.value)


def test_workers_of_another_version_or_with_several_threads_are_refused(tmp_path):
    for name, code, n_threads, expected in (
        ("threads", "", 3, "workers of one thread, got one of 3 on"),
        ("version", "import lstm_bench; lstm_bench.__version__ = '9.9'", 1, "got 9.9"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        cluster = DaskCluster(folder, bare(folder, code))
        cluster.start_scheduler()
        try:
            cluster.start_worker("only", n_threads, nanny=False)
            cluster.wait_for(1)
            said = refusal(cluster.address)
        finally:
            cluster.stop()
        assert expected in said
        assert "install the same version" in said or "--nthreads 1" in said


def test_where_no_scheduler_answers_is_said_before_anything_begins(monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # One listens and says nothing; on the other port is nobody.
        for port in (silent.getsockname()[1], free_port()):
            said = refusal(f"tcp://127.0.0.1:{port}")
            assert f"no Dask scheduler answers at tcp://127.0.0.1:{port}" in said
            assert "dask scheduler" in said
