"""A server that does not answer is told from one that refuses."""

from __future__ import annotations

import os
import socket

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_server import answering, free_port

from lstm_bench.tracking.server import address, describe, is_away, patience


def failure(uri: str, timeout_s: int = 1) -> MlflowException:
    with patience(timeout_s), pytest.raises(MlflowException) as raised:
        MlflowClient(uri).search_experiments()
    return raised.value


@pytest.mark.parametrize(
    ("code", "away"),
    [
        *((code, True) for code in (429, 500, 502, 503, 504)),
        *((code, False) for code in (400, 401, 404)),
    ],
)
def test_is_away_tells_a_failure_for_now_from_a_refusal(code, away):
    with answering(code) as uri:
        error = failure(uri)
    assert is_away(error) == away


def test_a_closed_port_and_a_silent_one_are_away():
    assert is_away(failure(f"http://127.0.0.1:{free_port()}"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert is_away(failure(f"http://127.0.0.1:{silent.getsockname()[1]}"))


def test_describe_says_in_a_few_words_why_no_answer_came():
    with answering(503) as uri:
        assert describe(failure(uri)) == "it answers 503"
    assert "refused" in describe(failure(f"http://127.0.0.1:{free_port()}"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert describe(error) == "no answer in time"


def test_patience_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), patience(3):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
        raise ZeroDivisionError
    assert dict(os.environ) == before


def test_a_store_is_known_by_its_address_without_what_logs_in_to_it():
    plain = "http://host:5000/mlflow"
    assert address("http://me:s3cret@Host:5000/mlflow/") == plain
    assert address("http://Host:5000/mlflow?token=s3cret") == plain
