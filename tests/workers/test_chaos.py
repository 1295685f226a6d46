"""Sweeps whose workers, or whose commands, are killed again and again."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import TINY_SUITE
from processes import Place, workers_of
from whole import scores, whole_runs

from lstm_bench.tracking.outbox import waiting

pytestmark = [pytest.mark.slow, pytest.mark.chaos]

N_KILLS = int(os.environ.get("LSTM_BENCH_KILLS", "20"))
# All that the space has.
N_TRIALS = 6
TEXT = (
    TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}, sampler: random")
    + "references: {wide: {units: 6}}\n"
    + "confirm: {n_best: 2, n_replicates: 2}\n"
)
COMMAND = ("sweep", "tiny.yaml", "--confirm", "--workers", "2")
# Of the search with its reference, and of the confirmation: two and the reference.
N_TRAININGS = N_TRIALS + 1 + 2 * 3
# Seconds of a step. A training whose worker died three times would be failed, so it is
# short where workers die; the study outlives the kills of its command.
STEP_S = 0.1
LONG_STEP_S = 0.1 if N_KILLS < 5 else 0.6


def slow(place, seconds):
    place.inject(
        "import time, lstm_bench.system.limits as limits\n"
        f"limits.Limits.check = lambda self: time.sleep({seconds})\n"
    )


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The scores of an undisturbed study."""
    place = Place(tmp_path_factory.mktemp("calm"), TEXT)
    place.run(*COMMAND)
    complete = whole_runs(place.uri, place.suite)
    assert len(complete) == N_TRAININGS
    return scores(complete)


@pytest.fixture
def place(calm, tmp_path):
    return Place(tmp_path, TEXT)


def check_like(calm, place):
    """Check that a study ended as the undisturbed one did."""
    assert scores(whole_runs(place.uri, place.suite)) == calm
    store = place.store()
    assert store.running() == []
    ids = [trial.user_attrs["config_id"] for trial in store.finished()]
    assert len(ids) == len(set(ids)) == N_TRIALS
    results = place.results()
    assert set(results.runs["state"]) | set(results.confirmed["state"]) == {"complete"}
    assert waiting(place.uri) == []
    page = (place.folder / "reports" / "tiny" / "index.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert not list(place.folder.rglob("*.new"))
    board = pd.read_csv(place.folder / "reports" / "tiny" / "tables" / "confirmed.csv")
    assert board["n_seeds"].tolist()[0] == 2


def has_ended(process, seconds):
    """Return whether a command has ended within some seconds, as it should."""
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    assert process.returncode == 0, said[-3000:]
    return True


def test_workers_killed_at_random_moments_change_no_result(calm, place):
    rng = np.random.default_rng(20)
    n_kills = 0
    slow(place, STEP_S)
    process = place.start(*COMMAND)
    while not has_ended(process, float(rng.uniform(2, 15))):
        workers = workers_of(process)
        if workers and n_kills < N_KILLS:
            # No more than one of them: three deaths of one training would fail it.
            workers[n_kills % len(workers)].kill()
            n_kills += 1
    assert n_kills >= 1
    print(f"{n_kills} workers killed")
    check_like(calm, place)


def test_commands_killed_at_random_moments_change_no_result(calm, place):
    rng = np.random.default_rng(21)
    n_kills = 0
    slow(place, LONG_STEP_S)
    while n_kills < N_KILLS:
        process = place.start(*COMMAND)
        # At any moment: of the start, of a training, between two of them.
        if has_ended(process, float(rng.uniform(2, 14))):
            break
        workers = workers_of(process)
        process.kill()
        process.communicate()
        n_kills += 1
        assert psutil.wait_procs(workers, timeout=30)[1] == []
    print(f"{n_kills} commands killed")
    assert n_kills >= 1
    place.run(*COMMAND)
    check_like(calm, place)
