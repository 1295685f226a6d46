"""What tracking costs a training: seconds writing to MLflow against seconds training.

Trains imdb_small's largest shape and times every call that writes to a sqlite
store, the figures and artifacts at the end included.

    python benchmarks/speed/tracking.py --data-dir DIR
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import print_machine, spread
from throwaway import throwaway_sweep

from lstm_bench.metrics import METRICS
from lstm_bench.training.result import TRAIN_TIME
from lstm_bench.training.trial import free_memory, run_trial


class Stopwatch:
    """Adds up the seconds of the calls made through it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fn` and add its seconds."""
        start = time.perf_counter()
        value = fn(*args, **kwargs)
        self.seconds += time.perf_counter() - start
        return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    shares, costs = [], []
    with throwaway_sweep(arguments.data_dir) as sweep:
        prepared, tracker = sweep.prepared, sweep.tracker
        config = prepared.suite.with_overrides(
            ["units=100", "sequence_length=200", "max_epochs=4", "patience=null"]
        )
        for number in range(arguments.rounds):
            watch = Stopwatch()
            run_id = watch.time(sweep.begin, config, number)
            result, _ = run_trial(
                config,
                prepared.dataset,
                prepared.splits,
                metric=METRICS["accuracy"],
                root_seed=0,
                on_epoch=lambda entry, w=watch, r=run_id: w.time(
                    tracker.log_epoch, r, entry
                ),
            )
            watch.time(tracker.finish_run, run_id, result, "accuracy")
            watch.time(tracker.log_best, sweep.run_id, number, result.objective)
            costs.append(watch.seconds)
            shares.append(100 * watch.seconds / result.metrics[TRAIN_TIME])
            free_memory()
    print_machine()
    print(f"{prepared.dataset.name}, {len(prepared.splits.train)} reviews, 4 epochs")
    print(f"tracking: {spread(costs)} s a run")
    print(f"share of training time: {spread(shares)} %")
    print(
        f"first run, with matplotlib's fonts read: {shares[0]:.2f} %; "
        f"after: median {statistics.median(shares[1:] or shares):.2f} %"
    )


if __name__ == "__main__":
    main()
