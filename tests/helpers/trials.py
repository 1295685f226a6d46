"""A study's store of trials."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import Suite


def store_in(folder: Path, suite: Suite) -> StudyStore:
    return StudyStore(suite, resolve_storage(f"sqlite:///{folder}/optuna.db"))
