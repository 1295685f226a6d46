"""A training's limits, without a training."""

from __future__ import annotations

import time

import pytest

from lstm_bench.errors import TrialFailed
from lstm_bench.system import limits
from lstm_bench.system.limits import Limits


def test_check_fails_a_training_beyond_its_time():
    own = Limits(timeout_s=0.001, memory_gib=None)
    time.sleep(0.002)
    with pytest.raises(TrialFailed, match=r"longer than trial_timeout_s \(0\.001 s\)"):
        own.check()
    Limits(timeout_s=300, memory_gib=None).check()


def test_check_looks_at_the_memory_now_and_then(monkeypatch):
    own = Limits(timeout_s=None, memory_gib=0.001)
    own.check()
    monkeypatch.setattr(limits, "LOOK_EVERY_S", 0.0)
    with pytest.raises(TrialFailed, match=r"GiB, more than trial_memory_gib \(0\.001"):
        own.check()
    Limits(timeout_s=None, memory_gib=1000).check()
