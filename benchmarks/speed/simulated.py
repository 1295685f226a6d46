"""Trainings that train nothing: a curve and a score made from the configuration."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm_bench.metrics import METRICS
from lstm_bench.search.locks import StoreLock
from lstm_bench.search.study import StudyStore
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.training.result import (
    EPOCH_TIME,
    EVAL_TIME,
    SAMPLES_PER_SECOND,
    metric_key,
)

SUITE = """\
description: Trainings that train nothing, to time what is around them.
dataset: {name: synthetic, options: {n_train: 500, n_test: 100}}
defaults: {max_epochs: 6, patience: null}
space:
  units: {low: 16, high: 256, log: true}
  num_layers: [1, 2]
  bidirectional: [false, true]
  pooling: [last, mean, max]
  dropout: {low: 0.0, high: 0.5}
  recurrent_dropout: {low: 0.0, high: 0.3}
  learning_rate: {low: 1.0e-04, high: 1.0e-02, log: true}
  batch_size: [32, 64, 128]
  head: [sigmoid, softmax]
study: {metric: accuracy, n_trials: 20000, sampler: tpe, pruner: median, seed: 1}
"""
NAME = "simulated"


def write_suite(folder: Path, name: str = NAME) -> Suite:
    file = folder / f"{name}.yaml"
    file.write_text(SUITE, encoding="utf-8")
    return load_suite(file)


def curve(config: TrialConfig) -> list[dict[str, float]]:
    """Return an epoch's entry each, as a training reports them."""
    rng = derive_rng(1, "curve", config.config_id)
    top = 0.88 - 0.02 * abs(math.log2(config.units / 100))
    top -= 0.03 * abs(math.log10(config.learning_rate / 2e-3))
    top -= 0.1 * (config.dropout - 0.2) ** 2 + 0.05 * config.recurrent_dropout
    top += {"last": 0.0, "mean": 0.005, "max": 0.01}[config.pooling]
    top += float(rng.normal(0, 0.005))
    epochs = []
    for epoch in range(1, config.max_epochs + 1):
        score = top * (1 - 0.4**epoch) + float(rng.normal(0, 0.003))
        entry: dict[str, float] = {"epoch": epoch}
        for split in ("train", "val"):
            entry[f"{split}_loss"] = 1 - score
            for name, metric in METRICS.items():
                value = score if metric.higher_is_better else 1 - score
                entry[metric_key(split, name)] = value
        entry |= {EPOCH_TIME: 1.0, EVAL_TIME: 0.1, SAMPLES_PER_SECOND: 400.0}
        epochs.append(entry)
    return epochs


class TimedLock(StoreLock):
    """A lock that keeps how long it was waited for and held.

    Attributes
    ----------
    waited, kept : list of float
        Seconds, once each time.
    """

    def __init__(self, lock: StoreLock) -> None:
        super().__init__(lock.engine, lock.name)
        self.waited: list[float] = []
        self.kept: list[float] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        asked = time.perf_counter()
        with super().held():
            got = time.perf_counter()
            self.waited.append(got - asked)
            try:
                yield
            finally:
                self.kept.append(time.perf_counter() - got)


def time_lock(store: StudyStore) -> TimedLock:
    """Let `store` hold a lock that keeps its times."""
    lock = TimedLock(store.lock)
    store.lock = lock
    for owned in store.studies:
        owned.lock = lock
    return lock
