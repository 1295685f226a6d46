"""Runs that have ended wait as a whole until MLflow has them, once."""

from __future__ import annotations

import fcntl
import itertools
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
import requests
from commands import run
from conftest import TEST_PATHS, TINY_SUITE
from gateway import Gateway
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from processes import holding
from results_builder import make_predictions
from runs import Recorder, opened

from lstm_bench.doctor import examine_outbox, examine_study, repair, store_facts
from lstm_bench.errors import TrackingError
from lstm_bench.open_study import open_tracker
from lstm_bench.report.figures.training import draw_training
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.outbox import (
    ARTIFACTS,
    RUN,
    Record,
    create_run,
    outbox_folder,
    put,
    read_record,
    send,
    sync,
    upload,
    waiting,
)
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.tracker import Tracker, draw_nothing
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import BEST_VALUE, History, TrialResult

HISTORY = [
    {"epoch": 1, "train_loss": 0.75, "train_accuracy": 0.5, "val_accuracy": 0.5},
    {"epoch": 2, "train_loss": 0.25, "train_accuracy": 0.75, "val_accuracy": 0.75},
]


@pytest.fixture(autouse=True)
def own_outbox(tmp_path, monkeypatch) -> None:
    """Give every test, and the commands it starts, an outbox of their own."""
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def record(key: str, **more: object) -> Record:
    return Record(
        **{
            **dict(run_id=None, experiment="0", name=f"run {key}", key=key),
            **dict(tags={"a": "tag"}, params={"units": "3"}, start=1000, end=5000),
            **{"metrics": [("loss", 1.0 / n, 1000 + n, n) for n in (1, 2)]},
            "dataset": {"name": "d", "digest": "ab", "source": "{}"},
            **more,
        }
    )


def write_artifact(folder: Path) -> None:
    (folder / ARTIFACTS / "deep").mkdir(parents=True)
    (folder / ARTIFACTS / "deep" / "file").write_text("content")


@pytest.fixture
def uri(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def content(client: MlflowClient) -> list[object]:
    """Return all that there is of all runs, apart from the place of their files."""
    found = []
    for one in find_runs(client, ""):
        about = one.to_dictionary()
        about["histories"] = {
            key: [
                point.__dict__
                for point in client.get_metric_history(one.info.run_id, key)
            ]
            for key in one.data.metrics
        }
        about["inputs"] = [i.dataset.digest for i in one.inputs.dataset_inputs]
        files = Path(one.info.artifact_uri.removeprefix("file://"))
        about["files"] = {
            str(file.relative_to(files)): file.read_bytes()
            for file in files.rglob("*")
            if file.is_file()
        }
        found.append(about)
    return found


def check_run(one: dict) -> None:
    """Check that it is what `record` and `write_artifact` made."""
    assert one["info"]["status"] == "FINISHED"
    assert (one["info"]["start_time"], one["info"]["end_time"]) == (1000, 5000)
    assert one["data"]["params"] == {"units": "3"}
    assert one["data"]["tags"]["a"] == "tag"
    assert one["inputs"] == ["ab"]
    points = one["histories"]["loss"]
    assert [(p["_step"], p["_value"], p["_timestamp"]) for p in points] == [
        (1, 1.0, 1001),
        (2, 0.5, 1002),
    ]
    assert one["files"] == {"deep/file": b"content"}


def test_put_keeps_a_run_whole_and_sync_writes_it_whole(uri):
    folder = put(uri, "study", record("1"), write_artifact)
    assert read_record(folder) == record("1")
    assert waiting(uri) == waiting(uri, "study") == [folder]
    assert waiting(uri, "other") == []
    assert sync(uri, draw_nothing, "other") == 0
    assert sync(uri, draw_nothing) == 1
    (one,) = content(MlflowClient(uri))
    check_run(one)
    assert waiting(uri) == []
    assert sync(uri, draw_nothing) == 0


def test_upload_twice_changes_nothing_and_creates_no_second_run(uri):
    client = MlflowClient(uri)
    folder = put(uri, "study", record("1"), write_artifact)
    run_id = upload(client, record("1"), folder)
    once = content(client)
    # As after a kill between the last write and the removal of the folder.
    assert upload(client, record("1"), folder) == run_id
    assert content(client) == once


def test_upload_finds_a_run_that_was_created_live(uri):
    client = MlflowClient(uri)
    live = record("1")
    run_id = create_run(client, live)
    other = create_run(client, record("2"))
    client.log_metric(run_id, "loss", 1.0, 1001, 1)
    folder = put(uri, "study", live, write_artifact)
    assert upload(client, live, folder) == run_id
    check_run(next(r for r in content(client) if r["info"]["run_id"] == run_id))
    assert client.get_run(other).info.status == "RUNNING"


def test_upload_leaves_out_metrics_that_were_shown_live(uri):
    client = MlflowClient(uri)
    folder = put(uri, "study", record("1"), write_artifact)
    run_id = upload(client, record("1"), folder, has_metrics=True)
    assert client.get_run(run_id).data.metrics == {}


class Killed(BaseException):
    """What ends a process between two requests."""


class Dying(MlflowClient):
    """Sends so many requests and no more."""

    def __init__(self, uri: str, n_requests: int) -> None:
        super().__init__(uri)
        self.left = n_requests


def _limited(name: str):
    def request(self, *arguments, **more):
        if self.left == 0:
            raise Killed
        self.left -= 1
        return getattr(MlflowClient, name)(self, *arguments, **more)

    return request


for _name in (
    *("create_run", "log_batch", "log_inputs", "log_artifacts", "set_terminated"),
):
    setattr(Dying, _name, _limited(_name))


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_killed_between_any_two_requests_is_written_whole_and_once(
    is_live, tmp_path
):
    for n_requests in itertools.count():
        uri = f"sqlite:///{tmp_path}/{n_requests}.db"
        client, one = Dying(uri, n_requests), record("1")
        try:
            if is_live:
                with suppress(Killed):
                    create_run(client, one)
            upload(client, one, put(uri, "study", one, write_artifact))
        except Killed:
            assert sync(uri, draw_nothing) == 1
        else:
            break
        (written,) = content(MlflowClient(uri))
        check_run(written)
    assert n_requests >= 6


def test_put_leaves_nothing_of_a_run_that_it_could_not_keep(uri):
    def fail(folder: Path) -> None:
        write_artifact(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        put(uri, "study", record("1"), fail)
    assert waiting(uri) == []
    assert list(outbox_folder(uri, "study").iterdir()) == []


def test_a_killed_command_leaves_what_is_whole(uri):
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}
from test_outbox import put, record, write_artifact
put({uri!r}, "study", record("1"), write_artifact)
def die(folder):
    write_artifact(folder)
    os.kill(os.getpid(), signal.SIGKILL)
put({uri!r}, "study", record("2"), die)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=60)
    assert done.returncode == -signal.SIGKILL
    MlflowClient(uri).search_experiments()
    assert len(list(outbox_folder(uri, "study").iterdir())) == 2
    assert [folder.name for folder in waiting(uri)] == ["1"]
    assert sync(uri, draw_nothing) == 1
    (one,) = content(MlflowClient(uri))
    check_run(one)
    assert waiting(uri) == []


def test_send_leaves_a_run_to_the_process_that_writes_it(uri):
    client = MlflowClient(uri)
    folder = put(uri, "study", record("1"), write_artifact)
    with (folder / RUN).open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert send(client, folder, draw_nothing) is None
    assert waiting(uri) == [folder] and content(client) == []
    assert send(client, folder, draw_nothing) is not None
    # Another process has it listed still.
    assert send(client, folder, draw_nothing) is None
    assert len(content(client)) == 1


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff",
        b"5",
        b"[]",
        b"{}",
        b'{"metrics": []}',
        b'{"metrics": [5], "run_id": null}',
        b'{"run_id": null, "exper',
    ],
)
def test_a_damaged_run_is_named_with_its_file(uri, damaged, capfd):
    folder = put(uri, "study", record("1"), write_artifact)
    (folder / RUN).write_bytes(damaged)
    with pytest.raises(TrackingError) as raised:
        sync(uri, draw_nothing)
    text = str(raised.value)
    assert text.startswith(f"{folder / RUN}: expected a run that waits for MLflow")
    assert "remove the folder to give it up" in text and len(text) < 500
    assert folder.exists()


def test_sync_needs_no_server_where_nothing_waits(capfd):
    assert run("sync") == 0
    assert "no run waits for any tracking server" in capfd.readouterr().out


def test_sync_writes_to_every_store_that_runs_wait_for(tmp_path, capfd):
    uris = [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    for uri in uris:
        Tracker(uri)
        put(uri, "study", record("1"), write_artifact)
    assert run("sync") == 0
    said = capfd.readouterr().out
    for uri in uris:
        assert f"written to {uri}: 1 run; nothing is left" in said
        (one,) = content(MlflowClient(uri))
        check_run(one)


def test_a_database_of_this_machine_has_each_run_at_once(tiny_suite, uri):
    with closing(Tracker(uri, tiny_suite.study_name)) as tracker:
        session = tracker.start_session("sweep", prepare(tiny_suite, None), {})
        session.end("FINISHED")
        assert tracker.catch_up()
        assert waiting(uri) == []
    assert tracker.client.get_run(session.run_id).info.status == "FINISHED"


# A real server that goes and comes back


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    one = MlflowServer(tmp_path_factory.mktemp("server"))
    one.start()
    yield one
    one.stop()


@pytest.fixture
def server(shared_server):
    """An address of its own for each test; the server's runs are everybody's."""
    gateway = Gateway(shared_server.port)
    gateway.start()
    yield gateway
    gateway.stop()


STUDY_NUMBERS = itertools.count()


@pytest.fixture
def suite(tmp_path):
    """A suite whose study no other test has."""
    file = tmp_path / f"tiny_{next(STUDY_NUMBERS)}.yaml"
    file.write_text(TINY_SUITE)
    return load_suite(file)


def begin(tracker: Tracker, suite, session):
    return tracker.start_run(
        *(suite.defaults, prepare(suite, None)),
        **dict(kind="trial", parent_run_id=session.run_id, engine="", trial=0),
    )


def finish(one, suite) -> None:
    result = TrialResult(
        suite.defaults,
        History(HISTORY, 2),
        0.75,
        {"objective": 0.75},
        (make_predictions(30)["val"],),
        [{"index": 0, "text": "a film", "y_true": 1, "y_proba": [0.25, 0.75]}],
        ("neg", "pos"),
    )
    one.finish_training(result, "accuracy")


def check_training(uri: str, suite) -> str:
    """Check that the study's only training is whole; return its id."""
    client = MlflowClient(uri)
    query = f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'"
    (one,) = [
        r for r in find_runs(client, query) if r.data.tags[rec.TAG_KIND] == "trial"
    ]
    run_id = str(one.info.run_id)
    assert (one.info.status, one.data.tags[rec.TAG_STATE]) == ("FINISHED", "complete")
    for key in ("train_loss", "val_accuracy"):
        history = client.get_metric_history(run_id, key)
        assert [(p.step, p.value) for p in history] == [
            (entry["epoch"], entry[key]) for entry in HISTORY
        ]
    assert one.data.params["units"] == str(suite.defaults.units)
    names = {item.path for item in client.list_artifacts(run_id)}
    assert {rec.CURVES, rec.CONFIG, rec.SUITE_FILE, rec.PREDICTIONS} <= names
    assert rec.FIGURES in names
    (shown,) = load_results(uri, suite).runs.to_dict("records")
    assert (shown["run_id"], shown["objective"]) == (run_id, 0.75)
    return run_id


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it", "in it", "at its end"])
def test_live_writes_that_were_lost_are_in_the_finished_run(
    when, server, suite, monkeypatch
):
    monkeypatch.setattr("lstm_bench.tracking.writer.TRY_EVERY_S", 0.1)
    said = []
    tracker = Tracker(server.uri, suite.study_name, said.append, draw_training)
    with closing(tracker):
        session = tracker.start_session("sweep", prepare(suite, None), {})
        if when == "before it":
            server.stop()
        one = begin(tracker, suite, session)
        one.log_epoch(HISTORY[0])
        tracker.catch_up()
        assert (one.run_id is None) == (when == "before it")
        if when == "in it":
            server.stop()
        one.log_epoch(HISTORY[1])
        tracker.catch_up()
        if when == "at its end":
            server.stop()
        finish(one, suite)
        assert not tracker.catch_up()
        assert len(waiting(server.uri, suite.study_name)) == 1
        server.start()
        assert tracker.catch_up()
        assert waiting(server.uri, suite.study_name) == []
        session.end("FINISHED")
        assert tracker.catch_up()
    assert check_training(server.uri, suite) == one.run_id
    *away, back = said
    assert away and all("and finished runs wait in" in line for line in away)
    assert back == "the tracking server answers again; written: 1 run"


@pytest.mark.slow
def test_load_results_asks_a_server_for_folders_and_files_alone(
    server, suite, monkeypatch, capfd
):
    with closing(Tracker(server.uri, suite.study_name)) as tracker:
        session = tracker.start_session("sweep", prepare(suite, None), {})
        finish(begin(tracker, suite, session), suite)
        assert tracker.catch_up()
    asked, send = [], requests.Session.send

    def keep(session, request, **more):
        asked.append(urlsplit(request.url).path)
        return send(session, request, **more)

    monkeypatch.setattr(requests.Session, "send", keep)
    capfd.readouterr()
    assert len(load_results(server.uri, suite).predictions) == 1
    # Not by a run's id, which would ask for its run and all models each time.
    by_id = [path for path in asked if path.endswith(("/runs/get", "models/search"))]
    assert by_id == []
    # Eight searches; three folders, and five files with two requests each.
    assert len(asked) <= 8 + 3 + 2 * 5 + 1, asked
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("by", ["sync", "next command", "doctor"])
def test_what_waits_is_written_by_sync_and_by_the_next_command(
    by, server, suite, tmp_path, capfd
):
    recorder = Recorder()
    with open_tracker(server.uri, suite, recorder) as tracker:
        session = tracker.start_session("sweep", prepare(suite, None), {})
        server.stop()
        one = begin(tracker, suite, session)
        for entry in HISTORY:
            one.log_epoch(entry)
        finish(one, suite)
        session.end("FINISHED")
    said = recorder.text()
    assert f"waiting: 2 runs for {server.uri} in" in said
    assert f"when it does: lstm-bench sync --tracking-uri {server.uri}" in said
    # Away still; the only store that runs wait for need not be named.
    assert run("sync") == 2
    error = capfd.readouterr().err
    assert "answers" in error and "Traceback" not in error
    assert len(waiting(server.uri)) == 2
    server.start()
    if by == "sync":
        assert run("sync") == 0
        assert "written: 2 runs; nothing is left" in capfd.readouterr().out
    elif by == "doctor":
        (found,) = examine_outbox(Tracker(server.uri, suite.study_name))
        assert found.is_repairable and "waiting: 2 runs" in found.text
        with opened_store(suite, tmp_path) as store:
            tracker = Tracker(server.uri, suite.study_name)
            assert repair(store, tracker) == 2
            _, (_, where) = store_facts(store, tracker)
            assert where == f"{server.uri}, MLflow {mlflow.__version__}"
    else:
        recorder = Recorder()
        with open_tracker(server.uri, suite, recorder):
            pass
        assert "which an earlier command did not reach: 2 runs" in recorder.text()
    assert waiting(server.uri) == []
    check_training(server.uri, suite)


def opened_store(suite, folder: Path):
    from trials import store_in

    return closing(store_in(folder, suite))


@pytest.mark.slow
def test_a_run_deleted_meanwhile_is_named_and_can_be_given_up(server, suite, capfd):
    with closing(Tracker(server.uri, suite.study_name)) as tracker:
        session = tracker.start_session("sweep", prepare(suite, None), {})
        gone, there = (begin(tracker, suite, session) for _ in range(2))
        assert tracker.catch_up()
        server.stop()
        for one in (gone, there):
            one.abandon("interrupted", "stopped", suite.defaults, HISTORY[:1])
        assert not tracker.catch_up()
    server.start()
    client = MlflowClient(server.uri)
    session_gone = client.get_run(session.run_id)
    client.delete_run(session.run_id)
    refused = record("1", run_id=session_gone.info.run_id, name="the search")
    folder = put(server.uri, suite.study_name, refused, write_artifact)
    assert run("sync", "--tracking-uri", server.uri) == 2
    error = capfd.readouterr().err
    assert f"refuses the run 'the search', which waits in {folder}" in error
    assert "lstm-bench sync --skip-refused" in error
    assert run("sync", "--tracking-uri", server.uri, "--skip-refused") == 0
    said = capfd.readouterr().out
    assert "given up: the search, which the server refuses" in said
    assert "nothing is left" in said
    assert client.get_run(there.run_id).info.status == "KILLED"
    assert client.get_run(gone.run_id).data.tags[rec.TAG_STATE] == "interrupted"
    assert not folder.exists()


@pytest.mark.slow
def test_no_password_reaches_the_outbox_or_a_message(server, suite, tmp_path, capfd):
    password = "S3cretPw-x91"
    uri = server.uri.replace("http://", f"http://me:{password}@")
    recorder = Recorder()
    with open_tracker(uri, suite, recorder) as tracker:
        session = tracker.start_session("sweep", prepare(suite, None), {})
        server.stop()
        reason = f"no answer from {uri}/api, where {password!r} was wrong"
        begin(tracker, suite, session).abandon("failed", reason, suite.defaults, [])
        tracker.catch_up()
        (folder,) = waiting(uri)
    kept = (folder / RUN).read_text()
    assert "***" in kept and suite.study_name in kept
    assert run("sync") == 2
    assert run("sync", "--tracking-uri", uri) == 2
    printed = capfd.readouterr()
    assert "answers" in printed.err
    assert password not in recorder.text() + printed.out + printed.err
    assert holding(tmp_path, password) == []


def check_whole(uri: str, suite, n_trainings: int, n_epochs: int) -> None:
    """Every run once, with its whole curve, closed, below its parent."""
    client = MlflowClient(uri)
    runs = find_runs(client, f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'")
    kinds = [run.data.tags[rec.TAG_KIND] for run in runs]
    assert sorted(kinds) == ["baseline"] * 3 + ["sweep"] + ["trial"] * n_trainings
    records = [run.data.tags[rec.TAG_RECORD] for run in runs]
    assert len(set(records)) == len(records)
    parent = next(r for r in runs if r.data.tags[rec.TAG_KIND] == "sweep")
    best = client.get_metric_history(parent.info.run_id, BEST_VALUE)
    assert [point.step for point in best] == list(range(1, n_trainings + 1))
    for one in runs:
        assert one.info.status == "FINISHED"
        if one is parent:
            continue
        assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert one.data.tags[rec.TAG_STATE] == "complete"
        if one.data.tags[rec.TAG_KIND] == "baseline":
            continue
        history = client.get_metric_history(one.info.run_id, "val_accuracy")
        assert [point.step for point in history] == list(range(1, n_epochs + 1))
        times = [point.timestamp for point in history]
        assert times == sorted(times)
        assert one.info.start_time <= times[0] <= times[-1] <= one.info.end_time
        assert one.data.params["units"] in ("2", "3", "4")
        names = {item.path for item in client.list_artifacts(one.info.run_id)}
        assert {rec.CURVES, rec.SUITE_FILE, rec.PREDICTIONS, rec.FIGURES} <= names
    results = load_results(uri, suite)
    assert len(results.runs) == n_trainings
    assert set(results.runs["state"]) == {"complete"}
    assert results.missing == ""
    baselines = results.baselines["run_id"]
    assert [len(results.predictions[run_id]) for run_id in baselines] == [1, 1, 1]


def search(uri: str, suite, folder: Path, at_epoch=None) -> str:
    """Run a whole search; return what it printed."""
    recorder = Recorder(at_epoch)
    with opened(suite, folder, recorder, tracking_uri=uri) as study:
        run_search(study, n_trials=suite.study.n_trials, timeout_s=None)
        assert study.tracker.catch_up()
        assert examine_study(study.store, study.tracker) == []
    return recorder.text()


def check_outage(server, suite, folder, go, come_back) -> None:
    """Let `server` go for two trainings; it gets all of them, in order and once."""

    def go_and_come_back(n_epochs: int) -> None:
        # Two epochs a training: from within the first into the third.
        if n_epochs == 1:
            go()
        if n_epochs == 5:
            come_back()

    text = search(server.uri, suite, folder, go_and_come_back)
    assert "the tracking server does not answer" in text
    assert "[3/3]" in text
    check_whole(server.uri, suite, 3, 2)
    assert waiting(server.uri) == []


@pytest.mark.slow
def test_a_server_away_for_two_trainings_gets_all_of_them_in_order_and_once(
    server, suite, tmp_path
):
    check_outage(server, suite, tmp_path, server.stop, server.start)


@pytest.mark.slow
def test_a_trial_that_ended_in_the_outbox_alone_is_not_trained_again(
    server, suite, tmp_path
):
    # Killed after a run's end was kept and before Optuna heard of it.
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}
from pathlib import Path

def main():
    from lstm_bench.search.study import StudyStore
    from test_outbox import Gateway, load_suite, search

    server = Gateway({server.target}, {server.port})
    server.start()
    tell, told = StudyStore.tell, []

    def away(n):
        if n == 1:
            server.stop()

    def die(*arguments):
        if told:
            os.kill(os.getpid(), signal.SIGKILL)
        told.append(arguments)
        return tell(*arguments)

    StudyStore.tell = die
    search(server.uri, load_suite(Path({suite.path!r})), Path({str(tmp_path)!r}), away)

# Worker processes import this file, too.
if __name__ == "__main__":
    main()
"""
    server.stop()
    (tmp_path / "killed.py").write_text(script)
    done = subprocess.run([sys.executable, "-W", "ignore", tmp_path / "killed.py"])
    assert done.returncode == -signal.SIGKILL
    server.start()
    # The ends of two trainings.
    assert len(waiting(server.uri)) >= 2
    search(server.uri, suite, tmp_path)
    results = load_results(server.uri, suite)
    assert results.runs["state"].tolist() == ["complete"] * 3
    assert results.runs["config_id"].is_unique
    assert results.sessions["status"].tolist() == ["KILLED", "FINISHED"]
    assert waiting(server.uri) == []


@pytest.mark.slow
@pytest.mark.chaos
def test_a_server_that_hangs_gets_all_trainings_in_order_and_once(
    tmp_path, suite, monkeypatch
):
    monkeypatch.setattr("lstm_bench.tracking.writer.LIVE_TIMEOUT_S", 1)
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server")
    server.start()
    try:
        check_outage(
            *(server, suite, tmp_path),
            lambda: server.signal(signal.SIGSTOP),
            lambda: server.signal(signal.SIGCONT),
        )
    finally:
        server.stop()
