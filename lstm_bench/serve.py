"""Serve a study's model with MLflow's scoring server, in this Python."""

from __future__ import annotations

import json
import os
import shlex
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from mlflow.pyfunc import scoring_server

from lstm_bench.tracking.models import read_about
from lstm_bench.ui import HOST, check_free, run_server


def serve_model(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a model on this machine alone until the server is stopped.

    As ``mlflow models serve --env-manager local``, whose protocol it has; no
    environment is built.

    Parameters
    ----------
    folder : Path
        Of the MLflow model.

    Raises
    ------
    TrackingError
        The port is in use, or the server does not start.
    """
    check_free(HOST, port)
    example = read_about(folder)["input_example"]
    command = [sys.executable, "-P", "-m", "uvicorn", "--host", HOST]
    command += ["--port", str(port), "mlflow.pyfunc.scoring_server.app:app"]
    environment = os.environ | {
        scoring_server._SERVER_MODEL_PATH: folder.as_uri(),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Where uvicorn searches for modules first; its default is the working folder.
        "UVICORN_APP_DIR": sysconfig.get_path("stdlib"),
    }
    address = f"http://{HOST}:{port}/invocations"

    def announce() -> None:
        body = json.dumps({"inputs": example})
        say(f"serving at {address}; try:")
        say(
            f"curl {address} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )

    say("starting MLflow's scoring server (about 20 s) ...")
    run_server(command, environment, HOST, port, say, announce)
