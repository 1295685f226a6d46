"""Seconds per epoch: this project's batches against plain Keras `model.fit`.

Model A of the write-up, LSTM(100) at length 500, on the same reviews:

- plain: `model.fit` on padded arrays, no mask;
- fixed: this project's loop with `padding: pre, masking: false`;
- trimmed: this project's default, masked and trimmed length-sorted batches.

    python benchmarks/speed/epoch.py --data-dir DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measure import interleave, load_reviews, print_machine, print_ratios

from lstm_bench.backend import keras
from lstm_bench.model import build_model
from lstm_bench.space import TrialConfig
from lstm_bench.training import Encoded, Steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--reviews", type=int, default=3072)
    parser.add_argument("--sequence-length", type=int, default=500)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    dataset, splits = load_reviews(arguments.data_dir, arguments.reviews)
    shape = {
        "units": arguments.units,
        "sequence_length": arguments.sequence_length,
        "head_dropout": 0.5,
    }
    fixed_config = TrialConfig(padding="pre", masking=False, **shape)
    trimmed_config = TrialConfig(**shape)
    fixed = Encoded.of(splits.train, fixed_config, dataset.n_classes)
    trimmed = Encoded.of(splits.train, trimmed_config, dataset.n_classes)
    plain_model = build_model(fixed_config, dataset.n_classes)
    fixed_steps = Steps(build_model(fixed_config, dataset.n_classes), fixed_config)
    trimmed_steps = Steps(
        build_model(trimmed_config, dataset.n_classes), trimmed_config
    )

    def plain_fit(n: int) -> object:
        return plain_model.fit(
            fixed.x[:n],
            fixed.targets[:n],
            batch_size=fixed_config.batch_size,
            verbose=0,
        )

    rng = np.random.default_rng(0)
    n = len(fixed.y)
    keras.utils.set_random_seed(0)
    plain_fit(fixed_config.batch_size)
    plain_model.evaluate(fixed.x[:256], fixed.targets[:256], batch_size=256, verbose=0)
    fixed_steps.trace()
    trimmed_steps.trace()

    print_machine()
    print(
        f"{dataset.name}: {n} reviews, tokens kept: mean {trimmed.lengths.mean():.0f}, "
        f"median {np.median(trimmed.lengths):.0f} of {arguments.sequence_length}; "
        f"units {arguments.units}, batch {fixed_config.batch_size}"
    )
    print("\ntraining, seconds an epoch")
    print_ratios(
        interleave(
            {
                "plain": lambda: plain_fit(n),
                "fixed": lambda: fixed_steps.train_epoch(fixed, rng),
                "trimmed": lambda: trimmed_steps.train_epoch(trimmed, rng),
            },
            arguments.rounds,
        ),
        "plain",
    )
    print("\nevaluation, seconds")
    print_ratios(
        interleave(
            {
                "plain": lambda: plain_model.evaluate(
                    fixed.x, fixed.targets, batch_size=256, verbose=0
                ),
                "fixed": lambda: fixed_steps.predict(fixed),
                "trimmed": lambda: trimmed_steps.predict(trimmed),
            },
            arguments.rounds,
        ),
        "plain",
    )


if __name__ == "__main__":
    main()
