"""Time to the write-up's accuracy: the packed LSTM against plain Keras.

Model B from a warm start, data encoded, model built and traced, until 83.46 % of the
25,000 test reviews are right:

- plain: the write-up's own way, `model.fit` on reviews padded and truncated in front
  to 500 tokens, no masking, and `model.evaluate` at batch 64;
- packed: the same model, as this project trains and scores it;
- found: the LSTM that the published search of imdb_small, which saw no test review,
  found best: 32 units, 200 tokens, 5,000 words, no dropout.

The first two start from the same weights. All go through all 25,000 training reviews in
an order drawn with the seed, and are scored after each quarter of an epoch. The test
set serves as a stop watch alone, as it did in the write-up: what is reached is no
estimate of how well a model does on new reviews.

    python benchmarks/speed/time_to_accuracy.py --data-dir DIR
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from measure import Ended
from row import (
    BATCH,
    SEED,
    Row,
    add_training_options,
    drawn,
    n_to_trace,
    own_config,
    plain_config,
    plain_evaluate,
    plain_fit,
    positive,
    row_parser,
    seeded_model,
    taken,
)

from lstm_bench.data.dataset import Dataset
from lstm_bench.models.backend import keras
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.engines import PACKED
from lstm_bench.training.loop import Encoded, Steps

TARGET = 0.8346
CHECKS_PER_EPOCH = 4
FOUND = {
    "units": 32,
    "sequence_length": 200,
    "vocabulary_size": 5_000,
    "embedding_dim": 64,
}
"""See reports/published/imdb_small."""


class Reached(Exception):
    """The target is reached, or the last epoch is over."""


class Clock:
    """Seconds of training and of scoring, and what was scored.

    Parameters
    ----------
    score : callable
        Returns the accuracy on the test reviews, and when it was known.
    target : float
    """

    def __init__(self, score: Callable[[], Ended], target: float) -> None:
        self._score = score
        self._target = target
        self._train_s = self._evaluation_s = 0.0
        self._start = time.perf_counter()
        self.checks: list[dict[str, float]] = []

    def start(self) -> None:
        """Go on with training."""
        self._start = time.perf_counter()

    def check(self, n_steps: int, trained_at: float) -> None:
        """Score after so many steps in all; raise Reached at the target."""
        self._train_s += trained_at - self._start
        now = time.perf_counter()
        scored = self._score()
        accuracy = scored.value
        self._evaluation_s += scored.at - now
        self.checks.append(
            {
                "n_steps": n_steps,
                "train_s": self._train_s,
                "total_s": self._train_s + self._evaluation_s,
                "accuracy": accuracy,
            }
        )
        if accuracy >= self._target:
            raise Reached
        self.start()


def variables(model: keras.Model) -> list[Any]:
    """Return all that training changes, the state of the masks' seeds included."""
    return [*model.variables, *model.optimizer.variables]


@contextmanager
def undone(model: keras.Model) -> Iterator[None]:
    """Set the model back to what it was before, once it is traced."""
    before = [np.array(np.asarray(variable)) for variable in variables(model)]
    yield
    for variable, value in zip(variables(model), before, strict=True):
        variable.assign(value)


def run_plain(
    train: Encoded, test: Encoded, n_classes: int, config: Any, seed: int, limits: Any
) -> list[dict[str, float]]:
    """Train until the target with `model.fit`; return what was scored, and when."""
    model = seeded_model(config, n_classes, seed)
    model.optimizer.build(model.trainable_variables)

    def fit(index: Any) -> float:
        x, targets = train.x[index], train.targets[index]
        return plain_fit(model, x, targets, batch_size=BATCH, shuffle=False).at

    def score(n: int | None = None) -> Ended:
        return plain_evaluate(model, test.x[:n], test.targets[:n], batch_size=BATCH)

    with undone(model):
        fit(np.arange(n_to_trace(len(train.y), BATCH)))
        score(n_to_trace(len(test.y), BATCH))
    clock = Clock(score, limits.target)
    rng = derive_rng(SEED, "order", seed)
    n_batches = -(-len(train.y) // BATCH)
    every = -(-n_batches // CHECKS_PER_EPOCH)
    clock.start()
    try:
        for epoch in range(limits.epochs):
            order = rng.permutation(len(train.y))
            for first in range(0, n_batches, every):
                ended = fit(order[BATCH * first : BATCH * (first + every)])
                done = min(first + every, n_batches)
                clock.check(epoch * n_batches + done, ended)
    except Reached:
        pass
    return clock.checks


def run_packed(
    train: Encoded, test: Encoded, n_classes: int, config: Any, seed: int, limits: Any
) -> list[dict[str, float]]:
    """Train until the target as this project does; return what was scored, and when."""
    model = seeded_model(config, n_classes, seed)
    steps = Steps(model, config, PACKED)
    few = taken(train, slice(BATCH))
    with undone(model):
        steps.train_epoch(few, derive_rng(SEED, "warm"))
        steps.predict(few)

    def score() -> Ended:
        _, proba = steps.predict(test)
        accuracy = float(np.mean(proba.argmax(axis=1) == test.y))
        return Ended(time.perf_counter(), accuracy)

    clock = Clock(score, limits.target)
    rng = derive_rng(SEED, "order", seed)
    n_batches = -(-len(train.y) // BATCH)
    every = -(-n_batches // CHECKS_PER_EPOCH)
    n_steps = 0

    def on_step() -> None:
        nonlocal n_steps
        n_steps += 1
        in_epoch = (n_steps - 1) % n_batches + 1
        if in_epoch % every == 0 or in_epoch == n_batches:
            clock.check(n_steps, time.perf_counter())

    clock.start()
    try:
        for _ in range(limits.epochs):
            steps.train_epoch(train, rng, on_step)
    except Reached:
        pass
    return clock.checks


def measure(dataset: Dataset, limits: Any) -> list[dict[str, Any]]:
    """Run all contestants with every seed, in turn."""
    shape = {"units": limits.units, "sequence_length": limits.length}
    contestants = {}
    for variant, config, run in (
        ("plain", plain_config("B", **shape), run_plain),
        ("packed", own_config("B", **shape), run_packed),
        ("found", own_config("A", **FOUND), run_packed),
    ):
        train, test = (
            Encoded.of(reviews, config, dataset.n_classes)
            for reviews in (
                drawn(dataset.train, limits.reviews),
                drawn(dataset.test, limits.test_reviews),
            )
        )
        contestants[variant] = (run, train, test, config)
    runs = []
    for seed in range(limits.seeds):
        names = list(contestants) if seed % 2 == 0 else list(contestants)[::-1]
        for variant in names:
            run, train, test, config = contestants[variant]
            checks = run(train, test, dataset.n_classes, config, seed, limits)
            keras.backend.clear_session()
            last = checks[-1]
            reached = last["accuracy"] >= limits.target
            print(
                f"seed {seed}, {variant:6}: {last['accuracy']:.4f} after "
                f"{last['n_steps']:.0f} steps, {last['train_s']:.1f} s of training, "
                f"{last['total_s']:.1f} s with scoring"
                f"{'' if reached else ': NOT REACHED'}"
            )
            runs.append({"variant": variant, "seed": seed, "checks": checks})
    return runs


def main() -> None:
    parser = row_parser(__doc__, rounds=None, seeds=5)
    parser.add_argument("--target", type=float, default=TARGET)
    add_training_options(parser, epochs=4, epochs_help="at most")
    parser.add_argument("--test-reviews", type=positive, default=25_000)
    arguments = parser.parse_args()
    row = Row("time_to_accuracy", arguments)
    dataset = row.load()
    row.peak()
    runs = measure(dataset, arguments)
    row.write(
        dataset.name,
        {
            "target": arguments.target,
            "max_epochs": arguments.epochs,
            "units": arguments.units,
            "sequence_length": arguments.length,
            "n_train": min(arguments.reviews, len(dataset.train)),
            "n_test": min(arguments.test_reviews, len(dataset.test)),
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
