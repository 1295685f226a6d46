"""A sweep within a budget: fewer trials, and fewer seeds of the confirmation."""

from __future__ import annotations

import re

import pytest
from conftest import TINY_SUITE
from results_builder import make_results
from runs import Recorder

from lstm_bench import budget
from lstm_bench.budget import Budget
from lstm_bench.cli.options import TIME
from lstm_bench.suites.suite import load_suite
from lstm_bench.sweep import run_sweep
from lstm_bench.training.result import TOTAL_TIME, TRAIN_TIME


def test_a_time_is_divided_among_trials_seeds_and_reports(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(budget.time, "monotonic", lambda: now)
    whole, searching = (
        Budget(3000.0, confirms, began=now) for confirms in (True, False)
    )
    assert whole.before() == (
        "50 min: trials start in the first 25 min; then seeds of the confirmation, "
        "20 min or what the search leaves; 5 min for reports"
    )
    assert searching.before() == "50 min: trials start in the first 45 min"
    now += 600.0
    assert whole.search_s() == pytest.approx(900.0)
    assert whole.confirmation_s() == pytest.approx(2100.0)
    now += 3000.0
    assert whole.search_s() == whole.confirmation_s() == 0.0


def test_the_seeds_that_fit_take_as_long_as_in_the_search(monkeypatch):
    now = 0.0
    monkeypatch.setattr(budget.time, "monotonic", lambda: now)
    results = make_results()
    complete = results.runs["state"] == "complete"
    runs = results.runs.assign(**{TOTAL_TIME: 1e6})
    runs.loc[complete, TOTAL_TIME] = 20.0
    baselines = results.baselines.assign(**{TRAIN_TIME: 10.0, "replicate": 0})
    baselines = baselines.iloc[:1] if len(baselines) else baselines
    results = type(results)(**{**vars(results), "runs": runs, "baselines": baselines})
    known = runs.loc[complete, "config_id"].iloc[0]
    seed_s = 20.0 + 20.0 + 10.0 * len(baselines)
    # 900 of 1,000 seconds on two workers; what was not trained takes the mean.
    whole = Budget(1000.0, confirms=True, began=now)
    assert whole.n_seeds(results, [known, "another"], 2) == int(1800.0 / seed_s)
    assert Budget(10.0, confirms=True, began=now).n_seeds(results, [known], 1) == 0


@pytest.mark.parametrize(
    ("text", "wanted"), [("45m", 2700.0), ("2h", 7200.0), ("90s", 90.0), ("5", 300.0)]
)
def test_a_time_has_a_unit(text, wanted):
    assert TIME.convert(text, None, None) == wanted


@pytest.mark.slow
def test_a_sweep_trains_what_fits_and_says_what_it_took(tmp_path):
    text = TINY_SUITE + (
        "references: {small: {units: 2}}\nconfirm: {n_best: 1, n_replicates: 3}\n"
    )
    (tmp_path / "tiny.yaml").write_text(text)
    suite, recorder = load_suite(tmp_path / "tiny.yaml"), Recorder()
    done = run_sweep(
        suite,
        recorder,
        confirm=True,
        budget_s=0.01,
        n_workers=1,
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        storage=f"sqlite:///{tmp_path}/optuna.db",
        out=tmp_path / "report",
    )
    said = recorder.text()
    assert "budget of 0 s: trials start in the first 0 s" in said
    assert "the timeout is reached; no further trial is started" in said
    assert "in which 0 seeds of 1 configuration fit; 1 trained all the same" in said
    assert re.search(
        r"\d+ s of 0 s used, \d+ s of them until the search had ended", said
    )
    assert done.analysis is not None
    results = done.analysis.results
    assert results.runs["kind"].tolist() == ["reference"]
    assert results.confirmed["replicate"].tolist() == [1]
