"""Resolve and check the tracking store's address: option, environment or default."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from mlflow.store.db.db_types import DATABASE_ENGINES

from lstm_bench.errors import TrackingError
from lstm_bench.masking import hide_login, mask_url
from lstm_bench.stores import absolute_url, check_address, check_database
from lstm_bench.text import shortened
from lstm_bench.tracking.server import own_timeout_s
from lstm_bench.tracking.writer import PATIENT_S

DEFAULT_STORE = "mlflow.db"
CONNECT_TIMEOUT_S = 5.0


def resolve_tracking_uri(uri: str | None, *, create: bool = True) -> str:
    """Return the absolute tracking URI of an existing store, or of one to create.

    Order: `uri`, the environment's ``MLFLOW_TRACKING_URI``, ``mlflow.db`` in the
    working directory.

    Parameters
    ----------
    create : bool
        Whether the caller creates a missing store; False for a caller that only
        reads.

    Raises
    ------
    TrackingError
        The address is invalid or names a file store, which MLflow no longer writes;
        the server does not answer; or the database is not MLflow's, or has the schema
        of another version.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DEFAULT_STORE}"
    check_address(uri, "--tracking-uri")
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        _check_server(uri)
        return uri
    if scheme in ("", "file"):
        raise TrackingError(
            "--tracking-uri: expected sqlite:///FILE.db or http://HOST:PORT, got "
            f"{hide_login(uri)!r}; MLflow's plain-folder store is no longer supported"
        )
    if scheme.partition("+")[0] not in (*DATABASE_ENGINES, "postgres"):
        raise TrackingError(
            "--tracking-uri: expected sqlite:///FILE.db, http://HOST:PORT or a "
            f"database such as postgresql://USER@HOST/DATABASE, got {mask_url(uri)!r}"
        )
    uri = absolute_url(uri, "--tracking-uri")
    check_database(uri, "MLflow", "--tracking-uri", create=create)
    return uri


def _check_server(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    shown = f"{parts.scheme}://{parts.hostname}:{port}"
    try:
        socket.create_connection(
            (parts.hostname or "", port), timeout=CONNECT_TIMEOUT_S
        ).close()
    except (OSError, UnicodeError) as error:
        raise TrackingError(
            f"--tracking-uri: no MLflow server answers at {shortened(shown)} ({error});"
            " start it, or leave the option out to use mlflow.db in this folder"
        ) from error
    # Reject an invalid timeout now, not at the first request.
    own_timeout_s(PATIENT_S)
    # A server that dies later must not hold a sweep for MLflow's default minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
