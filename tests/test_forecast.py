"""A forecast study end to end: search, confirmation, and report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from runs import Recorder, opened

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.confirm import choose_candidates, confirm_candidates
from lstm_bench.errors import SuiteError
from lstm_bench.report.render import write_report
from lstm_bench.report.sections.order import build_sections
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking.load import load_results
from lstm_bench.winner import find_model
from lstm_bench.workers.recovery import recover

pytestmark = pytest.mark.slow

SUITE = """
description: a tiny study of forecasts for tests
dataset:
  name: seasonal
  options: {n_steps: 300, horizon: 3, season: 12, window: 24, step: 2, n_windows: 12}
defaults: {sequence_length: 12, max_epochs: 2, patience: 1, batch_size: 32}
space: {units: [2, 4]}
study: {n_trials: 2, seed: 7}
confirm: {n_best: 1, n_replicates: 3, margin: 0.02}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    (folder / "ahead.yaml").write_text(SUITE)
    suite = load_suite(folder / "ahead.yaml")
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
    names = {"naive", "seasonal_naive", "linear_ar"}
    assert set(results.baselines["baseline"]) == names
    assert results.dataset["forecast"]["horizon"] == 3
    for parts in results.predictions.values():
        for prediction in parts.values():
            assert prediction.y_pred.shape == (12, 3)
            assert len(prediction.scale) == len(prediction.origin) == 12


def test_scores_are_those_of_the_predictions(study):
    _, analysis = study
    assert len(analysis.contenders) == 4
    for contender in analysis.contenders:
        test = contender.predictions[1]["test"]
        mase = np.mean(np.abs(test.y_pred - test.y_true) / test.scale[:, None])
        assert contender.test[1] == pytest.approx(mase)
    naive = next(c for c in analysis.contenders if c.key == "baseline:naive")
    assert len(set(naive.test.values())) == 1


def test_comparisons_have_intervals_over_seeds_and_windows(study):
    _, analysis = study
    rows = analysis.comparisons
    assert set(rows["id_b"]) >= {"baseline:linear_ar"}
    assert (rows["both_low"] < rows["difference"]).all()
    assert (rows["difference"] < rows["both_high"]).all()


def test_the_report_shows_forecasts_beside_the_floor(study):
    folder, analysis = study
    anchors = [section.anchor for section in build_sections(analysis)]
    assert "forecasts" in anchors and "predicted" not in anchors
    table = pd.read_csv(folder / "report" / "tables" / "forecasts.csv")
    assert table["mase"].is_monotonic_increasing
    floor = table[table["label"] == "best possible"].iloc[0]
    deviations = np.array([1.0, np.sqrt(1.36), np.sqrt(1.4896)])
    assert floor["rmse"] == pytest.approx(np.sqrt((deviations**2).mean()))
    assert floor["mae"] == pytest.approx(np.sqrt(2 / np.pi) * deviations.mean())
    text = (folder / "report" / "index.html").read_text()
    assert "linear autoregression" in text and "seeds change the initial" in text
    for word in ("McNemar", "stratified by class", "majority class"):
        assert word not in text, word


def test_a_forecast_model_is_refused_outside_its_study(study):
    folder, _ = study
    with pytest.raises(SuiteError, match="got one of forecasts"):
        find_model(
            f"sqlite:///{folder}/mlflow.db", str(folder / "ahead.yaml"), Recorder()
        )


def test_a_study_that_trains_again_at_every_origin_says_so(tmp_path):
    text = SUITE.replace("step: 2, n_windows: 12", "n_windows: 3, refit: true")
    text = text.replace("space: {units: [2, 4]}", "references: {two: {units: 2}}")
    (tmp_path / "again.yaml").write_text(text)
    suite = load_suite(tmp_path / "again.yaml")
    recorder = Recorder()
    with opened(suite, tmp_path, recorder) as study:
        confirm_candidates(study, choose_candidates(suite, None, 0), 2)
        assert study.tracker.catch_up()
        results = load_results(study.tracker.tracking_uri, suite)
    assert "refit: each training is followed by 3 more" in recorder.text()
    assert results.confirmed["state"].tolist() == ["complete"] * 2
    # The curves are those of the first training alone.
    assert results.curves.groupby("run_id")["epoch"].max().max() <= 2
    analysis = analyse(results)
    write_report(analysis, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "were trained again at each of 3 origins" in page
    assert "saw nothing of test" not in page
