"""Writes while the tracking server is away, with real servers that really stop."""

from __future__ import annotations

import http.server
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import TEST_PATHS, TINY_SUITE
from gateway import Gateway
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_server import MlflowServer, free_port
from processes import holding
from runs import Recorder

from lstm_bench.confirm import choose_candidates, confirm_candidates
from lstm_bench.doctor import examine_journals, examine_study, repair
from lstm_bench.errors import TrackingError
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import RUN_ID
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.journal import OPERATIONS, WRITTEN, Journal, journal_folders
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.server import address, describe, is_away, is_unwell, patience
from lstm_bench.tracking.sync import store_to_sync, sync, what_waits
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.tracking.writer import EPOCH_TIMEOUT_S, Writer
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import BEST_VALUE


@pytest.fixture(autouse=True)
def own_journals(tmp_path, monkeypatch):
    """Give every test, and the commands it starts, journals of their own."""
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


# The journal


def kept(journal: Journal) -> list[str]:
    return [operation["op"] for operation in journal.waiting]


def test_a_journal_keeps_order_and_forgets_what_was_written(tmp_path):
    journal = Journal.create("http://host", "study")
    upload = tmp_path / "upload" / "deep"
    upload.mkdir(parents=True)
    (upload / "file").write_text("content")
    journal.append({"op": "first", "value": float("nan")})
    journal.append({"op": "second"}, tmp_path / "upload")
    journal.append({"op": "third"})
    journal.mark_written()
    folder = journal.folder
    journal.close()
    assert journal_folders("http://host", "study") == [folder]
    again = Journal.open(folder)
    assert kept(again) == ["second", "third"]
    files = again.files_of(again.waiting[0]["n"])
    assert (files / "deep" / "file").read_text() == "content"
    again.mark_written()
    assert not files.exists()
    again.mark_written()
    again.close()
    assert journal_folders("http://host") == []


def test_a_torn_last_line_is_ignored_and_written_over():
    journal = Journal.create("http://host", "study")
    journal.append({"op": "whole"})
    folder = journal.folder
    journal.close()
    with (folder / OPERATIONS).open("ab") as file:
        file.write(b'{"n": 2, "op": "torn by a process that was kil')
    (folder / WRITTEN).write_bytes(b"12")
    again = Journal.open(folder)
    assert kept(again) == ["whole"]
    again.append({"op": "next"})
    again.mark_written()
    again.close()
    lines = (folder / OPERATIONS).read_text().splitlines()
    assert [json.loads(line)["op"] for line in lines] == ["whole", "next"]
    last = Journal.open(folder)
    assert kept(last) == ["next"]
    last.close()


def test_a_damaged_line_elsewhere_is_named():
    journal = Journal.create("http://host", "study")
    journal.append({"op": "whole"})
    folder = journal.folder
    journal.close()
    with (folder / OPERATIONS).open("ab") as file:
        file.write(b"no json\n")
    with pytest.raises(TrackingError, match=r"operations.jsonl:2: expected a numbered"):
        Journal.open(folder)


@pytest.mark.parametrize(
    "line", [b"5", b"[]", b'{"op": "x"}', b'{"n": "1"}', b'{"n": 1}']
)
def test_a_line_that_is_no_operation_is_named(line):
    journal = Journal.create("http://host", "study")
    journal.append({"op": "whole"})
    folder = journal.folder
    journal.close()
    (folder / OPERATIONS).write_bytes(line + b"\n")
    with pytest.raises(TrackingError, match=r"operations.jsonl:1: expected a numbered"):
        Journal.open(folder)


def test_damaged_files_beside_the_operations_are_named():
    journal = Journal.create("http://host", "study")
    journal.append({"op": "whole"})
    folder = journal.folder
    journal.close()
    (folder / WRITTEN).write_bytes(b"one\n")
    with pytest.raises(TrackingError, match=r"written.txt: expected an operation's"):
        what_waits("http://host")
    for content in (b"", b"[]", b"\xff", b"{}"):
        (folder.parent.parent / "store.json").write_bytes(content)
        with pytest.raises(TrackingError, match=r"store.json: expected the address"):
            store_to_sync(None)


def test_a_killed_process_loses_nothing_and_its_lock(tmp_path):
    script = """
import os, signal
from lstm_bench.tracking.journal import Journal
journal = Journal.create("http://host", "study")
for number in range(20):
    journal.append({"op": str(number)})
print(journal.folder, flush=True)
input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = Path(process.stdout.readline().strip())
    try:
        assert Journal.open(folder) is None  # it is held
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdin.close()
        process.stdout.close()
    journal = Journal.open(folder)
    assert kept(journal) == [str(number) for number in range(20)]
    journal.close()


# A server that does not answer, and one that says no


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every request with the server's `code`."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def answering():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def failure(uri: str, timeout_s: int = 1) -> MlflowException:
    with patience(timeout_s), pytest.raises(MlflowException) as raised:
        MlflowClient(uri).search_experiments()
    return raised.value


@pytest.mark.parametrize(
    ("code", "away", "unwell"),
    [
        (502, True, False),
        (503, True, False),
        (504, True, False),
        (500, False, True),
        (429, False, True),
        (400, False, False),
        (401, False, False),
        (404, False, False),
    ],
)
def test_only_a_gateways_no_means_away(answering, code, away, unwell):
    server, uri = answering
    server.code = code
    error = failure(uri)
    assert (is_away(error), is_unwell(error)) == (away, unwell)


def test_a_closed_port_and_a_silent_one_are_away():
    assert is_away(failure(f"http://127.0.0.1:{free_port()}"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert is_away(failure(f"http://127.0.0.1:{silent.getsockname()[1]}"))


def test_why_no_answer_came_is_said_in_a_few_words(answering):
    server, uri = answering
    server.code = 503
    assert describe(failure(uri)) == "it answers 503"
    assert "refused" in describe(failure(f"http://127.0.0.1:{free_port()}"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert describe(error) == "no answer in time"


def test_patience_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), patience(3, quiet=True):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
        raise ZeroDivisionError
    assert dict(os.environ) == before


def test_a_store_is_known_by_its_address_without_what_logs_in_to_it():
    plain = "http://host:5000/mlflow"
    assert address("http://me:s3cret@Host:5000/mlflow/") == plain
    assert address("http://Host:5000/mlflow?token=s3cret") == plain


@pytest.mark.parametrize("form", ["http://me:{}@{}", "http://{1}/?token={0}"])
def test_no_password_reaches_the_journal_or_a_message(
    tmp_path, monkeypatch, capfd, form
):
    from commands import run

    password = "S3cretPw-x91"
    uri = form.format(password, f"127.0.0.1:{free_port()}")
    said = []
    writer = Writer(MlflowClient(uri), uri, "study", said.append)
    tags = {rec.TAG_STUDY: "study", "mlflow.note.content": f"see {uri}"}
    run_id = writer.create_run("0", tags, "run")
    assert run_id.startswith(rec.LOCAL_PREFIX)
    reason = f"no answer from {uri}/api, where {password!r} was wrong"
    writer.log_batch(run_id, tags={rec.TAG_FAILURE: reason})
    assert writer.waiting.n_operations == 2
    said += [writer.waiting.reason, str(writer.waiting.folder)]
    writer.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert run("sync") == 2
    printed = capfd.readouterr()
    said += [printed.out, printed.err]
    assert "are left in" in printed.err
    assert password not in "".join(said)
    written = list((tmp_path / "cache").rglob("*"))
    assert {path.name for path in written} >= {OPERATIONS, "store.json", "study"}
    assert holding(tmp_path, password) == []
    assert "***" in next(p for p in written if p.name == OPERATIONS).read_text()


def test_letters_of_a_password_in_a_name_stay_as_they_are():
    uri = f"http://me:study@127.0.0.1:{free_port()}"
    writer = Writer(MlflowClient(uri), uri, "study", lambda line: None)
    tags = {rec.TAG_STUDY: "study", rec.TAG_FAILURE: "wrong: study"}
    writer.create_run("0", tags, "run")
    (kept_run,) = writer.journal.waiting
    writer.close()
    assert kept_run["tags"][rec.TAG_STUDY] == "study"
    assert kept_run["tags"][rec.TAG_FAILURE] == "wrong: ***"


def test_a_refusal_is_an_error_and_nothing_is_kept(answering):
    server, uri = answering
    server.code = 404
    writer = Writer(MlflowClient(uri), uri, "study", lambda line: None)
    with pytest.raises(MlflowException):
        writer.log_batch("run", metrics={"loss": 1.0}, step=1)
    assert writer.waiting is None
    assert journal_folders(address(uri)) == []


def test_a_database_here_is_never_journalled(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = Tracker(uri)
    with pytest.raises(MlflowException):
        tracker.writer.log_batch("no such run", metrics={"loss": 1.0}, step=1)
    run_id = tracker.writer.create_run(tracker.experiment_id, {}, "run")
    assert rec.TAG_JOURNAL not in tracker.client.get_run(run_id).data.tags
    assert not (tmp_path / "cache" / "lstm-bench" / "journal").exists()


def test_a_silent_server_holds_an_epoch_up_no_longer_than_its_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        writer = Writer(MlflowClient(uri), uri, "study", lambda line: None)
        seconds = []
        for epoch in range(1, 21):
            start = time.monotonic()
            writer.log_batch("run", metrics={"loss": 1.0}, step=epoch)
            seconds.append(time.monotonic() - start)
        waiting = writer.waiting
        writer.close()
    assert waiting.n_operations == 20
    assert seconds[0] < EPOCH_TIMEOUT_S + 1.5
    # The first asks; those that follow in the same seconds do not.
    assert max(seconds[1:]) < 0.5


def test_sync_needs_no_server_where_nothing_waits(capfd):
    from commands import run

    assert store_to_sync(None) is None
    assert run("sync") == 0
    assert "nothing waits" in capfd.readouterr().out
    uri = f"http://127.0.0.1:{free_port()}"
    assert run("sync", "--tracking-uri", uri) == 0
    assert "nothing is left" in capfd.readouterr().out


def test_sync_to_a_server_that_is_away_is_one_message_and_code_2(capfd):
    from commands import run

    uri = f"http://127.0.0.1:{free_port()}"
    writer = Writer(MlflowClient(uri), uri, "study", lambda line: None)
    writer.log_batch("run", metrics={"loss": 1.0}, step=1)
    assert run("sync", "--tracking-uri", uri) == 2
    assert "left to commands that are running: 1 journal" in capfd.readouterr().err
    writer.close()
    # The only server that something waits for need not be named.
    assert run("sync") == 2
    error = capfd.readouterr().err
    assert "0 operations of 0 runs were written, 1 of 1 are left in" in error
    assert "Traceback" not in error


def test_what_waits_is_told_without_asking_and_what_is_held_is_not(tmp_path):
    uri = f"http://me:S3cretPw-x91@127.0.0.1:{free_port()}"
    writer = Writer(MlflowClient(uri), uri, "study", lambda line: None)
    run_id = writer.create_run("0", {}, "run")
    writer.log_batch(run_id, metrics={"loss": 1.0}, step=1)
    assert what_waits(uri).n_operations == 0  # a running command's own
    folder = writer.waiting.folder
    writer.close()
    kept_now = what_waits(uri)
    assert (kept_now.n_operations, kept_now.n_runs) == (2, 1)
    assert kept_now.folders == (folder,)
    assert what_waits(f"sqlite:///{tmp_path}/mlflow.db").n_operations == 0


# A real server that goes and comes back


@pytest.fixture
def own_server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    one = MlflowServer(folder)
    one.start()
    yield one
    one.stop()


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


def check_whole(uri: str, suite, n_trainings: int, n_epochs: int) -> None:
    """Every run once, with its whole curve, closed, below its parent."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(f"lstm-bench/{suite.name}").experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    kinds = Counter(run.data.tags[rec.TAG_KIND] for run in runs)
    assert kinds == {"sweep": 1, "baseline": 3, "trial": n_trainings}
    begun = [run.data.tags[rec.TAG_JOURNAL] for run in runs]
    assert len(set(begun)) == len(begun)
    parent = next(r for r in runs if r.data.tags[rec.TAG_KIND] == "sweep")
    best = client.get_metric_history(parent.info.run_id, BEST_VALUE)
    assert [point.step for point in best] == list(range(1, n_trainings + 1))
    for run in runs:
        assert run.info.status == "FINISHED"
        if run is parent:
            continue
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags[rec.TAG_STATE] == "complete"
        if run.data.tags[rec.TAG_KIND] == "baseline":
            continue
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [point.step for point in history] == list(range(1, n_epochs + 1))
        times = [point.timestamp for point in history]
        assert times == sorted(times)
        assert run.info.start_time <= times[0] <= times[-1] <= run.info.end_time
        assert run.data.params["units"] in ("2", "3", "4")
        names = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert {rec.CURVES, rec.SUITE_FILE, rec.PREDICTIONS, rec.FIGURES} <= names
    results = load_results(uri, suite)
    assert len(results.runs) == n_trainings
    assert set(results.runs["state"]) == {"complete"}
    assert results.missing == ""
    # A command adds what its check of the data found.
    assert prepare(suite, None).about_data.items() <= results.dataset.items()
    baselines = results.baselines["run_id"]
    assert [len(results.predictions[run_id]) for run_id in baselines] == [1, 1, 1]


def sweep_with(server, suite, folder: Path, at_epoch):
    uri = resolve_tracking_uri(server.uri)
    recorder = Recorder(at_epoch)
    tracker = Tracker(uri, suite.study_name, recorder.say)
    store = StudyStore(suite, resolve_storage(f"sqlite:///{folder}/optuna.db"))
    outcome = run_search(
        prepare(suite, None),
        tracker,
        store,
        recorder,
        n_trials=suite.study.n_trials,
        timeout_s=None,
    )
    tracker.end_session(outcome.run_id, "FINISHED")
    return tracker, store, outcome, recorder.text()


def check_outage(server, suite, folder, go, come_back) -> None:
    """Let `server` go for two trainings; it gets all of them, in order and once."""

    def go_and_come_back(n_epochs: int) -> None:
        # Two epochs a training: from within the first into the third.
        if n_epochs == 1:
            go()
        if n_epochs == 5:
            come_back()

    tracker, store, outcome, text = sweep_with(server, suite, folder, go_and_come_back)
    assert "the tracking server does not answer; training goes on" in text
    assert "[3/3]" in text
    assert tracker.catch_up()
    assert outcome.best is not None
    check_whole(server.uri, suite, 3, 2)
    assert journal_folders(address(server.uri)) == []
    # Trials that began meanwhile know their runs; nothing is trained again.
    local = [t.user_attrs[RUN_ID] for t in store.finished()]
    assert sum(run_id.startswith(rec.LOCAL_PREFIX) for run_id in local) >= 2
    _, store, outcome, _ = sweep_with(server, suite, folder, None)
    assert outcome.n_finished == 3
    tracked = {run.info.run_id for run in tracker.runs_of(suite.study_name)}
    assert store.run_ids() <= tracked
    assert outcome.best.run_id in tracked


@pytest.mark.slow
def test_a_server_away_for_two_trainings_gets_all_of_them_in_order_and_once(
    server, suite, tmp_path, monkeypatch
):
    monkeypatch.setattr("lstm_bench.tracking.writer.PROBE_EVERY_S", 0.1)

    def come_back() -> None:
        server.start()
        time.sleep(0.2)

    check_outage(server, suite, tmp_path, server.stop, come_back)


@pytest.mark.slow
@pytest.mark.chaos
def test_a_server_that_hangs_gets_all_trainings_in_order_and_once(
    own_server, suite, tmp_path
):
    def come_back() -> None:
        own_server.signal(signal.SIGCONT)
        # Past the time for which no write asks whether it is back.
        time.sleep(45)

    check_outage(
        *(own_server, suite, tmp_path),
        lambda: own_server.signal(signal.SIGSTOP),
        come_back,
    )


@pytest.mark.slow
def test_what_is_written_twice_is_there_once(server, suite, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "written twice")
    tracker = Tracker(server.uri, suite.study_name)
    server.stop()
    run_id = tracker.writer.create_run(tracker.experiment_id, {}, "one")
    for step in (1, 2):
        tracker.writer.log_batch(run_id, metrics={"loss": 1.0 / step}, step=step)
    tracker.writer.end_run(run_id, "FINISHED")
    folder = tracker.writer.waiting.folder
    tracker.writer.close()
    server.start()
    written = (folder / OPERATIONS).read_bytes()
    assert sync(server.uri).n_operations == 4
    # As after a crash between the last write and its note.
    folder.mkdir(parents=True)
    (folder / OPERATIONS).write_bytes(written)
    done = sync(server.uri)
    assert (done.n_operations, done.n_runs, done.n_in_use) == (4, 1, 0)
    runs = tracker.client.search_runs([tracker.experiment_id])
    assert len(runs) == 1
    history = tracker.client.get_metric_history(runs[0].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]


@pytest.mark.slow
def test_a_run_deleted_meanwhile_is_named_and_can_be_left_out(server, capfd):
    from commands import run

    tracker = Tracker(server.uri, "study")
    gone = tracker.writer.create_run(tracker.experiment_id, {}, "gone")
    there = tracker.writer.create_run(tracker.experiment_id, {}, "there")
    server.stop()
    tracker.writer.log_batch(gone, metrics={"loss": 1.0}, step=1)
    tracker.writer.log_batch(there, metrics={"loss": 1.0}, step=1)
    tracker.writer.close()
    server.start()
    tracker.client.delete_run(gone)
    assert run("sync", "--tracking-uri", server.uri) == 2
    assert f"refuses log_batch of {gone}" in capfd.readouterr().err
    assert run("sync", "--tracking-uri", server.uri, "--skip-refused") == 0
    said = capfd.readouterr().out
    assert "skipped: log_batch" in said
    assert "written: 1 operation of 1 run; nothing is left" in said
    assert tracker.client.get_run(there).data.metrics == {"loss": 1.0}


@pytest.mark.slow
def test_a_sweep_killed_while_the_server_is_away_is_taken_up_again(
    server, suite, tmp_path
):
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}
from pathlib import Path
from test_journal import Gateway, load_suite, sweep_with
server = Gateway({server.target}, {server.port})
server.start()
def die(n):
    if n == 1:
        server.stop()
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
sweep_with(server, load_suite({suite.path!r}), Path({str(tmp_path)!r}), die)
"""
    server.stop()
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script])
    assert done.returncode == -signal.SIGKILL
    server.start()
    # The run that was begun meanwhile, with its one epoch, and the end of the first.
    assert sync(server.uri).n_runs >= 3
    tracker, store, outcome, _ = sweep_with(server, suite, tmp_path, None)
    assert outcome.n_finished == 3
    runs = tracker.runs_of(suite.study_name)
    trials = [run for run in runs if run.data.tags[rec.TAG_KIND] == "trial"]
    states = [run.data.tags[rec.TAG_STATE] for run in trials]
    assert states == ["complete", "interrupted", "complete", "complete"]
    assert [run.info.status for run in trials].count("KILLED") == 1
    complete = [r for r in trials if r.data.tags[rec.TAG_STATE] == "complete"]
    assert store.run_ids() == {run.info.run_id for run in complete}
    for run in complete:
        history = tracker.client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [point.step for point in history] == [1, 2]


@pytest.mark.slow
def test_a_trial_that_ended_in_the_journal_alone_is_not_trained_again(
    server, suite, tmp_path
):
    # Killed after a run's end was kept and before Optuna heard of it.
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}
from pathlib import Path
from lstm_bench.search.trials import OwnedStudy
from test_journal import Gateway, load_suite, sweep_with
server = Gateway({server.target}, {server.port})
server.start()
def away(n):
    if n == 1:
        server.stop()
tell, told = OwnedStudy.tell, []
def die(*arguments):
    if told:
        os.kill(os.getpid(), signal.SIGKILL)
    told.append(arguments)
    return tell(*arguments)
OwnedStudy.tell = die
sweep_with(server, load_suite({suite.path!r}), Path({str(tmp_path)!r}), away)
"""
    server.stop()
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script])
    assert done.returncode == -signal.SIGKILL
    server.start()
    tracker = Tracker(server.uri, suite.study_name)
    storage = resolve_storage(f"sqlite:///{tmp_path}/optuna.db")
    store = StudyStore(suite, storage)
    (orphan,) = store.orphans()
    assert orphan.run_id.startswith(rec.LOCAL_PREFIX)
    (found,) = examine_journals(tracker)
    assert f"run lstm-bench sync --tracking-uri {server.uri}" in found.text
    # What waits, the run of the command, the trial.
    assert repair(store, tracker) == 3
    assert examine_journals(tracker) + examine_study(store, tracker) == []
    assert len(store.finished()) == 2
    tracker, store, outcome, _ = sweep_with(server, suite, tmp_path, None)
    assert outcome.n_finished == 3
    runs = tracker.runs_of(suite.study_name)
    trials = [run for run in runs if run.data.tags[rec.TAG_KIND] == "trial"]
    assert [run.data.tags[rec.TAG_STATE] for run in trials] == ["complete"] * 3
    assert store.run_ids() == {run.info.run_id for run in trials}
    sessions = [r.info.status for r in runs if r.data.tags[rec.TAG_KIND] == "sweep"]
    assert sessions == ["KILLED", "FINISHED"]


@pytest.mark.slow
def test_a_confirmation_goes_on_while_the_server_is_away(server, tmp_path):
    from test_confirm import write

    suite = write(tmp_path)

    def go_and_come_back(n_epochs: int) -> None:
        if n_epochs == 1:
            server.stop()
        if n_epochs == 7:
            server.start()

    tracker = Tracker(server.uri, suite.study_name)
    outcome = confirm_candidates(
        prepare(suite, None),
        tracker,
        Recorder(go_and_come_back),
        choose_candidates(suite, None, 1),
        n_replicates=2,
    )
    assert (outcome.n_finished, outcome.interrupted) == (4, False)
    assert tracker.catch_up()
    results = load_results(server.uri, suite)
    confirmed = results.confirmed
    pairs = list(zip(confirmed["config_id"], confirmed["replicate"], strict=True))
    assert len(pairs) == len(set(pairs)) == 4
    assert confirmed["test_accuracy"].notna().all()
    assert len(results.baselines) == 6
    assert len(results.test_reviews) == 60
    assert results.test_looks.set_index("kind")["n"].to_dict() == {
        "replicate": 4,
        "baseline": 6,
    }
    assert list(results.sessions["status"]) == ["FINISHED"]


def command(*arguments: str, **more) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lstm_bench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        **more,
    )


@pytest.mark.slow
@pytest.mark.chaos
def test_a_server_gone_for_good_leaves_all_to_sync(own_server, tmp_path):
    server = own_server
    (tmp_path / "tiny.yaml").write_text(TINY_SUITE)
    suite = load_suite(tmp_path / "tiny.yaml")
    uri = server.uri
    arguments = ("tiny.yaml", "--tracking-uri", uri)
    process = command("sweep", *arguments, "--trials", "6", "--confirm", cwd=tmp_path)
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("[1/6]"):
            server.stop()
    process.stdout.close()
    assert process.wait(timeout=300) == 0, said
    assert "[6/6]" in said
    assert f"lstm-bench sync --tracking-uri {uri}" in said
    assert f"lstm-bench report {' '.join(arguments)}" in said
    assert "Traceback" not in said
    assert not (tmp_path / "reports" / "tiny" / "index.html").exists()

    def call(*arguments: str) -> tuple[int, str]:
        done = command(*arguments, cwd=tmp_path)
        out, _ = done.communicate(timeout=300)
        return done.returncode, out

    # Away still: a sweep is refused at once, and so is sync.
    code, out = call("sweep", *arguments)
    assert (code, "no MLflow server answers" in out) == (2, True)
    code, out = call("sync", "--tracking-uri", uri)
    assert (code, "are left in" in out) == (2, True)
    server.start()
    code, out = call("sync", "--tracking-uri", uri)
    assert code == 0, out
    assert "nothing is left" in out
    check_whole(uri, suite, 6, 2)
    code, out = call("report", *arguments)
    assert code == 0, out
    assert (tmp_path / "reports" / "tiny" / "index.html").exists()
    code, out = call("sync", "--tracking-uri", uri)
    assert (code, "0 operations of 0 runs" in out) == (0, True)
