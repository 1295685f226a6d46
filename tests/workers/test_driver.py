"""What the driver asks Optuna and writes to MLflow while workers train."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from optuna.trial import Trial
from processes import wait_for
from runs import Recorder, opened, sweep

from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking import names as rec

pytestmark = pytest.mark.slow

PRUNED = {
    "max_epochs: 2": "max_epochs: 4",
    "units: [2, 3, 4]": "learning_rate: [0.001, 0.01, 5.0]",
    "metric: accuracy": "metric: log_loss",
    "n_trials: 3": "n_trials: 6",
    "n_startup_trials: 2": "n_startup_trials: 1, pruner: median",
}


def test_optuna_is_asked_after_each_epoch_and_prunes_the_same_trials_again(
    write_suite, tmp_path, monkeypatch
):
    suite = load_suite(write_suite(PRUNED))
    asked, real = [], Trial.should_prune

    def should_prune(trial):
        asked.append((trial.number, trial.study.get_trials()[trial.number].last_step))
        return real(trial)

    monkeypatch.setattr(Trial, "should_prune", should_prune)
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        _, results = sweep(suite, tmp_path / name)
        found.append(results)
    runs = found[0].runs
    columns = ["trial", "config_id", "state", "failure_reason", "n_epochs"]
    assert found[1].runs[columns].equals(runs[columns])
    states = dict(zip(runs["trial"], runs["state"], strict=True))
    assert set(states.values()) == {"complete", "pruned"}
    epochs = found[0].curves.query("split == 'val' and metric == 'log_loss'")
    ran = {
        int(row.trial): epochs[epochs["run_id"] == row.run_id]["epoch"].tolist()
        for row in runs.itertuples()
    }
    expected = [(n, epoch) for n in sorted(ran) for epoch in ran[n]]
    assert asked == 2 * expected
    for number, state in states.items():
        assert (len(ran[number]) < 4) == (state == "pruned")


def test_a_trainings_epochs_are_in_mlflow_while_it_runs_one_request_each(
    write_suite, tmp_path, monkeypatch
):
    suite = load_suite(write_suite({"n_trials: 3": "n_trials: 1"}))
    batches, log_batch = [], MlflowClient.log_batch

    def keep(client, run_id, metrics=(), **more):
        if metrics:
            batches.append(
                (run_id, {m.key for m in metrics}, {m.step for m in metrics})
            )
        return log_batch(client, run_id, metrics=metrics, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", keep)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    live = []

    def running(n_epochs):
        runs = client.search_runs(
            [e.experiment_id for e in client.search_experiments()],
            f"attributes.status = 'RUNNING' and tags.`{rec.TAG_KIND}` = 'trial'",
        )
        return [
            run
            for run in runs
            if len(client.get_metric_history(run.info.run_id, "val_accuracy"))
            == n_epochs
        ]

    def at_epoch(n):
        (run,) = wait_for(lambda: running(n))
        live.append(run.info.run_id)

    with opened(suite, tmp_path, Recorder(at_epoch)) as study:
        run_search(study, n_trials=1, timeout_s=None)
        assert study.tracker.catch_up()
    assert len(live) == 2 and len(set(live)) == 1
    of_run = [(keys, steps) for run_id, keys, steps in batches if run_id == live[0]]
    epochs = of_run[:2]
    assert [steps for _, steps in epochs] == [{1}, {2}]
    assert {"train_loss", "val_loss", "val_accuracy"} <= epochs[0][0] == epochs[1][0]
    # Only the summary of the whole training follows.
    assert not any(epochs[0][0] & keys for keys, _ in of_run[2:])


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("trial_timeout_s: 0.01", "took longer than trial_timeout_s (0.01 s)"),
        ("trial_memory_gib: 0.01", "GiB, more than trial_memory_gib (0.01)"),
    ],
)
def test_a_training_beyond_a_limit_fails_itself_and_the_next_begins(
    write_suite, tmp_path, monkeypatch, limit, reason
):
    # To look at the memory only now and then is too rare for so few steps.
    monkeypatch.setattr("lstm_bench.system.limits.LOOK_EVERY_S", 0.0)
    suite = load_suite(write_suite({"n_trials: 3": f"n_trials: 2, {limit}"}))
    recorder = Recorder()
    _, results = sweep(suite, tmp_path, recorder=recorder)
    assert list(results.runs["state"]) == ["failed", "failed"]
    said = recorder.text()
    for failure in results.runs["failure_reason"]:
        assert reason in failure and "worker" not in failure
        assert failure in said


def test_a_limit_does_not_make_another_study(write_suite):
    names = {
        load_suite(write_suite({"seed: 7": f"seed: 7{more}"})).study_name
        for more in ("", ", trial_timeout_s: 5", ", trial_memory_gib: 4")
    }
    assert len(names) == 1
