from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from commands import run as run_command
from mlflow import MlflowClient
from mlflow_server import free_port
from processes import listening

from lstm_bench import ui
from lstm_bench.errors import TrackingError
from lstm_bench.suites.suite import load_suite
from lstm_bench.system.environment import describe_environment
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.chart_view import (
    TAG_PREFIX,
    chart_view_address,
    chart_view_state,
)
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.ui import study_views


def test_the_default_store_is_absolute_and_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_tracking_uri(None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert resolve_tracking_uri(None) == f"sqlite:///{tmp_path}/other.db"
    assert resolve_tracking_uri("sqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"


@pytest.fixture
def store(tmp_path, monkeypatch) -> str:
    """A new store, and an environment that asks for no experiment."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    Tracker(uri)
    return uri


def begin(uri: str, suite, kind: str = "sweep", say=print) -> tuple[Tracker, str]:
    """Open a session of `suite` as a command does."""
    tracker = Tracker(uri, suite.study_name, say)
    return tracker, tracker.start_session(kind, prepare(suite, None), {}).run_id


def experiment_of(tracker: Tracker) -> str:
    return tracker.client.get_experiment(tracker.experiment_id).name


def test_tracker_leaves_the_run_of_mlflow_run_to_its_command(
    tiny_suite, store, monkeypatch
):
    client = MlflowClient(store)
    command = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", command)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    tracker, sweep = begin(store, tiny_suite)
    assert "MLFLOW_RUN_ID" not in os.environ
    assert experiment_of(tracker) == "lstm-bench/tiny"
    assert sweep != command
    tags = client.get_run(command).data.tags
    assert tags[rec.TAG_SESSION] == sweep
    link = f"[search of tiny](#/experiments/{tracker.experiment_id}/runs/{sweep})"
    assert link in tags["mlflow.note.content"]
    assert rec.TAG_STUDY not in tags
    # The same command's second session leaves it as it is.
    tracker.start_session("confirm", prepare(tiny_suite, None), {}, sweep)
    assert client.get_run(command).data.tags == tags
    results = load_results(store, tiny_suite)
    assert len(results.sessions) == 2
    assert command not in set(results.sessions["run_id"])


def test_tracker_puts_every_study_of_a_suite_in_one_experiment(
    tiny_suite, write_suite, store, monkeypatch
):
    edited = load_suite(write_suite({"seed: 7": "seed: 8"}))
    assert edited.study_name != tiny_suite.study_name
    found = {
        begin(store, s, k)[0].experiment_id
        for s in (tiny_suite, edited)
        for k in ("sweep", "confirm")
    }
    assert len(found) == 1
    # As `mlflow run` starts a command, and as a plain one is started.
    client = MlflowClient(store)
    monkeypatch.setenv("MLFLOW_RUN_ID", client.create_run("0").info.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    assert begin(store, tiny_suite)[0].experiment_id in found


def test_tracker_goes_on_with_a_study_where_it_began(tiny_suite, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "first")
    lines = []
    assert experiment_of(begin(store, tiny_suite, say=lines.append)[0]) == "first"
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    assert experiment_of(begin(store, tiny_suite, say=lines.append)[0]) == "first"
    assert lines == []
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "second")
    assert experiment_of(begin(store, tiny_suite, say=lines.append)[0]) == "first"
    assert lines == [
        f"study {tiny_suite.study_name} goes on in the experiment 'first', where it "
        "began, and not in 'second'"
    ]
    assert MlflowClient(store).get_experiment_by_name("second") is None


@pytest.mark.parametrize(
    "name", ["/Shared/x", "../../x", "a b?c#d%20", "..", "ü" * 300, "/", "a\\b"]
)
def test_an_experiments_name_is_no_path(tiny_suite, store, tmp_path, monkeypatch, name):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    tracker, _ = begin(store, tiny_suite)
    assert experiment_of(tracker) == name
    folders = [f for f in (tmp_path / "mlruns").iterdir() if f.is_dir()]
    assert len(folders) == 1
    assert list(folders[0].glob("*/artifacts/environment.json"))


def test_tracker_honours_the_number_of_an_experiment(tiny_suite, store, monkeypatch):
    client = MlflowClient(store)
    number = client.create_experiment("mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    assert begin(store, tiny_suite)[0].experiment_id == number
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert begin(store, tiny_suite)[0].experiment_id == number
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    with pytest.raises(TrackingError, match="name two experiments"):
        begin(store, tiny_suite)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "99")
    with pytest.raises(TrackingError, match="MLFLOW_EXPERIMENT_ID: expected the numb"):
        begin(store, tiny_suite)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    client.delete_experiment(number)
    with pytest.raises(TrackingError, match=f"experiments restore -x {number}"):
        begin(store, tiny_suite)


def test_mlflow_run_in_an_experiment_of_its_own_puts_the_study_there(
    tiny_suite, store, monkeypatch
):
    client = MlflowClient(store)
    number = client.create_experiment("mine")
    monkeypatch.setenv("MLFLOW_RUN_ID", client.create_run(number).info.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    assert begin(store, tiny_suite)[0].experiment_id == number
    monkeypatch.setenv("MLFLOW_RUN_ID", "none")
    with pytest.raises(TrackingError, match="MLFLOW_RUN_ID: run none is not in"):
        Tracker(store)


def test_the_sweep_carries_a_prepared_chart_view(tiny_suite, tmp_path):
    import json

    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db")
    prepared = prepare(tiny_suite, None)
    tracker.start_session("sweep", prepared, {})
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    state = json.loads(experiment.tags[f"{TAG_PREFIX}{tiny_suite.study_name}"])
    assert state == chart_view_state(tiny_suite)
    # The filter is one that MLflow understands, and finds the search alone.
    for kind in ("trial", "replicate", "reference"):
        tracker.start_run(tiny_suite.defaults, prepared, kind=kind, engine="")
    tracker.close()
    found = tracker.client.search_runs([tracker.experiment_id], state["searchFilter"])
    kinds = {run.data.tags[rec.TAG_KIND] for run in found}
    assert kinds == {"trial", "reference"}
    parallel = state["compareRunCharts"][0]
    assert parallel["selectedParams"] == ["units", "head"]
    address = chart_view_address("http://127.0.0.1:5000/", "1", tiny_suite.study_name)
    assert address.startswith("http://127.0.0.1:5000/#/experiments/1/runs?")
    assert f"viewStateShareKey={tiny_suite.study_name}" in address


def test_an_edited_suite_is_told_from_a_suite_never_run(
    tiny_suite, write_suite, tmp_path
):
    from lstm_bench.suites.suite import load_suite

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = Tracker(uri)
    with pytest.raises(TrackingError, match="run `lstm-bench sweep` first"):
        load_results(uri, tiny_suite)
    tracker.start_session("sweep", prepare(tiny_suite, None), {})
    edited = load_suite(write_suite({"seed: 7": "seed: 8"}))
    with pytest.raises(TrackingError, match=f"it holds {tiny_suite.study_name}"):
        load_results(uri, edited)


def test_the_environment_names_versions_and_machine_but_no_host():
    about = describe_environment()
    assert about["n_cores"] >= 1
    assert about["packages"]["mlflow"].startswith("3.")
    assert socket.gethostname() not in str(about)


@pytest.mark.slow
def test_ui_serves_on_this_machine_and_names_the_chart_view(
    tiny_suite, tmp_path, capfd
):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = Tracker(uri)
    tracker.start_session("sweep", prepare(tiny_suite, None), {})
    before = (tmp_path / "mlflow.db").read_bytes()
    # None of these is imported by the server or by what it starts.
    here = tmp_path / "here"
    here.mkdir()
    for name in ("click", "flask", "logging", "mlflow", "numpy", "random", "uvicorn"):
        (here / f"{name}.py").touch()
    port = free_port()
    said_file = (tmp_path / "said").open("wb")
    process = subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("lstm-bench")), "ui"),
            *("--tracking-uri", uri, "--port", str(port)),
        ],
        stdout=said_file,
        cwd=here,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        for _ in range(600):
            said = (tmp_path / "said").read_text()
            if "Ctrl-C" in said or process.poll() is not None:
                break
            time.sleep(0.2)
        address = f"http://127.0.0.1:{port}"
        assert f"{tiny_suite.study_name}: {address}/#/experiments/" in said
        with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
            assert answer.read() == b"OK"
        assert listening(process.pid, port) == {"127.0.0.1"}
        assert "no authentication by default" not in said
        # The study has no report, so none is named.
        assert ", report: " not in said
        assert (tmp_path / "mlflow.db").read_bytes() == before
        assert run_command("ui", "--tracking-uri", address) == 0
        served = capfd.readouterr().out
        assert f"{tiny_suite.study_name}: {address}/#/experiments/" in served
        assert "serves its own UI" in served
        assert "starting" not in served
        listed = []
        for store in (uri, address):
            assert run_command("studies", "--tracking-uri", store) == 0
            listed.append(capfd.readouterr().out)
        assert tiny_suite.study_name in listed[0]
        assert listed[0] == listed[1]
        assert run_command("ui", "--tracking-uri", uri, "--port", str(port)) == 2
        assert "listens on" in capfd.readouterr().err
    finally:
        process.terminate()
        process.wait(timeout=30)
        said_file.close()
    assert process.returncode in (0, 130)
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if _serves(p, port)]


def test_study_views_name_the_latest_report_that_there_is(tiny_suite, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = Tracker(uri)
    prepared = prepare(tiny_suite, None)
    first = tracker.start_session("sweep", prepared, {}).run_id
    (view,) = study_views(uri, "http://127.0.0.1:5000")
    assert view.report is None
    for part in rec.REPORT_FILES:
        (tmp_path / "report" / part).mkdir(parents=True)
    page = tmp_path / "report" / "index.html"
    page.rmdir()
    page.write_text("a report")
    tracker.log_report(first, tmp_path / "report")
    later = tracker.start_session("confirm", prepared, {}).run_id
    # What else has the tag of a command is nobody's study.
    strange = tracker.client.create_run(tracker.experiment_id).info.run_id
    tracker.client.set_tag(strange, rec.TAG_KIND, "sweep")
    (view,) = study_views(uri, "http://127.0.0.1:5000")
    assert view.report is not None
    assert f"/runs/{first}/artifacts/report/index.html" in view.report
    tracker.log_report(later, tmp_path / "report")
    (view,) = study_views(uri, "http://127.0.0.1:5000")
    assert view.report is not None and f"/runs/{later}/" in view.report


def test_the_ui_waits_for_a_server_as_long_as_it_lives(monkeypatch, tmp_path):
    monkeypatch.setattr(ui, "SAY_EVERY_S", 0.3)
    port, said = free_port(), []
    slow = "import socket, time; time.sleep(1.5); s = socket.create_server("
    for code, starts in (
        (f"{slow}('127.0.0.1', {port})); time.sleep(60)", True),
        ("import sys, time; time.sleep(1); sys.exit('no such thing')", False),
    ):
        with (tmp_path / "log").open("w+b") as log:
            process = subprocess.Popen([sys.executable, "-c", code], stderr=log)
            try:
                if starts:
                    ui._wait_until_it_answers(
                        process, "127.0.0.1", port, log, said.append
                    )
                    assert process.poll() is None
                else:
                    with pytest.raises(TrackingError, match="start:\nno such thing"):
                        ui._wait_until_it_answers(
                            process, "127.0.0.1", free_port(), log, said.append
                        )
            finally:
                process.kill()
                process.wait()
    assert said and set(said) <= {
        f"MLflow's server is still starting ({n} s) ..." for n in range(60)
    }


def _serves(cmdline: Path, port: int) -> bool:
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False
    return b"mlflow" in words and str(port).encode() in words


def test_mlflow_lists_runs_by_their_values_and_who_made_them_with_what(
    write_suite, tmp_path
):
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.training.baselines import BASELINES

    suite = load_suite(write_suite({"seed: 7}": "seed: 7}\nreferences: {base: {}}"}))
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db")
    prepared = prepare(suite, None)
    session, made = {}, {}
    for kind in ("sweep", "confirm"):
        session[kind] = tracker.start_session(kind, prepared, {})
    config = suite.defaults.model_copy(
        update={"units": 1, "masking": False, "learning_rate": 1e-05, "patience": 2}
    )
    for kind, replicate, names in (
        ("trial", 0, {"trial": 5}),
        ("reference", 0, {"reference": "base"}),
        ("replicate", 3, {"label": suite.name_of(config, 5), "origin": "search"}),
        ("train", 2, {}),
    ):
        made[kind] = tracker.start_run(
            suite.references["base"] if kind == "reference" else config,
            prepared.at(replicate),
            kind=kind,
            parent_run_id=session["sweep"].run_id,
            engine="",
            **names,
        )
    for replicate in (0, 2):
        made[f"baseline {replicate}"] = tracker.start_baseline(
            "majority", prepared.at(replicate), session["sweep"].run_id
        )
    assert tracker.catch_up()
    opened = session | made
    runs = {kind: tracker.client.get_run(run.run_id) for kind, run in opened.items()}
    tracker.close()
    values = "1 unit, sigmoid, no masking, learning rate 1e-05, patience 2"
    label = BASELINES["majority"].label
    assert {kind: run.info.run_name for kind, run in runs.items()} == {
        "sweep": "search of tiny",
        "confirm": "confirmation of tiny",
        "trial": f"{values} (trial 5)",
        "reference": "reference base",
        "replicate": f"{values} (trial 5), seed 3",
        "train": f"{values} (one training)",
        "baseline 0": f"{label} (baseline)",
        "baseline 2": f"{label} (baseline, seed 2)",
    }
    commands = {kind: run.data.tags["mlflow.source.name"] for kind, run in runs.items()}
    assert commands == {
        **dict.fromkeys(runs, "lstm-bench sweep"),
        **dict.fromkeys(("confirm", "replicate", "baseline 2"), "lstm-bench confirm"),
        "train": "lstm-bench train",
    }
    commit = prepared.about_machine["git_commit"]
    for run in runs.values():
        tags = run.data.tags
        assert tags["mlflow.source.type"] == "LOCAL"
        assert tags.get("mlflow.source.git.commit") == commit
        assert tags["mlflow.user"]
        assert tags["mlflow.note.content"] and "\n" not in tags["mlflow.note.content"]
        # What MLflow's UI lists: not what one process leaves for another.
        shown = {key for key in tags if not key.startswith("mlflow.")}
        assert not {key for key in shown if "owner" in key or "record" in key}
        assert {rec.TAG_OWNER, rec.TAG_RECORD} <= set(tags)


def test_every_hyperparameter_has_its_words_in_a_runs_name():
    from lstm_bench.suites.config import CONFIG_FIELDS, SHORT

    assert set(SHORT) == set(CONFIG_FIELDS)
