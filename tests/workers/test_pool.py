"""Several workers: real processes on a real sqlite store, with tiny trainings."""

from __future__ import annotations

import os
import re
import signal

import psutil
import pytest
from commands import run
from conftest import TINY_SUITE
from processes import Place, wait_for, workers_of

from lstm_bench.search.trials import MAX_DEATHS
from lstm_bench.tracking import names as rec
from lstm_bench.training.result import OBJECTIVE

pytestmark = pytest.mark.slow

# Without the packed engine, which each process would test before its first training.
STOCK = TINY_SUITE + "engine: stock\n"


def limited(limit="trial_timeout_s: 300", n_trials=2):
    """Return a suite with a limit, so that a single worker is a process, too."""
    return STOCK.replace("n_trials: 3", f"n_trials: {n_trials}, {limit}")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("crew"))
    said = place.run("sweep", "tiny.yaml", "--workers", "2", "--confirm")
    return place, said


def test_two_workers_train_everything_once(swept):
    place, said = swept
    results = place.results()
    assert sorted(results.runs["kind"]) == ["reference"] + ["trial"] * 3
    assert set(results.runs["state"]) == {"complete"}
    assert results.runs["config_id"].is_unique
    pairs = results.confirmed[["config_id", "replicate"]]
    assert len(pairs) == 4 and not pairs.duplicated().any()
    assert set(results.confirmed["state"]) == {"complete"}
    assert place.statuses() == {"FINISHED"}
    # Both the search and the confirmation have four.
    assert len([line for line in said.splitlines() if "/4] " in line]) == 8
    assert "report: reports/tiny/index.html" in said


def test_workers_are_processes_with_their_share_of_the_cores(swept):
    place, _ = swept
    owners, threads = set(), set()
    for run_id in place.results().runs["run_id"]:
        owners.add(place.client.get_run(run_id).data.tags[rec.TAG_OWNER])
        about = place.client.download_artifacts(run_id, rec.ENVIRONMENT)
        with open(about) as file:
            text = file.read()
        threads.add(text.partition('"n_threads": ')[2].partition(",")[0])
    assert len(owners) == 2
    n_cores = len(psutil.Process().cpu_affinity())
    assert threads == {str(max(1, n_cores // 2))}


def test_the_winners_model_is_logged_with_the_run_that_a_worker_trained(swept):
    place, said = swept
    models = place.client.search_logged_models(
        [e.experiment_id for e in place.client.search_experiments()]
    )
    (run_id,) = (model.source_run_id for model in models)
    assert place.client.get_run(run_id).data.tags[rec.TAG_KIND] == "replicate"
    assert f"the winner's model: runs:/{run_id}/{rec.MODEL} (" in said


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A confirmation in one process, whose reader goes away after a line."""
    place = Place(tmp_path_factory.mktemp("alone"))
    lose_reader(place.start("confirm", "tiny.yaml", "--best", "0", "--workers", "1"))
    return place


def lose_reader(process):
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 0


def test_a_reader_that_goes_away_stops_nothing(alone):
    assert len(alone.results().confirmed) == 2
    assert set(alone.results().confirmed["state"]) == {"complete"}
    assert (alone.folder / "reports" / "tiny" / "index.html").is_file()


def test_the_same_trainings_come_to_the_same_as_in_one_process(swept, alone):
    place, _ = swept
    keys = ["config_id", "replicate"]

    def scores(results):
        return results.confirmed.set_index(keys)[OBJECTIVE]

    found = scores(alone.results())
    assert len(found) == 2
    # With other numbers of threads sums may be taken in another order.
    assert scores(place.results())[found.index].to_numpy() == pytest.approx(
        found.to_numpy(), abs=0.05
    )


SLOW = (
    "import time, lstm_bench.system.limits as limits\n"
    "limits.Limits.check = lambda self: time.sleep(0.2)\n"
)


def trials_at_work(store):
    """Return the trials that have a run."""
    trials = [t for owned in store.studies for t in owned.running()]
    return [t for t in trials if "run_id" in t.user_attrs]


def test_a_killed_worker_is_replaced_and_its_training_done_again(tmp_path):
    place = Place(tmp_path)
    place.inject(SLOW)
    place.environment["NUMBA_DISABLE_JIT"] = "1"
    process = place.start("sweep", "tiny.yaml", "--workers", "2")
    store = wait_for(lambda: (tmp_path / "optuna.db").exists() and place.store())
    trial = wait_for(lambda: trials_at_work(store))[0]
    os.kill(trial.user_attrs["owner"][1], signal.SIGKILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    assert "died: SIGKILL (out of memory?); another takes its place" in said
    results = place.results()
    assert len(results.runs) == 4
    assert set(results.runs["state"]) == {"complete"}
    assert results.runs["config_id"].is_unique
    killed = place.client.get_run(trial.user_attrs["run_id"])
    assert killed.info.status == "KILLED"
    assert place.statuses() == {"FINISHED", "KILLED"}
    assert store.orphans() == []
    # Three processes have found so.
    assert said.count("Keras's own LSTM, since Numba does not run it here") == 1


@pytest.mark.chaos
def test_a_training_that_takes_its_workers_with_it_is_failed(tmp_path):
    text = TINY_SUITE.replace("n_trials: 3", "n_trials: 1")
    place = Place(tmp_path, text)
    place.inject(
        "import os, lstm_bench.system.limits as limits\n"
        "limits.Limits.check = lambda self: os.kill(os.getpid(), 9)\n"
    )
    said = place.run("sweep", "tiny.yaml", "--workers", "2")
    (trial,) = place.store().finished()
    assert trial.state.name == "FAIL"
    results = place.results()
    (row,) = [r for r in results.runs.itertuples() if r.state == "failed"]
    assert f"SIGKILL (out of memory?), {MAX_DEATHS} times" in row.failure_reason
    assert row.failure_reason in said
    assert place.statuses() == {"FINISHED", "FAILED", "KILLED"}
    assert "no training was completed" in said


def test_a_training_that_does_not_answer_is_ended(tmp_path):
    place = Place(tmp_path, limited("trial_timeout_s: 2", n_trials=1))
    place.inject(
        "import time, lstm_bench.system.limits as limits\n"
        "limits.PATIENCE_S = 1.0\n"
        "limits.Limits.check = lambda self: time.sleep(1000)\n"
    )
    said = place.run("sweep", "tiny.yaml")
    (row,) = place.results().runs.itertuples()
    assert row.state == "failed"
    assert row.failure_reason == (
        "took longer than trial_timeout_s (2 s), and its worker did not answer"
    )
    assert row.failure_reason in said


def test_a_training_beyond_a_limit_is_failed_with_its_reason(tmp_path):
    place = Place(tmp_path, limited("trial_memory_gib: 0.01", n_trials=1))
    # To look at the memory only now and then is too rare for so few steps.
    place.inject(
        "import lstm_bench.system.limits as limits\nlimits.LOOK_EVERY_S = 0.0\n"
    )
    said = place.run("sweep", "tiny.yaml")
    (row,) = place.results().runs.itertuples()
    assert row.state == "failed"
    assert "GiB, more than trial_memory_gib (0.01)" in row.failure_reason
    assert "died" not in said


def test_a_limit_does_not_make_another_study(tmp_path):
    names = set()
    for i, more in enumerate(("", ", trial_timeout_s: 5", ", trial_memory_gib: 4")):
        (tmp_path / str(i)).mkdir()
        text = TINY_SUITE.replace("seed: 7", f"seed: 7{more}")
        names.add(Place(tmp_path / str(i), text).suite.study_name)
    assert len(names) == 1


def test_ctrl_c_lets_workers_finish_their_epoch_and_the_next_start_goes_on(tmp_path):
    place = Place(tmp_path, STOCK)
    process = place.start("sweep", "tiny.yaml", "--workers", "2")
    store = wait_for(lambda: (tmp_path / "optuna.db").exists() and place.store())
    wait_for(lambda: any(owned.running() for owned in store.studies))
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said[-3000:]
    assert "stopping after this epoch" in said
    assert "trainings are finished and saved" in said
    assert not any(worker.is_running() for worker in workers)
    assert "RUNNING" not in place.statuses()
    assert not any(owned.running() for owned in store.studies)
    place.run("sweep", "tiny.yaml", "--workers", "1")
    assert set(place.results().runs["state"]) == {"complete"}
    assert len(place.results().runs) == 3


@pytest.mark.chaos
def test_workers_leave_with_a_killed_command_and_give_their_trainings_back(tmp_path):
    place = Place(tmp_path, limited())
    place.inject(SLOW)
    process = place.start("sweep", "tiny.yaml", "--workers", "1")
    store = wait_for(lambda: (tmp_path / "optuna.db").exists() and place.store())
    (trial,) = wait_for(lambda: trials_at_work(store))
    workers = workers_of(process)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
    run = place.client.get_run(trial.user_attrs["run_id"])
    assert run.info.status == "KILLED"
    assert run.data.tags[rec.TAG_STATE] == "interrupted"
    assert store.orphans() == []
    assert [t.state.name for t in store.search.trials()] == ["FAIL", "WAITING"]


def test_a_worker_that_cannot_work_ends_the_sweep_with_its_message(tmp_path):
    place = Place(tmp_path, limited())
    place.inject(
        "import sys\n"
        "if 'worker' in sys.argv or 'worker' in sys.orig_argv:\n"
        "    import lstm_bench.data.synthetic as synthetic\n"
        "    from lstm_bench.errors import DatasetError\n"
        "    def load(*arguments):\n"
        "        raise DatasetError('no data on this machine')\n"
        "    synthetic.load = load\n"
    )
    said = place.run("sweep", "tiny.yaml", "--workers", "1", code=2)
    assert said.splitlines()[-1] == "error: no data on this machine"
    assert "Traceback" not in said
    assert "RUNNING" not in place.statuses()


def test_a_defect_in_a_worker_is_shown_and_what_it_cuts_short_is_closed(tmp_path):
    place = Place(tmp_path, STOCK)
    # The second dies of the signal that asks it to leave, its run begun.
    place.inject(
        "import signal, time, lstm_bench.system.limits as limits\n"
        "from pathlib import Path\n"
        f"first, second = (Path({str(tmp_path)!r}) / name for name in ('1st', '2nd'))\n"
        "def check(self):\n"
        "    try:\n"
        "        first.touch(exist_ok=False)\n"
        "    except FileExistsError:\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "        second.touch()\n"
        "    while not second.exists():\n"
        "        time.sleep(0.1)\n"
        "    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:\n"
        "        time.sleep(300)\n"
        "    raise ZeroDivisionError('ours')\n"
        "limits.Limits.check = check\n"
    )
    said = place.run("sweep", "tiny.yaml", "--workers", "2", code=1)
    assert "ZeroDivisionError: ours" in said and "in check" in said
    assert "RUNNING" not in place.statuses()
    assert not any(owned.running() for owned in place.store().studies)


def test_a_worker_that_is_left_alone_gets_the_threads_of_the_others(tmp_path):
    place = Place(tmp_path)
    # The one that begins first stays at its first training until it gets them.
    place.inject(
        "import os, time, lstm_bench.system.limits as limits\n"
        "from pathlib import Path\n"
        f"first, lent = (Path({str(tmp_path)!r}) / name for name in ('1st', 'lent'))\n"
        "def check(self):\n"
        "    from lstm_bench.system.threads import n_kernel_threads, n_threads\n"
        "    try:\n"
        "        first.touch(exist_ok=False)\n"
        "    except FileExistsError:\n"
        "        return\n"
        "    end = time.monotonic() + 120\n"
        "    while n_kernel_threads() == n_threads():\n"
        "        assert time.monotonic() < end\n"
        "        time.sleep(0.1)\n"
        "    lent.write_text(f'{n_threads()} {n_kernel_threads()}')\n"
        "limits.Limits.check = check\n"
    )
    lose_reader(place.start("sweep", "tiny.yaml", "--workers", "2"))
    own, all_of_them = map(int, (tmp_path / "lent").read_text().split())
    assert all_of_them == 2 * own
    assert set(place.results().runs["state"]) == {"complete"}


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """A sweep of one worker that another one joined."""
    place = Place(tmp_path_factory.mktemp("joined"), limited(n_trials=5))
    # The sweep's own worker stays at its first training until the other has one.
    place.inject(
        "import sys, time, lstm_bench.system.limits as limits\n"
        "from pathlib import Path\n"
        f"joined = Path({str(place.folder / 'joined')!r})\n"
        "def check(self):\n"
        "    if '--attached' not in sys.argv:\n"
        "        joined.touch()\n"
        "    while not joined.exists():\n"
        "        time.sleep(0.1)\n"
        "limits.Limits.check = check\n"
    )
    process = place.start("sweep", "tiny.yaml", "--workers", "1")
    store = wait_for(lambda: (place.folder / "optuna.db").exists() and place.store())
    wait_for(lambda: any(owned.running() for owned in store.studies))
    worker = place.start("worker", "tiny", "--threads", "1")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-3000:]
    worker_said, _ = worker.communicate(timeout=120)
    assert worker.returncode == 0, worker_said[-3000:]
    return place, said, worker_said


def test_a_worker_joins_from_elsewhere_and_leaves_when_it_is_done(joined):
    place, said, worker_said = joined
    results = place.results()
    assert len(results.runs) == 5 and results.runs["config_id"].is_unique
    n = int(re.search(r"trainings done here: (\d+);", worker_said)[1])
    assert n >= 1
    assert f"joining the sweep of {place.suite.study_name}" in worker_said
    assert worker_said.count(": complete ") == n
    # The command shows all of them.
    assert said.count(": complete ") == 5
    owners = {
        place.client.get_run(run_id).data.tags[rec.TAG_OWNER]
        for run_id in results.runs["run_id"]
    }
    assert len(owners) == 2


def test_what_cannot_be_joined_is_said(joined, tmp_path, monkeypatch, capfd):
    place, *_ = joined
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("LSTM_BENCH_STORAGE", raising=False)
    for folder, study, message in (
        (place.folder, "tiny", "nothing is running that could be joined"),
        (place.folder, "no-such-study", "expected one study of that name"),
        (tmp_path, "tiny", "run `lstm-bench sweep` first"),
    ):
        monkeypatch.chdir(folder)
        assert run("worker", study) == 2
        assert message in capfd.readouterr().err
