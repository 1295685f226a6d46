"""Start MLflow's own UI with few processes, on this machine alone by default."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from mlflow import MlflowClient

from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url, mask_text
from lstm_bench.text import quoted
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.chart_view import chart_view_address, report_address
from lstm_bench.tracking.find import find_sessions
from lstm_bench.tracking.stored_runs import StoredSession

HOST = "127.0.0.1"
MAX_PORT = 65535
SAY_EVERY_S = 10.0
OPEN_TO_OTHERS = (
    "warning: MLflow's server has no authentication by default: everyone who reaches "
    "{address} can read, change and delete every run. With passwords it is started by\n"
    "  pip install 'mlflow[auth]'\n"
    "  MLFLOW_FLASK_SERVER_SECRET_KEY=... MLFLOW_BACKEND_STORE_URI=... mlflow server "
    "--app-name basic-auth --host {host} --port {port}\n"
    "and MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD log in to it"
)


@dataclass(frozen=True)
class StudyView:
    """A study in the store, and the addresses of its chart view and latest report."""

    study: str
    address: str
    report: str | None


def study_views(tracking_uri: str, server: str) -> list[StudyView]:
    """Return the views of every study in the store, the latest first."""
    client = MlflowClient(tracking_uri)
    by_study: dict[str, list[StoredSession]] = {}
    for run in reversed(find_sessions(client)):
        by_study.setdefault(run.study, []).append(run)
    return [
        StudyView(
            study,
            chart_view_address(server, runs[0].experiment_id, study),
            next(
                (
                    report_address(server, run.experiment_id, run.run_id)
                    for run in runs
                    if _has_report(client, run.run_id)
                ),
                None,
            ),
        )
        for study, runs in by_study.items()
    ]


def _has_report(client: MlflowClient, run_id: str) -> bool:
    held = client.list_artifacts(run_id, rec.REPORT)
    return any(item.path == f"{rec.REPORT}/index.html" for item in held)


def is_this_machine_alone(host: str) -> bool:
    """Whether a server that listens on `host` is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_free(host: str, port: int) -> None:
    """Raise TrackingError unless a server can listen on `port` of `host`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except UnicodeError as error:
            # The name of the host may be too long.
            raise TrackingError(
                f"--host: expected an address, got {quoted(host)} ({error})"
            ) from error
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise TrackingError(
                    f"--port: something listens on {host}:{port} already, or nobody "
                    f"may ({error.strerror}); stop it, or give another, for example "
                    f"--port {port + 1 if port < MAX_PORT else port - 1}"
                ) from error
            raise TrackingError(
                f"--host: expected an address of this machine, such as {HOST} or "
                f"0.0.0.0 for all of them, got {quoted(host)} ({error.strerror})"
            ) from error


def _reached_at(host: str) -> str:
    """Return this machine's address of a server that listens on `host`."""
    return {"0.0.0.0": HOST, "::": "::1"}.get(host, host)


def serve(tracking_uri: str, host: str, port: int, say: Callable[[str], None]) -> None:
    """Run MLflow's server until it is stopped; print the addresses when it answers.

    With one worker and no job execution: 370 MB and 8 s instead of 2.5 GB and 28 s.

    Parameters
    ----------
    host : str
        Address to listen on; any but a loopback address makes the store accessible to
        others, and a warning is shown.

    Raises
    ------
    TrackingError
        The address is not this machine's, the port is in use, or the server does not
        start.
    """
    if tracking_uri.startswith("http"):
        server = bare_url(tracking_uri)
        for view in study_views(tracking_uri, server):
            _say_view(view, say)
        say(f"the server at {server} serves its own UI; nothing to start")
        return
    check_free(host, port)
    say("starting MLflow's server (about 10 s) ...")
    reached = _reached_at(host)
    server = f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"
    if not is_this_machine_alone(host):
        address = f"port {port} of {host}"
        say(OPEN_TO_OTHERS.format(address=address, host=host, port=port))
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", host]
    command += ["--port", str(port), "--workers", "1"]
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # Not as an argument: every user can read those in the process list.
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,
        # Where uvicorn searches for modules first; its default is the working folder.
        "UVICORN_APP_DIR": sysconfig.get_path("stdlib"),
    }

    def announce() -> None:
        say(f"MLflow's UI: {server}/?workflowType=machine_learning")
        for view in study_views(tracking_uri, server):
            _say_view(view, say)

    run_server(command, environment, reached, port, say, announce)


def run_server(
    command: Sequence[str],
    environment: Mapping[str, str],
    host: str,
    port: int,
    say: Callable[[str], None],
    announce: Callable[[], None],
) -> None:
    """Run a server of MLflow's until it is stopped.

    Parameters
    ----------
    command, environment
        Of its process.
    host, port
        Where it is reached.
    announce : callable
        Called once it answers.

    Raises
    ------
    TrackingError
        The server does not start, or ends.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            _wait_until_it_answers(process, host, port, log, say)
            announce()
            say("Ctrl-C stops it")
            process.wait()
            raise _ended("MLflow's server has ended", log)
        except KeyboardInterrupt:
            say("stopped")
        finally:
            process.terminate()
            process.wait()


def _say_view(view: StudyView, say: Callable[[str], None]) -> None:
    say(f"{view.study}: {view.address}")
    if view.report is not None:
        say(f"{view.study}, report: {view.report}")


def _wait_until_it_answers(
    process: subprocess.Popen[bytes],
    host: str,
    port: int,
    log: IO[bytes],
    say: Callable[[str], None],
) -> None:
    """Wait while the server lives; on a busy machine its start takes minutes."""
    start = said_at = time.monotonic()
    while process.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
        now = time.monotonic()
        if now - said_at >= SAY_EVERY_S:
            said_at = now
            say(f"MLflow's server is still starting ({now - start:.0f} s) ...")
    raise _ended("MLflow's server did not start", log)


def _ended(what: str, log: IO[bytes]) -> TrackingError:
    log.seek(0)
    said = mask_text(log.read().decode(errors="replace")).strip()
    return TrackingError(f"{what}:\n{said[-2000:]}")
