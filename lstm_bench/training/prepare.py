"""Load, split and describe a suite's data; needs neither MLflow nor Keras."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench.data.dataset import VECTORS, Dataset, Sizes, describe_dataset
from lstm_bench.data.embedding import (
    describe_embedding,
    find_embedding_file,
    read_embedding,
)
from lstm_bench.data.registry import (
    OWN,
    dataset_module,
    dataset_options,
    folder_of,
    load_dataset,
)
from lstm_bench.data.splits import Splits, describe_splits, make_splits
from lstm_bench.errors import SuiteError
from lstm_bench.seeding import derive_seed
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.files import suite_file
from lstm_bench.suites.suite import Suite
from lstm_bench.system.environment import describe_environment, is_committed
from lstm_bench.system.files import files_digest
from lstm_bench.text import quoted

SEARCH_REPLICATE = 0


@dataclass(frozen=True)
class Prepared:
    """A suite's data, loaded and split, with the metadata that is logged."""

    suite: Suite
    dataset: Dataset
    splits: Splits
    about_data: Mapping[str, Any]
    about_machine: Mapping[str, Any]
    replicate: int = SEARCH_REPLICATE

    @property
    def seeds(self) -> dict[str, int]:
        """The named seeds of this replicate's trainings."""
        root = self.suite.study.seed
        return {
            "root": root,
            "replicate": self.replicate,
            **{
                name: derive_seed(root, name, self.replicate)
                for name in ("split", "init", "order")
            },
        }

    @property
    def subset_sizes(self) -> tuple[int, ...]:
        """The numbers of training examples of subsets that are trained on."""
        return self.suite.subset_sizes(len(self.splits.train))

    def at(self, replicate: int) -> Prepared:
        """Return the same data, split as for replicate `replicate`.

        Raises
        ------
        SuiteError
            A split has no example of a class.
        """
        splits = split(self.suite, self.dataset, replicate)
        return replace(self, splits=splits, replicate=replicate)


def prepare(
    suite: Suite,
    data_dir: Path | None,
    config: TrialConfig | None = None,
    n_replicates: int = 0,
) -> Prepared:
    """Load and split the data of `suite`.

    Parameters
    ----------
    config : TrialConfig or None
        The one configuration to train; None for all configurations of the suite.
    n_replicates : int
        Number of replicates of a later confirmation, whose splits are checked now.

    Raises
    ------
    DatasetError
        Data is missing or damaged.
    SuiteError
        The suite's configurations or splits do not fit the data.
    """
    dataset = load_dataset_of(suite, data_dir)
    splits = search_splits(suite, dataset, config)
    suite.check_train_sizes(len(splits.train), suite.path)
    # The smallest subset has all classes, or no larger one need have.
    smallest = next(iter(suite.subset_sizes(len(splits.train))), None)
    for replicate in range(1, n_replicates + 1):
        split(suite, dataset, replicate, smallest)
    described = describe_dataset(dataset)
    about = {
        **described,
        "given_validation": described.get("validation"),
        **describe_splits(splits),
        "validation": suite.dataset.validation,
        "code_digest": _code_digest(suite.dataset.name),
    }
    about |= describe_embedding_of(suite, dataset, splits, config)
    machine = {
        **describe_environment(),
        "suite_committed": is_committed(suite_file(suite.path), suite.text),
    }
    return Prepared(suite, dataset, splits, about, machine)


def load_dataset_of(suite: Suite, data_dir: Path | None, **options: Any) -> Dataset:
    """Load the dataset of `suite`.

    Parameters
    ----------
    options
        Options of the dataset that replace the suite's.

    Raises
    ------
    DatasetError
        Data or embedding file are missing or damaged.
    SuiteError
        The suite names an embedding file, and the data have no words.
    """
    spec = suite.dataset
    given = {**spec.options, **options}
    folder = data_folder(suite, data_dir)
    dataset = load_dataset(spec.name, given, folder, suite.study.seed)
    if spec.embedding_file is None:
        return dataset
    if not dataset.vocabulary:
        what = "vectors" if dataset.kind == VECTORS else "token ids without their words"
        raise SuiteError(
            f"{suite.path}: dataset.embedding_file: expected data of words, which word "
            f"vectors are of, got {what}; remove it"
        )
    named = data_dir or os.environ.get("LSTM_BENCH_DATA")
    folders = [*([Path(named)] if named else []), suite_file(suite.path).parent]
    file = find_embedding_file(spec.embedding_file, folders)
    return replace(dataset, embedding=read_embedding(file, dataset.vocabulary))


def data_folder(suite: Suite, data_dir: Path | None) -> Path | None:
    """Return the folder with the data of `suite`, given the option ``--data-dir``.

    Worker processes have the suite's text alone: where the data are the user's own
    files, the folder that relative paths start from is passed to them.
    """
    spec = suite.dataset
    if spec.name not in OWN:
        return data_dir
    options = dataset_options(spec.name, spec.options)
    return folder_of(options, data_dir, suite_file(suite.path).parent)


def search_splits(
    suite: Suite, dataset: Dataset, config: TrialConfig | None = None
) -> Splits:
    """Return the search's splits.

    Raises
    ------
    SuiteError
        The suite's configurations or splits do not fit the data.
    """
    if dataset.kind == VECTORS:
        _check_no_tokens(suite, config)
    suite.check_sizes(Sizes(dataset.n_classes, len(dataset.train)), suite.path, config)
    if dataset.embedding is not None:
        suite.check_embedding_dim(dataset.embedding.dim, suite.path, config)
    return split(suite, dataset, SEARCH_REPLICATE)


def _check_no_tokens(suite: Suite, config: TrialConfig | None) -> None:
    """Reject hyperparameters that only tokens have.

    Parameters
    ----------
    config : TrialConfig or None
        The one configuration to train; None for all configurations of the suite.
    """
    for field, reason in (
        (
            "embedding_dropout",
            "have no embedding, got {}; use token_dropout (whole steps) or "
            "spatial_dropout (whole channels)",
        ),
        ("ngram_evidence", "have no words, got {}; remove it"),
    ):
        values = suite.values_of(field)
        if config is not None:
            values = [(field, getattr(config, field))]
        for place, value in values:
            if value:
                raise SuiteError(
                    f"{suite.path}: {place}: expected {field}: 0 where the data are "
                    f"vectors, which {reason.format(value)}"
                )
    for field in (
        "vocabulary_size",
        "embedding_dim",
        "embedding",
        "embedding_gradient",
    ):
        for place in ("space", "confirm.pairs"):
            if field in (suite.space.axes if place == "space" else suite.pairs):
                raise SuiteError(
                    f"{suite.path}: {place}.{field}: the data are vectors, which have "
                    "no vocabulary and no embedding; remove it"
                )


def describe_embedding_of(
    suite: Suite, dataset: Dataset, splits: Splits, config: TrialConfig | None = None
) -> dict[str, Any]:
    """Return ``embedding``: the embedding file and its coverage, if there is one.

    Parameters
    ----------
    config : TrialConfig or None
        The one configuration to train; None for all configurations of the suite.
    """
    if dataset.embedding is None:
        return {}
    sizes = values_of(suite, "vocabulary_size")
    if config is not None:
        sizes = (config.vocabulary_size,)
    return {"embedding": describe_embedding(dataset.embedding, splits.train, sizes)}


def values_of(suite: Suite, field: str) -> tuple[int, ...]:
    """Return the whole numbers that a training may have for `field`, ascending."""
    return tuple(sorted({int(value) for _, value in suite.values_of(field)}))


def _code_digest(name: str) -> str:
    """Return the digest of the file that loads or generates the dataset `name`."""
    file = Path(str(dataset_module(name).__file__))
    return files_digest(file.parent, [file])


def split(
    suite: Suite, dataset: Dataset, replicate: int, n_subset: int | None = None
) -> Splits:
    """Return the splits of a replicate; 0 is the search's.

    Parameters
    ----------
    n_subset : int or None
        Number of training examples; None: all.

    Raises
    ------
    SuiteError
        A split has no example of a class.
    """
    spec = suite.dataset
    if dataset.forecast and spec.validation == "test":
        raise SuiteError(
            f"{suite.path}: dataset.validation: expected holdout for forecasts, whose "
            "validation windows lie before test, got test; remove it"
        )
    splits = make_splits(
        dataset,
        root_seed=suite.study.seed,
        replicate=replicate,
        validation_fraction=spec.validation_fraction,
        max_train_samples=spec.max_train_samples,
        validates_on_test=spec.validation == "test",
        n_subset=n_subset,
    )
    for part, sequences in (
        ("to train on", splits.train),
        ("to validate on", splits.val),
        ("to test on", splits.test),
    ):
        if dataset.is_numeric:
            continue
        counts = np.bincount(sequences.y, minlength=dataset.n_classes)
        if not counts.all():
            missing = dataset.class_names[int(counts.argmin())]
            raise SuiteError(
                f"{suite.path}: dataset: expected examples of each class {part}, got "
                f"none of {quoted(missing)} among {len(sequences):,}; give more of "
                "them, join small classes into one or leave them out, or set another "
                "validation_fraction, max_train_samples or confirm.train_sizes"
            )
    return splits
