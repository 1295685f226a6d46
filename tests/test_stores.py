"""What is recognised as a store, and that asking changes nothing, on real files."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import optuna
import psycopg
import pytest
import sqlalchemy
from commands import run
from conftest import TINY_SUITE
from mlflow import MlflowClient
from postgresql import PASSWORD, PostgresqlServer, binaries

from lstm_bench.errors import TrackingError
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.stores import sqlite_file, sqlite_url, with_driver
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare

# Names that an address would not mean as they stand, and some that it would.
ODD_NAMES = (
    *("why?", "a#b", "100%", "a b", "a%20b", "ü", "%41", "{x}", "[x]", "a&b=c", "a+b"),
    *("q'x", 'q"x', "a;b", "a:b", "a@b", "back\\slash", "two\nlines"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one file of every kind; the stores hold a study that was begun."""
    folder = tmp_path_factory.mktemp("stores")
    (folder / "tiny.yaml").write_text(TINY_SUITE)
    suite = load_suite(folder / "tiny.yaml")
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db", suite.study_name)
    tracker.start_session("sweep", prepare(suite, None), {}).end("FINISHED")
    tracker.close()
    StudyStore(suite, f"sqlite:///{folder}/optuna.db").close()
    # Optuna's, of somebody else's studies.
    theirs = f"sqlite:///{folder}/their_optuna.db"
    optuna.create_study(storage=theirs, study_name="theirs")
    with sqlite3.connect(folder / "other.db") as other:
        other.execute("CREATE TABLE invoices (id INTEGER, paid REAL)")
        other.execute("INSERT INTO invoices VALUES (1, 2.5)")
    # As a program leaves it that logs ahead.
    with sqlite3.connect(folder / "wal.db") as wal:
        wal.execute("PRAGMA journal_mode = wal")
        wal.execute("CREATE TABLE invoices (id INTEGER)")
    wal.close()
    (folder / "empty.db").touch()
    (folder / "text.db").write_text("not a database, " * 100)
    (folder / "folder.db").mkdir()
    for name, kind, statement in (
        ("old_mlflow.db", "mlflow.db", "UPDATE alembic_version SET version_num = "),
        ("old_optuna.db", "optuna.db", "UPDATE alembic_version SET version_num = "),
    ):
        shutil.copy(folder / kind, folder / name)
        version = {"mlflow.db": "'451aebb31d03'", "optuna.db": "'v2.4.0.a'"}[kind]
        with sqlite3.connect(folder / name) as old:
            old.execute(statement + version)
    # Of before a table that MLflow makes, unasked, as soon as it opens the file.
    with sqlite3.connect(folder / "old_mlflow.db") as old:
        old.execute("DROP TABLE logged_model_params")
    shutil.copy(folder / "mlflow.db", folder / "new_mlflow.db")
    with sqlite3.connect(folder / "new_mlflow.db") as new:
        new.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of `made`, with no store named by the environment."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "LSTM_BENCH_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file below `folder`."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


NO_MLFLOW_STORE = {
    "other.db": "a database of another program (its tables: 'invoices')",
    "wal.db": "a database of another program (its tables: 'invoices')",
    "optuna.db": "are --tracking-uri and --storage swapped?",
    "their_optuna.db": "are --tracking-uri and --storage swapped?",
    "text.db": "not a database",
    "folder.db": "which is a folder",
    "old_mlflow.db": "keep a copy, then migrate them: mlflow db upgrade sqlite:////",
    "new_mlflow.db": "update MLflow",
}
NO_STORE = {"empty.db": "got an empty database", "none.db": "got no file"}


@pytest.mark.parametrize(
    "command",
    [
        ("report", "tiny.yaml"),
        ("report", "tiny.yaml@{store}"),
        ("compare", "tiny.yaml", "tiny.yaml"),
        ("publish", "tiny.yaml", "--allow-synthetic"),
        ("doctor", "tiny.yaml"),
        ("doctor", "tiny.yaml", "--fix"),
        ("studies",),
        ("ui",),
    ],
    ids=" ".join,
)
def test_commands_that_read_leave_what_is_no_store_of_runs_alone(here, capfd, command):
    before = contents(here)
    for name, message in (NO_MLFLOW_STORE | NO_STORE).items():
        store = f"sqlite:///{name}"
        arguments = [part.format(store=store) for part in command]
        if arguments == list(command):
            arguments += ["--tracking-uri", store]
        assert run(*arguments) == 2, name
        error = capfd.readouterr().err
        assert message in error, name
        assert "Traceback" not in error
    assert contents(here) == before


def test_commands_that_read_change_no_store_of_runs(here, capfd):
    before = contents(here)
    assert run("studies") == 0
    # What --fix would mend, since the folder is a copy, stays as it is without.
    assert run("doctor", "tiny.yaml") == 1
    assert "the store was moved or copied" in capfd.readouterr().out
    assert run("compare", "tiny.yaml", "tiny.yaml") == 2
    assert "no confirmed configuration" in capfd.readouterr().err
    assert run("report", "tiny.yaml") == 0
    changed = {
        name for name, digest in contents(here).items() if before.get(name) != digest
    }
    # The lock beside the storage is held while trials are looked through.
    assert {name.partition("/")[0] for name in changed} <= {
        "reports",
        ".optuna.db.lock",
    }


def test_sync_is_answered_only_for_what_is_a_store(here, capfd):
    before = contents(here)
    for name, message in (NO_MLFLOW_STORE | NO_STORE).items():
        assert run("sync", "--tracking-uri", f"sqlite:///{name}") == 2, name
        assert message in capfd.readouterr().err, name
    for uri, message in (
        ("ftp://x", "expected sqlite:///FILE.db, http://HOST:PORT or a database"),
        ("runs", "plain-folder store"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:mlflow.db", "expected sqlite:///FILE.db, got"),
        ("sqlite://mlflow.db", "expected sqlite:///FILE.db, got"),
        ("sqlite:///why?/mlflow.db", "write a ? in a name as %3F"),
        (f"sqlite:///{'x' * 300}.db", "File name too long"),
    ):
        assert run("sync", "--tracking-uri", uri) == 2, uri
        error = capfd.readouterr().err
        assert message in error, uri
        assert "Traceback" not in error
    assert contents(here) == before
    assert run("sync", "--tracking-uri", "sqlite:///mlflow.db") == 0
    assert "written: 0 runs; nothing is left" in capfd.readouterr().out


@pytest.mark.parametrize(
    "command",
    [("sweep", "tiny.yaml"), ("train", "tiny.yaml"), ("confirm", "confirmed.yaml")],
    ids=" ".join,
)
def test_commands_that_write_leave_what_is_no_store_of_runs_alone(here, capfd, command):
    (here / "confirmed.yaml").write_text(f"{TINY_SUITE}confirm: {{n_best: 1}}\n")
    before = contents(here)
    for name, message in NO_MLFLOW_STORE.items():
        assert run(*command, "--tracking-uri", f"sqlite:///{name}") == 2, name
        error = capfd.readouterr().err
        assert message in error, name
    assert contents(here) == before


@pytest.mark.parametrize(
    "command",
    [
        ("sweep", "tiny.yaml"),
        ("doctor", "tiny.yaml"),
    ],
    ids=" ".join,
)
def test_no_command_writes_trials_into_what_is_no_storage(here, capfd, command):
    before = contents(here)
    bad = {
        "other.db": "Optuna's store of trials, got a database of another program",
        "mlflow.db": "got MLflow's of runs; are --tracking-uri and --storage swapped?",
        "text.db": "not a database",
        "folder.db": "which is a folder",
        "old_optuna.db": "optuna storage upgrade --storage sqlite:////",
    }
    if command[0] != "sweep":
        bad |= NO_STORE
    if command[0] == "doctor":
        bad["their_optuna.db"] = "has no study tiny-"
    for name, message in bad.items():
        assert run(*command, "--storage", f"sqlite:///{name}") == 2, name
        error = capfd.readouterr().err
        assert message in error, name
        assert "Traceback" not in error
    assert contents(here) == before


def test_an_empty_file_becomes_a_store_when_something_is_written(here, tiny_suite):
    storage = resolve_storage("sqlite:///empty.db")
    assert StudyStore(tiny_suite, storage).finished() == []
    (here / "empty.db").write_bytes(b"")
    Tracker(resolve_tracking_uri("sqlite:///empty.db"))
    assert resolve_tracking_uri("sqlite:///empty.db", create=False)


def test_a_store_without_experiments_is_not_given_one_by_reading(here):
    with sqlite3.connect("mlflow.db") as store:
        store.execute("PRAGMA foreign_keys = off")
        store.execute("DELETE FROM experiments")
    with pytest.raises(TrackingError, match="got one without any"):
        resolve_tracking_uri(None, create=False)
    assert Tracker(resolve_tracking_uri(None)).experiment_id


def test_a_store_is_recognised_although_a_killed_process_left_a_write(here):
    script = """
import os, sqlite3
store = sqlite3.connect("mlflow.db", isolation_level=None)
store.execute("PRAGMA cache_size = 1")
store.execute("BEGIN")
store.executemany("INSERT INTO tags VALUES (?, 'v', 'r')", ((f"{i}" * 99,)
                  for i in range(2000)))
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert Path("mlflow.db-journal").stat().st_size > 0
    uri = resolve_tracking_uri(None, create=False)
    assert len(MlflowClient(uri).search_experiments()) == 2


@pytest.mark.slow
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL's server is not installed")
def test_a_server_s_database_is_recognised_as_a_file_is(tiny_suite):
    server = PostgresqlServer()
    try:
        server.start()
        trials, other, empty = map(server.create, ("trials", "other", "empty"))
        StudyStore(tiny_suite, resolve_storage(trials)).close()
        with psycopg.connect(other, autocommit=True) as connection:
            connection.execute("CREATE TABLE invoices (id INTEGER)")
        for resolve, url, create, message in (
            (resolve_storage, other, True, "(its tables: 'invoices')"),
            (resolve_tracking_uri, other, False, "(its tables: 'invoices')"),
            (resolve_tracking_uri, trials, True, "storage swapped?"),
            (resolve_tracking_uri, empty, False, "got an empty database"),
            (resolve_storage, empty, False, "got an empty database"),
        ):
            with pytest.raises(TrackingError, match=re.escape(message)) as error:
                resolve(url, create=create)
            assert PASSWORD not in str(error.value)
        assert resolve_storage(trials, create=False)
        for url, n_tables in ((other, 1), (empty, 0)):
            engine = sqlalchemy.create_engine(with_driver(url))
            assert len(sqlalchemy.inspect(engine).get_table_names()) == n_tables
            engine.dispose()
    finally:
        server.stop()


# Addresses


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_address_leads_to_the_file_it_was_made_of(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("MLFLOW_TRACKING_URI", "LSTM_BENCH_STORAGE"):
        monkeypatch.delenv(variable, raising=False)
    uri, storage = resolve_tracking_uri(None), resolve_storage(None)
    assert (uri, storage) == tuple(
        sqlite_url(folder / file) for file in ("mlflow.db", "optuna.db")
    )
    assert sqlite_file(uri) == folder / "mlflow.db"
    # A worker process is given the address, and makes it absolute once more.
    assert resolve_tracking_uri(uri) == uri
    optuna.create_study(storage=storage, study_name="x")
    assert resolve_storage(storage, create=False) == storage
    # What was given as an address may be quoted, too.
    given = f"sqlite:///{quote(str(folder / 'optuna.db'))}"
    assert resolve_storage(given, create=False) == storage
    assert [p.name for p in folder.iterdir()] == ["optuna.db"]
    assert [p.name for p in tmp_path.iterdir()] == [name]


ODD_FOLDER = "why? a%20b#{x} 100% ü"


@pytest.mark.slow
def test_a_training_stays_in_the_folder_it_is_started_in(tmp_path, monkeypatch, capfd):
    folder = tmp_path / ODD_FOLDER
    folder.mkdir()
    (folder / "tiny.yaml").write_text(TINY_SUITE)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("train", "tiny.yaml") == 0, capfd.readouterr().err
    assert {p.name for p in folder.iterdir()} == {"mlflow.db", "mlruns", "tiny.yaml"}
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    client = MlflowClient(resolve_tracking_uri(None, create=False))
    experiments = [e.experiment_id for e in client.search_experiments()]
    (trained,) = client.search_runs(experiments)
    held = {item.path for item in client.list_artifacts(trained.info.run_id)}
    files = {path.name for path in folder.glob("mlruns/*/*/artifacts/*")}
    assert rec.CURVES in held and held == files
    assert run("train", "tiny.yaml", "--tracking-uri", "sqlite:///mlflow.db") == 0


@pytest.mark.slow
def test_workers_and_reports_work_in_a_folder_of_any_name(tmp_path, monkeypatch):
    folder = tmp_path / ODD_FOLDER
    folder.mkdir()
    (folder / "tiny.yaml").write_text(TINY_SUITE)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("sweep", "tiny.yaml", "--workers", "1") == 0
    page = folder / "reports" / "tiny" / "index.html"
    first = page.read_bytes()
    page.unlink()
    assert run("report", "tiny.yaml") == 0
    assert page.read_bytes() == first
    assert run("doctor", "tiny.yaml") == 0
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
