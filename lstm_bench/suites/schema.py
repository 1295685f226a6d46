"""The schema of a suite file, part by part, and the messages for invalid files."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lstm_bench.data.registry import FORECAST_FILES, OWN_FILES, dataset_names
from lstm_bench.errors import SuiteError
from lstm_bench.suites.config import TrialConfig, check_together
from lstm_bench.suites.engines import EngineName
from lstm_bench.tasks import FORECAST
from lstm_bench.text import count, listed, quoted, shortened

MAX_NAME = 80
MAX_TEXT = 10_000
MAX_PROBLEMS = 5
MAX_COMPARED = 1000
MAX_SECONDS = 1e9
M = TypeVar("M", bound=BaseModel)
Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Accuracy = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetSpec(_Part):
    """The dataset, how much of it is used, and what validates."""

    name: str = Field(
        description=f"Name of the dataset: {', '.join(dataset_names())}. Not needed "
        "with `file:` or `train:`, which name your own files."
    )
    options: dict[str, Any] = Field(
        {},
        description="The dataset's own options. Those of `file` may stand directly "
        "under `dataset:`.",
    )
    validation: Literal["holdout", "test"] = Field(
        "holdout",
        description="What a training is validated on: a part of the training examples "
        "(holdout), or the test set, as some write-ups do. Such a score is no estimate "
        "for new data.",
    )
    validation_fraction: float = Field(
        0.2,
        gt=0,
        le=0.5,
        description="Share of the training examples in use that is held out for "
        "validation.",
    )
    max_train_samples: int | None = Field(
        None,
        ge=4,
        description="Number of examples to train on at most; validation shrinks in "
        "proportion. null: all.",
    )
    embedding_file: str | None = Field(
        None,
        description="GloVe or word2vec text file, also as .gz, for the hyperparameter "
        "`embedding`. A relative path starts from --data-dir or LSTM_BENCH_DATA, else "
        "from the suite's folder.",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_own_files(cls, values: Any) -> Any:
        """Read ``{file: reviews.csv, label: stars}`` as options of dataset `file`."""
        if not isinstance(values, dict) or not {"file", "train"} & set(values):
            return values
        # `validation` may name a file, too.
        own = {
            key
            for key in values
            if key in cls.model_fields
            and (key != "validation" or values[key] in ("holdout", "test"))
        }
        if {"name", "options"} & own:
            return values
        options = {key: value for key, value in values.items() if key not in own}
        name = OWN_FILES
        if options.get("task") == FORECAST:
            name = FORECAST_FILES
            del options["task"]
        return {"name": name, "options": options} | {k: values[k] for k in own}


class StudySpec(_Part):
    """How the space is searched."""

    metric: str = Field(
        "accuracy",
        description="The objective, on validation. One of the names in "
        "[Metrics](metrics.md). mse unless given, where the targets are numbers.",
    )
    n_trials: int = Field(
        20, ge=1, le=1_000_000, description="Number of trials of the search."
    )
    timeout_s: float | None = Field(
        None,
        gt=0,
        le=MAX_SECONDS,
        description="Seconds after which a search starts no further trial. null: no "
        "limit.",
    )
    trial_timeout_s: float | None = Field(
        None,
        gt=0,
        le=MAX_SECONDS,
        description="Seconds after which a training fails. null: no limit.",
    )
    trial_memory_gib: float | None = Field(
        None,
        gt=0,
        description="Resident memory of its process, in GiB, above which a training "
        "fails. null: no limit.",
    )
    sampler: Literal["tpe", "random", "grid"] = Field(
        "tpe",
        description="Optuna's sampler, which chooses the configurations. grid needs a "
        "step on every axis of floats.",
    )
    n_startup_trials: int = Field(
        10,
        ge=1,
        le=1_000_000,
        description="Number of random trials before TPE learns from them.",
    )
    pruner: Literal["none", "median", "hyperband"] = Field(
        "none",
        description="Optuna's pruner, which stops unpromising trainings early.",
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="The seed that all others are derived from."
    )


class ConfirmSpec(_Part):
    """How the best configurations are retrained on fresh seeds and tested."""

    n_best: int = Field(
        3, ge=0, le=1000, description="Number of configurations taken from the search."
    )
    n_replicates: int = Field(
        5,
        ge=1,
        le=1000,
        description="Number of fresh seeds, the same for every configuration. A "
        "verdict takes at least three. With `until`: seeds of the first look, and from "
        "each look to the next.",
    )
    until: Literal["settled"] | None = Field(
        None,
        description="`settled`: add seeds, `n_replicates` at a time, until each "
        "comparison has a verdict. null: train `n_replicates` seeds.",
    )
    max_replicates: int = Field(
        30,
        ge=1,
        le=1000,
        description="With `until`: fresh seeds after which comparisons without a "
        "verdict stay undecided.",
    )
    pairs: dict[str, Any] = Field(
        {},
        description="Hyperparameters to compare with all others equal, each with at "
        "least two values: `{head: [sigmoid, softmax]}`.",
    )
    margin: float = Field(
        0.01,
        ge=0,
        description="Differences of the metric up to this are negligible in practice, "
        "in the metric's own unit. 0 unless given, where the targets are numbers: then "
        "nothing is equivalent.",
    )
    families: tuple[Literal["best", "references", "pairs", "baselines"], ...] = Field(
        ("best", "references", "pairs", "baselines"),
        description="What the winner is compared with: the other best configurations, "
        "the references, the baselines; and whether pairs are compared. p-values are "
        "corrected within each family, so fewer comparisons find smaller differences.",
    )
    against: str | None = Field(
        None,
        description="Name of a reference: in the family `references` each other one is "
        "compared with it, and not with the winner: see [What each part "
        "does](#what-each-part-does).",
    )
    train_sizes: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        (),
        description="Numbers of training examples on which all of it is trained, too, "
        "for the score against the size: `[1000, 2000, 5000]`, nested subsets of what "
        "the confirmation trains on. All of that is always a size. []: nothing else.",
    )

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of replicates at which verdicts are given, increasing."""
        if self.until is None:
            return (self.n_replicates,)
        last = self.max_replicates
        return (*range(self.n_replicates, last, self.n_replicates), last)

    @property
    def chosen_on(self) -> int | None:
        """Number of replicates on which the winner is chosen; None: on all of them.

        Were it another one at each look, so would be what is compared.
        """
        return None if self.until is None else self.n_replicates

    @property
    def looks_text(self) -> str:
        """The `looks` in words: ``5, 10, 15``."""
        return ", ".join(map(str, self.looks))

    def seeds_text(self, n_replicates: int) -> str:
        """Return on how many seeds a confirmation trains: ``5 fresh seeds``.

        Parameters
        ----------
        n_replicates : int
            The suite's, or those of the command.
        """
        if self.until is None:
            return count(n_replicates, "fresh seed")
        return (
            f"{n_replicates} to {count(self.looks[-1], 'fresh seed')}, until all "
            f"comparisons are settled ({count(len(self.looks), 'look')} at most)"
        )

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(families)) < len(families):
            raise ValueError("expected each family once")
        return families

    @field_validator("train_sizes")
    @classmethod
    def _check_train_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(a >= b for a, b in itertools.pairwise(sizes)):
            raise ValueError("expected increasing numbers")
        return sizes


class EnsembleSpec(_Part):
    """Ensembles of a confirmation's trainings."""

    n: int = Field(
        5,
        ge=2,
        le=1000,
        description="Number of trainings whose predictions are averaged. With twice as "
        "many seeds or more in the confirmation there are several ensembles without a "
        "common training, and so intervals over seeds.",
    )


class Published(_Part):
    """Published figures of one configuration, shown beside measured ones."""

    label: str = Field(description="Name of the figures in the report.")
    source: Text = Field(description="Where they were published, and how measured.")
    reference: str | None = Field(
        None,
        description="Name of the reference they are about. null: another model's test "
        "accuracy, for the report's literature alone.",
    )
    note: Text = Field("", description="What a reader has to know about them.")
    val_accuracy: tuple[_Accuracy, ...] = Field(
        (), description="Validation accuracy after each epoch."
    )
    epoch_time_s: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="Seconds that each epoch took."
    )
    test_accuracy: _Accuracy | None = Field(
        None, description="Accuracy on the test set. null: not published."
    )


class SuiteFile(_Part):
    """A whole suite file."""

    description: Text = Field(
        description="The question of the study, in a sentence or two; the report "
        "begins with it."
    )
    dataset: DatasetSpec | str = Field(
        description="Name of a dataset, or a mapping of the fields below."
    )
    defaults: dict[str, Any] = Field(
        {},
        description="Hyperparameters of every training, unless an axis or a reference "
        "sets them.",
    )
    space: dict[str, Any] = Field(
        {},
        description="The axes of the search: hyperparameters, each with a list of "
        "values or a range `{low: 16, high: 128, step: 16}`. Without step a range "
        "has every integer, or is continuous; `log: true` samples it on a log scale.",
    )
    references: dict[str, dict[str, Any]] = Field(
        {},
        description="Fixed configurations by name, each with the hyperparameters that "
        "differ from defaults. They are trained beside the search, and confirmed.",
    )
    study: StudySpec = Field(StudySpec(), description="How the space is searched.")
    confirm: ConfirmSpec | None = Field(
        None,
        description="How the best configurations are confirmed. null: the suite has "
        "no confirmation.",
    )
    ensemble: EnsembleSpec | None = Field(
        None,
        description="Score means of the confirmed trainings' predictions. null: no "
        "ensembles.",
    )
    published: tuple[Published, ...] = Field(
        (), description="Published figures to show beside the measured ones."
    )
    checkpoint: bool = Field(
        False,
        description="Save each training's state after every epoch; an interrupted "
        "training then continues from there.",
    )
    engine: EngineName = Field(
        "auto",
        description="What computes the recurrent layers: Keras's own (stock), the "
        "packed engine, which computes no padding (packed), or the packed one wherever "
        "it can run (auto).",
    )


def config_from(
    base: Mapping[str, Any], values: Mapping[str, Any], where: str
) -> TrialConfig:
    """Return the configuration of `base` updated by `values`, validated."""
    config = validate(TrialConfig, {**base, **values}, where)
    try:
        check_together(config)
    except SuiteError as error:
        raise SuiteError(f"{where}: {error}") from error
    return config


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for a near miss, else an empty string."""
    # The time of the comparison grows with the square of the length.
    if len(name) > MAX_NAME:
        return ""
    names = [one for one in known[:MAX_COMPARED] if len(one) <= MAX_NAME]
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""


def expected_one_of(known: Mapping[str, Any] | Sequence[str], got: str) -> str:
    """Return the part of a message with the known names and the closest match."""
    names = list(known)
    return (
        f"expected one of {listed(names)}, got {quoted(got)}{did_you_mean(got, names)}"
    )


def validate(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Return `values` as a `model`; raise SuiteError if they are invalid."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise SuiteError(explain(error, model, where)) from error


def explain(
    error: ValidationError,
    model: type[BaseModel],
    where: str,
    beside: Sequence[str] = (),
) -> str:
    """Return one line per problem: where, what was expected, what was found.

    Parameters
    ----------
    beside : sequence of str
        Fields that may stand beside the model's own.
    """
    # Errors of the other type of a union, such as "dataset: name or mapping".
    problems = [
        problem
        for problem in error.errors(include_url=False, include_context=False)
        if problem["loc"][-1:] != ("str",) or problem["type"] == "extra_forbidden"
    ]
    lines: list[str] = []
    listed: set[tuple[str, ...]] = set()
    for problem in problems[:MAX_PROBLEMS]:
        lines.append(_explain_one(problem, model, where, beside))
        if problem["type"] == "extra_forbidden":
            # A part's fields are listed once, however many are unknown.
            part = tuple(map(str, problem["loc"][:-1]))
            if part not in listed:
                known = [*beside, *_fields_at(model, part)]
                lines[-1] += f"; known: {', '.join(known)}"
            listed.add(part)
    n_more = len(problems) - len(lines)
    if n_more:
        lines.append(f"{where}: and {n_more:,} more problems")
    return "\n".join(lines)


# What pydantic says in Python's words.
_EXPECTED = {
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
}


def _explain_one(
    problem: Any, model: type[BaseModel], where: str, beside: Sequence[str]
) -> str:
    parts = [str(p) for p in problem["loc"] if str(p) != "DatasetSpec"]
    location = ": ".join([where, *([".".join(map(shortened, parts))] if parts else [])])
    if problem["type"] == "extra_forbidden":
        guess = did_you_mean(parts[-1], [*beside, *_fields_at(model, parts[:-1])])
        return f"{location}: unknown field{guess}"
    if problem["type"] == "missing":
        return f"{location}: required, but not given"
    expected = problem["msg"].removeprefix("Value error, ")
    expected = _EXPECTED.get(problem["type"], expected[0].lower() + expected[1:])
    got = problem["input"]
    guess = ""
    if problem["type"] == "literal_error" and isinstance(got, str):
        guess = did_you_mean(got, re.findall(r"'([^']+)'", expected))
    return f"{location}: {expected}, got {quoted(got)}{guess}"


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the field names of the part of `model` at `path`."""
    current: type[BaseModel] = model
    for name in path:
        nested: dict[str, type[BaseModel]] = {
            "dataset": DatasetSpec,
            "study": StudySpec,
            "published": Published,
            "confirm": ConfirmSpec,
            "ensemble": EnsembleSpec,
        }
        current = nested.get(name, current)
    return list(current.model_fields)
