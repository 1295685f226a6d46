"""Disks that fill up or turn read-only, and stores that somebody else holds."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY_SUITE
from processes import Place, wait_for
from runs import Recorder, sweep
from whole import running_trials, whole_runs

from lstm_bench.errors import TrackingError
from lstm_bench.suites.suite import load_suite

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs"),
]

N_TRIALS = 4
TEXT = TINY_SUITE.replace("n_trials: 3", f"n_trials: {N_TRIALS}") + "engine: stock\n"
# Long enough to come in between, for whoever watches the store.
SLOW = (
    "import time, lstm_bench.system.limits as limits\n"
    "limits.Limits.check = lambda self: time.sleep(0.3)\n"
)


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)):
        pytest.skip("no right to mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write to `path` until the disk takes no further byte."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            with contextlib.suppress(OSError):
                while file.tell() < 64 * 2**20:
                    file.write(bytes(size))
    if shutil.disk_usage(path.parent).free:
        pytest.skip("this system does not hold a tmpfs to its size")


def goes_on(place, *arguments):
    """Start the command again, and see that nothing is lost or done twice."""
    place.run(*arguments)
    assert len(whole_runs(place.uri, place.suite)) == N_TRIALS
    assert place.store().running() == []


@pytest.mark.chaos
def test_a_full_disk_stops_the_sweep_and_it_goes_on_with_room(disk):
    place = Place(disk, TEXT, is_empty=True)
    command = ("sweep", "tiny.yaml", "--trials")
    filler = disk / "filler"
    # Before there are stores, and when there is a trial in them.
    for n_trials in ("1", "2"):
        fill(filler)
        said = place.run(*command, n_trials, code=2)
        filler.unlink()
        assert "Traceback" not in said
        assert "full" in said or "No space left" in said
        place.run(*command, n_trials)
    goes_on(place, "sweep", "tiny.yaml")


def test_a_disk_that_fills_up_in_a_search_ends_it_and_it_goes_on_with_room(
    disk, write_suite
):
    suite = load_suite(write_suite(text=TEXT))
    # In the second trial.
    recorder = Recorder(lambda n: fill(disk / "filler") if n == 3 else None)
    with pytest.raises(TrackingError, match="start the same command again"):
        sweep(suite, disk, recorder=recorder)
    (disk / "filler").unlink()
    sweep(suite, disk)
    complete = whole_runs(f"sqlite:///{disk}/mlflow.db", suite)
    assert len(complete) == N_TRIALS


@pytest.mark.chaos
@pytest.mark.parametrize("has_cache", [False, True])
def test_a_disk_that_fills_up_while_workers_train(disk, has_cache):
    place = Place(disk, TEXT)
    place.inject(SLOW)
    if has_cache:
        place.environment["LSTM_BENCH_CACHE"] = str(disk / "cache")
    command = ("sweep", "tiny.yaml", "--workers", "2")
    process = place.start(*command)
    wait_for(lambda: running_trials(place))
    fill(disk / "filler")
    said, _ = process.communicate(timeout=120)
    (disk / "filler").unlink()
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert "full" in said or "No space left" in said or "cannot be written" in said
    assert said.count("error: ") == 1
    goes_on(place, *command)


def obey_permissions(place):
    """Let root's commands, too, be bound by what files allow."""
    if os.geteuid() != 0:
        return
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv")
    place.prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.mark.chaos
def test_a_permission_that_is_lost_while_workers_train(tmp_path):
    place = Place(tmp_path, TEXT)
    place.inject(SLOW)
    obey_permissions(place)
    command = ("sweep", "tiny.yaml", "--workers", "2")
    process = place.start(*command)
    wait_for(lambda: running_trials(place))
    tmp_path.chmod(0o500)
    try:
        said, _ = process.communicate(timeout=120)
    finally:
        tmp_path.chmod(0o700)
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert "start the same command again" in said
    goes_on(place, *command)


@pytest.mark.chaos
@pytest.mark.parametrize("name", ["optuna.db", "mlflow.db"])
def test_a_store_that_another_program_has_locked(tmp_path, name):
    place = Place(tmp_path, TEXT)
    place.inject(SLOW)
    process = place.start("sweep", "tiny.yaml")
    wait_for(lambda: running_trials(place))
    with contextlib.closing(
        sqlite3.connect(tmp_path / name, isolation_level=None)
    ) as connection:
        wait_for(lambda: locked(connection))
        said, _ = process.communicate(timeout=300)
        connection.execute("ROLLBACK")
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert "locked" in said
    assert "start the same command again" in said
    goes_on(place, "sweep", "tiny.yaml")


def locked(connection):
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


@pytest.mark.chaos
def test_a_short_lock_is_waited_for(tmp_path):
    place = Place(tmp_path, TEXT)
    place.inject(SLOW)
    process = place.start("sweep", "tiny.yaml", "--workers", "2")
    wait_for(lambda: running_trials(place))
    for name in ("optuna.db", "mlflow.db"):
        with contextlib.closing(
            sqlite3.connect(tmp_path / name, isolation_level=None)
        ) as connection:
            wait_for(lambda connection=connection: locked(connection))
            time.sleep(1.0)
            connection.execute("ROLLBACK")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "died" not in said and "could not go on" not in said


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_done(tmp_path):
    place = Place(tmp_path, TEXT, is_empty=True)
    obey_permissions(place)
    tmp_path.chmod(0o500)
    try:
        said = place.run("sweep", "tiny.yaml", code=2)
    finally:
        tmp_path.chmod(0o700)
    assert "cannot be written" in said and "--tracking-uri" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml"]
