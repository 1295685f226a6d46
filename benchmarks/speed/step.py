"""Training steps and evaluation: the packed LSTM against plain Keras.

The write-up's two models, A (sigmoid) and B (dropout and recurrent dropout of 0.2,
softmax), on the same real reviews:

- plain: `model.fit` and `model.evaluate` on arrays padded to the sequence length;
- stock: this project's batches, masked and trimmed, with Keras's own LSTM;
- packed: the same batches with the packed one.

    python benchmarks/speed/step.py --data-dir DIR
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import interleave, load_reviews, print_machine, print_ratios

from lstm_bench.backend import keras, tf
from lstm_bench.batches import training_batches
from lstm_bench.engines import PACKED, STOCK
from lstm_bench.model import build_model
from lstm_bench.packed.choice import choose_engine
from lstm_bench.space import TrialConfig
from lstm_bench.threads import n_threads
from lstm_bench.training import Encoded, Steps

BATCH = 64
MODELS = {
    "A": {},
    "B": {"dropout": 0.2, "recurrent_dropout": 0.2, "head": "softmax"},
}


def median_seconds(work: Callable[[], object], n: int = 9) -> float:
    work()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def print_peak() -> None:
    """Print what the machine computes at most, just now."""
    n = 2048
    square = tf.random.normal((n, n))
    multiply = tf.function(lambda: tf.matmul(square, square))
    gemm = 2e-9 * n**3 / median_seconds(lambda: multiply().numpy())
    from peak import fma_gflops

    print(
        f"peak just now: {gemm:.0f} GFLOP/s in a product of {n} x {n} matrices, "
        f"{fma_gflops(n_threads()):.0f} GFLOP/s in multiply-adds on registers, "
        f"{n_threads()} threads"
    )


def measure_steps(
    dataset, splits, units: int, sequence_length: int, rounds: int
) -> None:
    """Print seconds a step of both models at one size."""
    variants, n_steps = {}, 0
    for name, options in MODELS.items():
        shape = {"units": units, "sequence_length": sequence_length, **options}
        fixed_config = TrialConfig(padding="pre", masking=False, **shape)
        config = TrialConfig(**shape)
        fixed = Encoded.of(splits.train, fixed_config, dataset.n_classes)
        data = Encoded.of(splits.train, config, dataset.n_classes)
        n_steps = len(training_batches(data.lengths, config, np.random.default_rng(0)))
        keras.utils.set_random_seed(0)
        plain = build_model(fixed_config, dataset.n_classes)

        def plain_fit(n: int | None = None, plain=plain, fixed=fixed) -> object:
            x, targets = fixed.x[:n], fixed.targets[:n]
            return plain.fit(x, targets, batch_size=BATCH, verbose=0)

        plain_fit(BATCH)
        variants[f"{name} plain"] = plain_fit
        for engine in (STOCK, PACKED):
            keras.utils.set_random_seed(0)
            steps = Steps(build_model(config, dataset.n_classes), config, engine)
            steps.trace()

            def train(steps=steps, data=data) -> object:
                return steps.train_epoch(data, np.random.default_rng(0))

            train()
            variants[f"{name} {engine}"] = train
    seconds = interleave(variants, rounds)
    print(f"\ntraining, ms a step: {units} units, length {sequence_length}")
    for name in MODELS:
        own = {
            key: [1e3 * second / n_steps for second in values]
            for key, values in seconds.items()
            if key.startswith(name)
        }
        print_ratios(own, f"{name} plain", "ms")


def measure_evaluation(dataset, n: int, sequence_length: int, rounds: int) -> None:
    """Print seconds of scoring `n` test reviews with model A."""
    shape = {"units": 100, "sequence_length": sequence_length}
    fixed_config = TrialConfig(padding="pre", masking=False, **shape)
    config = TrialConfig(**shape)
    reviews = dataset.test.take(np.arange(min(n, len(dataset.test))))
    fixed = Encoded.of(reviews, fixed_config, dataset.n_classes)
    data = Encoded.of(reviews, config, dataset.n_classes)
    plain = build_model(fixed_config, dataset.n_classes)
    variants = {
        "plain": lambda: plain.evaluate(
            fixed.x, fixed.targets, batch_size=256, verbose=0
        )
    }
    plain.evaluate(fixed.x[:256], fixed.targets[:256], batch_size=256, verbose=0)
    for engine in (STOCK, PACKED):
        steps = Steps(build_model(config, dataset.n_classes), config, engine)
        steps.trace()
        variants[engine] = lambda steps=steps: steps.predict(data)
    seconds = interleave(variants, rounds)
    print(f"\nevaluation of {len(data.y):,} reviews, s: 100 units, {sequence_length}")
    print_ratios(seconds, "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--reviews", type=int, default=1024)
    parser.add_argument("--evaluate", type=int, default=25_000)
    parser.add_argument("--units", type=int, nargs="+", default=[32, 100, 256])
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    dataset, splits = load_reviews(arguments.data_dir, arguments.reviews)
    choose_engine(PACKED, print)
    print_machine()
    print(f"{dataset.name}: {len(splits.train)} reviews, batch {BATCH}, float32")
    print_peak()
    for sequence_length in arguments.lengths:
        for units in arguments.units:
            measure_steps(dataset, splits, units, sequence_length, arguments.rounds)
            keras.backend.clear_session()
    if arguments.evaluate:
        for sequence_length in arguments.lengths:
            measure_evaluation(
                dataset, arguments.evaluate, sequence_length, arguments.rounds
            )
    print_peak()


if __name__ == "__main__":
    main()
