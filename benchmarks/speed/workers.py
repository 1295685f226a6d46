"""What a trial costs beside its training, by the number of workers.

Workers as `lstm-bench worker` starts them, each a process, whose trainings train
nothing: everything else is the tool's own, from the sampler's suggestion over the run
with its parameters, files and six epochs to the trial's end. Only `run_trial` is
replaced, and no model is saved. What is printed is how long that takes and how many
trials an hour the two stores can take at most.

    python benchmarks/speed/workers.py
    python benchmarks/speed/workers.py --postgresql ADDRESS --tracking-uri ADDRESS
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from measure import print_machine
from simulated import curve, time_lock, write_suite

from lstm_bench.data.dataset import Dataset
from lstm_bench.data.splits import Splits
from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.names import BEST_EPOCH
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import (
    EPOCH_TIME,
    N_EPOCHS,
    N_PARAMETERS,
    OBJECTIVE,
    TRAIN_TIME,
    History,
    Prediction,
    TrialResult,
    metric_key,
)
from lstm_bench.workers.join import work
from lstm_bench.workers.progress import Ended, Training
from lstm_bench.workers.session import Session, close_session, open_session

TRACKING = ("start_run", "log_epoch", "finish_run", "abandon_run", "log_best")


@dataclass(frozen=True)
class Done:
    """What one worker did.

    Attributes
    ----------
    ended : list of float
        When each of its trials had ended, seconds since 1970.
    waited : list of float
        Seconds for the store's lock, each time.
    under_lock_s, tracking_s, slept_s : float
        In all.
    """

    ended: list[float]
    waited: list[float]
    under_lock_s: float
    tracking_s: float
    slept_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--trials", type=int, default=20, help="of each worker")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds an epoch")
    parser.add_argument("--postgresql", help="address of a database, too")
    parser.add_argument("--tracking-uri", help="of an MLflow server, with it")
    arguments = parser.parse_args()
    if (arguments.postgresql is None) != (arguments.tracking_uri is None):
        parser.error("--postgresql and --tracking-uri go together")
    print_machine()
    print(", ".join(f"{name} {version(name)}" for name in ("optuna", "mlflow")))
    print(
        f"{arguments.trials} trials of each worker, 6 epochs of {arguments.sleep:g} s, "
        f"medians of {arguments.rounds} rounds"
    )
    kinds = ["sqlite"] + ["servers"] * (arguments.postgresql is not None)
    cases = [(kind, n) for kind in kinds for n in arguments.workers]
    found: dict[tuple[str, int], list[Mapping[str, float]]] = defaultdict(list)
    for number in range(arguments.rounds):
        for kind, n in cases if number % 2 == 0 else cases[::-1]:
            with tempfile.TemporaryDirectory() as name:
                if kind == "sqlite":
                    urls = [
                        f"sqlite:///{name}/optuna.db",
                        f"sqlite:///{name}/mlflow.db",
                    ]
                else:
                    urls = [arguments.postgresql, arguments.tracking_uri]
                # A study of its own, also in a database that has others.
                suite = write_suite(Path(name), f"workers{os.getpid()}_{number}_{n}")
                done = run(suite, *urls, n, arguments.trials, arguments.sleep)
            found[kind, n].append(summary(done))
    for kind, n in cases:
        print(f"\n{kind}, {n} workers")
        for key in found[kind, n][0]:
            values = [one[key] for one in found[kind, n]]
            print(
                f"  {key:38} {statistics.median(values):10.3f} "
                f"({min(values):.3f} to {max(values):.3f})"
            )


def summary(done: list[Done]) -> dict[str, float]:
    """Sum up a round; its first trials, which import and connect, are left out."""
    n = sum(len(one.ended) - 1 for one in done)
    spans = [one.ended[-1] - one.ended[0] for one in done]
    slept = sum(one.slept_s for one in done)
    # While all were at work.
    begin = max(one.ended[0] for one in done)
    end = min(one.ended[-1] for one in done)
    ended = sum(begin < at <= end for one in done for at in one.ended)
    waits = [wait for one in done for wait in one.waited]
    return {
        "beside training, s a trial": (sum(spans) - slept) / n,
        "  of it tracking": sum(one.tracking_s for one in done) / n,
        "  of it under the lock": sum(one.under_lock_s for one in done) / n,
        "  of it waiting for the lock": sum(waits) / n,
        "longest wait for the lock, s": max(waits),
        "trials an hour, all workers": 3600 * ended / max(end - begin, 1e-9),
    }


# The workers


def run(
    suite: Suite, storage: str, tracking: str, n: int, n_trials: int, sleep_s: float
) -> list[Done]:
    """Let `n` workers do `n_trials` each; return what each did."""
    storage, tracking = resolve_storage(storage), resolve_tracking_uri(tracking)
    prepared = prepare(suite, None)
    store = StudyStore(suite, storage)
    tracker = Tracker(tracking, suite.study_name)
    run_id = tracker.start_session(
        "sweep", suite, prepared.about_data, prepared.about_machine, {}
    )
    total = n * n_trials
    session = Session("sweep", run_id, tracker.experiment_id, total, n_trials=total)
    open_session(store, session)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(n)
    workers = []
    for _ in range(n):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=be_worker,
            args=(suite, storage, tracking, session, sleep_s, barrier, theirs),
        )
        process.start()
        theirs.close()
        workers.append((process, mine))
    done: list[Done] = [mine.recv() for _, mine in workers]
    for process, _ in workers:
        process.join()
    close_session(store, session)
    with redirect_stdout(sys.stderr):
        tracker.end_session(run_id, "FINISHED")
    return done


class Ends:
    """Progress that keeps when trainings end, and shows nothing."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def say(self, message: str) -> None:
        """Print what goes wrong."""
        print(message, file=sys.stderr)

    def begin(self, total: int, done: int, n_workers: int = 1) -> None:
        """Show nothing."""

    def training(self, training: Training) -> None:
        """Show nothing."""

    def epoch(
        self, training: Training, entry: Mapping[str, float], metric: str
    ) -> None:
        """Show nothing."""

    def ended(self, training: Training, ended: Ended) -> None:
        """Keep when."""
        self.at.append(time.time())

    def close(self) -> None:
        """Show nothing."""


def be_worker(
    suite: Suite,
    storage: str,
    tracking: str,
    session: Session,
    sleep_s: float,
    barrier: Any,
    answer: Connection,
) -> None:
    """Work until no trial is left, and answer with what was done."""
    # MLflow prints the address of every run that ends at a server.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    slept: list[float] = []
    fake_training(sleep_s, slept)
    store = StudyStore(suite, storage)
    lock = time_lock(store)
    ends = Ends()
    tracking_s: list[float] = []

    def on_ready(tracker: Tracker) -> None:
        for name in TRACKING:
            setattr(tracker, name, timed(getattr(tracker, name), tracking_s))
        barrier.wait()

    def ended(training: Training, result: Ended) -> None:
        if not ends.at:
            for values in (slept, lock.waited, lock.kept, tracking_s):
                values.clear()
        Ends.ended(ends, training, result)

    ends.ended = ended  # type: ignore[method-assign]
    left = work(store, session, tracking, None, ends, on_ready)
    assert left.waiting is None and not left.interrupted
    answer.send(Done(ends.at, lock.waited, sum(lock.kept), sum(tracking_s), sum(slept)))


def timed(fn: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        value = fn(*arguments, **named)
        seconds.append(time.perf_counter() - start)
        return value

    return call


def fake_training(sleep_s: float, slept: list[float]) -> None:
    """Put a module in the place of `lstm_bench.training.trial`, without TensorFlow."""

    def run_trial(
        config: TrialConfig,
        dataset: Dataset,
        splits: Splits,
        *,
        on_epoch: Callable[[dict[str, float]], None],
        **rest: Any,
    ) -> tuple[TrialResult, None]:
        epochs = curve(config)
        for entry in epochs:
            time.sleep(sleep_s)
            slept.append(sleep_s)
            on_epoch(entry)
        return result_of(config, dataset, splits, epochs), None

    module = ModuleType("lstm_bench.trial")
    module.run_trial = run_trial  # type: ignore[attr-defined]
    module.free_memory = gc.collect  # type: ignore[attr-defined]
    sys.modules["lstm_bench.trial"] = module


def result_of(
    config: TrialConfig,
    dataset: Dataset,
    splits: Splits,
    epochs: list[dict[str, float]],
) -> TrialResult:
    """Return what a training with these epochs would have given."""
    objective = epochs[-1][metric_key("val", "accuracy")]
    metrics = {k: v for k, v in epochs[-1].items() if k.startswith(("train_", "val_"))}
    metrics |= {OBJECTIVE: objective, TRAIN_TIME: 6.0, EPOCH_TIME: 1.0}
    metrics |= {N_PARAMETERS: 1e6, N_EPOCHS: 6.0, BEST_EPOCH: 6.0}
    rng = derive_rng(1, "predictions", config.config_id)
    p = rng.random(len(splits.val))
    proba = np.stack([1 - p, p], axis=1)
    prediction = Prediction("val", splits.val_index, splits.val.y, proba)
    samples = [
        {
            "index": int(splits.val_index[row]),
            "text": dataset.text(splits.val[row], max_words=60),
            "y_true": int(splits.val.y[row]),
            "y_proba": proba[row].tolist(),
        }
        for row in range(5)
    ]
    return TrialResult(
        config,
        History(epochs, len(epochs)),
        objective,
        metrics,
        (prediction,),
        samples,
        dataset.class_names,
    )


if __name__ == "__main__":
    main()
