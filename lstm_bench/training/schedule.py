"""The learning rate of each step of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.suites.config import TrialConfig

RISE, FIRST, LAST = 0.3, 1 / 25, 1 / 250_000
"""Of one_cycle: the share of steps that it rises for, and the first and last learning
rate as shares of the highest; the defaults of PyTorch's OneCycleLR."""


def _falling(share: FloatArray) -> FloatArray:
    """Return half a cosine from 1 to 0."""
    cosine: FloatArray = 0.5 * (1.0 + np.cos(np.pi * share))
    return cosine


def _one_cycle(share: FloatArray) -> FloatArray:
    rising = 1.0 - (1.0 - FIRST) * _falling(share / RISE)
    falling = LAST + (1.0 - LAST) * _falling((share - RISE) / (1.0 - RISE))
    return np.where(share < RISE, rising, falling)


SCHEDULES: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "constant": np.ones_like,
    "linear": lambda share: 1.0 - share,
    "cosine": _falling,
    "one_cycle": _one_cycle,
}
"""By ``schedule``, from the share of its steps that are over, in [0, 1), to a factor of
``learning_rate``."""


def is_scheduled(config: TrialConfig) -> bool:
    """Whether the learning rate changes in a training."""
    return config.schedule != "constant" or config.warmup > 0


def learning_rates(config: TrialConfig, n_steps: int) -> FloatArray:
    """Return the learning rate of each of a training's steps.

    After a share s of all steps the warm-up of share w has the factor s / w of the
    schedule's first learning rate; the schedule is then at the share (s - w) / (1 - w)
    of its own.

    Parameters
    ----------
    n_steps : int
        Of all epochs.

    Returns
    -------
    float64 ndarray of shape (n_steps,)

    References
    ----------
    Smith & Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", 2018, arXiv:1708.07120: one_cycle, here with the two phases of half
    a cosine of PyTorch's OneCycleLR; momentum is left alone.
    """
    share, warmup = np.arange(n_steps) / n_steps, config.warmup
    factors = SCHEDULES[config.schedule](np.maximum(share - warmup, 0.0) / (1 - warmup))
    if warmup:
        factors = factors * np.minimum(share / warmup, 1.0)
    return config.learning_rate * factors
