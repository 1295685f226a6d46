"""Look at a file, time a training, and write a suite that fits a budget."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench.data.check import Finding, half_width
from lstm_bench.data.dataset import VECTORS, Dataset
from lstm_bench.data.files.inspect import Inference, inspect
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.registry import OWN_FILES, load_dataset
from lstm_bench.data.splits import Splits, make_splits
from lstm_bench.errors import DatasetError, OutputError, QuantityError, SuiteError
from lstm_bench.inference import INDEX_FROM
from lstm_bench.init.plan import (
    REFERENCE_EMBEDDING,
    REFERENCE_UNITS,
    TOKEN_SPACE,
    VECTOR_SPACE,
    Cost,
    Plan,
    Sizes,
    batch_size_for,
    length_options,
    make_plan,
)
from lstm_bench.init.suite_text import Choice, suite_text
from lstm_bench.init.timing import measure
from lstm_bench.metrics import IMBALANCED
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import FILE_NAME, Suite, check_name
from lstm_bench.system.folders import make_folder
from lstm_bench.tasks import REGRESSION, TASKS
from lstm_bench.text import count, listed, quoted
from lstm_bench.training.check import check_data
from lstm_bench.training.prepare import search_splits

SEED = 1
LEARNING_RATE = 0.003
MARGINS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
MAX_VOCABULARY = 20_000
FEW_TRIALS = 16
"""Below this, the search leaves out what the reference has and what rarely helps."""
PURPOSES = ("text", "label", "series", "step", "values", "split", "group", "time")
"""Columns that a suite may name."""
NEGLIGIBLE = 0.01
"""Share of the targets' variance that a margin of the MSE is proposed to be."""
_PART_NAMES = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
OPTIONS = ("text", "label", "split", "group", "time", "format", "tokens", "test")
"""Fields that have an option of the command; --set sets the others."""


@dataclass(frozen=True)
class Initialised:
    """What `init` has written and found.

    Attributes
    ----------
    file : Path
        The suite's file.
    dataset : Dataset
    choices : tuple of Choice
        Every value of the suite, with its reason.
    plan : Plan
    cost : Cost
    findings : tuple of Finding
        Of the data check.
    """

    file: Path
    dataset: Dataset
    choices: tuple[Choice, ...]
    plan: Plan
    cost: Cost
    findings: tuple[Finding, ...]


def init(
    path: Path,
    options: Mapping[str, Any],
    budget_s: float,
    out: Path | None,
    say: Callable[[str], None],
) -> Initialised:
    """Write a suite for a file of one's own.

    Parameters
    ----------
    path : Path
        File or folder with the examples, or those of train.
    options : mapping
        Fields of `FileOptions`, such as ``label``; paths from the current folder.
    budget_s : float
        Seconds that ``sweep --confirm`` of the suite may take on this machine.
    out : Path or None
        The suite's file, which must not exist; None: beside `path`, named after it.
    say : callable
        Called with messages.

    Raises
    ------
    DatasetError
        The file cannot be read.
    OutputError
        The suite's file exists, or cannot be written.
    LstmBenchError
        No study of these data fits the budget.
    """
    given = {name: value for name, value in options.items() if value is not None}
    given |= other_parts(path, given)
    target = out or path.parent / f"{suite_name(path)}.yaml"
    _check_target(target)
    say(f"reading {path} ...")
    inference, given = _inspected(path, given)
    # Said before anything can fail because a column was taken for another.
    say(f"taken for: {_taken_for(inference)}")
    make_folder(target.parent, "--out")
    explicit = _dataset_options(path, given, inference, target.parent)
    dataset = load_dataset(OWN_FILES, explicit, target.parent, SEED)
    validation_fraction = 0.2 if len(dataset.train) < 5000 else 0.1
    splits = make_splits(
        dataset,
        root_seed=SEED,
        replicate=0,
        validation_fraction=validation_fraction,
        max_train_samples=None,
    )
    sizes = Sizes(
        splits.train.lengths,
        splits.val.lengths,
        splits.test.lengths,
        dataset.n_channels,
        dataset.n_classes,
    )
    vocabulary = _vocabulary(dataset, splits)
    say("timing one short training and the baselines on this machine (up to 1 min) ...")
    reference = TrialConfig(
        units=REFERENCE_UNITS,
        embedding_dim=REFERENCE_EMBEDDING,
        head=_head(dataset),
        vocabulary_size=vocabulary[0],
        sequence_length=length_options(sizes)[0][-1],
        batch_size=batch_size_for(len(splits.train)),
    )
    cost = measure(dataset, splits, reference, say)
    plan = make_plan(sizes, cost, budget_s)
    choices = [
        *_dataset_choices(explicit, inference, dataset, validation_fraction, plan),
        *_study_choices(dataset, splits, vocabulary, plan, cost, budget_s),
    ]
    description = (
        f"Which LSTM for {path.name}? {count(inference.n_examples, dataset.example)} "
        f"of {_targets_text(dataset)}."
    )
    title = (
        f"Proposed by `lstm-bench init {path.name}` for a budget of "
        f"{budget_s / 60:g} minutes; change what you know better."
    )
    text = suite_text(title, description, choices)
    suite = Suite(target.stem, text, str(target), target)
    findings = check_data(suite, dataset, search_splits(suite, dataset))
    _write(target, text)
    return Initialised(target, dataset, tuple(choices), plan, cost, tuple(findings))


def suite_name(path: Path) -> str:
    """Return a name that suites accept: ``reviews`` for ``reviews.csv.gz``."""
    name = path.absolute().name
    for suffix in [suffix.lower() for suffix in reversed(path.suffixes[-2:])]:
        if not path.is_dir() and re.fullmatch(r"\.[a-z]{1,10}", suffix):
            name = name[: -len(suffix)]
    name = re.sub(r"[_-]train$", "", name, flags=re.IGNORECASE)
    name = re.sub(r"[^\w. -]", "_", name, flags=re.ASCII).strip(" ._-")[:60] or "own"
    try:
        check_name(name, name)
    except SuiteError:
        name = f"{name}_study"
    return name


def _check_target(target: Path) -> None:
    if target.exists():
        raise OutputError(
            f"{target}: expected a new file, got one that exists; name another with "
            "--out, or remove it"
        )
    if not FILE_NAME.fullmatch(target.stem) or target.suffix not in (".yaml", ".yml"):
        raise OutputError(
            f"--out {target}: expected a name of letters, digits, spaces and . _ - "
            "that ends in .yaml (it becomes the study's name); give another"
        )
    check_name(target.stem, "--out")


def _write(target: Path, text: str) -> None:
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written ({error.strerror}); name another place with "
            "--out"
        ) from error


# What the file is


def other_parts(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files of the other parts, where their names say so."""
    train = re.match(r"(.*[_-])?train(\..*)", path.name, re.IGNORECASE)
    if train is None or not path.is_file():
        return {}
    by_name = {file.name.casefold(): file for file in path.parent.iterdir()}
    start, end = train[1] or "", train[2]
    parts = {}
    for part, names in _PART_NAMES.items():
        files = [by_name.get(f"{start}{name}{end}".casefold()) for name in names]
        found = next((file for file in files if file is not None), None)
        if found is not None and part not in given:
            parts[part] = str(found)
    return parts


def _inspected(
    path: Path, given: Mapping[str, Any]
) -> tuple[Inference, dict[str, Any]]:
    """Return what the file was taken for, and the options with which it can be read.

    Bad rows are left out if there are any; labels that are many different numbers are
    numbers to predict.
    """
    try:
        return inspect(path, given), dict(given)
    except QuantityError:
        if "task" in given or "numeric_labels_are_classes" in given:
            raise
        return _inspected(path, {**given, "task": REGRESSION})
    except DatasetError:
        if "on_bad_rows" in given:
            raise
        dropping = {**given, "on_bad_rows": "drop"}
        return _inspected(path, dropping)


def _taken_for(inference: Inference) -> str:
    """Return format, columns and classes: ``csv, text: review, label: stars, ...``."""
    columns = [
        f"{name}: {listed([column] if isinstance(column, str) else column)}"
        for name, column in inference.columns.items()
        if name in PURPOSES
    ]
    targets = (
        f"{len(inference.classes):,} classes ({listed(map(quoted, inference.classes))})"
    )
    if inference.targets:
        low, high = inference.targets
        targets = f"numbers from {low:.4g} to {high:.4g} (task: regression)"
    return ", ".join([inference.format, *columns, targets])


def _dataset_options(
    path: Path, given: Mapping[str, Any], inference: Inference, folder: Path
) -> dict[str, Any]:
    """Return the options for a suite in `folder`, with the columns by name."""
    others = dict(given)
    files = {"train" if {"test", "validation"} & set(given) else "file": str(path)}
    files |= {n: others.pop(n) for n in ("validation", "test") if n in others}
    relative = {
        name: Path(os.path.relpath(file, folder)).as_posix()
        for name, file in files.items()
    }
    layout = inference.columns.get("layout")
    columns = {
        name: column
        for name, column in inference.columns.items()
        # The values of a wide table are all other columns; of lists, the one column.
        if name in PURPOSES and not (name == "values" and layout != "long")
    }
    if layout == "lists":
        columns["values"] = inference.columns["values"]
    named = {n: list(c) if isinstance(c, tuple) else c for n, c in columns.items()}
    return {**relative, **named, **others}


def _dataset_choices(
    options: Mapping[str, Any],
    inference: Inference,
    dataset: Dataset,
    validation_fraction: float,
    plan: Plan,
) -> list[Choice]:
    rows = inference.rows
    dropped = listed(
        f"{reason} ({found['n']:,})" for reason, found in rows["reasons"].items()
    )
    n_train, n_test = len(dataset.train), len(dataset.test)
    why = {
        "file": f"{inference.format}, {count(inference.n_examples, 'example')}",
        "train": f"{inference.format}, {count(n_train, 'example')}",
        "validation": count(len(dataset.parts.get("validation", ())), "example"),
        "test": count(n_test, "example"),
        "text": "the column of the texts",
        "label": f"the column of the {TASKS[dataset.task].targets}",
        "task": "its values are many different numbers",
        "split": "the column that names the part of each row",
        "test_fraction": f"no part tests: {n_test:,} examples are drawn",
        "on_bad_rows": f"{rows['n_dropped']:,} of {count(rows['n_read'], 'row')} are "
        f"left out: {dropped}",
    }
    values = dict(options)
    if "test" not in inference.parts:
        values.setdefault("test_fraction", FileOptions(file=".").test_fraction)
    choices = [
        Choice("dataset", name, value, why.get(name, ""), _dataset_option(name))
        for name, value in values.items()
    ]
    if dataset.validation is None:
        share = f"share of the {n_train:,} training examples that validates"
        choices.append(
            Choice("dataset", "validation_fraction", validation_fraction, share)
        )
    if plan.max_train_samples is not None:
        choices.append(
            Choice(
                "dataset",
                "max_train_samples",
                plan.max_train_samples,
                f"of {n_train:,}: more do not fit the budget",
                "--budget",
            )
        )
    return choices


def _dataset_option(field: str) -> str:
    if field in ("file", "train"):
        return ""
    return f"--{field}" if field in OPTIONS else f"--set {field}=..."


# The study


def _study_choices(
    dataset: Dataset,
    splits: Splits,
    vocabulary: tuple[int, str],
    plan: Plan,
    cost: Cost,
    budget_s: float,
) -> list[Choice]:
    is_tokens = dataset.kind != VECTORS
    objective = _number_objective if dataset.is_numeric else _class_objective
    metric, metric_why, margin, margin_why, is_uneven = objective(dataset)
    space: dict[str, Any] = dict(TOKEN_SPACE if is_tokens else VECTOR_SPACE)
    why_of: dict[str, str] = {}
    if plan.n_trials < FEW_TRIALS:
        del space["learning_rate"]
        space["pooling"] = ("mean", "max")
        why_of["pooling"] = "last, and a learning rate, with more trials (--budget)"
    if is_uneven:
        space["class_weights"] = ("none", "balanced")
    lengths, lengths_why = plan.sequence_lengths, _lengths_why(plan, splits)
    if len(lengths) > 1:
        space["sequence_length"] = lengths
    steps_s = f"{cost.step_s * 1e6:.3g} µs a step of the reference here"
    n_train = plan.max_train_samples or len(splits.train)
    defaults = [
        ("head", _head(dataset), _targets_text(dataset)),
        *([("vocabulary_size", *vocabulary)] if is_tokens else []),
        ("sequence_length", lengths[-1], lengths_why),
        *([("truncating", "post", "longer texts lose their end")] if is_tokens else []),
        ("batch_size", plan.batch_size, f"{count(n_train, 'example')} to train on"),
        ("max_epochs", plan.max_epochs, "small data need more passes than large"),
        ("patience", plan.patience, "epochs without a better score, then it stops"),
        ("learning_rate", LEARNING_RATE, "of the reference; Keras's default is 0.001"),
    ]
    reference = {"units": REFERENCE_UNITS}
    minutes = [t / 60 for t in (plan.search_s, plan.confirm_s, plan.others_s)]
    study = [
        (
            "metric",
            metric,
            metric_why,
        ),
        (
            "n_trials",
            plan.n_trials,
            f"about {minutes[0]:.1f} min of {budget_s / 60:g} ({steps_s}, "
            f"{count(cost.n_workers, 'worker')})",
        ),
        ("n_startup_trials", min(5, plan.n_trials), "at random, before TPE"),
        ("timeout_s", plan.timeout_s, "leaves time to confirm within the budget"),
        ("pruner", "median", "stops trials that are worse than half of the others"),
        ("seed", SEED, ""),
    ]
    confirm = [
        ("n_best", plan.n_best, "retrained and tested, beside the reference"),
        ("n_replicates", plan.n_replicates, f"seeds; about {minutes[1]:.1f} min"),
        (
            "margin",
            margin,
            f"negligible differences; {margin_why}",
        ),
    ]
    return [
        *(Choice("defaults", *entry, _option(entry[0])) for entry in defaults),
        *(
            Choice("space", field, list(values), why_of.get(field, ""))
            for field, values in space.items()
        ),
        Choice("references", "LSTM", reference, "a plain LSTM to compare with"),
        *(Choice("study", *entry, _option(entry[0])) for entry in study),
        *(Choice("confirm", *entry, _option(entry[0])) for entry in confirm),
    ]


def _class_objective(dataset: Dataset) -> tuple[str, str, float, str, bool]:
    """Return metric, margin, the reason for each, and whether classes are uneven."""
    counts = np.bincount(dataset.train.y, minlength=dataset.n_classes)
    ratio = counts.max() / max(1, counts.min())
    is_uneven = bool(ratio > IMBALANCED)
    metric = "balanced_accuracy" if is_uneven else "accuracy"
    why = "the classes are of similar size"
    if is_uneven:
        why = (
            f"the largest class has {ratio:.1f} times as many examples as the smallest"
        )
    half = half_width(dataset.test.y, metric) or 0.0
    margin = next((m for m in MARGINS if m >= half), MARGINS[-1])
    margin_why = (
        f"{count(len(dataset.test), 'test example')} show "
        f"{metric.replace('_', ' ')} to ±{half:.4f}"
    )
    return metric, why, margin, margin_why, is_uneven


def _number_objective(dataset: Dataset) -> tuple[str, str, float, str, bool]:
    variance = float(dataset.train.y.var(axis=0).mean())
    margin = float(f"{NEGLIGIBLE * variance:.1g}")
    why = f"{NEGLIGIBLE:.0%} of the targets' variance in train, {variance:.4g}"
    return "mse", "the mean squared error", margin, why, False


def _targets_text(dataset: Dataset) -> str:
    if dataset.is_numeric:
        return f"the number {dataset.output_names[0]}"
    return f"{dataset.n_classes} classes"


def _option(field: str) -> str:
    by_budget = ("sequence_length", "max_epochs", "n_trials", "n_best", "n_replicates")
    return "--budget" if field in (*by_budget, "timeout_s") else ""


def _head(dataset: Dataset) -> Any:
    if dataset.is_numeric:
        return "linear"
    return "sigmoid" if dataset.n_classes == 2 else "softmax"


def _lengths_why(plan: Plan, splits: Splits) -> str:
    shares = [
        f"{(splits.train.lengths <= n).mean():.0%} have at most {n:,} steps"
        for n in plan.sequence_lengths
    ]
    return ", ".join(shares)


def _vocabulary(dataset: Dataset, splits: Splits) -> tuple[int, str]:
    """Return a vocabulary size, and why."""
    if dataset.kind == VECTORS:
        return TrialConfig().vocabulary_size, ""
    n_words = len(dataset.vocabulary)
    counts = np.zeros(INDEX_FROM + 1 + n_words, np.int64)
    for start in range(0, len(splits.train), 4096):
        index = np.arange(start, min(start + 4096, len(splits.train)))
        ids = splits.train.take(index).copied().values
        counts += np.bincount(ids, minlength=len(counts))
    n_twice = int((counts[INDEX_FROM + 1 :] >= 2).sum())
    wanted = _two_digits(n_twice + INDEX_FROM + 1)
    size = min(wanted, MAX_VOCABULARY)
    return size, f"{n_twice:,} of {n_words:,} words are in train twice or more"


def _two_digits(n: int) -> int:
    """Return `n` rounded up to two digits: 13,412 to 14,000."""
    unit = int(10 ** max(0, len(str(n)) - 2))
    return math.ceil(n / unit) * unit
