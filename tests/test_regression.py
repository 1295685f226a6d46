"""A study of numbers end to end: search-less confirmation, report and verdicts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from commands import run
from runs import Recorder, opened

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.verdicts import answers
from lstm_bench.classify import open_model, predict_file, predict_table
from lstm_bench.confirm import choose_candidates, confirm_candidates
from lstm_bench.data.registry import load_dataset
from lstm_bench.register import test_scores as scores_of
from lstm_bench.report.render import write_report
from lstm_bench.report.sections.order import CLASSES, SECTIONS, build_sections
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking.load import load_results
from lstm_bench.training.prepare import load_dataset_of
from lstm_bench.workers.recovery import recover

pytestmark = pytest.mark.slow

SUITE = """
description: a tiny study of numbers for tests
dataset: {name: adding, options: {n_train: 120, n_test: 60, max_length: 33}}
defaults: {sequence_length: 33, max_epochs: 2, patience: null, batch_size: 32}
space: {units: [2, 4]}
references: {fast: {units: 3, learning_rate: 0.02}}
study: {n_trials: 2, seed: 7}
confirm: {n_best: 1, n_replicates: 3, margin: 0.001}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "numbers.yaml").write_text(SUITE)
    suite = load_suite(folder / "numbers.yaml")
    with opened(suite, folder) as study:
        run_search(study, n_trials=2, timeout_s=None)
        assert study.tracker.catch_up()
        results = load_results(study.tracker.tracking_uri, suite)
        recover(study.tracker, study.store)
        confirm_candidates(study, choose_candidates(suite, results, 1), 3)
        assert study.tracker.catch_up()
        results = load_results(study.tracker.tracking_uri, suite)
    analysis = analyse(results)
    write_report(analysis, folder / "report")
    return folder, analysis


def test_everything_that_was_tracked_is_read_again(study):
    _, analysis = study
    results = analysis.results
    assert results.missing == "" and results.left_out.empty
    assert set(results.runs["state"]) == {"complete"}
    assert set(results.baselines["baseline"]) == {"train_mean", "summary_ridge"}
    assert results.dataset["output_names"] == ["sum"]
    for parts in results.predictions.values():
        for prediction in parts.values():
            assert prediction.y_pred.shape == prediction.y_true.shape
            assert prediction.y_true.dtype == np.float64


def test_the_winner_has_the_lowest_error_and_intervals(study):
    _, analysis = study
    lstms = [c for c in analysis.contenders if not c.is_baseline]
    assert len(lstms) == 2 and len(analysis.contenders) == 4
    assert analysis.winner.mean_val == min(c.mean_val for c in lstms)
    for contender in analysis.contenders:
        test = contender.predictions[1]["test"]
        mse = float(np.mean((test.y_pred - test.y_true) ** 2))
        assert contender.test[1] == pytest.approx(mse)
    rows = analysis.comparisons
    assert rows["both_low"].notna().all() and rows["p_mcnemar_exact"].isna().all()
    assert (rows["both_low"] <= rows["difference"]).all()
    assert (rows["difference"] <= rows["both_high"]).all()


def test_the_report_speaks_of_numbers_alone(study):
    folder, analysis = study
    anchors = [section.anchor for section in build_sections(analysis)]
    assert "predicted" in anchors
    assert not {a for a, (*_, tasks) in SECTIONS.items() if tasks == CLASSES} & set(
        anchors
    )
    text = (folder / "report" / "index.html").read_text()
    assert "test MSE" in text and "mean of train" in text
    for word in ("accuracy", "McNemar", "confusion", "majority class", "calibrat"):
        assert word not in text, word
    said = " ".join(answer.text for answer in answers(analysis))
    assert "test MSE" in said and "margin of 0.001" in said


def test_the_residuals_are_those_of_the_winner(study):
    folder, analysis = study
    table = pd.read_csv(folder / "report" / "tables" / "residuals.csv")
    errors = [
        parts["test"].y_pred - parts["test"].y_true
        for parts in analysis.winner.predictions.values()
    ]
    assert table["output"].tolist() == ["sum"]
    assert table["n_seeds"].tolist() == [3]
    assert table["bias"][0] == pytest.approx(np.mean(errors))
    assert table["largest"][0] == pytest.approx(np.mean([abs(e).max() for e in errors]))


def test_the_winner_predicts_as_it_was_scored(study, tmp_path):
    folder, analysis = study
    uri, suite = f"sqlite:///{folder}/mlflow.db", analysis.results.suite
    named = open_model(uri, str(folder / "numbers.yaml"), Recorder())
    assert named.model.about["task"] == "regression"
    dataset = load_dataset("adding", suite.dataset.options, seed=suite.study.seed)
    inputs = [dataset.raw(dataset.test, i) for i in range(len(dataset.test))]
    table = predict_table(named.model, inputs)
    assert list(table) == ["prediction"]
    scored = analysis.winner.predictions[named.model.about["replicate"]]["test"]
    np.testing.assert_allclose(table["prediction"], scored.y_pred[:, 0], atol=1e-5)
    np.savez(tmp_path / "new.npz", X=np.zeros((2, 5, 2)))
    out = tmp_path / "out.csv"
    predict_file(named, tmp_path / "new.npz", out, None, lambda text: None)
    assert list(pd.read_csv(out)) == ["prediction"]


def test_a_registered_model_has_the_scores_of_its_task(study):
    _, analysis = study
    scores = scores_of(analysis.winner, analysis.results.suite.task)
    assert set(scores) == {"test_mse", "test_rmse", "test_mae", "test_r2"}
    assert scores["test_mse"].endswith("3 seeds") and "95 %" in scores["test_mse"]


def test_a_number_is_explained_as_it_is_predicted(study, monkeypatch, capsys):
    folder, _ = study
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("explain", "numbers.yaml", "--example", "3", "--out", "it.html") == 0
    said = capsys.readouterr().err
    assert "The model predicts sum " in said and "The true value is " in said
    found = json.loads((folder / "it.json").read_text())
    suite = load_suite(folder / "numbers.yaml")
    dataset = load_dataset_of(suite, None)
    assert found["true_value"] == dataset.test.y[3][0]
    uri = f"sqlite:///{folder}/mlflow.db"
    model = open_model(uri, "numbers.yaml", Recorder()).model
    (expected,) = model.predict_proba([dataset.raw(dataset.test, 3)])[0]
    assert found["proba"] == pytest.approx([expected], abs=1e-5)


@pytest.mark.parametrize("name", ["summary_ridge", "train_mean"])
def test_a_baseline_of_numbers_is_explained(study, monkeypatch, capsys, name):
    folder, analysis = study
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    options = ("--example", "3", "--out", "it.html")
    assert run("explain", f"numbers.yaml:{name}", *options) == 0
    found = json.loads((folder / "it.json").read_text())
    contender = next(c for c in analysis.contenders if c.key == f"baseline:{name}")
    scored = contender.predictions[found["replicate"]]["test"].y_pred[3]
    assert found["proba"] == pytest.approx(scored, abs=1e-5)
    if name == "train_mean":
        assert "repeats the mean of the targets in train: sum" in found["repeats"]
        assert found["repeats"] in capsys.readouterr().err
        return
    total = sum(found["attribution"]) + found["baseline_score"]
    assert total == pytest.approx(found["proba"][0])
    assert len(found["terms"]) == 14 and len(found["by_channel"][0]) == 2
    # A network of numbers forecasts no step.
    assert run("explain", "numbers.yaml", *options, "--step", "1") == 2
    assert "--step: numbers forecasts nothing" in capsys.readouterr().err
