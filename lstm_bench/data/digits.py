"""Handwritten digits that come with scikit-learn, read row by row or pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lstm_bench.data.dataset import (
    VECTORS,
    Dataset,
    Sequences,
    Sizes,
    sequences_digest,
)

DESCRIPTION = (
    "Handwritten digits of 8 x 8 pixels, which come with scikit-learn, as series of "
    "rows or of pixels."
)
SIDE = 8
N_IMAGES = 1797
N_TRAIN = N_IMAGES // 2


class Options(BaseModel):
    """Options under ``dataset.options``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: Literal["row", "pixel"] = Field(
        "row",
        description="What a step of the series is: a row of 8 pixels (8 steps), or one "
        "pixel (64 steps).",
    )


def sizes(options: Options) -> Sizes:
    """Return the number of classes and of training images."""
    return Sizes(n_classes=10, n_train=N_TRAIN)


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Load the images; the first half trains, the second half tests.

    The halves are those of scikit-learn's example of this dataset, so that scores can
    be compared. The images stand in the order of their writers, so few writers are in
    both halves.

    Parameters
    ----------
    options : Options
    data_dir, seed
        Not used: the data come with scikit-learn, and loading is deterministic.

    References
    ----------
    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits

    images, y = load_digits(return_X_y=True)
    n_channels = SIDE if options.step == "row" else 1
    n_steps = SIDE * SIDE // n_channels
    values = images.reshape(-1, n_channels).astype(np.float32)

    def part(start: int, stop: int) -> Sequences:
        offsets = np.arange(0, (stop - start + 1) * n_steps, n_steps)
        steps = values[start * n_steps : stop * n_steps]
        return Sequences(steps, offsets, y[start:stop].astype(np.int64))

    train, test = part(0, N_TRAIN), part(N_TRAIN, N_IMAGES)
    return Dataset(
        name="digits",
        description=DESCRIPTION,
        train=train,
        test=test,
        class_names=tuple(str(digit) for digit in range(10)),
        vocabulary=(),
        digest=sequences_digest(train, test),
        source="scikit-learn's load_digits",
        example="image",
        kind=VECTORS,
        channels=tuple(
            f"column {i + 1}" if options.step == "row" else "pixel"
            for i in range(n_channels)
        ),
        notes=("The second half of the images tests, as in scikit-learn's example.",),
    )
