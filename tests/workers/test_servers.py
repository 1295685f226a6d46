"""Servers that are killed while workers train: of the trials, and of the runs."""

from __future__ import annotations

import pytest
from conftest import TINY_SUITE
from mlflow_server import MlflowServer
from postgresql import PASSWORD, PostgresqlServer, binaries
from processes import Place, wait_for
from runs import Recorder, opened
from whole import running_trials, whole_runs

from lstm_bench.errors import TrackingError
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking.outbox import waiting

pytestmark = pytest.mark.slow

N_TRIALS = 4
TEXT = TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}") + "engine: stock\n"
SLOW = (
    "import time, lstm_bench.system.limits as limits\n"
    "limits.Limits.check = lambda self: time.sleep(0.3)\n"
)


@pytest.fixture
def postgresql():
    if binaries() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian's postgresql)")
    server = PostgresqlServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_trials_database_that_is_killed_ends_the_search_which_goes_on_later(
    postgresql, write_suite, tmp_path
):
    suite = load_suite(write_suite(text=TEXT))
    storage = resolve_storage(postgresql.create("trials"))

    def search(recorder):
        with opened(suite, tmp_path, recorder, storage=storage) as study:
            run_search(study, n_trials=N_TRIALS, timeout_s=None)
            assert study.tracker.catch_up()

    # In the second trial.
    recorder = Recorder(lambda n: postgresql.kill() if n == 3 else None)
    with pytest.raises(TrackingError) as caught:
        search(recorder)
    assert "a store could not be read or written" in str(caught.value)
    assert "start the same command again" in str(caught.value)
    assert PASSWORD not in str(caught.value) + recorder.text()
    postgresql.launch()
    search(Recorder())
    assert len(whole_runs(f"sqlite:///{tmp_path}/mlflow.db", suite)) == N_TRIALS
    store = StudyStore(suite, storage)
    assert store.running() == []
    assert len(store.finished()) == N_TRIALS
    store.close()


@pytest.mark.chaos
def test_a_command_whose_trials_database_is_killed_ends_with_one_message(
    postgresql, tmp_path
):
    place = Place(tmp_path, TEXT)
    place.inject(SLOW)
    place.environment["LSTM_BENCH_STORAGE"] = postgresql.create("trials")
    command = ("sweep", "tiny.yaml", "--workers", "2")
    process = place.start(*command)
    wait_for(lambda: running_trials(place))
    postgresql.kill()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 2, said[-3000:]
    assert "Traceback" not in said and PASSWORD not in said
    assert said.count("error: ") == 1
    assert "start the same command again" in said
    postgresql.launch()
    said = place.run(*command)
    assert PASSWORD not in said
    assert len(whole_runs(place.uri, place.suite)) == N_TRIALS


@pytest.mark.chaos
def test_a_sweep_outlives_its_tracking_server(tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "here").mkdir()
    server = MlflowServer(tmp_path / "server")
    server.start()
    try:
        place = Place(tmp_path / "here", TEXT)
        # What trains when there is this file waits until it is gone.
        hold = place.folder / "hold"
        place.inject(
            "import time, lstm_bench.system.limits as limits\n"
            "from pathlib import Path\n"
            "def check(self):\n"
            "    time.sleep(0.3)\n"
            f"    while Path({str(hold)!r}).exists():\n"
            "        time.sleep(0.1)\n"
            "limits.Limits.check = check\n"
        )
        place.environment["MLFLOW_TRACKING_URI"] = server.uri
        process = place.start("sweep", "tiny.yaml", "--workers", "2")
        database = place.folder / "optuna.db"
        store = wait_for(lambda: database.exists() and place.store())
        wait_for(lambda: store.finished())
        server.stop()
        n_before = len(store.finished())
        wait_for(lambda: len(store.finished()) > n_before)
        hold.touch()
        server.start()
        hold.unlink()
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said[-3000:]
        assert "the tracking server does not answer" in said
        assert "training goes on" in said and "\nreport: " in said
        assert len(whole_runs(server.uri, place.suite)) == N_TRIALS
        assert waiting(server.uri) == []
        assert store.running() == []
    finally:
        server.stop()
