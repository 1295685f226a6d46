"""The registry of datasets: their names, options and sizes, and how to load one."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from lstm_bench.data.dataset import Dataset, Sizes
from lstm_bench.data.memory import MemoryTask
from lstm_bench.errors import DatasetError
from lstm_bench.tasks import CLASSIFICATION, TASKS, Task, TaskName
from lstm_bench.text import quoted

# The module of each dataset, imported on demand. A module has ``Options`` (a pydantic
# model), ``DESCRIPTION``, ``load(options, data_dir, seed)``, if sizes are known without
# the data, ``sizes(options)``, and ``TASK`` where its targets are numbers.
OWN_FILES = "file"
FORECAST_FILES = "forecast"
DATASETS = {
    "adding": "lstm_bench.data.adding",
    "digits": "lstm_bench.data.digits",
    FORECAST_FILES: "lstm_bench.data.forecast",
    OWN_FILES: "lstm_bench.data.file",
    "imdb": "lstm_bench.data.imdb",
    "seasonal": "lstm_bench.data.seasonal",
    "synthetic": "lstm_bench.data.synthetic",
    "temporal_order": "lstm_bench.data.temporal_order",
    "word_order": "lstm_bench.data.word_order",
}
OWN = (OWN_FILES, FORECAST_FILES)
"""Datasets that are the user's own files."""
# Digits come with scikit-learn; one's own files are looked for beside the suite, too.
WITHOUT_FOLDER = ("digits", *OWN)


def dataset_names() -> list[str]:
    """Return the names a suite may give as ``dataset.name``."""
    return sorted(DATASETS)


def dataset_module(name: str) -> ModuleType:
    """Return the module of dataset `name`, which must be in `dataset_names`."""
    return importlib.import_module(DATASETS[name])


def is_synthetic(name: str) -> bool:
    """Whether dataset `name` is generated, according to its module; loads no data."""
    return bool(getattr(dataset_module(name), "SYNTHETIC", False))


def memory_task(name: str) -> MemoryTask | None:
    """Return what solves the memory task `name`; None for other datasets."""
    task: MemoryTask | None = getattr(dataset_module(name), "MEMORY", None)
    return task


def task_of(name: str, options: Mapping[str, Any]) -> Task:
    """Return the task of dataset `name`: that of its options, or of its module."""
    module = dataset_module(name)
    of_module: TaskName = getattr(module, "TASK", CLASSIFICATION)
    of_options: TaskName | None = getattr(dataset_options(name, options), "task", None)
    return TASKS[of_options or of_module]


def dataset_options(name: str, options: Mapping[str, Any]) -> BaseModel:
    """Validate `options` with the dataset's model; raises pydantic's error."""
    validated: BaseModel = dataset_module(name).Options.model_validate(dict(options))
    return validated


def known_sizes(name: str, options: Mapping[str, Any]) -> Sizes | None:
    """Return the dataset's sizes as far as they are known without the data."""
    sizes = getattr(dataset_module(name), "sizes", None)
    return None if sizes is None else sizes(dataset_options(name, options))


def folder_of(options: BaseModel, data_dir: Path | None, suite_folder: Path) -> Path:
    """Return the folder that relative paths of a user's own files start from.

    It is `data_dir` if given, else LSTM_BENCH_DATA if that has the first of the files,
    else the folder of the suite.
    """
    if data_dir is not None:
        return data_dir
    files = options.model_dump()
    first = files.get("file") or files.get("train")
    named = os.environ.get("LSTM_BENCH_DATA")
    if named and first and (Path(named) / first).exists():
        return Path(named)
    return suite_folder


def load_dataset(
    name: str,
    options: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
) -> Dataset:
    """Load dataset `name`.

    Parameters
    ----------
    options : mapping, optional
        Validated by the dataset's ``Options``.
    data_dir : Path, optional
        Folder with the raw data, for datasets that need one.
    seed : int
        Used by generated datasets, and by files of one's own to draw the test part.

    Raises
    ------
    DatasetError
        Data is missing or damaged, or `options` are not valid.
    """
    if name not in dataset_names():
        raise DatasetError(
            f"dataset: expected one of {', '.join(dataset_names())}, got "
            f"{quoted(name)}; for a suite: `lstm-bench data check SUITE`"
        )
    try:
        valid = dataset_options(name, options or {})
    except ValidationError as error:
        remedy = "correct the options"
        if name == OWN_FILES and not options:
            remedy = "name the files in a suite, and use `lstm-bench data check SUITE`"
        raise DatasetError(
            f"dataset {name}: {first_problem(error)}; {remedy}"
        ) from error
    dataset: Dataset = dataset_module(name).load(valid, data_dir, seed)
    return dataset


def first_problem(error: ValidationError) -> str:
    """Return the place and the message of the first problem that pydantic found."""
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown field"
    return f"{place}: {message}" if place else message
