"""Output heads: the last layer, and the conversion of its output to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array, FloatArray
from lstm_bench.inference import proba_of
from lstm_bench.suites.config import check_head


@dataclass(frozen=True)
class Head:
    """A classification head.

    Attributes
    ----------
    name, activation, loss : str
        Suite name, Keras activation and Keras loss.
    n_units : callable
        Number of classes -> number of units of the last layer.
    encode_targets : callable
        Class indices of shape (n,) and number of classes -> float32 targets of
        shape (n, n_units).
    to_proba : callable
        Outputs of shape (n, n_units) -> probabilities of shape (n, n_classes),
        rows sum to 1. Every metric is computed from these, so that heads are
        compared by the same formula.
    """

    name: str
    activation: str
    loss: str
    n_units: Callable[[int], int]
    encode_targets: Callable[[npt.NDArray[np.integer], int], Float32Array]
    to_proba: Callable[[npt.NDArray[np.floating]], FloatArray]


def _sigmoid_units(n_classes: int) -> int:
    check_head("sigmoid", n_classes)
    return 1


def _sigmoid_targets(y: npt.NDArray[np.integer], n_classes: int) -> Float32Array:
    return y.astype(np.float32).reshape(-1, 1)


def _softmax_targets(y: npt.NDArray[np.integer], n_classes: int) -> Float32Array:
    one_hot: Float32Array = np.eye(n_classes, dtype=np.float32)[y]
    return one_hot


HEADS: dict[str, Head] = {
    "sigmoid": Head(
        "sigmoid",
        "sigmoid",
        "binary_crossentropy",
        _sigmoid_units,
        _sigmoid_targets,
        partial(proba_of, head="sigmoid"),
    ),
    "softmax": Head(
        "softmax",
        "softmax",
        "categorical_crossentropy",
        lambda n_classes: n_classes,
        _softmax_targets,
        partial(proba_of, head="softmax"),
    ),
}
