"""Logged models of series and categories, as MLflow loads and serves them."""

from __future__ import annotations

import json
import warnings

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from lstm_bench.inference import ABOUT, ARRAYS
from lstm_bench.system.environment import describe_environment
from lstm_bench.tracking.models import has_model, log_model, model_folder, read_about
from lstm_bench.tracking.tracker import Tracker

SERIES = [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def logged(store, monkeypatch, kind, tokenizer, example):
    """Log a majority baseline; return its run and the loaded model."""
    about = {
        "kind": kind,
        "tokenizer": tokenizer,
        "model": "majority",
        "class_names": ["a", "b, ü"],
        "config": None,
        "vocabulary": ["up", "down"] if kind == "tokens" else [],
        "scaling": {"mean": [0.0, 0.0], "std": [1.0, 1.0]},
        "channels": ["x", "y"],
        "input_example": example,
        "suite": "tiny",
        "study": "tiny-1",
        "name": "majority class",
        "why": "the only one",
    }
    folder = store / f"{kind}-{tokenizer}"
    folder.mkdir()
    (folder / ABOUT).write_text(json.dumps(about))
    np.savez(folder / ARRAYS, shares=np.array([0.25, 0.75]))
    uri = f"sqlite:///{store}/mlflow.db"
    tracker = Tracker(uri, "tiny-1")
    run_id = tracker.client.create_run(tracker.experiment_id).info.run_id
    assert not has_model(tracker.client, run_id)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        log_model(uri, run_id, folder, describe_environment()["packages"])
    assert has_model(tracker.client, run_id)
    saved = model_folder(tracker.client, run_id)
    assert saved is not None
    assert read_about(saved) == {**about, "run_id": run_id}
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    return mlflow.pyfunc.load_model(f"runs:/{run_id}/model")


def status_of(model, body) -> int:
    try:
        answer = scoring_server.invocations(
            json.dumps(body),
            "application/json",
            model,
            model.metadata.get_input_schema(),
        )
    except MlflowException as error:
        return error.get_http_status_code()
    assert json.loads(answer.response)["predictions"]
    return answer.status


def test_log_model_of_series(store, monkeypatch, capfd):
    model = logged(store, monkeypatch, "vectors", None, SERIES)
    assert capfd.readouterr().err == ""
    assert model.metadata.metadata["class_names"] == ["a", "b, ü"]
    expected = pd.DataFrame({"label": ["b, ü"] * 2, "p_a": 0.25, "p_b, ü": 0.75})
    pd.testing.assert_frame_equal(model.predict(SERIES), expected)
    pd.testing.assert_frame_equal(model.predict(SERIES[:1]), expected[:1])
    # Whole numbers, which a client may write without a point.
    assert status_of(model, {"inputs": [[[1, 2.5], [3, 4]]]}) == 200
    for wrong in ([[["a", 2]]], [[[1]]], [[]], [[[None, 1]]], [5], 5):
        assert status_of(model, {"inputs": wrong}) == 400, wrong


def test_log_model_of_categories(store, monkeypatch):
    model = logged(store, monkeypatch, "tokens", "categories", [["up", "down"]])
    assert model.predict([["up"], ["sideways"]])["label"].tolist() == ["b, ü"] * 2
    for wrong in (["up"], [[1]], [[None]], "up"):
        assert status_of(model, {"inputs": wrong}) == 400, wrong
