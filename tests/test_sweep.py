"""Sweeps end to end on a real sqlite store, with trainings of a second each."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import TEST_PATHS
from mlflow import MlflowClient
from runs import Recorder, opened, sweep
from trials import store_in

from lstm_bench.errors import SuiteError, TrackingError, TrialFailed
from lstm_bench.search.lease import LEASE
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.system.process import this_process
from lstm_bench.system.signals import PATIENCE
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.models import has_model
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.result import BEST_VALUE
from lstm_bench.workers import cluster

# Before it is replaced by one whose workers are threads of this process.
WORKER_PROCESSES = cluster.start_local

pytestmark = pytest.mark.slow


def test_an_engine_that_cannot_run_is_refused_before_a_training_begins(
    tmp_path, monkeypatch
):
    pytest.importorskip("numba")
    from conftest import TINY_SUITE

    from lstm_bench.packed import choice

    (tmp_path / "tiny.yaml").write_text(TINY_SUITE + "engine: packed\n")
    suite = load_suite(tmp_path / "tiny.yaml")
    monkeypatch.setattr(choice, "largest_difference", lambda cell: 1.0)
    with pytest.raises(SuiteError, match="engine: packed cannot run here"):
        sweep(suite, tmp_path)
    store = store_in(tmp_path, suite)
    assert store.finished() == [] and store.running() == []
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", suite.study_name)
    runs = tracker.runs_of(suite.study_name)
    assert {run.data.tags[rec.TAG_KIND] for run in runs} <= {"sweep", "baseline"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    from conftest import TINY_SUITE

    text = TINY_SUITE + "references: {wide: {units: 6, pooling: mean}}\n"
    (folder / "tiny.yaml").write_text(text)
    suite = load_suite(folder / "tiny.yaml")
    recorder = Recorder()
    run_id, results = sweep(suite, folder, recorder=recorder)
    return suite, folder, run_id, results, recorder.text()


def test_sweep_trains_references_first_and_every_trial(swept):
    _, _, _, results, text = swept
    assert list(results.runs["kind"]) == ["reference", "trial", "trial", "trial"]
    assert set(results.runs["state"]) == {"complete"}
    assert results.runs["config_id"].is_unique
    assert len([line for line in text.splitlines() if line.startswith("[")]) == 4
    assert "[1/4] reference wide: complete" in text


def test_every_run_holds_what_was_promised(swept):
    suite, folder, session, results, _ = swept
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    for run_id in results.runs["run_id"]:
        run = client.get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == session
        assert run.data.tags[rec.TAG_STUDY] == suite.study_name
        for name, value in (("embedding_dim", "4"), ("optimizer", "adam")):
            assert run.data.params[name] == value
        assert int(run.data.params["seed.split"]) > 0
        steps = client.get_metric_history(run_id, "val_accuracy")
        assert [m.step for m in steps] == [1, 2]
        final = run.data.metrics["final_val_accuracy"]
        assert final == steps[-1].value == run.data.metrics["objective"]
        assert run.data.metrics["kept_epoch"] == 2
        assert (
            run.inputs.dataset_inputs[0].dataset.digest
            == (results.dataset["digest"][:36])
        )
        top = {item.path for item in client.list_artifacts(run_id)}
        assert top >= {
            "suite.yaml",
            "environment.json",
            "dataset.json",
            "curves.json",
            "samples.json",
            "predictions",
            "figures",
        }
        figures = {item.path for item in client.list_artifacts(run_id, "figures")}
        assert figures == {
            "figures/accuracy.png",
            "figures/loss.png",
            "figures/confusion_matrix_val.png",
        }
        file = client.download_artifacts(run_id, "environment.json")
        environment = json.loads(Path(file).read_text())
        assert environment["packages"]["tensorflow"] and environment["cpu_model"]


def test_predictions_reproduce_the_logged_metrics(swept):
    from lstm_bench.metrics import evaluate

    _, folder, _, results, _ = swept
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    for row in results.runs.itertuples():
        file = client.download_artifacts(row.run_id, "predictions/val.parquet")
        frame = pd.read_parquet(file)
        proba = frame.filter(like="p_").to_numpy()
        scores = evaluate(frame["y_true"].to_numpy(), proba, "classification")
        assert scores["accuracy"] == row.val_accuracy
        assert scores["log_loss"] == pytest.approx(row.val_log_loss)


def test_a_search_logs_no_model(swept):
    _, folder, _, results, _ = swept
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    assert not [r for r in results.runs["run_id"] if has_model(client, r)]


def test_the_parent_has_the_best_value_by_training(swept):
    _, folder, session, results, _ = swept
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    history = client.get_metric_history(session, BEST_VALUE)
    best = results.runs["objective"].cummax()
    assert [m.value for m in history] == list(best)


def test_results_read_back_what_was_measured(swept):
    suite, _, _, results, _ = swept
    assert results.suite.study_name == suite.study_name
    curve = results.curves.query("split == 'val' and metric == 'accuracy'")
    assert len(curve) == 8
    last = curve[curve["epoch"] == 2].set_index("run_id")["value"]
    runs = results.runs.set_index("run_id")
    assert (runs["val_accuracy"] == last[runs.index]).all()
    assert len(results.samples) == 5 * 4
    assert results.samples.groupby("run_id")["index"].apply(tuple).nunique() == 1
    assert results.dataset["n_used_train"] == 192
    assert list(results.sessions["status"]) == ["FINISHED"]


def test_curves_are_read_from_metrics_where_the_artifact_is_missing(swept, tmp_path):
    suite, folder, _, results, _ = swept
    run_id = results.runs["run_id"].iloc[0]
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    file = Path(client.download_artifacts(run_id, rec.CURVES))
    kept = file.read_bytes()
    file.unlink()
    try:
        again = load_results(f"sqlite:///{folder}/mlflow.db", suite)
    finally:
        file.write_bytes(kept)
    order = ["run_id", "split", "metric", "epoch"]
    kept_keys = results.curves.sort_values(order, ignore_index=True)
    assert again.curves.sort_values(order, ignore_index=True).equals(kept_keys)


def test_the_same_suite_and_seed_give_the_same_study(swept, tmp_path):
    suite, _, _, results, _ = swept
    _, again = sweep(suite, tmp_path)
    columns = ["kind", "config_id", "objective", "val_log_loss"]
    assert again.runs[columns].to_dict() == results.runs[columns].to_dict()


def test_a_finished_study_is_not_trained_again_and_resumes_with_more_trials(swept):
    suite, folder, _, results, _ = swept
    recorder = Recorder()
    _, again = sweep(suite, folder, recorder=recorder)
    assert recorder.n_epochs == 0
    assert list(again.runs["run_id"]) == list(results.runs["run_id"])
    assert list(again.baselines["run_id"]) == list(results.baselines["run_id"])
    # Six configurations are in the space; asking for more ends with a word.
    recorder = Recorder()
    _, more = sweep(suite, folder, n_trials=9, recorder=recorder)
    assert len(more.runs) == 7
    assert recorder.n_epochs == 3 * 2
    assert more.runs["config_id"].is_unique
    assert "all 6 configurations" in recorder.text()


def test_ctrl_c_closes_trial_and_run_and_a_second_start_resumes(write_suite, tmp_path):
    # Long enough that a stop does not come too late.
    suite = load_suite(write_suite({"max_epochs: 2": "max_epochs: 60"}))
    (tmp_path / "whole").mkdir()
    _, expected = sweep(suite, tmp_path / "whole")

    def stop(n_epochs: int) -> None:
        if n_epochs == 62:  # in the second trial
            signal.raise_signal(signal.SIGINT)

    recorder = Recorder(stop)
    with pytest.raises(KeyboardInterrupt, match="1 of 3 trainings are finished"):
        sweep(suite, tmp_path, recorder=recorder)
    assert PATIENCE in recorder.text()
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", suite.study_name)
    runs = tracker.runs_of(suite.study_name)
    assert {run.info.status for run in runs} == {"FINISHED", "KILLED"}
    recorder = Recorder()
    _, resumed = sweep(suite, tmp_path, recorder=recorder)
    assert recorder.n_epochs == 2 * 60
    columns = ["config_id", "objective", "val_log_loss"]
    assert resumed.runs[columns].to_dict() == expected.runs[columns].to_dict()


def test_two_worker_processes_give_the_numbers_of_one(
    write_suite, tmp_path, monkeypatch
):
    # The other samplers suggest by the results that are there when they are asked.
    suite = load_suite(write_suite({"seed: 7": "seed: 7, sampler: random"}))
    monkeypatch.setattr("lstm_bench.workers.cluster.start_local", WORKER_PROCESSES)
    found = []
    for n_workers in (1, 2):
        folder = tmp_path / str(n_workers)
        folder.mkdir()
        _, results = sweep(suite, folder, n_workers=n_workers)
        runs = results.runs.sort_values("trial", ignore_index=True)
        found.append(runs[["trial", "config_id", "objective", "val_log_loss"]])
    assert len(found[0]) == 3
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_a_second_command_on_a_study_is_refused(tiny_suite, tmp_path):
    parent = psutil.Process(os.getppid())
    owner = [this_process()[0], parent.pid, parent.create_time()]
    began = {"began": time.time(), "renewed": time.time()}
    about = {"owner": owner, "host": "here", "command": "confirm", **began}
    store_in(tmp_path, tiny_suite).study.set_user_attr(LEASE, about)
    recorder = Recorder()
    with pytest.raises(
        TrackingError, match=f"works on it: confirm on here, process {parent.pid}"
    ):
        sweep(tiny_suite, tmp_path, recorder=recorder)
    assert recorder.n_epochs == 0
    assert store_in(tmp_path, tiny_suite).study.user_attrs[LEASE] == about


def test_a_failed_trial_keeps_its_reason_and_the_sweep_goes_on(
    tiny_suite, tmp_path, monkeypatch
):
    import lstm_bench.training.trial

    real = lstm_bench.training.trial.run_trial
    calls = []

    def fail_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise TrialFailed("loss became nan in step 1 of 6")
        return real(*args, **kwargs)

    monkeypatch.setattr(lstm_bench.training.trial, "run_trial", fail_once)
    _, results = sweep(tiny_suite, tmp_path)
    assert list(results.runs["state"]) == ["complete", "failed", "complete"]
    assert results.runs["failure_reason"].iloc[1].startswith("loss became nan")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run = client.get_run(results.runs["run_id"].iloc[1])
    assert run.info.status == "FAILED"


def test_our_own_defect_stops_the_sweep_and_closes_its_runs(
    tiny_suite, tmp_path, monkeypatch
):
    import lstm_bench.training.trial

    def defect(*args, **kwargs):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(lstm_bench.training.trial, "run_trial", defect)
    with pytest.raises(ZeroDivisionError):
        sweep(tiny_suite, tmp_path)
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", tiny_suite.study_name)
    runs = tracker.runs_of(tiny_suite.study_name)
    status = {run.data.tags[rec.TAG_KIND]: run.info.status for run in runs}
    assert (status["sweep"], status["trial"]) == ("FAILED", "FAILED")
    assert store_in(tmp_path, tiny_suite).running() == []


def test_pruned_trials_are_killed_runs_with_their_epochs(write_suite, tmp_path):
    suite = load_suite(
        write_suite(
            {
                "max_epochs: 2": "max_epochs: 4",
                "units: [2, 3, 4]": "learning_rate: [0.001, 0.01, 5.0]",
                "metric: accuracy": "metric: log_loss",
                "n_trials: 3": "n_trials: 6",
                "n_startup_trials: 2": "n_startup_trials: 1, pruner: median",
            }
        )
    )
    _, results = sweep(suite, tmp_path)
    pruned = results.runs[results.runs["state"] == "pruned"]
    assert len(pruned)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    for row in pruned.itertuples():
        assert client.get_run(row.run_id).info.status == "KILLED"
        assert row.failure_reason.startswith("pruned after epoch")
        assert len(results.curves.query("run_id == @row.run_id"))


def test_a_trial_whose_process_died_is_trained_again(tiny_suite, tmp_path):
    import subprocess
    import sys

    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}
from pathlib import Path
from test_sweep import Recorder, load_suite, sweep
def die(n):
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
sweep(load_suite({str(tmp_path / "tiny.yaml")!r}), Path({str(tmp_path)!r}),
      None, Recorder(die))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script])
    assert done.returncode == -signal.SIGKILL
    _, results = sweep(tiny_suite, tmp_path)
    assert list(results.runs["state"]) == ["complete"] * 3
    assert results.runs["config_id"].is_unique


def test_lost_runs_and_other_data_are_refused(tiny_suite, tmp_path):
    sweep(tiny_suite, tmp_path, 1)
    other = f"sqlite:///{tmp_path}/other.db"
    with (
        pytest.raises(TrackingError, match="1 finished trainings whose MLflow runs"),
        opened(tiny_suite, tmp_path, tracking_uri=other) as study,
    ):
        run_search(study, n_trials=1, timeout_s=None)
    store = store_in(tmp_path, tiny_suite)
    with pytest.raises(TrackingError, match="begun on other data"):
        store.check_data("0" * 64)


def test_a_damaged_optuna_database_is_a_users_error(tiny_suite, tmp_path):
    (tmp_path / "optuna.db").write_text("this is no database, but it is long enough")
    with pytest.raises(TrackingError, match="cannot be opened"):
        store_in(tmp_path, tiny_suite)


def test_a_store_that_fails_during_a_sweep_is_a_users_error(tiny_suite, tmp_path):
    def drop_table(n_epochs: int) -> None:
        if n_epochs == 2:
            with sqlite3.connect(tmp_path / "mlflow.db") as connection:
                connection.execute("DROP TABLE metrics")

    with pytest.raises(TrackingError, match="start the same command again"):
        sweep(tiny_suite, tmp_path, 1, Recorder(drop_table))


def test_a_stop_asked_for_in_an_epoch_that_prunes_is_not_lost(
    write_suite, tmp_path, monkeypatch
):
    from optuna.trial import Trial

    def prune_and_be_stopped(trial):
        signal.raise_signal(signal.SIGINT)
        return True

    monkeypatch.setattr(Trial, "should_prune", prune_and_be_stopped)
    suite = load_suite(write_suite({"seed: 7": "seed: 7, pruner: median"}))
    with pytest.raises(KeyboardInterrupt, match="1 of 3 trainings are finished"):
        sweep(suite, tmp_path)
    results = load_results(f"sqlite:///{tmp_path}/mlflow.db", suite)
    assert list(results.runs["state"]) == ["pruned"]
