"""The thread that writes to MLflow, against servers that do not answer or refuse."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_server import answering, free_port

from lstm_bench.tracking import writer as writer_module
from lstm_bench.tracking.tracker import draw_nothing
from lstm_bench.tracking.writer import Parcel, Writer


def writer_for(uri: str, folder: Path) -> Writer:
    return Writer(MlflowClient(uri), folder, draw_nothing)


def test_nobody_waits_for_a_server_that_hangs(tmp_path):
    writer = writer_for("http://127.0.0.1:1", tmp_path)
    hangs, answers, written = threading.Event(), threading.Event(), []

    def hang() -> None:
        hangs.set()
        answers.wait()
        written.append("first")

    writer.show(hang)
    assert hangs.wait(60)
    for name in ("second", "third"):
        writer.show(lambda name=name: written.append(name))
    writer.check(written.append)
    assert written == []
    answers.set()
    writer.close()
    assert written == ["first", "second", "third"]


@pytest.mark.parametrize("kind", ["silent", "closed", "gateway"])
def test_while_a_server_is_away_it_is_asked_once_and_the_rest_is_dropped(
    kind, tmp_path, monkeypatch
):
    monkeypatch.setattr(writer_module, "LIVE_TIMEOUT_S", 1)
    asked, said = [], []
    with answering(503) as gateway, socket.create_server(("127.0.0.1", 0)) as silent:
        uri = {
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "closed": f"http://127.0.0.1:{free_port()}",
            "gateway": gateway,
        }[kind]
        writer = writer_for(uri, tmp_path)

        def ask() -> None:
            asked.append(uri)
            writer.client.log_metric("run", "loss", 1.0)

        for _ in range(20):
            writer.show(ask)
        writer.close()
    writer.check(said.append)
    assert len(asked) == 1
    (line,) = said
    assert "the tracking server does not answer" in line and str(tmp_path) in line
    assert "training goes on" in line


def test_a_refusal_is_an_error_for_the_caller(tmp_path):
    with answering(404) as uri:
        writer = writer_for(uri, tmp_path)
        writer.show(lambda: writer.client.log_metric("run", "loss", 1.0))
        with pytest.raises(MlflowException):
            writer.flush(print)
        writer.close()


@pytest.mark.parametrize("what", ["show", "send"])
def test_an_error_of_the_thread_is_one_of_the_caller_and_ends_its_writing(
    what, tmp_path
):
    writer = writer_for(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    written = []
    if what == "show":
        writer.show(lambda: 1 / 0)
    else:
        (tmp_path / "run").mkdir()
        writer.send(Parcel(tmp_path / "run", lambda: 1 / 0))
    writer.show(lambda: written.append("later"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            writer.flush(print)
    writer.close()
    assert written == []
