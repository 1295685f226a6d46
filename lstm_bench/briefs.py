"""A published study in brief: what stands in the ``summary.json`` beside its report.

The index of published studies is made from these files alone, so that a study can
stay in it when its MLflow store is no longer at hand.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from lstm_bench.analysis import hypothesis_tests
from lstm_bench.metrics import METRICS


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Score(_Part):
    """A mean of the study's metric, with its 95 % interval.

    Attributes
    ----------
    split : str
        "test": mean over `n` fresh seeds, and the t interval over them.
        "validation": mean over `n` runs of a search that was not confirmed, and
        Wilson's interval of the accuracy over the reviews.
    ci95_low, ci95_high : float or None
        None where there is no interval: one seed, or a metric without one.
    """

    split: Literal["test", "validation"]
    mean: float
    ci95_low: float | None
    ci95_high: float | None
    n: int


class Entrant(_Part):
    """An LSTM or a baseline; `settings` sets an LSTM apart within its suite."""

    label: str
    settings: str
    score: Score


class Verdict(_Part):
    """The best LSTM against the best baseline on test, paired by seed."""

    verdict: hypothesis_tests.Verdict
    difference: float
    ci95_low: float | None
    ci95_high: float | None
    n_seeds: int
    margin: float


class PublishedFigure(_Part):
    """A figure that somebody published, and the same one measured here.

    `epoch` is None where it is one number for the run.
    """

    label: str
    source: str
    reference: str
    figure: str
    epoch: int | None
    published: float
    measured: float | None


class Said(_Part):
    """A question in a word or two, and its answer in a sentence."""

    question: str
    text: str


class Brief(_Part):
    """What the index needs of one study.

    Attributes
    ----------
    question : str
        The suite's description, on one line.
    validation : str
        What was validated on: "holdout" or "test".
    confirmed : bool
        Whether test was scored on fresh seeds; if not, `winner` is the search's best
        and `against_baseline` is None.
    n_trainings : int
        Of the search and of the confirmation.
    total_time_s : float
        Summed over trainings.
    date : str
        Day of the last work on the study, UTC.
    commit, commit_dirty : str or None, bool or None
        Of the code that worked on it; None outside of a repository.
    version : str or None
        Of lstm-bench, as it worked on the study.
    commands : tuple of str
        What trains all of it again.
    """

    suite: str
    question: str
    study: str
    dataset: str
    synthetic: bool
    validation: Literal["holdout", "test"]
    n_train: int
    n_val: int
    n_test: int | None
    metric: str
    confirmed: bool
    winner: Entrant
    baseline: Entrant | None
    against_baseline: Verdict | None
    published: tuple[PublishedFigure, ...]
    answers: tuple[Said, ...]
    n_trainings: int
    total_time_s: float
    machine: str
    date: str
    commit: str | None
    commit_dirty: bool | None
    version: str | None
    commands: tuple[str, ...]

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in METRICS:
            raise ValueError(f"expected one of {', '.join(METRICS)}")
        return name

    @property
    def metric_label(self) -> str:
        """What to call the metric."""
        return METRICS[self.metric].label
