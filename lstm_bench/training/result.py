"""The result of a training: the names of its metrics, its curve, its predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray, IntArray, Targets
from lstm_bench.data.dataset import Sequences
from lstm_bench.suites.config import TrialConfig

# Metrics of a run that are not in METRICS
OBJECTIVE = "objective"
TRAIN_TIME = "train_time_s"
EVAL_TIME = "eval_time_s"
TOTAL_TIME = "total_time_s"
EPOCH_TIME = "epoch_time_s"
SAMPLES_PER_SECOND = "samples_per_s"
N_PARAMETERS = "n_parameters"
N_EPOCHS = "n_epochs"
KEPT_EPOCH = "kept_epoch"  # of the weights that a finished run is scored with
N_RESUMED = "n_resumed_epochs"  # trained before the training was resumed
BEST_VALUE = "best_objective"  # of the sweep's run, by trial
N_FEATURES = "n_features"  # of a baseline


def metric_key(split: str, metric: str) -> str:
    """Return the MLflow key of `metric` on `split`: ``val_accuracy``."""
    return f"{split}_{metric}"


def final_key(key: str) -> str:
    """Return the key of a finished training's final value of a metric with a curve.

    A score's final value is that of the kept weights, on any split; a time's is in
    `TrialResult.metrics`. It has a key of its own because a further point would
    lengthen the curve in MLflow's UI.
    """
    return f"final_{key}"


def is_curve_key(key: str) -> bool:
    """Whether a metric has a value for every epoch."""
    is_score = key.startswith(("train_", "val_")) and key != TRAIN_TIME
    return is_score or key in (EPOCH_TIME, EVAL_TIME, SAMPLES_PER_SECOND)


def summary_key(key: str) -> str:
    """Return the MLflow key of a finished training's value."""
    return final_key(key) if is_curve_key(key) else key


@dataclass
class History:
    """One dict per epoch, in order.

    Keys: ``epoch`` (from 1), ``train_loss``, ``val_loss`` (the head's own loss),
    ``train_<metric>`` and ``val_<metric>`` for every metric, ``epoch_time_s``
    (training steps alone), ``eval_time_s``, ``samples_per_s``.

    ``train_*`` are running means over the epoch's batches with dropout on, as
    Keras shows them. The first `n_resumed` epochs were trained by an earlier
    process.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    n_resumed: int = 0

    def at(self, epoch: int) -> dict[str, float]:
        """Return the entry of `epoch`, counted from 1."""
        return self.epochs[epoch - 1]


@dataclass(frozen=True)
class Prediction:
    """Predictions on one split.

    Attributes
    ----------
    split : str
    index : int64 ndarray of shape (n,)
        Index of each example in its part of the dataset.
    y_true : ndarray
        int64 classes of shape (n,), or float64 numbers of shape (n, n_outputs).
    y_proba : float64 ndarray
        Probabilities of shape (n, n_classes), whose rows sum to 1; or the predicted
        numbers, of the shape of `y_true`.
    scale, origin : float64 and int64 ndarray of shape (n,), or None
        Of windows of series, the scale of each one's series, and its place in time.
    """

    split: str
    index: IntArray
    y_true: Targets
    y_proba: FloatArray
    scale: FloatArray | None = None
    origin: IntArray | None = None

    @property
    def y_pred(self) -> FloatArray:
        """The predicted numbers, of regression."""
        return self.y_proba


def prediction_of(
    split: str, sequences: Sequences, index: IntArray, y_proba: FloatArray
) -> Prediction:
    """Return what was predicted for `sequences`."""
    units = sequences.units
    y_true = np.asarray(sequences.y)
    if units is None:
        return Prediction(split, index, y_true, y_proba)
    return Prediction(split, index, y_true, y_proba, units.scale, units.origin)


@dataclass(frozen=True)
class TrialResult:
    """The result of one training.

    Attributes
    ----------
    objective : float
        The study's metric on validation, of the kept weights.
    metrics : dict
        ``val_<metric>``, ``train_<metric>`` (on training sequences, at most as many as
        validation has), ``test_<metric>`` if scored: all of the kept weights, without
        dropout. Times in seconds, counts.
    samples : list of dict
        ``index, text, y_true, y_proba`` of a few fixed validation examples; empty for
        regression.
    errors : list of dict
        The same of the most confident errors on the test set, the most confident
        first; empty if test was not scored.
    gradients : dict of str to list of float
        Of a memory task: the norms of `input_gradients`, "before" and "after" training.
    class_names, output_names : tuple of str
        Of the dataset; one of them is empty.
    """

    config: TrialConfig
    history: History
    objective: float
    metrics: dict[str, float]
    predictions: tuple[Prediction, ...]
    samples: list[dict[str, Any]]
    class_names: tuple[str, ...]
    errors: list[dict[str, Any]] = field(default_factory=list)
    gradients: dict[str, list[float]] = field(default_factory=dict)
    output_names: tuple[str, ...] = ()
