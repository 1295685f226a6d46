"""Time one short training and the baselines on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lstm_bench.data.dataset import VECTORS, Dataset, Sequences
from lstm_bench.data.splits import Splits
from lstm_bench.init.plan import Cost
from lstm_bench.packed.self_test import require_running
from lstm_bench.suites.config import TrialConfig
from lstm_bench.system.threads import VARIABLE, n_cores
from lstm_bench.system.variables import variables_set
from lstm_bench.training.baselines import baselines_of, why_not_run
from lstm_bench.workers.options import default_workers

TRAINING_S = 10.0
"""Seconds of training steps at most."""
BASELINE_EXAMPLES = 2000
N_WARM_UP = 2
N_BATCHES = 64


def measure(
    dataset: Dataset, splits: Splits, config: TrialConfig, say: Callable[[str], None]
) -> Cost:
    """Train `config` on a few batches, and fit the baselines on a few examples.

    As in a worker: with its share of the cores.

    Parameters
    ----------
    say : callable
        Called with messages.
    """
    n_workers = default_workers()
    require_running("auto", say)
    with variables_set({VARIABLE: str(max(1, n_cores() // n_workers))}):
        step_s, eval_step_s, setup_s = _training(dataset, splits, config, say)
        baselines_s = _baselines(dataset, splits)
    return Cost(step_s, eval_step_s, setup_s, baselines_s, n_workers)


def _training(
    dataset: Dataset, splits: Splits, config: TrialConfig, say: Callable[[str], None]
) -> tuple[float, float, float]:
    """Return seconds a step of training and of prediction, and of building a model."""
    # TensorFlow reads the number of threads when it is imported.
    from lstm_bench.models.build import build_model
    from lstm_bench.packed.choice import choose_engine
    from lstm_bench.training.batches import take_batch, training_batches
    from lstm_bench.training.loop import Encoded, Steps

    engine = choose_engine("auto", config.cell, say)
    start = time.perf_counter()
    model = build_model(config, dataset.n_targets, dataset.n_channels)
    steps = Steps(model, config, engine)
    steps.trace()
    setup_s = time.perf_counter() - start
    n = config.batch_size * N_BATCHES
    train = Encoded.of(_first(splits.train, n), config, dataset.n_targets)
    batches = training_batches(train.lengths, config, np.random.default_rng(0))
    n_steps, seconds = 0, 0.0
    for number in range(N_WARM_UP + N_BATCHES):
        index = batches[number % len(batches)]
        x = take_batch(train.x, train.lengths, index, config)
        start = time.perf_counter()
        float(steps.train_step(x, train.targets[index])[0])
        if number >= N_WARM_UP:
            seconds += time.perf_counter() - start
            n_steps += int(train.lengths[index].sum())
        if seconds > TRAINING_S:
            break
    # Prediction is faster, so it takes less time for as many.
    n_seen = min(number + 1, len(batches)) * config.batch_size
    val = Encoded.of(_first(splits.val, n_seen), config, dataset.n_targets)
    steps.predict(val)
    start = time.perf_counter()
    steps.predict(val)
    eval_s = time.perf_counter() - start
    return seconds / n_steps, eval_s / max(1, int(val.lengths.sum())), setup_s


def _baselines(dataset: Dataset, splits: Splits) -> float:
    """Return the seconds that all baselines take on one split, extrapolated."""
    train = _first(splits.train, BASELINE_EXAMPLES)
    val = _first(splits.val, BASELINE_EXAMPLES // 4)
    more_train = len(splits.train) / len(train)
    more_queries = (len(splits.val) + len(splits.test)) / len(val)
    if dataset.kind == VECTORS:
        # Each query is compared with every training series.
        more_queries *= more_train
    total = 0.0
    for name, baseline in baselines_of(dataset.kind, dataset.task).items():
        if why_not_run(name, splits, score_test=True) is not None:
            continue
        start = time.perf_counter()
        predictor = baseline.fit(train, dataset.n_targets)
        fitted = time.perf_counter()
        predictor.predict_proba(val)
        total += more_train * (fitted - start)
        total += more_queries * (time.perf_counter() - fitted)
    return total


def _first(sequences: Sequences, n: int) -> Sequences:
    return sequences.take(np.arange(min(n, len(sequences))))
