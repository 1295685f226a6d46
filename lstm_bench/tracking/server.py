"""Distinguish a tracking server that does not answer from one that refuses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    HTTPError,
    RequestException,
    RetryError,
    Timeout,
)

from lstm_bench.errors import LstmBenchError
from lstm_bench.masking import bare_url
from lstm_bench.system.variables import variables_set
from lstm_bench.text import first_line, quoted

# Status codes after which MLflow itself retries.
AWAY_CODES = (408, 429, 500, 502, 503, 504)
_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"


def is_server(tracking_uri: str) -> bool:
    """Whether `tracking_uri` names a server and not a database."""
    return tracking_uri.startswith(("http://", "https://"))


def server_version(tracking_uri: str) -> str:
    """Return the version of MLflow that a server runs."""
    host = get_default_host_creds(tracking_uri)  # type: ignore[no-untyped-call]
    answer = http_request(host, "/version", "GET")  # type: ignore[no-untyped-call]
    return str(answer.text.strip())


def is_away(error: BaseException) -> bool:
    """Whether `error` means that no server answered, or that it failed for now."""
    failure = _request_failure(error)
    if isinstance(failure, RetryError | HTTPError):
        return _code(failure) in AWAY_CODES
    # A response that breaks off counts as no answer.
    return isinstance(failure, ConnectionError | Timeout | ChunkedEncodingError)


def describe(error: BaseException) -> str:
    """Return in a few words why there was no answer."""
    failure = _request_failure(error)
    if failure is None:
        return first_line(error)
    code = _code(failure)
    if code is not None:
        return f"it answers {code}"
    if isinstance(failure, Timeout) or "timed out" in str(failure):
        return "no answer in time"
    current: BaseException = failure
    while (inner := current.__cause__ or current.__context__) is not None:
        current = inner
    return first_line(current)


def _request_failure(error: BaseException) -> RequestException | None:
    # MLflow raises its own exceptions, some without `from`.
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, RequestException):
            return current
        current = current.__cause__ or current.__context__
    return None


def _code(failure: RequestException) -> int | None:
    if failure.response is not None:
        return int(failure.response.status_code)
    # After the last retry only the text has it: "too many 503 error responses".
    found = re.search(r"too many (\d{3}) error responses", str(failure))
    return int(found[1]) if found else None


@contextmanager
def patience(timeout_s: int) -> Iterator[None]:
    """Limit MLflow's requests to `timeout_s` seconds and one attempt.

    MLflow reads both from the environment at every request; its defaults are 120 s and
    7 retries, minutes for a write.
    """
    with variables_set({_RETRIES: "0", _TIMEOUT: str(timeout_s)}):
        yield


def own_timeout_s(default: int) -> int:
    """Return the timeout that the user set for MLflow, else `default`.

    Raises
    ------
    LstmBenchError
        The variable is not a number of seconds.
    """
    value = os.environ.get(_TIMEOUT)
    if not value:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,6}", value):
        raise LstmBenchError(
            f"{_TIMEOUT}: expected a whole number of seconds, at least 1, got "
            f"{quoted(value)}; unset it for {default}"
        )
    return int(value)


def address(tracking_uri: str) -> str:
    """Return the server's address without credentials, as its identifier."""
    parts = urlsplit(bare_url(tracking_uri))
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
