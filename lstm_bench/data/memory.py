"""Memory tasks: few marks among fillers, and what has to be kept until the end.

A dataset stores each sequence at its longest length, and for each step the shortest
``sequence_length`` at which the sequence has that step (`shortest_lengths`). At a
smaller length every gap between two marks has fewer fillers, in proportion. So the same
sequences, with the same targets in the same order, exist at every length: what differs
between two lengths is how long the marks have to be remembered.

A module of such a dataset has a constant ``MEMORY``, a `MemoryTask`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

MIN_LENGTH = 10
"""The shortest sequences: there is a filler in most gaps."""
SPREAD = 1.1
"""The longest sequences are longer than the shortest of the same ``sequence_length`` by
this factor, as in Hochreiter & Schmidhuber (1997)."""
SOLVED = 0.99
"""Share of the test sequences that a training must get right to have solved a task."""


class MemoryOptions(BaseModel):
    """What a suite may set under ``dataset.options``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_train: int = Field(
        5000, ge=20, le=100_000, description="Number of training examples."
    )
    n_test: int = Field(1000, ge=20, le=100_000, description="Number of test examples.")
    max_length: int = Field(
        200,
        ge=MIN_LENGTH,
        le=5000,
        description="Length at which the sequences are generated and stored: the "
        f"largest sequence_length; the smallest is {MIN_LENGTH}.",
    )


@dataclass(frozen=True)
class MemoryTask:
    """What it means to solve a memory task.

    Attributes
    ----------
    is_right : callable
        Maps targets and predictions of some examples, as `Prediction` has them, to
        bools of shape (n,).
    right : str
        When a sequence counts as right: the end of a sentence.
    no_memory : float
        Share of the sequences that is right without any memory.
    without_memory : str
        What such a model does.
    source : str
        Of the task, and of its criterion.
    """

    is_right: Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[np.bool_]]
    right: str
    no_memory: float
    without_memory: str
    source: str


def shortest_lengths(
    is_mark: npt.NDArray[np.bool_], max_length: int
) -> npt.NDArray[np.int32]:
    """Return the shortest ``sequence_length`` at which a sequence has each step.

    With m marks, a gap of g fillers has ``floor(g * (T - m) / (max_length - m))`` of
    them at sequence length T, the first ones. A sequence of at most `max_length` steps
    therefore has at most T steps.

    Parameters
    ----------
    is_mark : bool ndarray of shape (n_steps,)
        Steps that are there at every length; the first and the last are.

    Returns
    -------
    int32 ndarray of shape (n_steps,)
        `MIN_LENGTH` for marks; at most `max_length`.
    """
    marks = np.flatnonzero(is_mark)
    gap = np.cumsum(is_mark) - 1
    number = np.arange(len(is_mark)) - marks[gap]
    n_fillers = np.append(np.diff(marks) - 1, 0)[gap]
    n_marks = len(marks)
    # The least T with `number` fillers or more; -(-a // b) rounds up.
    shortest = n_marks - (-number * (max_length - n_marks)) // np.maximum(n_fillers, 1)
    return np.maximum(np.where(is_mark, 0, shortest), MIN_LENGTH).astype(np.int32)


def draw_length(max_length: int, rng: np.random.Generator) -> int:
    """Return a sequence's number of steps: from max_length / 1.1 to `max_length`."""
    return int(rng.integers(round(max_length / SPREAD), max_length + 1))
