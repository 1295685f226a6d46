"""Tasks: whether a dataset's targets are classes or numbers, and what follows from it.

Each metric, head, baseline and section of a report says for which task it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

TaskName = Literal["classification", "regression", "forecast"]
CLASSIFICATION: Final = "classification"
REGRESSION: Final = "regression"
FORECAST: Final = "forecast"


@dataclass(frozen=True)
class Task:
    """A task, and the defaults of a suite whose data have it.

    Attributes
    ----------
    name : {"classification", "regression", "forecast"}
    targets : str
        What the targets are, in messages.
    is_numeric : bool
        Whether the targets are numbers.
    only : mapping of str to tuple of values
        By hyperparameter, the values that fit such targets; those of others all do.
    objective : str
        Default of ``study.metric``.
    curves : tuple of str
        Metrics whose learning curves every report has.
    beside : tuple of str
        Metrics that a report's table of test scores has, whatever the objective.
    hyperparameters : mapping of str to value
        Defaults that replace those of `TrialConfig`.
    simplest, simplest_label : str
        The baseline that knows the training targets alone, and its label.
    margin : float
        Default of ``confirm.margin``. Numbers have units of their own, in which no
        difference is negligible until a suite says so.
    """

    name: TaskName
    targets: str
    is_numeric: bool
    only: Mapping[str, tuple[str | int, ...]]
    objective: str
    curves: tuple[str, ...]
    beside: tuple[str, ...]
    hyperparameters: Mapping[str, Any]
    simplest: str
    simplest_label: str
    margin: float


_NO_CLASSES: Mapping[str, tuple[str | int, ...]] = {
    "head": ("linear",),
    "class_weights": ("none",),
    "label_smoothing": (0,),
    "ngram_evidence": (0,),
}

TASKS: dict[TaskName, Task] = {
    task.name: task
    for task in (
        Task(
            CLASSIFICATION,
            "classes",
            False,
            {"head": ("sigmoid", "softmax")},
            objective="accuracy",
            curves=("accuracy", "log_loss"),
            beside=("accuracy", "balanced_accuracy", "f1"),
            hyperparameters={},
            simplest="majority",
            simplest_label="majority class",
            margin=0.01,
        ),
        Task(
            REGRESSION,
            "numbers",
            True,
            _NO_CLASSES,
            objective="mse",
            curves=("mse", "r2"),
            beside=("mse", "rmse", "mae", "r2"),
            hyperparameters={"head": "linear"},
            simplest="train_mean",
            simplest_label="mean of train",
            margin=0.0,
        ),
        Task(
            FORECAST,
            "numbers",
            True,
            _NO_CLASSES,
            objective="mase",
            curves=("mase", "rmse"),
            beside=("mase", "mae", "rmse"),
            hyperparameters={"head": "linear"},
            simplest="naive",
            simplest_label="naive forecast",
            margin=0.0,
        ),
    )
}
