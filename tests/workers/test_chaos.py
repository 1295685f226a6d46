"""A sweep that is killed again and again ends like one that was left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import TINY_SUITE
from mlflow import MlflowClient

from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.queries import find_runs
from lstm_bench.training.result import N_EPOCHS, OBJECTIVE

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

N_KILLS = int(os.environ.get("LSTM_BENCH_KILLS", "4"))
# As many as the space has, so that workers find the same whoever is the faster.
N_TRIALS = 6
SUITE = (
    TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}")
    + "confirm: {n_best: 2, n_replicates: 2}\n"
)


def start(folder, environment, n_workers):
    command = [sys.executable, "-m", "lstm_bench", "sweep", "tiny.yaml"]
    return subprocess.Popen(
        [*command, "--confirm", "--workers", str(n_workers)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder, environment, n_workers):
    """Run the command to its end; return its seconds."""
    begun = time.monotonic()
    process = start(folder, environment, n_workers)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    return time.monotonic() - begun


def workers_of(process):
    return [
        child
        for child in psutil.Process(process.pid).children()
        if "worker" in child.cmdline()
    ]


def kill_until_it_ends(process, rng, seconds):
    """Kill workers, and in the end the command if it lasts; return how many."""
    n_killed = 0
    while True:
        try:
            process.communicate(timeout=float(rng.uniform(0, seconds)))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess):
                workers = workers_of(process)
                n_killed += 1
                if workers and rng.random() < 0.6:
                    workers[int(rng.integers(len(workers)))].kill()
                    continue
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return n_killed


def read(folder):
    suite = load_suite(folder / "tiny.yaml")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return suite, MlflowClient(uri), load_results(uri, suite)


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "two workers"])
def folders(request, tmp_path_factory):
    n_workers = request.param
    root = tmp_path_factory.mktemp("chaos")
    here = os.getcwd()
    environment = os.environ | {
        "LSTM_BENCH_CACHE": str(root / "cache"),
        "PYTHONPATH": os.pathsep.join((here, os.environ.get("PYTHONPATH", ""))),
    }
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
        environment.pop(variable, None)
    for name in ("calm", "killed"):
        (root / name).mkdir()
        (root / name / "tiny.yaml").write_text(SUITE)
    seconds = finish(root / "calm", environment, n_workers)
    rng = np.random.default_rng(20)
    n_kills = n_starts = 0
    while n_kills < N_KILLS:
        n_starts += 1
        assert n_starts < 5 * N_KILLS
        process = start(root / "killed", environment, n_workers)
        # Most of a start is over by then, and few are left alone to the end.
        n_kills += kill_until_it_ends(process, rng, 0.7 * seconds)
    finish(root / "killed", environment, n_workers)
    print(f"{n_kills} kills in {n_starts} starts, within {0.7 * seconds:.0f} s each")
    return root / "calm", root / "killed"


def test_as_many_trials_are_finished_and_none_is_repeated(folders):
    for folder in folders:
        suite, _, _ = read(folder)
        store = StudyStore(suite, f"sqlite:///{folder / 'optuna.db'}")
        finished = store.finished()
        assert len(finished) == N_TRIALS
        ids = [trial.user_attrs["config_id"] for trial in finished]
        assert len(set(ids)) == N_TRIALS
        assert store.orphans() == []


def test_the_same_configurations_have_the_same_scores(folders):
    calm, killed = (read(folder)[2] for folder in folders)

    def scores(runs: pd.DataFrame) -> dict[tuple[str, int], float]:
        complete = runs[runs["state"] == "complete"]
        keys = zip(complete["config_id"], complete["replicate"], strict=True)
        found = dict(zip(keys, complete[OBJECTIVE], strict=True))
        assert len(found) == len(complete)
        return found

    assert scores(killed.runs) == scores(calm.runs)
    found, expected = scores(killed.confirmed), scores(calm.confirmed)
    # Of equally good configurations those trained first are confirmed, and of two
    # workers either may be the first.
    both = found.keys() & expected.keys()
    assert {key: found[key] for key in both} == {key: expected[key] for key in both}
    best = sorted(scores(calm.runs).values())[-2:]
    for confirmed in (found, expected):
        chosen = {config_id for config_id, _ in confirmed}
        of_search = [scores(calm.runs)[config_id, 0] for config_id in chosen]
        assert sorted(of_search) == best
    assert len(killed.confirmed[killed.confirmed["state"] == "complete"]) == 4


def test_no_run_stays_running_and_every_finished_run_is_whole(folders):
    suite, client, results = read(folders[1])
    runs = find_runs(client, f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'")
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    complete = pd.concat([results.runs, results.confirmed])
    complete = complete[complete["state"] == "complete"]
    for run_id, n_epochs in zip(complete["run_id"], complete[N_EPOCHS], strict=True):
        history = client.get_metric_history(run_id, "val_accuracy")
        assert [point.step for point in history] == list(range(1, int(n_epochs) + 1))
        own = results.curves[
            (results.curves["run_id"] == run_id)
            & (results.curves["split"] == "val")
            & (results.curves["metric"] == "accuracy")
        ]
        assert own["value"].tolist() == [point.value for point in history]
        held = {item.path for item in client.list_artifacts(run_id)}
        assert held >= {rec.CURVES, rec.SAMPLES, rec.PREDICTIONS, rec.SUITE_FILE}


def test_the_report_and_its_tables_are_whole(folders):
    for folder in folders:
        page = (folder / "reports" / "tiny" / "index.html").read_text()
        assert page.rstrip().endswith("</html>")
        assert not [p for p in folder.rglob("*.new")]
        boards = pd.read_csv(folder / "reports" / "tiny" / "tables" / "confirmed.csv")
        assert boards["n_seeds"].tolist()[0] == 2
