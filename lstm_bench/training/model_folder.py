"""Write the folder of a trained model, from which `lstm_bench.inference` loads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstm_bench.data.dataset import (
    VECTORS,
    Dataset,
    Scaling,
    Sequences,
    Vocabulary,
)
from lstm_bench.inference import ABOUT, ARRAYS, EVIDENCE, FORMAT, INDEX_FROM, NETWORK
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.evidence import fit_evidence

if TYPE_CHECKING:
    from lstm_bench.models.backend import keras


EXAMPLE_LETTERS, EXAMPLE_STEPS = 80, 20
FORECAST = ("window", "horizon", "season", "scales")
"""What a model of forecasts has of its dataset's description."""


@dataclass(frozen=True)
class Origin:
    """Which of a study's models it is.

    Attributes
    ----------
    name : str
        The configuration's or the baseline's name in the report.
    run_id : str or None
        The MLflow run with which the model is logged; set when it is logged.
    replicate : int
        Whose split and seeds it was trained with.
    why : str
        A sentence that names the model and why it is this one.
    """

    suite: str
    study: str
    name: str
    replicate: int
    why: str
    run_id: str | None = None


def write_network(
    folder: Path,
    model: keras.Model,
    config: TrialConfig,
    dataset: Dataset,
    train: Sequences,
    origin: Origin,
) -> None:
    """Write a Keras model and how it reads its input.

    Parameters
    ----------
    train : Sequences
        What it was trained on, with what the split has fitted.
    """
    about = _about(dataset, train, origin)
    # Words of lower rank than these are unknown to the model.
    vocabulary = about["vocabulary"][: max(0, config.vocabulary_size - INDEX_FROM - 1)]
    about |= {"model": config.cell, "config": config.model_dump()}
    about["vocabulary"] = vocabulary
    _write_about(folder, about)
    model.save(folder / NETWORK)
    if config.ngram_evidence:
        train = train.at_length(config.sequence_length)
        evidence = fit_evidence(train, config, dataset.n_classes)
        _write_arrays(folder / EVIDENCE, evidence.whole)


def write_baseline(
    folder: Path,
    name: str,
    arrays: Mapping[str, npt.NDArray[Any]],
    dataset: Dataset,
    train: Sequences,
    origin: Origin,
) -> None:
    """Write the arrays of a fitted baseline and how it reads its input."""
    about = _about(dataset, train, origin) | {"model": name, "config": None}
    _write_about(folder, about)
    _write_arrays(folder / ARRAYS, arrays)


def _write_arrays(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    with file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def _about(dataset: Dataset, train: Sequences, origin: Origin) -> dict[str, Any]:
    fitted = train.fitted
    words = fitted.words if isinstance(fitted, Vocabulary) else dataset.vocabulary
    scaling = None
    if isinstance(fitted, Scaling):
        scaling = {"mean": fitted.mean.tolist(), "std": fitted.std.tolist()}
    return {
        "format": FORMAT,
        "task": dataset.task,
        "kind": dataset.kind,
        "tokenizer": dataset.tokenizer,
        "class_names": list(dataset.class_names),
        "output_names": list(dataset.output_names),
        "vocabulary": list(words),
        "scaling": scaling,
        "target_scaling": None
        if train.target_scaling is None
        else {
            "mean": train.target_scaling.mean.tolist(),
            "std": train.target_scaling.std.tolist(),
        },
        "channels": list(dataset.channels),
        "forecast": {key: dataset.forecast[key] for key in FORECAST}
        if dataset.forecast
        else None,
        "example": dataset.example,
        "input_example": _examples(dataset, train),
        **asdict(origin),
    }


def _examples(dataset: Dataset, train: Sequences) -> list[Any]:
    """Return two short inputs, as a model's user would give them; [] of ids alone."""
    if dataset.kind != VECTORS and not dataset.vocabulary:
        return []
    if dataset.forecast:
        window = dataset.window(train, 0)
        values = (None if v is None else float(f"{v:.6g}") for v in window["values"])
        return [window | {"values": list(values)}]
    chosen = range(min(2, len(train)))
    if dataset.kind == VECTORS:
        n_channels = len(dataset.channels)
        return [
            dataset.thinned(train, i, max_steps=EXAMPLE_STEPS, max_channels=n_channels)
            for i in chosen
        ]
    raw = [dataset.raw(train, i) for i in chosen]
    return [
        each[: EXAMPLE_LETTERS if isinstance(each, str) else EXAMPLE_STEPS]
        for each in raw
    ]


def _write_about(folder: Path, about: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(about, ensure_ascii=False, indent=1)
    (folder / ABOUT).write_text(text, encoding="utf-8")
