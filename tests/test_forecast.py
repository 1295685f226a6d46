"""A forecast study end to end: search, confirmation, and report."""

from __future__ import annotations

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from commands import run
from mlflow.exceptions import MlflowException
from runs import Recorder, opened

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.confirm import choose_candidates, confirm_candidates
from lstm_bench.inference import load
from lstm_bench.report.render import write_report
from lstm_bench.report.sections.order import build_sections
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.models import files_of
from lstm_bench.winner import find_logged_model, find_model
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
NAMES = ["", ":linear_ar", ":seasonal_naive", ":naive"]


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


@pytest.fixture
def commands(study, monkeypatch, capsys):
    """Run commands in the study's folder; return what they print."""
    folder, _ = study
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments, code=0):
        assert run(*map(str, arguments)) == code
        return capsys.readouterr()

    return call


def windows_of(analysis) -> tuple[list[list[float]], list[list[float]]]:
    """Return the values before each test origin, and those from it on."""
    forecast = analysis.results.dataset["forecast"]
    (series,) = forecast["shown"]
    places = [at - series["first"] for at in forecast["test"]["position"]]
    values = series["values"]
    return [values[:at] for at in places], [values[at : at + 3] for at in places]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_forecasts_what_its_study_scored(study, name):
    folder, analysis = study
    uri = f"sqlite:///{folder}/mlflow.db"
    found = find_model(uri, f"{folder}/ahead.yaml{name}", Recorder())
    model = load(found)
    key = f"baseline{name}" if name else analysis.winner.key
    contender = next(c for c in analysis.contenders if c.key == key)
    scored = contender.predictions[model.about["replicate"]]["test"]
    before, after = windows_of(analysis)
    np.testing.assert_allclose(scored.y_true, after)
    y_pred = model.predict_proba(before)
    np.testing.assert_allclose(y_pred, scored.y_pred, atol=2e-5)
    if name == ":seasonal_naive":
        np.testing.assert_allclose(y_pred, [v[-12:-9] for v in before], atol=1e-5)
    if name == ":naive":
        np.testing.assert_array_equal(y_pred, [[v[-1]] * 3 for v in before])


def test_a_logged_model_answers_json_as_a_server_does(study):
    folder, analysis = study
    uri = f"sqlite:///{folder}/mlflow.db"
    found = find_logged_model(uri, f"{folder}/ahead.yaml", Recorder())
    loaded = mlflow.pyfunc.load_model(str(found.folder))
    before, _ = windows_of(analysis)
    values = [*before[0][:-3], None, *before[0][-2:]]
    table = loaded.predict([values, {"unique_id": "", "values": values}])
    assert [*table] == ["prediction_1", "prediction_2", "prediction_3"]
    model = load(files_of(found.folder))
    expected = model.predict_proba([values])[0]
    np.testing.assert_allclose(table, [expected, expected], atol=1e-6)
    with pytest.raises(MlflowException, match="expected 24 values at least"):
        loaded.predict([[1.0, 2.0]])


def test_predict_continues_every_series_of_a_file(study, commands):
    folder, analysis = study
    before, _ = windows_of(analysis)
    days = [f"2024-01-{d:02d}" for d in range(1, 29)]
    lines = ["unique_id,ds,y"]
    lines += [f"a,{day},{y}" for day, y in zip(days, before[-1][-28:], strict=True)]
    # It ends two days before.
    lines += [f"b,{day},{y}" for day, y in zip(days, range(26), strict=False)]
    (folder / "new.csv").write_text("\n".join(lines))
    said = commands("predict", "ahead.yaml:naive", "new.csv", "--out", "ahead.csv").err
    assert "6 rows: ahead.csv" in said
    table = pd.read_csv("ahead.csv")
    assert [*table] == ["unique_id", "ds", "horizon", "prediction"]
    assert table["unique_id"].tolist() == ["a"] * 3 + ["b"] * 3
    later = ["2024-01-29", "2024-01-30", "2024-01-31"]
    assert table["ds"].tolist() == [*later, *days[26:], later[0]]
    assert table["horizon"].tolist() == [1, 2, 3] * 2
    expected = [before[-1][-1]] * 3 + [25.0] * 3
    assert table["prediction"].tolist() == pytest.approx(expected, rel=1e-6)
    shown = commands("predict", "ahead.yaml:naive", json.dumps(before[-1])).out
    assert shown.splitlines()[2] == f"step 3  {before[-1][-1]:.6g}"
    (folder / "short.csv").write_text("y\n1\n2\n")
    said = commands("predict", "ahead.yaml", "--file", "short.csv", code=2).err
    assert "short.csv: input 1: expected 24 values at least" in said


def test_forecasts_are_exported_and_registered_with_their_scales(study, commands):
    folder, _ = study
    said = commands("export", "ahead.yaml", "--format", "mlflow", "--out", "out").out
    assert "12 validation examples: the largest difference of a prediction" in said
    assert (folder / "out" / "MLmodel").exists()
    said = commands("export", "ahead.yaml", "--format", "keras", code=2).err
    assert "--format mlflow exports it" in said
    commands("register", "ahead.yaml", "ahead", "--alias", "best")
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    tags = client.get_model_version_by_alias("ahead", "best").tags
    assert ", 3 seeds" in tags["lstm_bench.test_mase"]


@pytest.mark.parametrize("name", NAMES)
def test_explain_shows_what_the_study_scored(study, commands, name):
    folder, analysis = study
    said = commands(
        *("explain", f"ahead.yaml{name}", "--example", "5", "--out", "it.html")
    ).err
    assert "The model forecasts " in said and "The true value is " in said
    found = json.loads((folder / "it.json").read_text())
    key = f"baseline{name}" if name else analysis.winner.key
    contender = next(c for c in analysis.contenders if c.key == key)
    scored = contender.predictions[found["replicate"]]["test"]
    forecast = [*scored.y_pred[5], scored.y_pred[5].mean()]
    assert found["proba"] == pytest.approx(forecast, abs=2e-5)
    assert found["true_value"] == pytest.approx(scored.y_true[5].mean())
    before, _ = windows_of(analysis)
    assert found["ahead"]["values"] == pytest.approx(before[5][-24:], abs=1e-5)
    assert found["ahead"]["level"] == before[5][-1]
    about = analysis.results.dataset["forecast"]
    assert found["ahead"]["times"][24] == about["test"]["origin"][5]
    page = (folder / "it.html").read_text()
    assert ("Gates and memory" in page) == (not name)
    if found["repeats"]:
        assert "What it repeats" in page and found["attribution"] == []
        return
    n_steps = 24 if name else 12
    assert found["steps"] == found["ahead"]["times"][24 - n_steps : 24]
    assert {len(found[key]) for key in ("running", "attribution", "deletion")} == {
        n_steps
    }
    total = sum(found["attribution"]) + found["baseline_score"]
    assert total == pytest.approx(found["score"], abs=1e-3)
    assert found["score"] == pytest.approx(forecast[-1], abs=2e-5)


def test_explain_continues_a_series_of_ones_own(study, commands):
    folder, analysis = study
    before, _ = windows_of(analysis)
    days = [f"2024-01-{d:02d}" for d in range(1, 29)]
    rows = [f"a,{day},{y}" for day, y in zip(days, before[-1][-28:], strict=True)]
    (folder / "one.csv").write_text("\n".join(["unique_id,ds,y", *rows]))
    options = ("--step", "2", "--seeds", "2", "--out", "own.html")
    said = commands("explain", "ahead.yaml", "--file", "one.csv", *options).err
    assert "for step 2 ahead; the last known value is " in said
    found = json.loads((folder / "own.json").read_text())
    commands("predict", "ahead.yaml", "one.csv", "--out", "ahead.csv")
    predicted = pd.read_csv("ahead.csv")
    assert found["proba"][:3] == pytest.approx(predicted["prediction"], abs=1e-4)
    assert found["ahead"]["times"][24:] == predicted["ds"].tolist()
    assert (found["target"], found["true_value"]) == (1, None)
    assert len(found["seeds"]) == 1 and len(found["agreement"]) == 1
    commands("explain", "ahead.yaml:naive", json.dumps(before[-1]), "--out", "own.html")
    found = json.loads((folder / "own.json").read_text())
    assert found["ahead"]["times"][23:25] == ["step 24", "1 ahead"]
    (folder / "two.csv").write_text("\n".join(["unique_id,ds,y", *rows, "b,2024,1"]))
    (folder / "short.csv").write_text("y\n1\n2\n")
    for arguments, message in (
        (("--file", "two.csv"), "two.csv: expected one series, got 2"),
        (("--file", "short.csv"), "short.csv: input 1: expected 24 values at least"),
        (("--file", "none.csv"), "none.csv"),
        (("--example", "0", "--step", "4"), "--step: expected 1 to 3"),
        (("--example", "12"), "expected 0 to 11, the 12 windows"),
        (("what comes next?",), "this model reads values; expected a JSON list"),
    ):
        assert message in commands("explain", "ahead.yaml", *arguments, code=2).err


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
