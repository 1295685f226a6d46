"""Commands in processes of their own, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psutil
from conftest import TINY_SUITE
from mlflow import MlflowClient
from quick_databases import write_tables

from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking.load import load_results

TEXT = (
    TINY_SUITE
    + "references: {wide: {units: 6}}\n"
    + "confirm: {n_best: 1, n_replicates: 2}\n"
)


class Place:
    """A folder in which commands are run.

    Parameters
    ----------
    is_empty : bool
        Whether the commands make MLflow's tables themselves.
    """

    def __init__(self, folder, text=TEXT, is_empty=False):
        self.folder = folder
        self.prefix: list[str] = []
        (folder / "tiny.yaml").write_text(text)
        self.suite = load_suite(folder / "tiny.yaml")
        if not is_empty:
            write_tables(folder / "mlflow.db")
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(
                (os.getcwd(), os.environ.get("PYTHONPATH", ""))
            )
        }
        for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "LSTM_BENCH_STORAGE"):
            self.environment.pop(variable, None)

    def inject(self, code):
        """Run `code` at the start of every process; it may patch what is light."""
        (self.folder / "injected").mkdir(exist_ok=True)
        (self.folder / "injected" / "sitecustomize.py").write_text(code)
        path = self.environment["PYTHONPATH"]
        injected = str(self.folder / "injected")
        self.environment["PYTHONPATH"] = os.pathsep.join((injected, path))

    def start(self, *arguments):
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "lstm_bench", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A group of their own, as a shell gives to a command on a terminal.
            start_new_session=True,
        )

    def run(self, *arguments, code=0):
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == code, said[-3000:]
        return said

    @property
    def uri(self):
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def client(self):
        return MlflowClient(self.uri)

    def store(self):
        return StudyStore(self.suite, f"sqlite:///{self.folder / 'optuna.db'}")

    def results(self):
        return load_results(self.uri, self.suite)

    def statuses(self):
        runs = self.client.search_runs(
            [e.experiment_id for e in self.client.search_experiments()]
        )
        return {run.info.status for run in runs}


def workers_of(process):
    """Return the worker processes of a command, which its fork server has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children()
        servers = [c for c in children if "forkserver" in " ".join(c.cmdline())]
        return [worker for server in servers for worker in server.children()]
    return []


def listening(pid, port):
    """Return the addresses at which a process or its children listen on `port`."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }


def holding(folder, password):
    """Return the files below `folder` that hold the password, or name it."""
    return [
        path
        for path in folder.rglob("*")
        if password in path.name
        or (path.is_file() and password.encode() in path.read_bytes())
    ]


def wait_for(condition, seconds=120):
    """Return what `condition` comes to, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about")
