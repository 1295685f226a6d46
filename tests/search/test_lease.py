"""One command at a time works on a study."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from processes import wait_for
from runs import opened
from trials import store_in

from lstm_bench.errors import TrackingError
from lstm_bench.search import lease as lease_module
from lstm_bench.search.lease import LEASE, RENEW_S, STALE_S, Lease
from lstm_bench.system.process import this_process

ELSEWHERE = ["another host", 4711, 0.0]


class Clock(SimpleNamespace):
    """Time that passes when a test lets it; `at_sleep` happens meanwhile."""

    now = 1_000_000.0
    at_sleep = staticmethod(lambda: None)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.at_sleep()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease_module, "time", clock)
    return clock


@pytest.fixture
def study(tiny_suite, tmp_path):
    store = store_in(tmp_path, tiny_suite)
    yield store.study
    store.close()


def process(pid: int) -> list[object]:
    return [this_process()[0], pid, psutil.Process(pid).create_time()]


def hold(study, owner: list[object], renewed: float) -> dict[str, object]:
    """Let another process have the lease."""
    holder = {
        **{"owner": owner, "host": "there", "command": "sweep"},
        **{"began": 0.0, "renewed": renewed},
    }
    study.set_user_attr(LEASE, holder)
    return holder


def test_a_second_command_is_refused_with_host_process_and_time(study, clock):
    # The tests' own parent: a process of this host that runs.
    parent = psutil.Process().ppid()
    holder = hold(study, process(parent), clock.now - 1000)
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(0))
    with pytest.raises(TrackingError) as refused:
        Lease(study, "confirm")
    assert (
        f"another command works on it: sweep on there, process {parent}, since {since}"
        in str(refused.value)
    )
    assert study.user_attrs[LEASE] == holder


def test_a_lease_of_another_host_is_stale_after_90_s(study, clock):
    assert STALE_S == 90
    hold(study, ELSEWHERE, clock.now - 89)
    with pytest.raises(TrackingError, match="process 4711"):
        Lease(study, "confirm")
    clock.now += 2
    Lease(study, "confirm")
    assert study.user_attrs[LEASE]["command"] == "confirm"


def test_a_killed_process_of_this_host_has_no_lease_any_more(study, clock):
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        hold(study, process(other.pid), clock.now)
        with pytest.raises(TrackingError, match=f"process {other.pid}"):
            Lease(study, "confirm")
        other.kill()
        # A zombie until its parent has waited for it.
        while psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        Lease(study, "confirm")
    Lease(study, "report")
    assert study.user_attrs[LEASE]["command"] == "report"


def test_a_process_that_has_a_gone_ones_id_does_not_hold_its_lease(study, clock):
    host, pid, created = process(psutil.Process().ppid())
    hold(study, [host, pid, created - 3600], clock.now)
    Lease(study, "confirm")
    assert study.user_attrs[LEASE]["command"] == "confirm"


@pytest.mark.parametrize("before", ["none", "gone", "stale"])
def test_of_two_commands_that_start_at_once_the_later_has_the_study(
    study, clock, before
):
    if before == "gone":
        host, pid, created = process(psutil.Process().ppid())
        hold(study, [host, pid, created - 3600], clock.now)
    if before == "stale":
        hold(study, ELSEWHERE, clock.now - 91)
    rival = ["yet another host", 1, 0.0]
    clock.at_sleep = lambda: hold(study, rival, clock.now)
    with pytest.raises(TrackingError, match=r"process 1, .*; this one stops"):
        Lease(study, "confirm")
    assert study.user_attrs[LEASE]["owner"] == rival


def test_renew_shows_every_30_s_that_the_command_runs(study, clock):
    lease = Lease(study, "sweep")
    clock.now += RENEW_S
    lease.renew()
    assert study.user_attrs[LEASE]["renewed"] == clock.now
    assert RENEW_S == 30 and RENEW_S < STALE_S / 2


def test_renew_stops_a_command_whose_lease_was_taken_over(study, clock):
    lease = Lease(study, "sweep")
    taken = hold(study, ELSEWHERE, clock.now)
    with pytest.raises(TrackingError, match=r"process 4711, .*; this one stops, and"):
        lease.renew()
    # At its end it leaves the lease to the other.
    lease.release()
    assert study.user_attrs[LEASE] == taken


def test_leased_renews_and_gives_the_study_free_after_an_error_too(
    tiny_suite, tmp_path, clock, monkeypatch
):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.01)
    store = store_in(tmp_path, tiny_suite)
    with store.leased("sweep") as lease:
        assert store.study.user_attrs[LEASE]["command"] == "sweep"
        clock.now += 5
        wait_for(lambda: store.study.user_attrs[LEASE]["renewed"] == clock.now)
        lease.check()
    assert store.study.user_attrs[LEASE] is None
    with pytest.raises(ZeroDivisionError), store.leased("sweep"):
        raise ZeroDivisionError
    assert store.study.user_attrs[LEASE] is None


def test_a_driver_stops_when_its_lease_is_taken_over(tiny_suite, tmp_path, monkeypatch):
    with (
        pytest.raises(TrackingError, match="this one stops, and what it finished is"),
        opened(tiny_suite, tmp_path) as study,
    ):
        session = study.tracker.start_session("sweep", study.prepared, {})
        first, second, *_ = study.baselines(session, [], 0, score_test=False)
        assert study.driver.run_one(first).state == "complete"
        taken = hold(study.store.study, ELSEWHERE, time.time())
        monkeypatch.setattr(lease_module, "RENEW_S", 0.0)
        lease = study.driver.tick.__self__
        lease.keep(threading.Event())
        study.driver.run_one(second)
    store = store_in(tmp_path, tiny_suite)
    assert store.study.user_attrs[LEASE] == taken
