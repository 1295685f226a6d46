"""A real Dask cluster on loopback: a scheduler and workers, each a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from mlflow_server import free_port

START_TIMEOUT_S = 60


class DaskCluster:
    """Writes what its processes say to files in `folder`.

    Parameters
    ----------
    environment : mapping
        Of the workers.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_scheduler(self) -> None:
        host, port = self.address.removeprefix("tcp://").split(":")
        self._start("scheduler", "scheduler", "--host", host, "--port", port)

    def start_worker(self, name: str, n_threads: int = 1, nanny: bool = True) -> None:
        self._start(
            *(name, "worker", self.address, "--name", name),
            *("--nthreads", str(n_threads), "--memory-limit", "0"),
            "--nanny" if nanny else "--no-nanny",
        )

    def wait_for(self, n_workers: int) -> None:
        """Wait until the scheduler has so many workers."""
        from distributed import Client

        deadline = time.monotonic() + START_TIMEOUT_S
        with Client(
            self.address, timeout=START_TIMEOUT_S, set_as_default=False
        ) as client:
            while len(client.nthreads()) != n_workers:
                assert time.monotonic() < deadline, self.said()
                time.sleep(0.1)

    def worker_process(self, name: str) -> psutil.Process:
        """Return the process that trains: a nanny's child, or the worker itself."""
        process = psutil.Process(self.processes[name].pid)
        children = [
            p for p in process.children() if "spawn_main" in " ".join(p.cmdline())
        ]
        return children[0] if children else process

    def said(self) -> str:
        """Return all that its processes have written."""
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
        self.processes.clear()
