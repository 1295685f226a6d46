"""Output heads: the last layer, and the conversion of its output to predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array, FloatArray, Targets
from lstm_bench.inference import proba_of
from lstm_bench.suites.config import check_classes


@dataclass(frozen=True)
class Head:
    """The last layer of a network, for classes or for numbers.

    Attributes
    ----------
    name, activation, loss, metric : str
        Suite name, Keras activation, loss, and metric of the compiled model.
    n_units : callable
        Number of classes, or of numbers to predict -> number of units of the last
        layer.
    encode_targets : callable
        Class indices of shape (n,) or scaled numbers of shape (n, n_outputs), and their
        number -> float32 targets of shape (n, n_units).
    to_proba : callable
        Outputs of shape (n, n_units) -> probabilities of shape (n, n_classes), whose
        rows sum to 1, or scaled numbers of shape (n, n_outputs). Every metric is
        computed from these, so that heads are compared by the same formula.
    """

    name: str
    activation: str
    loss: str
    metric: str
    n_units: Callable[[int], int]
    encode_targets: Callable[[Targets, int], Float32Array]
    to_proba: Callable[[npt.NDArray[np.floating]], FloatArray]


def _sigmoid_units(n_classes: int) -> int:
    check_classes("sigmoid", n_classes)
    return 1


def _sigmoid_targets(y: Targets, n_classes: int) -> Float32Array:
    return y.astype(np.float32).reshape(-1, 1)


def _softmax_targets(y: Targets, n_classes: int) -> Float32Array:
    one_hot: Float32Array = np.eye(n_classes, dtype=np.float32)[y]
    return one_hot


def _same_number(n_targets: int) -> int:
    return n_targets


HEADS: dict[str, Head] = {
    "sigmoid": Head(
        "sigmoid",
        "sigmoid",
        "binary_crossentropy",
        "accuracy",
        _sigmoid_units,
        _sigmoid_targets,
        partial(proba_of, head="sigmoid"),
    ),
    "softmax": Head(
        "softmax",
        "softmax",
        "categorical_crossentropy",
        "accuracy",
        _same_number,
        _softmax_targets,
        partial(proba_of, head="softmax"),
    ),
    "linear": Head(
        "linear",
        "linear",
        "mean_squared_error",
        "mean_absolute_error",
        _same_number,
        lambda y, n_outputs: y.astype(np.float32),
        partial(proba_of, head="linear"),
    ),
}
