"""Where the seconds of a sweep's trials go, part by part.

Trains configurations of imdb_small, drawn at random, one after the other as a worker of
a sweep does, MLflow on sqlite and all. Every second counts for the innermost of the
parts that it falls into. What a part takes is the most that doing it elsewhere, or not
at all, can win.

    LSTM_BENCH_THREADS=1 python benchmarks/speed/shares.py --data-dir DIR
"""

from __future__ import annotations

import argparse
import functools
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import optuna
from measure import print_machine
from throwaway import throwaway_sweep

from lstm_bench.packed.choice import choose_engine
from lstm_bench.system.threads import n_threads
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training import loop, trial
from lstm_bench.workers.tracked_run import train_tracked

PARTS: dict[str, list[tuple[Any, str]]] = {
    "model, optimizer and graph": [
        (trial, "build_model"),
        (loop.Steps, "__init__"),
        (loop.Steps, "trace"),
    ],
    "reviews cut and padded": [(loop.Encoded, "of")],
    "batches": [
        (loop, "training_batches"),
        (loop, "evaluation_batches"),
        (loop, "take_batch"),
    ],
    "training steps": [(loop.Steps, "train_epoch")],
    "validation steps": [(loop.Steps, "predict")],
    "metrics": [(loop, "evaluate_proba")],
    "MLflow: begin and epochs": [
        (Tracker, "start_run"),
        (Tracker, "log_engine"),
        (Tracker, "log_epoch"),
    ],
    "MLflow: end, with figures": [(Tracker, "finish_run")],
    "memory given back": [(trial, "free_memory")],
}
"""What is called in each, as its owner and its name there."""


class Shares:
    """Seconds by part; one part may lie within another, which then does not count."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._within: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the seconds of what is done within, but for parts within that."""
        self._count()
        self._within.append(name)
        try:
            yield
        finally:
            self._count()
            self._within.pop()

    def timed(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Return `fn` as that part."""

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return fn(*args, **kwargs)

        return call

    def _count(self) -> None:
        now = time.perf_counter()
        if self._within:
            self.seconds[self._within[-1]] += now - self._since
        self._since = now


def nothing(entry: dict[str, float]) -> None:
    """Show no progress."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--trials", type=int, default=16)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    with throwaway_sweep(arguments.data_dir) as sweep, ExitStack() as patches:
        prepared, suite = sweep.prepared, sweep.prepared.suite
        # As a worker gets ready.
        choose_engine(suite.engine, print)
        gc.freeze()

        def train(number: int) -> None:
            config = suite.space.suggest(study.ask(), suite.defaults)
            run_id = sweep.begin(config, number)
            train_tracked(
                prepared, config, sweep.tracker, run_id, on_epoch=nothing, say=print
            )
            trial.free_memory()

        # What happens once in a process: matplotlib's fonts, TensorFlow's first graph.
        train(0)
        shares = Shares()
        for name, calls in PARTS.items():
            for owner, attribute in calls:
                call = shares.timed(name, getattr(owner, attribute))
                patches.enter_context(patch.object(owner, attribute, call))
        with shares.part("the rest"):
            for number in range(arguments.trials):
                train(number + 1)
    print_machine()
    print(
        f"{prepared.dataset.name}, {len(prepared.splits.train):,} training reviews, "
        f"{arguments.trials} trials, {n_threads()} threads"
    )
    total = shares.seconds.total()
    for name in (*PARTS, "the rest"):
        seconds = shares.seconds[name]
        print(
            f"{name:28} {seconds / arguments.trials:6.3f} s a trial, "
            f"{100 * seconds / total:5.1f} %"
        )
    print(f"{'together':28} {total / arguments.trials:6.3f} s a trial")


if __name__ == "__main__":
    main()
