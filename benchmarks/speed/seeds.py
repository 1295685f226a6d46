"""Same accuracy: model A trained with both engines, paired by seed.

With each seed both engines start from the same weights and see the same batches; what
differs is how sums are rounded. The difference in accuracy on the test reviews, packed
minus Keras's own LSTM, is taken by seed after the last epoch.

    python benchmarks/speed/seeds.py --data-dir DIR
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from row import SEED, Row, drawn, own_config, positive, row_parser, seeded_model

from lstm_bench.backend import keras
from lstm_bench.engines import PACKED, STOCK
from lstm_bench.seeding import derive_rng
from lstm_bench.statistics import compare_paired
from lstm_bench.training import Encoded, Steps

MARGIN = 0.01


def train(
    engine: str, seed: int, data: tuple[Encoded, Encoded], config: Any, n_classes: int
) -> dict[str, Any]:
    """Train once; return accuracy on the test reviews, and seconds, by epoch."""
    steps = Steps(seeded_model(config, n_classes, seed), config, engine)
    steps.trace()
    rng = derive_rng(SEED, "order", seed)
    accuracy, train_s = [], []
    for _ in range(config.max_epochs):
        start = time.perf_counter()
        steps.train_epoch(data[0], rng)
        train_s.append(time.perf_counter() - start)
        _, proba = steps.predict(data[1])
        accuracy.append(float(np.mean(proba.argmax(axis=1) == data[1].y)))
    keras.backend.clear_session()
    print(f"seed {seed}, {engine:6}: {accuracy[-1]:.4f}, {sum(train_s):.1f} s")
    return {"engine": engine, "seed": seed, "accuracy": accuracy, "train_s": train_s}


def main() -> None:
    parser = row_parser(__doc__, rounds=None, seeds=5)
    parser.add_argument("--epochs", type=positive, default=3)
    parser.add_argument("--units", type=positive, default=100)
    parser.add_argument("--length", type=positive, default=500)
    parser.add_argument("--reviews", type=positive, default=25_000)
    parser.add_argument("--test-reviews", type=positive, default=25_000)
    arguments = parser.parse_args()
    row = Row("seeds", arguments)
    dataset = row.load()
    row.peak()
    config = own_config(
        "A",
        units=arguments.units,
        sequence_length=arguments.length,
        max_epochs=arguments.epochs,
    )
    data = (
        Encoded.of(drawn(dataset.train, arguments.reviews), config, dataset.n_classes),
        Encoded.of(
            drawn(dataset.test, arguments.test_reviews), config, dataset.n_classes
        ),
    )
    runs = []
    for seed in range(arguments.seeds):
        for engine in (STOCK, PACKED) if seed % 2 == 0 else (PACKED, STOCK):
            runs.append(train(engine, seed, data, config, dataset.n_classes))
    last = {
        engine: [run["accuracy"][-1] for run in runs if run["engine"] == engine]
        for engine in (PACKED, STOCK)
    }
    found = compare_paired(
        last[PACKED], last[STOCK], margin=MARGIN, higher_is_better=True
    )
    d = found.difference
    print(f"packed minus stock: {d.estimate:+.4f} (95 % {d.low:+.4f} to {d.high:+.4f})")
    row.write(
        dataset.name,
        {
            "margin": MARGIN,
            "units": arguments.units,
            "sequence_length": arguments.length,
            "n_epochs": arguments.epochs,
            "n_train": len(data[0].y),
            "n_test": len(data[1].y),
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
