"""Same accuracy: model A trained with both engines, paired by seed.

With each seed both engines start from the same weights and see the same batches; what
differs is how sums are rounded. A fifth of the reviews is kept from training and
chooses the epoch whose weights a training keeps, as everywhere in this project. The
difference in accuracy on the test reviews, packed minus Keras's own LSTM, is taken by
seed, for the weights that are kept and for those of the last epoch, whichever they are.
As many train at a time as there are cores, each with one thread: no time is compared.

    python benchmarks/speed/seeds.py --data-dir DIR
"""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from row import (
    SEED,
    Row,
    add_training_options,
    drawn,
    held_out,
    positive,
    row_parser,
    seeded_model,
    trained_config,
)
from speed_lines import WEIGHTS, compare_engines, kept_accuracy

from lstm_bench.models.backend import keras
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.engines import PACKED, STOCK
from lstm_bench.system.threads import n_cores, thread_variables
from lstm_bench.system.variables import variables_set
from lstm_bench.training.loop import Encoded, Steps

MARGIN = 0.01


def train(
    engine: str, seed: int, data: dict[str, Encoded], config: Any, n_classes: int
) -> dict[str, Any]:
    """Train once; return accuracy on validation and test by epoch."""
    steps = Steps(seeded_model(config, n_classes, seed), config, engine)
    steps.trace()
    rng = derive_rng(SEED, "order", seed)
    accuracies: dict[str, list[float]] = {"val": [], "test": []}
    for _ in range(config.max_epochs):
        steps.train_epoch(data["train"], rng)
        for split, found in accuracies.items():
            _, proba = steps.predict(data[split])
            found.append(float(np.mean(proba.argmax(axis=1) == data[split].y)))
    keras.backend.clear_session()
    run = {"engine": engine, "seed": seed}
    run |= {f"{split}_accuracy": found for split, found in accuracies.items()}
    last, kept = run["test_accuracy"][-1], kept_accuracy(run)
    print(f"seed {seed}, {engine:6}: kept {kept:.4f}, last {last:.4f}", flush=True)
    return run


def main() -> None:
    parser = row_parser(__doc__, rounds=None, seeds=30)
    add_training_options(parser, epochs=3)
    parser.add_argument("--test-reviews", type=positive, default=25_000)
    arguments = parser.parse_args()
    row = Row("seeds", arguments)
    dataset = row.load()
    row.peak()
    config = trained_config("A", arguments)
    splits = {
        **held_out(drawn(dataset.train, arguments.reviews)),
        "test": drawn(dataset.test, arguments.test_reviews),
    }
    data = {
        name: Encoded.of(split, config, dataset.n_classes)
        for name, split in splits.items()
    }
    # Read by the processes that begin now.
    with variables_set(thread_variables(1)):
        runs = Parallel(n_jobs=n_cores())(
            delayed(train)(engine, seed, data, config, dataset.n_classes)
            for seed in range(arguments.seeds)
            for engine in (STOCK, PACKED)
        )
    result = {"margin": MARGIN, "runs": runs}
    for which in WEIGHTS:
        d = compare_engines(result, which).difference
        print(
            f"{which} weights, packed minus stock: {d.estimate:+.4f} "
            f"(95 % {d.low:+.4f} to {d.high:+.4f})"
        )
    row.write(
        dataset.name,
        {
            **result,
            "units": arguments.units,
            "sequence_length": arguments.length,
            "n_epochs": arguments.epochs,
            **{f"n_{name}": len(split.y) for name, split in data.items()},
        },
    )


if __name__ == "__main__":
    main()
