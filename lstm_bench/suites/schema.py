"""What a suite file may hold, part by part, and the messages about what it may not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lstm_bench.errors import SuiteError
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.engines import Wanted
from lstm_bench.text import listed, quoted, shortened

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
    """Which dataset, how much of it, and what validates."""

    name: str
    options: dict[str, Any] = {}
    validation: Literal["holdout", "test"] = "holdout"
    validation_fraction: float = Field(0.2, gt=0, le=0.5)
    max_train_samples: int | None = Field(None, ge=4)


class StudySpec(_Part):
    """How the space is searched."""

    metric: str = "accuracy"
    n_trials: int = Field(20, ge=1, le=1_000_000)
    timeout_s: float | None = Field(None, gt=0, le=MAX_SECONDS)
    trial_timeout_s: float | None = Field(
        None,
        gt=0,
        le=MAX_SECONDS,
        description="seconds after which one training is failed",
    )
    trial_memory_gib: float | None = Field(
        None, gt=0, description="of its process, at which one training is failed"
    )
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    n_startup_trials: int = Field(10, ge=1, le=1_000_000)
    pruner: Literal["none", "median", "hyperband"] = "none"
    seed: int = Field(0, ge=0, lt=2**31)


class ConfirmSpec(_Part):
    """How the best configurations are trained again on fresh seeds and tested."""

    n_best: int = Field(
        3, ge=0, le=1000, description="configurations taken from the search"
    )
    n_replicates: int = Field(
        5,
        ge=1,
        le=1000,
        description="fresh seeds, the same for every configuration; a verdict takes "
        "at least three",
    )
    pairs: dict[str, Any] = {}
    margin: float = Field(
        0.01,
        ge=0,
        description="differences of the metric up to so much make no odds in practice",
    )
    families: tuple[Literal["best", "references", "pairs", "baselines"], ...] = (
        "best",
        "references",
        "pairs",
        "baselines",
    )

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(families)) < len(families):
            raise ValueError("expected each family once")
        return families


class Published(_Part):
    """Figures somebody published, shown beside what is measured."""

    label: str
    source: Text
    reference: str
    note: Text = ""
    val_accuracy: tuple[_Accuracy, ...] = ()
    epoch_time_s: tuple[Annotated[float, Field(gt=0)], ...] = ()
    test_accuracy: _Accuracy | None = None


class SuiteFile(_Part):
    """A suite as it stands in YAML."""

    description: Text
    dataset: DatasetSpec | str
    defaults: dict[str, Any] = {}
    space: dict[str, Any] = {}
    references: dict[str, dict[str, Any]] = {}
    study: StudySpec = StudySpec()
    confirm: ConfirmSpec | None = None
    published: tuple[Published, ...] = ()
    checkpoint: bool = False
    engine: Wanted = "auto"


def config_from(
    base: Mapping[str, Any], values: Mapping[str, Any], where: str
) -> TrialConfig:
    """Return the configuration of `base` updated by `values`, checked."""
    return validate(TrialConfig, {**base, **values}, where)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for a near miss, else an empty string."""
    # Its time grows with the square of the length.
    if len(name) > MAX_NAME:
        return ""
    names = [one for one in known[:MAX_COMPARED] if len(one) <= MAX_NAME]
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""


def expected_one_of(known: Mapping[str, Any] | Sequence[str], got: str) -> str:
    """Return the part of a message that lists what is known, and the nearest name."""
    names = list(known)
    return (
        f"expected one of {listed(names)}, got {quoted(got)}{did_you_mean(got, names)}"
    )


def validate(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Return `values` as a `model`; what does not fit is a `SuiteError`."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise SuiteError(explain(error, model, where)) from error


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Return one line per problem: where, what was expected, what came."""
    # Of "dataset: name or mapping" the other arm.
    problems = [
        problem
        for problem in error.errors(include_url=False, include_context=False)
        if problem["loc"][-1:] != ("str",) or problem["type"] == "extra_forbidden"
    ]
    lines = [_explain_one(problem, model, where) for problem in problems[:MAX_PROBLEMS]]
    n_more = len(problems) - len(lines)
    if n_more:
        lines.append(f"{where}: and {n_more:,} more problems")
    return "\n".join(lines)


def _explain_one(problem: Any, model: type[BaseModel], where: str) -> str:
    parts = [str(p) for p in problem["loc"] if str(p) != "DatasetSpec"]
    location = ": ".join([where, *([".".join(map(shortened, parts))] if parts else [])])
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, parts[:-1])
        guess = did_you_mean(parts[-1], known)
        return f"{location}: unknown field{guess}; known: {', '.join(known)}"
    if problem["type"] == "missing":
        return f"{location}: required, but not given"
    expected = problem["msg"].removeprefix("Value error, ")
    expected = expected[0].lower() + expected[1:]
    return f"{location}: {expected}, got {quoted(problem['input'])}"


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the field names of the part of `model` at `path`."""
    current: type[BaseModel] = model
    for name in path:
        nested: dict[str, type[BaseModel]] = {
            "dataset": DatasetSpec,
            "study": StudySpec,
            "published": Published,
            "confirm": ConfirmSpec,
        }
        current = nested.get(name, current)
    return list(current.model_fields)
