"""What the rows of the speed report share: models, contestants, and what is kept.

A row is a command of its own. It prints what it finds, and with `--json` writes it as
raw seconds, beside the machine and what that computed at most before each case and at
the end. `published.py` runs all of them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from flops import batches_flop
from measure import Ended, cpu_flags, interleave, print_machine, print_ratios
from peak import measure_peak

from lstm_bench.data.dataset import Dataset, Sequences
from lstm_bench.data.registry import load_dataset
from lstm_bench.errors import LstmBenchError
from lstm_bench.models.backend import keras, tf
from lstm_bench.models.build import build_model
from lstm_bench.packed.choice import choose_engine
from lstm_bench.packed.vectors import target_of_this_machine
from lstm_bench.seeding import derive_rng, derive_seed
from lstm_bench.suites.config import PER_OCCURRENCE, TrialConfig
from lstm_bench.suites.engines import PACKED, STOCK
from lstm_bench.system.environment import describe_environment
from lstm_bench.training.batches import evaluation_batches, take_batch, training_batches
from lstm_bench.training.loop import Encoded, Steps

# Every model traces its own steps, and TensorFlow takes them for one function.
tf.get_logger().setLevel("ERROR")

SEED = 1
BATCH = 64
N_SYNTHETIC = 2000

MODELS: dict[str, dict[str, Any]] = {
    "A": {},
    "B": {"dropout": 0.2, "recurrent_dropout": 0.2, "head": "softmax"},
}
"""The write-up's: LSTM(100) under one sigmoid unit, and with dropout under two."""


def own_config(model: str, **shape: Any) -> TrialConfig:
    """Return how this project trains: masked, trimmed, sorted by length.

    The embedding's gradient is that of plain Keras, so that both train alike.
    """
    common = {"batch_size": BATCH, "embedding_gradient": PER_OCCURRENCE}
    return TrialConfig(**{**common, **MODELS[model], **shape})


def plain_config(model: str, **shape: Any) -> TrialConfig:
    """Return what `model.fit` is given: padded in front, as Keras does, no mask."""
    return own_config(model, padding="pre", masking=False, **shape)


def row_parser(
    doc: str | None, rounds: int | None = 5, seeds: int | None = None
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--json", type=Path, help="file to write what was measured to")
    if rounds is not None:
        parser.add_argument("--rounds", type=positive, default=rounds)
    if seeds is not None:
        parser.add_argument("--seeds", type=positive, default=seeds)
    return parser


def add_training_options(
    parser: argparse.ArgumentParser, epochs: int, epochs_help: str | None = None
) -> None:
    """Add what a training of a model of the write-up's size is declared by."""
    parser.add_argument("--epochs", type=positive, default=epochs, help=epochs_help)
    parser.add_argument("--units", type=positive, default=100)
    parser.add_argument("--length", type=positive, default=500)
    parser.add_argument("--reviews", type=positive, default=25_000)


def trained_config(model: str, arguments: argparse.Namespace) -> TrialConfig:
    """Return the configuration that `add_training_options` declare."""
    return own_config(
        model,
        units=arguments.units,
        sequence_length=arguments.length,
        max_epochs=arguments.epochs,
    )


def positive(text: str) -> int:
    """Return an option's value that counts something."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {text}")
    return value


class Row:
    """One row of the report, while it is measured.

    Parameters
    ----------
    name : str
        Its module's.
    arguments : argparse.Namespace
        From a `row_parser`.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.name = name
        self._arguments = arguments
        self._begin = datetime.now(UTC)
        self._peaks: list[dict[str, float]] = []
        # Compiled, and checked against Keras, before anything is timed.
        choose_engine(PACKED, "lstm", print)
        print_machine()

    def load(self) -> Dataset:
        """Return the reviews: IMDB's, or synthetic ones where there is no folder."""
        if self._arguments.data_dir is not None:
            try:
                return load_dataset("imdb", {}, self._arguments.data_dir)
            except LstmBenchError as error:
                print(f"error: {error}", file=sys.stderr)
                raise SystemExit(2) from None
        return load_dataset("synthetic", {"n_train": 2 * N_SYNTHETIC})

    def peak(self) -> None:
        """Measure and print what the machine computes at most, just now."""
        self._peaks.append(measure_peak())
        fma, gemm = self._peaks[-1]["fma_gflops"], self._peaks[-1]["gemm_gflops"]
        print(f"\npeak just now: {fma:.0f} GFLOP/s on registers, {gemm:.0f} in GEMM")

    def write(self, dataset: str, result: dict[str, Any]) -> None:
        """Write the result, and how it was measured, to the file of `--json`."""
        self.peak()
        options = {
            key: value
            for key, value in vars(self._arguments).items()
            # A folder of one machine alone.
            if key not in ("data_dir", "json")
        }
        about = {
            "date": self._begin.isoformat(timespec="seconds"),
            "minutes": (datetime.now(UTC) - self._begin).total_seconds() / 60,
            "dataset": dataset,
            "options": options,
            "machine": describe_environment(),
            "cpu_flags": cpu_flags(),
            "float32_lanes": target_of_this_machine().width,
            "peaks": self._peaks,
        }
        if self._arguments.json is not None:
            text = json.dumps({"row": self.name, "about": about, **result}, indent=1)
            self._arguments.json.write_text(text + "\n", encoding="utf-8")


# The contestants


def seeded_model(config: TrialConfig, n_classes: int, seed: int = 0) -> keras.Model:
    """Return a new model whose weights and masks depend on the seed alone."""
    keras.utils.set_random_seed(derive_seed(SEED, "init", seed))
    return build_model(config, n_classes)


def n_to_trace(n: int, size: int) -> int:
    """Return how many of `n` reviews have all batch sizes that Keras traces.

    A last batch that is smaller is traced once more.
    """
    return min(n, size + n % size)


def taken(data: Encoded, index: Any) -> Encoded:
    """Return the reviews at `index`, an array or a slice."""
    return Encoded(*(part[index] for part in vars(data).values()))


class _LastBatch(keras.callbacks.Callback):  # type: ignore[misc]
    """Knows when the last batch of a `fit` or an `evaluate` had ended.

    Both return later by a time between nothing and as long again: they wait for the
    thread of `tf.data` that tunes the pipeline of their arrays, whose sleep doubles
    from 10 ms on. No step takes longer for it, and how long it is depends on where a
    measured stretch happens to end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at = math.nan

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.at = time.perf_counter()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.at = time.perf_counter()


def plain_fit(model: keras.Model, x: Any, targets: Any, **options: Any) -> Ended:
    """Train with `model.fit`; return the last epoch's loss, and when that was over."""
    last = _LastBatch()
    history = model.fit(x, targets, verbose=0, callbacks=[last], **options)
    return Ended(last.at, float(history.history["loss"][-1]))


def plain_evaluate(model: keras.Model, x: Any, targets: Any, **options: Any) -> Ended:
    """Score with `model.evaluate`; return the accuracy, and when that was over."""
    last = _LastBatch()
    found = model.evaluate(x, targets, verbose=0, callbacks=[last], **options)
    return Ended(last.at, float(found[1]))


def plain_variant(
    reviews: Sequences,
    config: TrialConfig,
    n_classes: int,
    run: Callable[..., Ended],
) -> Callable[[], Ended]:
    """Return `plain_fit` or `plain_evaluate` on padded arrays, traced."""
    data = Encoded.of(reviews, config, n_classes)
    model = seeded_model(config, n_classes)
    size = config.batch_size

    def run_first(n: int | None = None) -> Ended:
        return run(model, data.x[:n], data.targets[:n], batch_size=size)

    run_first(n_to_trace(len(data.x), size))
    return run_first


def own_epoch(
    reviews: Sequences, config: TrialConfig, n_classes: int, engine: str
) -> tuple[Callable[[], object], Sequence[np.ndarray]]:
    """Return an epoch of this project's, and its batches, the same every time."""
    data = Encoded.of(reviews, config, n_classes)
    steps = Steps(seeded_model(config, n_classes), config, engine)

    def train() -> float:
        rng = derive_rng(SEED, "order", 0)
        _, proba, y = steps.train_epoch(data, rng)
        # As `model.fit` does.
        return float(np.mean(proba.argmax(axis=1) == y))

    batches = training_batches(data.lengths, config, derive_rng(SEED, "order", 0))
    # Once, so that pages and buffers are there.
    train()
    return train, [take_batch(data.x, data.lengths, i, config) for i in batches]


def own_evaluation(
    reviews: Sequences, config: TrialConfig, n_classes: int, engine: str
) -> tuple[Callable[[], object], Sequence[np.ndarray]]:
    """Return this project's evaluation, and its batches."""
    data = Encoded.of(reviews, config, n_classes)
    steps = Steps(seeded_model(config, n_classes), config, engine)
    steps.trace()
    batches = evaluation_batches(data.lengths, config, engine)
    # The longest, so that buffers are there.
    steps.predict(taken(data, batches[-1]))

    def evaluate() -> float:
        _, proba = steps.predict(data)
        return float(np.mean(proba.argmax(axis=1) == data.y))

    return evaluate, [take_batch(data.x, data.lengths, i, config) for i in batches]


def measure_case(
    reviews: Sequences,
    n_classes: int,
    model: str,
    shape: Mapping[str, int],
    *,
    rounds: int,
    training: bool = True,
    with_stock: bool = False,
) -> dict[str, Any]:
    """Time plain Keras and this project on the same reviews, in turn, and print it.

    Parameters
    ----------
    reviews : Sequences
        All of them make one epoch, or one evaluation.
    model : str
        A name in `MODELS`.
    shape : mapping of str to int
        Hyperparameters that differ from the model's.
    training : bool
        Whether an epoch of training is timed, or an evaluation.
    with_stock : bool
        Whether Keras's own LSTM on this project's batches is timed, too.

    Returns
    -------
    dict
        The case, with the seconds of every round by variant.
    """
    config = own_config(model, **shape)
    plain, own = (
        (plain_fit, own_epoch) if training else (plain_evaluate, own_evaluation)
    )
    variants: dict[str, Callable[[], object]] = {
        "plain": plain_variant(reviews, plain_config(model, **shape), n_classes, plain)
    }
    batches: Sequence[np.ndarray] = []
    for engine in (STOCK, PACKED) if with_stock else (PACKED,):
        variants[engine], batches = own(reviews, config, n_classes, engine)
    seconds = interleave(variants, rounds)
    keras.backend.clear_session()
    flop = batches_flop(batches, config, training=training)
    size = ", ".join(f"{name} {value}" for name, value in shape.items())
    work = f"training, {len(batches)} steps" if training else "evaluation"
    print(f"\nmodel {model}, {size}: {work} of {len(reviews):,} reviews, seconds")
    print_ratios(seconds, "plain")
    print(f"packed, fastest round: {1e-9 * flop / min(seconds[PACKED]):.0f} GFLOP/s")
    return {
        "model": model,
        **shape,
        "n_reviews": len(reviews),
        "n_steps": len(batches),
        "n_tokens": int(sum((x != 0).sum() for x in batches)),
        "flop": flop,
        "seconds": seconds,
    }


def drawn(reviews: Sequences, n: int) -> Sequences:
    """Return `n` reviews at most, drawn with the seed; all in their order if fewer."""
    if n >= len(reviews):
        return reviews
    return reviews.take(derive_rng(SEED, "reviews").permutation(len(reviews))[:n])


def held_out(reviews: Sequences) -> dict[str, Sequences]:
    """Return "train" and "val": a fifth is held out, drawn with the seed."""
    order = derive_rng(SEED, "validation").permutation(len(reviews))
    n_val = len(reviews) // 5
    return {"train": reviews.take(order[n_val:]), "val": reviews.take(order[:n_val])}
