from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.suites.suite import Suite, load_suite

# A busy machine may be slow: no example fails by the clock.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parents[1]
# For programs that a test runs in a process of its own.
TEST_PATHS = [str(ROOT / "tests"), str(ROOT / "tests" / "helpers")]

TINY_SUITE = """
description: a tiny study for tests
dataset: {name: synthetic, options: {n_train: 240, n_test: 60}}
defaults:
  embedding_dim: 4
  vocabulary_size: 200
  sequence_length: 20
  max_epochs: 2
  patience: null
  batch_size: 32
space:
  units: [2, 3, 4]
  head: [sigmoid, softmax]
study: {metric: accuracy, n_trials: 3, n_startup_trials: 2, seed: 7}
"""


# Folders of the longest files, and of other long ones, whether marked slow or not.
LONGEST = ROOT / "tests" / "workers"
LONG = {ROOT / "tests" / name for name in ("packed", "report", "tracking")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left with one."""
    slow = {item.path for item in items if "slow" in item.keywords}

    def rank(item: pytest.Item) -> tuple[bool, bool]:
        folder = item.path.parent
        return folder != LONGEST, folder not in LONG and item.path not in slow

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is cached away from the user's cache, unless told where to."""
    if "LSTM_BENCH_CACHE" in os.environ:
        yield
        return
    os.environ["LSTM_BENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["LSTM_BENCH_CACHE"]


@pytest.fixture(scope="session", autouse=True)
def quick_databases() -> Iterator[None]:
    """Make MLflow's and Optuna's databases quick, where MLflow is loaded at all."""
    if "mlflow" not in sys.modules:
        yield
        return
    import sqlalchemy
    from quick_databases import copy_tables, wait_for_no_disk

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", wait_for_no_disk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlflow.store.db.utils._initialize_tables", copy_tables)
        yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", wait_for_no_disk)


@pytest.fixture(scope="session", autouse=True)
def workers_in_this_process() -> Iterator[None]:
    """Let local workers be threads of the test's process, which has TensorFlow once.

    Tests of worker processes run commands.
    """
    if "mlflow" not in sys.modules:
        yield
        return

    def start_local(n_workers: int, threads: int) -> object:
        from distributed import LocalCluster

        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lstm_bench.workers.cluster.start_local", start_local)
        patch.setattr("lstm_bench.workers.fork_server.start_fork_server", lambda: None)
        yield


@pytest.fixture
def write_suite(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite file; `replace` maps text of the tiny suite to other text."""

    def write(replace: dict[str, str] | None = None, text: str = TINY_SUITE) -> Path:
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "tiny.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def tiny_suite(write_suite: Callable[..., Path]) -> Suite:
    return load_suite(write_suite())


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("synthetic", {"n_train": 160, "n_test": 40}, seed=5)


@pytest.fixture(scope="module")
def splits(dataset):
    return make_splits(
        dataset,
        root_seed=1,
        replicate=0,
        validation_fraction=0.25,
        max_train_samples=None,
    )
