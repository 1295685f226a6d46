"""A real MLflow server in a process of its own, to start, stop and start again."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quick_databases import write_tables

START_TIMEOUT_S = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """Keeps its database and artifacts in `folder` whenever it runs.

    Parameters
    ----------
    database : str, optional
        Address of another database than a file there.
    """

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.folder = folder
        if database is None:
            write_tables(folder / "server.db")
        self.database = database or f"sqlite:///{folder}/server.db"
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                # Its database by the environment: the address has a password.
                env=os.environ
                | {
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    "MLFLOW_BACKEND_STORE_URI": self.database,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise AssertionError((self.folder / "server.log").read_text()[-2000:])

    def signal(self, number: int) -> None:
        """Send a signal to the server and its workers."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """Kill the server as a machine that fails would."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(timeout=30)
            self.process = None


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(self.server.code)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def answering(code: int) -> Iterator[str]:
    """Yield the address of a server that answers every request with `code`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    server.code = code  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
