"""A tracking server that is stopped while workers train, and one of them dies too."""

from __future__ import annotations

import os
import signal
import time

import pytest
from conftest import TINY_SUITE
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from processes import Place, wait_for, workers_of

from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.outbox import waiting
from lstm_bench.tracking.queries import find_runs

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

OUTAGE_S = float(os.environ.get("LSTM_BENCH_OUTAGE_S", "10"))
TEXT = TINY_SUITE.replace("n_trials: 3", "n_trials: 6").replace(
    "max_epochs: 2", "max_epochs: 6"
)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    server.start()
    yield server
    server.stop()


def test_workers_train_on_without_the_server_and_nothing_is_lost(
    server, tmp_path, monkeypatch
):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here", TEXT)
    place.environment["MLFLOW_TRACKING_URI"] = server.uri
    # So slow that trainings begin and end while the server is away.
    step_s = OUTAGE_S / 40
    place.inject(
        "import time, lstm_bench.system.limits as limits\n"
        f"limits.Limits.check = lambda self: time.sleep({step_s})\n"
    )
    process = place.start("sweep", "tiny.yaml", "--workers", "2")
    database = place.folder / "optuna.db"
    store = wait_for(lambda: database.exists() and place.store())
    wait_for(lambda: len(store.finished()) >= 1)
    n_before = len(store.finished())
    server.stop()
    away_since = time.monotonic()
    time.sleep(OUTAGE_S / 2)
    os.kill(workers_of(process)[0].pid, signal.SIGKILL)
    time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - away_since)))
    n_meanwhile = len(store.finished()) - n_before
    server.start()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    print(f"away {OUTAGE_S:g} s; {n_meanwhile} of 6 trainings ended meanwhile\n{said}")
    assert "training goes on, and finished runs wait in" in said
    assert "report: " in said
    assert waiting(server.uri) == []
    results = load_results(server.uri, place.suite)
    complete = results.runs[results.runs["state"] == "complete"]
    assert len(complete) == 6 and complete["config_id"].is_unique
    client = MlflowClient(server.uri)
    runs = find_runs(client, f"tags.`{rec.TAG_STUDY}` = '{place.suite.study_name}'")
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    for run_id in complete["run_id"]:
        history = client.get_metric_history(run_id, "val_accuracy")
        assert [point.step for point in history] == list(range(1, 7))
        held = {item.path for item in client.list_artifacts(run_id)}
        assert held >= {rec.CURVES, rec.SAMPLES, rec.PREDICTIONS, rec.SUITE_FILE}
    assert store.running() == []


def test_a_server_gone_for_good_leaves_all_to_sync(server, tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    text = TEXT + "confirm: {n_best: 1, n_replicates: 2}\n"
    place = Place(tmp_path / "here", text)
    arguments = ("tiny.yaml", "--tracking-uri", server.uri)
    process = place.start("sweep", *arguments, "--workers", "1", "--confirm")
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("[1/6]"):
            server.stop()
    process.stdout.close()
    assert process.wait(timeout=600) == 0, said
    assert "[6/6]" in said
    assert f"lstm-bench sync --tracking-uri {server.uri}" in said
    assert "Traceback" not in said
    assert not (place.folder / "reports" / "tiny" / "index.html").exists()
    # Away still: a sweep is refused at once, and so is sync.
    assert "no MLflow server answers" in place.run("sweep", *arguments, code=2)
    assert "answers" in place.run("sync", "--tracking-uri", server.uri, code=2)
    server.start()
    assert "nothing is left" in place.run("sync", "--tracking-uri", server.uri)
    results = load_results(server.uri, place.suite)
    assert results.runs["state"].tolist() == ["complete"] * 6
    place.run("report", *arguments)
    assert (place.folder / "reports" / "tiny" / "index.html").exists()
    said = place.run("sync", "--tracking-uri", server.uri)
    assert "written: 0 runs; nothing is left" in said
