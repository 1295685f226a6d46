"""Published results by dataset, with the amount of training data each of them used.

They are not rerun here. Results that used more data than a study are not comparable
with it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FILE = "literature.yaml"

Regime = Literal["labelled", "unlabelled", "external"]

REGIMES: dict[Regime, str] = {
    "labelled": "only the labelled training reviews",
    "unlabelled": "also the dataset's unlabelled reviews",
    "external": "also other text, by pretraining",
}


class PublishedResult(BaseModel):
    """One published test accuracy.

    Attributes
    ----------
    accuracy : float
        Share of the dataset's whole test set, in (0.5, 1).
    regime : str
        Kind of training data, a key of `REGIMES`.
    n_train : int
        Labelled training examples, including those held out for validation.
    source : str
        Authors, title, venue, year and the table or section.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    label: str
    accuracy: float = Field(gt=0.5, lt=1)
    regime: Regime
    n_train: int = Field(ge=1)
    source: str
    url: str = Field(pattern="^https://")
    note: str = ""


def load_published_results(dataset: str) -> tuple[PublishedResult, ...]:
    """Return the published results on `dataset`, best first; none if unknown."""
    text = files("lstm_bench.analysis").joinpath(FILE).read_text(encoding="utf-8")
    results = TypeAdapter(list[PublishedResult]).validate_python(yaml.safe_load(text))
    chosen = [result for result in results if result.dataset == dataset]
    return tuple(sorted(chosen, key=lambda a: (-a.accuracy, a.label)))
