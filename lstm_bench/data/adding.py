"""The adding problem: remember two marked values of a long series, and add them.

A step has two channels: a value, uniform in [-1, 1], and a marker, which is 1 at two
steps, -1 at the first and the last step, and 0 elsewhere. One mark is in the first
tenth of the series (the paper's first ten steps of 100), the other in the first half.
The target is 0.5 + (X1 + X2) / 4, where X1 and X2 are the marked values; a mark that
falls on the first step, whose marker is -1, counts as 0. It is a memory task, whose
series exist at every length: see `lstm_bench.data.memory`.

References
----------
Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997,
experiment 4.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lstm_bench.data.dataset import (
    VECTORS,
    Dataset,
    Sequences,
    Sizes,
    sequences_digest,
)
from lstm_bench.data.memory import (
    MIN_LENGTH,
    SPREAD,
    MemoryTask,
    shortest_lengths,
)
from lstm_bench.seeding import derive_rng
from lstm_bench.tasks import REGRESSION

SYNTHETIC = True
TASK = REGRESSION
DESCRIPTION = (
    "The adding problem: long series of numbers, of which two are marked; the target "
    "is their sum, scaled."
)

TOLERANCE = 0.04
"""Errors below it are right."""

MEMORY = MemoryTask(
    is_right=lambda y_true, y_pred: (np.abs(y_pred - y_true) < TOLERANCE).all(axis=1),
    right=f"its error is below {TOLERANCE}",
    # |X1 + X2| / 4 < 0.04, of two values uniform in [-1, 1].
    no_memory=4 * TOLERANCE * (1 - TOLERANCE),
    without_memory="always predicts 0.5",
    source="Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), "
    "1997, experiment 4",
)


class Options(BaseModel):
    """What a suite may set under ``dataset.options``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_train: int = Field(
        10_000, ge=20, le=100_000, description="Number of training examples."
    )
    n_test: int = Field(2560, ge=20, le=100_000, description="Number of test examples.")
    max_length: int = Field(
        200,
        ge=33,
        le=2200,
        description="Length at which the series are generated and stored: the largest "
        "sequence_length. 110 is the lag T = 100 of the paper, whose series have T to "
        "1.1 T steps.",
    )


def sizes(options: Options) -> Sizes:
    """Return the sizes, which depend on the options alone."""
    return Sizes(0, options.n_train, (MIN_LENGTH, options.max_length))


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Generate the series; equal seeds and options give equal series.

    Parameters
    ----------
    data_dir : Path or None
        Not used: nothing is read.
    """
    rng = derive_rng(seed, "adding")
    train, test = (
        _write(n, options.max_length, rng) for n in (options.n_train, options.n_test)
    )
    return Dataset(
        name="adding",
        description=DESCRIPTION,
        train=train,
        test=test,
        class_names=(),
        vocabulary=(),
        digest=sequences_digest(train, test),
        source=f"synthetic: written by lstm-bench from seed {seed}",
        synthetic=True,
        example="series",
        kind=VECTORS,
        channels=("value", "marker"),
        task=REGRESSION,
        output_names=("sum",),
        # A marker's deviation depends on the length: of long series a mark would be
        # a larger number.
        scales_channels=False,
        notes=(
            "The series are synthetic: scores are no estimate for real data.",
            "A model that remembers neither value can only predict 0.5, which has an "
            f"expected MSE of {no_memory_mse(options.max_length):.4f}; the paper "
            "counts an error below 0.04 as right.",
        ),
    )


def no_memory_mse(max_length: int) -> float:
    """Return the expected MSE of 0.5 as the prediction: the targets' variance.

    A value has variance 1/3, and 0 if its mark falls on the first step.
    """
    p_first = 1 / n_first(max_length)
    p_second = (1 - p_first) / (_lag(max_length) // 2 - 1)
    return (2 - p_first - p_second) / 3 / 16


def n_first(max_length: int) -> int:
    """Return the number of steps at the beginning that have the first mark."""
    return _lag(max_length) // 10


def _lag(max_length: int) -> int:
    return round(max_length / SPREAD)


def _write(n: int, max_length: int, rng: np.random.Generator) -> Sequences:
    lag = _lag(max_length)
    lengths = rng.integers(lag, max_length + 1, size=n)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = offsets[:-1]
    values = np.zeros((int(offsets[-1]), 2), np.float32)
    values[:, 0] = rng.uniform(-1.0, 1.0, len(values))
    first = rng.integers(n_first(max_length), size=n)
    # Of the first lag / 2 - 1 steps without a mark.
    second = rng.integers(lag // 2 - 1, size=n)
    second += second >= first
    total = np.zeros(n)
    for mark in (first, second):
        values[starts + mark, 1] = 1.0
        total += np.where(mark > 0, values[starts + mark, 0], 0.0)
    values[starts, 1] = values[offsets[1:] - 1, 1] = -1.0
    is_mark = np.split(values[:, 1] != 0.0, offsets[1:-1])
    shortest = np.concatenate([shortest_lengths(one, max_length) for one in is_mark])
    targets = (0.5 + total / 4.0)[:, None]
    return Sequences(values, offsets, targets, shortest=shortest)
