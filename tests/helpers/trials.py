"""A study's store of trials, and a trial whose process was killed."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import OWNER, RUN_ID
from lstm_bench.suites.suite import Suite
from lstm_bench.system.process import this_process


def store_in(folder: Path, suite: Suite) -> StudyStore:
    return StudyStore(suite, resolve_storage(f"sqlite:///{folder}/optuna.db"))


def killed(store):
    """Return a trial as a process leaves it behind that is killed."""
    step = store.next_trial()
    step.trial.set_user_attr(RUN_ID, "run-1")
    host, pid, created = this_process()
    step.trial.set_user_attr(OWNER, [host, pid, created - 1000])
    return step
