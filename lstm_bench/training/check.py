"""Check a suite's data, as the suite uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lstm_bench.data.check import Finding, Use, check
from lstm_bench.data.dataset import Dataset, describe_dataset
from lstm_bench.data.registry import OWN
from lstm_bench.data.splits import Splits
from lstm_bench.errors import DatasetError, LstmBenchError, SuiteError, UnfitDataError
from lstm_bench.suites.suite import Suite
from lstm_bench.training.prepare import (
    describe_embedding_of,
    load_dataset_of,
    search_splits,
    values_of,
)


def check_suite(
    suite: Suite, data_dir: Path | None
) -> tuple[Dataset | None, dict[str, Any], list[Finding]]:
    """Load a suite's data; describe them, and find their faults, errors first.

    Bad rows are counted and left out, also where the suite makes them an error. The
    data are None where they can be read, but are not fit to be used at all.

    Raises
    ------
    DatasetError
        The data cannot be read at all.
    """
    try:
        dataset = load_dataset_of(suite, data_dir)
    except DatasetError:
        if suite.dataset.name not in OWN:
            raise
        try:
            dataset = load_dataset_of(suite, data_dir, on_bad_rows="drop")
        except UnfitDataError as error:
            return None, {}, [_of_error("unfit", error)]
    try:
        splits, fault = search_splits(suite, dataset), None
    except (SuiteError, DatasetError) as error:
        splits, fault = None, error
    findings = check_data(suite, dataset, splits)
    if fault is not None and not any(f.level == "error" for f in findings):
        findings.insert(0, _of_error("splits", fault))
    about = describe_dataset(dataset)
    if splits is not None:
        about |= describe_embedding_of(suite, dataset, splits)
    return dataset, about, findings


def _of_error(name: str, error: LstmBenchError) -> Finding:
    """Return an error whose message has what was found and what to do."""
    return Finding("error", name, 1, "", "", str(error))


def check_data(suite: Suite, dataset: Dataset, splits: Splits | None) -> list[Finding]:
    """Return the faults of a suite's data, errors first.

    Parameters
    ----------
    splits : Splits or None
        Those of the search; None where the data cannot be split.
    """
    options = suite.dataset.options
    use = Use(
        sequence_lengths=values_of(suite, "sequence_length"),
        vocabulary_sizes=values_of(suite, "vocabulary_size"),
        metric=suite.study.metric,
        margin=None if suite.confirm is None else suite.confirm.margin,
        drops_bad_rows=options.get("on_bad_rows") == "drop",
        numbers_are_classes=options.get("numeric_labels_are_classes") is True,
        is_own=suite.dataset.name in OWN,
        max_train_samples=suite.dataset.max_train_samples,
    )
    return check(dataset, splits, use)
