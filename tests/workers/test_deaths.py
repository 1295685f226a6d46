"""Worker processes that die, and trainings that exceed a limit or hang."""

from __future__ import annotations

import psutil
import pytest
from conftest import TINY_SUITE
from processes import Place
from whole import whole_runs

from lstm_bench.tracking import names as rec
from lstm_bench.workers.cluster import MAX_DEATHS

pytestmark = pytest.mark.slow

N_TRIALS = 4
RANDOM = TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}, sampler: random")

# Names each training by its configuration, a local variable of its caller.
NAMED = """
import os, sys, time
from pathlib import Path
import lstm_bench.system.limits as limits
begin, check = limits.Limits.__init__, limits.Limits.check
def begin_named(self, *limits):
    begin(self, *limits)
    self.config_id = sys._getframe(1).f_locals["config"].config_id
    self.n_steps = 0
limits.Limits.__init__ = begin_named
"""


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A search by one worker, undisturbed."""
    place = Place(tmp_path_factory.mktemp("calm"), RANDOM)
    place.run("sweep", "tiny.yaml", "--workers", "1")
    return place


@pytest.fixture(scope="module")
def killed(calm, tmp_path_factory):
    """The same by two, of which one training kills its worker once, and one always."""
    once, always = calm.results().runs["config_id"][:2]
    place = Place(tmp_path_factory.mktemp("killed"), RANDOM)
    marker = place.folder / "died"
    place.inject(
        NAMED
        + f"""
died = Path({str(marker)!r})
def check_or_die(self):
    self.n_steps += 1
    if self.config_id == {always!r}:
        os.kill(os.getpid(), 9)
    # In its second epoch of six steps.
    if self.config_id == {once!r} and self.n_steps == 9 and not died.exists():
        died.touch()
        os.kill(os.getpid(), 9)
    check(self)
limits.Limits.check = check_or_die
"""
    )
    said = place.run("sweep", "tiny.yaml", "--workers", "2")
    assert marker.exists()
    return place, said, once, always


def by_trial(place):
    """Return the configuration and score of each complete trial by its number."""
    runs = whole_runs(place.uri, place.suite).itertuples()
    return {run.trial: (run.config_id, run.objective) for run in runs}


def test_a_killed_worker_and_the_number_of_workers_change_no_trial(calm, killed):
    place, said, _, always = killed
    expected = by_trial(calm)
    assert len(expected) == N_TRIALS
    found = by_trial(place)
    (left,) = {config_id for config_id, _ in expected.values()} - {
        config_id for config_id, _ in found.values()
    }
    assert left == always
    assert found == {n: each for n, each in expected.items() if each[0] != always}
    assert "died; its training begins again" in said
    assert "Warning" not in said
    assert place.store().running() == []


def test_a_training_whose_worker_died_closes_its_run_and_begins_another(killed):
    place, _, once, _ = killed
    runs = place.client.search_runs(
        [e.experiment_id for e in place.client.search_experiments()],
        f"tags.`{rec.TAG_CONFIG_ID}` = '{once}'",
    )
    runs.sort(key=lambda run: run.info.start_time)
    assert [run.info.status for run in runs] == ["KILLED", "FINISHED"]
    assert runs[0].data.tags[rec.TAG_STATE] == "interrupted"
    assert runs[0].data.tags[rec.TAG_FAILURE] == "its worker died"
    assert runs[0].data.metrics["val_accuracy"] >= 0


def test_a_training_whose_workers_die_three_times_fails_and_the_sweep_goes_on(killed):
    place, said, _, always = killed
    runs = place.results().runs
    (row,) = runs[runs["config_id"] == always].itertuples()
    assert row.state == "failed"
    assert f"its worker died {MAX_DEATHS} times" in row.failure_reason
    assert row.failure_reason in said
    assert len(place.store().finished()) == N_TRIALS


def test_no_worker_is_left_behind(killed):
    place, *_ = killed
    folder = str(place.folder)
    left = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == folder]
    assert left == []


def test_a_training_that_does_not_answer_is_failed_and_its_worker_restarted(tmp_path):
    text = TINY_SUITE.replace("n_trials: 3", "n_trials: 2, trial_timeout_s: 5")
    place = Place(tmp_path, text + "engine: stock\n")
    marker = tmp_path / "hangs"
    place.inject(
        "import time, lstm_bench.system.limits as limits\n"
        "from pathlib import Path\n"
        "limits.PATIENCE_S = 1.0\n"
        "def check(self):\n"
        f"    if not Path({str(marker)!r}).exists():\n"
        f"        Path({str(marker)!r}).touch()\n"
        "        time.sleep(1000)\n"
        "limits.Limits.check = check\n"
    )
    said = place.run("sweep", "tiny.yaml", "--workers", "1")
    hung, other = place.results().runs.itertuples()
    assert hung.state == "failed"
    assert hung.failure_reason == (
        "took longer than trial_timeout_s (5 s), and its worker did not answer"
    )
    assert hung.failure_reason in said
    # Of another worker, whatever it came to.
    assert other.trial == 1 and other.state in ("complete", "failed")
    assert "RUNNING" not in place.statuses()
