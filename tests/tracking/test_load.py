from __future__ import annotations

import gc
from contextlib import closing

import numpy as np
import pytest
from mlflow import MlflowClient
from results_builder import make_predictions
from runs import Recorder, opened
from sqlalchemy import create_engine, text

from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.errors import TrackingError
from lstm_bench.metrics import METRICS
from lstm_bench.suites.schema import config_from
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking import load, queries
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.baselines import BASELINES, baselines_of, run_baseline
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import History, Prediction, TrialResult

OBJECTIVES = {2: 0.7, 3: 0.9, 4: 0.8}
HISTORY = [
    {"epoch": 1, "train_loss": 0.75, "val_accuracy": 0.5, "epoch_time_s": 2.0},
    {"epoch": 2, "train_loss": 0.25, "val_accuracy": 1.0, "epoch_time_s": 3.0},
]


@pytest.fixture
def store(tiny_suite: Suite, tmp_path) -> str:
    """Write three complete trials, by units, and a pruned one of a single epoch."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with closing(Tracker(uri)) as tracker:
        prepared = prepare(tiny_suite, None)
        session = tracker.start_session("sweep", prepared, {})
        for trial, units in enumerate((*OBJECTIVES, 2)):
            config = config_from(tiny_suite.defaults.model_dump(), {"units": units}, "")
            run = tracker.start_run(
                *(config, prepared),
                **dict(kind="trial", parent_run_id=session.run_id, engine=""),
                trial=trial,
            )
            if trial == len(OBJECTIVES):
                run.log_epoch(HISTORY[0])
                run.abandon("pruned", "slow", config, HISTORY[:1])
                continue
            for entry in HISTORY:
                run.log_epoch(entry)
            sample = {"index": 0, "text": "a film", "y_true": 1, "y_proba": [0.5, 0.5]}
            result = TrialResult(
                config,
                History(HISTORY, 2),
                OBJECTIVES[units],
                {"objective": OBJECTIVES[units]},
                (make_predictions(30)["val"],),
                [sample],
                ("neg", "pos"),
            )
            run.finish_training(result, "accuracy")
    return uri


def test_curves_are_long_scores_by_epoch_then_times(store, tiny_suite):
    results = load_results(store, tiny_suite)
    curves = results.curves
    first = curves[curves["run_id"] == results.runs["run_id"].iloc[0]]
    assert first.drop(columns="run_id").to_numpy().tolist() == [
        ["train", "loss", 1, 0.75],
        ["val", "accuracy", 1, 0.5],
        ["train", "loss", 2, 0.25],
        ["val", "accuracy", 2, 1.0],
        ["train", "epoch_time_s", 1, 2.0],
        ["train", "epoch_time_s", 2, 3.0],
    ]
    assert curves["run_id"].unique().tolist() == results.runs["run_id"].tolist()
    assert len(curves) == 3 * 6 + 3


def test_samples_are_read_of_the_best_configurations(store, tiny_suite, monkeypatch):
    assert len(load_results(store, tiny_suite).samples) == 3
    monkeypatch.setattr(load, "N_SAMPLED", 2)
    results = load_results(store, tiny_suite)
    best = leaderboard(results)["run_id"].tolist()[:2]
    assert set(results.samples["run_id"]) == set(best)
    assert {run_id: list(parts) for run_id, parts in results.predictions.items()} == (
        {run_id: ["val"] for run_id in best}
    )


def test_the_lowest_loss_is_the_best_whose_samples_are_read(
    store, tiny_suite, monkeypatch
):
    monkeypatch.setattr(load, "N_SAMPLED", 1)
    runs = load_results(store, tiny_suite).runs
    lowest = runs.loc[runs["objective"] == 0.7, "run_id"].tolist()
    assert load._sampled(runs, METRICS["log_loss"]) == lowest


def test_runs_come_in_one_order_from_pages_of_any_size(store, tiny_suite, monkeypatch):
    client = Tracker(store).client
    whole = [run.info.run_id for run in find_runs(client, "")]
    monkeypatch.setattr(queries, "PAGE_SIZE", 2)
    assert [run.info.run_id for run in find_runs(client, "")] == whole
    assert len(load_results(store, tiny_suite).runs) == 4


def test_the_collector_runs_again_after_reading_and_after_an_error(store, tiny_suite):
    load_results(store, tiny_suite)
    assert gc.isenabled()
    with pytest.raises(TrackingError):
        load_results("sqlite:////nowhere/at/all.db", tiny_suite)
    assert gc.isenabled()


def log_baselines(store: str, suite: Suite) -> None:
    prepared = prepare(suite, None)
    with closing(Tracker(store)) as tracker:
        session = tracker.start_session("sweep", prepared, {})
        for name in baselines_of("tokens"):
            result = run_baseline(
                *(name, prepared.dataset, prepared.splits), score_test=False
            )
            run = tracker.start_baseline(name, prepared, session.run_id)
            run.finish_baseline(result, prepared.dataset)


def test_a_baseline_that_was_logged_twice_is_read_once(store, tiny_suite):
    log_baselines(store, tiny_suite)
    first = load_results(store, tiny_suite).baselines
    log_baselines(store, tiny_suite)
    again = load_results(store, tiny_suite).baselines
    assert again["baseline"].tolist() == list(baselines_of("tokens"))
    assert again["run_id"].tolist() == first["run_id"].tolist()


def test_a_baseline_that_would_take_too_long_is_logged_once_with_the_reason(
    tiny_suite, tmp_path, monkeypatch
):
    reason = "9e+09 pairs of steps are more than the limit"
    monkeypatch.setattr(
        "lstm_bench.workers.job.why_not_run",
        lambda name, splits, *, score_test: reason if name == "nb_lr" else None,
    )
    recorder = Recorder()
    with opened(tiny_suite, tmp_path, recorder) as study:
        session = study.tracker.start_session("sweep", study.prepared, {})
        for task in study.baselines(session, [], 0, score_test=False):
            study.say_baseline(task, study.driver.run_one(task))
        assert study.tracker.catch_up()
        known = study.known_runs()
        assert study.baselines(session, known, 0, score_test=False) == []
        session.end("FINISHED")
    label = BASELINES["nb_lr"].label
    assert f"baseline {label} is not fitted: {reason}" in recorder.text()
    results = load_results(study.tracker.tracking_uri, tiny_suite)
    assert results.left_out.empty
    assert results.baselines["baseline"].tolist() == ["majority", "tfidf_lr"]
    assert results.skipped_baselines == (
        f"{label} was not fitted on the search's split: {reason}.",
    )
    # The run is closed, and no failure.
    (run,) = [run for run in known if getattr(run, "state", "") == "skipped"]
    assert run.status == "KILLED"


def test_load_results_gives_runs_of_one_number_one_configuration(store, tiny_suite):
    client = MlflowClient(store)
    runs = [run for run in find_runs(client, "") if "units" in run.data.params]
    two = [run.info.run_id for run in runs if run.data.params["units"] == "2"]
    assert len(two) == 2
    engine = create_engine(store)
    with engine.begin() as connection:
        # As an earlier version logged what it had computed in two ways.
        for run_id, share in zip(two, ("0.3", "0.30000000000000004"), strict=True):
            connection.execute(
                text(
                    "UPDATE params SET value = :v WHERE key = 'dropout' AND "
                    "run_uuid = :r"
                ),
                {"v": share, "r": run_id},
            )
    engine.dispose()
    for run_id, config_id in zip(two, ("0123456789ab", "ba9876543210"), strict=True):
        client.set_tag(run_id, "lstm_bench.config_id", config_id)
    rows = load_results(store, tiny_suite).runs
    expected = tiny_suite.with_overrides(["units=2", "dropout=0.3"]).config_id
    own = rows[rows["run_id"].isin(two)]
    assert own["config_id"].tolist() == [expected, expected]
    assert own["dropout"].tolist() == [0.3, 0.3]


REMEMBER = """\
description: d
dataset: {name: temporal_order, options: {n_train: 60, n_test: 20, max_length: 20}}
defaults: {head: softmax, sequence_length: 20}
space: {units: [2, 3]}
confirm: {n_best: 1, n_replicates: 1}
"""


def test_gradients_of_a_memory_task_are_read_of_its_confirmed_runs(tmp_path):
    suite, uri = Suite("remember", REMEMBER, "m.yaml"), f"sqlite:///{tmp_path}/m.db"
    gradients = {"before": [0.5, 0.25], "after": [1e-30, 0.0]}
    y = np.arange(4)
    with closing(Tracker(uri, suite.study_name)) as tracker:
        prepared = prepare(suite, None).at(1)
        session = tracker.start_session("confirm", prepared, {})
        for origin, found in (("search", gradients), ("pair", {"before": [-1.0]})):
            run = tracker.start_run(
                *(suite.defaults, prepared),
                **dict(kind="replicate", parent_run_id=session.run_id, engine=""),
                **dict(label="it", origin=origin),
            )
            result = TrialResult(
                *(suite.defaults, History(HISTORY, 2), 0.5, {"objective": 0.5}),
                (Prediction("val", y, y, np.eye(4)),),
                *([], ("XX", "XY", "YX", "YY")),
                gradients=found,
            )
            run.finish_training(result, "accuracy")
    results = load_results(uri, suite)
    assert list(results.gradients.values()) == [gradients, {}]
    assert results.left_out["part"].tolist() == ["gradients.json"]
