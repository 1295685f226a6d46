"""Commands that are killed or asked to stop, and a second one on the same study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import TINY_SUITE
from processes import Place, wait_for, workers_of
from whole import running_trials, whole_runs

from lstm_bench.tracking import names as rec

pytestmark = pytest.mark.slow

TEXT = TINY_SUITE + "engine: stock\n"
COMMAND = ("sweep", "tiny.yaml", "--workers", "2")


def slow(seconds):
    """Return code that lets each of the six steps of an epoch take `seconds` more."""
    return (
        "import time, lstm_bench.system.limits as limits\n"
        f"limits.Limits.check = lambda self: time.sleep({seconds})\n"
    )


def begun(place):
    """Start the command; return it, its workers and a trial that trains."""
    left = {run.info.run_id for run in running_trials(place)}
    process = place.start(*COMMAND)
    # As it is written once a training begins.
    (run, *_) = wait_for(
        lambda: [r for r in running_trials(place) if r.info.run_id not in left]
    )
    return process, workers_of(process), run


def end(process):
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A command that is killed after a second one was refused; their workers."""
    place = Place(tmp_path_factory.mktemp("killed"), TEXT)
    # The first still trains when the second has started.
    place.inject(slow(5))
    process, workers, _ = begun(place)
    code, refused = end(place.start(*COMMAND))
    place.inject(slow(0.3))
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=30)
    return place, process.pid, workers, alive, code, refused


def test_a_second_command_on_a_study_is_refused_with_the_first_ones_place(killed):
    place, pid, _, _, code, refused = killed
    assert code == 2
    last = refused.splitlines()[-1]
    assert f"study {place.suite.study_name}: another command works on it" in last
    host = os.uname().nodename
    assert f"sweep on {host}, process {pid}, since 20" in last
    assert "Traceback" not in refused


def test_workers_end_with_a_killed_command(killed):
    _, _, workers, alive, _, _ = killed
    assert len(workers) == 2
    assert alive == []


@pytest.fixture(scope="module")
def stopped(killed):
    """The same command again, stopped by Ctrl-C from a terminal."""
    place, *_ = killed
    process, workers, run = begun(place)
    os.killpg(process.pid, signal.SIGINT)
    code, said = end(process)
    _, alive = psutil.wait_procs(workers, timeout=30)
    return place, run, code, said, alive


def test_ctrl_c_in_a_terminal_lets_workers_finish_their_epoch(stopped):
    place, run, code, said, alive = stopped
    assert code == 130, said
    assert "stopping after this epoch" in said
    assert "trainings are finished and saved; the same command resumes there" in said
    assert "Traceback" not in said and "died" not in said
    assert alive == []
    after = place.client.get_run(run.info.run_id)
    assert after.data.tags[rec.TAG_STATE] in ("interrupted", "complete")
    history = place.client.get_metric_history(run.info.run_id, "val_accuracy")
    assert history != []
    assert "RUNNING" not in place.statuses()
    assert place.store().running() == []


def test_the_same_command_goes_on_where_it_was_killed_and_stopped(stopped):
    place, *_ = stopped
    place.run(*COMMAND)
    complete = whole_runs(place.uri, place.suite)
    assert sorted(complete["kind"]) == ["trial"] * 3
    assert complete["config_id"].is_unique
    finished = place.store().finished()
    assert len({t.user_attrs["config_id"] for t in finished}) == 3
    assert place.store().running() == []


@pytest.mark.chaos
def test_a_second_ctrl_c_stops_at_once(tmp_path):
    place = Place(tmp_path, TEXT)
    # An epoch would take two minutes.
    place.inject(slow(20))
    process, workers, run = begun(place)
    os.killpg(process.pid, signal.SIGINT)
    for line in process.stdout:
        if "stopping after this epoch" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    code, said = end(process)
    assert code == 130, said
    assert "Traceback" not in said
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    after = place.client.get_run(run.info.run_id)
    assert after.data.tags[rec.TAG_STATE] == "interrupted"
    assert place.client.get_metric_history(run.info.run_id, "val_accuracy") == []
    assert "RUNNING" not in place.statuses()
    assert place.store().running() == []


@pytest.mark.chaos
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_waits_for_the_epoch(tmp_path, number):
    place = Place(tmp_path, TEXT)
    place.inject(slow(0.3))
    process, workers, run = begun(place)
    process.send_signal(number)
    code, said = end(process)
    assert code == 130, said
    assert "stopping after this epoch" in said and "Traceback" not in said
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert place.client.get_metric_history(run.info.run_id, "val_accuracy") != []
    assert "RUNNING" not in place.statuses()
    place.run(*COMMAND)
    assert len(whole_runs(place.uri, place.suite)) == 3


@pytest.mark.chaos
@pytest.mark.parametrize("delay_s", [0.0, 0.5, 2.0])
def test_ctrl_c_while_workers_start_ends_the_command(tmp_path, delay_s):
    place = Place(tmp_path, TEXT)
    process = place.start(*COMMAND)
    wait_for(lambda: workers_of(process))
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    code, said = end(process)
    assert code == 130, said
    assert "Traceback" not in said
    assert "RUNNING" not in place.statuses()


@pytest.mark.chaos
def test_a_terminal_that_is_closed_stops_after_the_epoch(tmp_path):
    place = Place(tmp_path, TEXT)
    place.inject(slow(0.3))
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            # The terminal becomes the command's own.
            "import os, sys, fcntl, termios; os.setsid(); "
            "fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
            "os.execv(sys.executable, [sys.executable, '-m', 'lstm_bench', "
            "*sys.argv[1:]])",
            *COMMAND,
        ],
        cwd=tmp_path,
        env=place.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    (run, *_) = wait_for(lambda: read_away(ours) or running_trials(place))
    workers = workers_of(process)
    os.close(ours)
    assert process.wait(timeout=300) == 130
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert place.client.get_metric_history(run.info.run_id, "val_accuracy") != []
    assert "RUNNING" not in place.statuses()


def read_away(terminal):
    """Read what a terminal shows, so that its program does not wait."""
    os.set_blocking(terminal, False)
    try:
        while os.read(terminal, 65536):
            pass
    except BlockingIOError:
        pass
