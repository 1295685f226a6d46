"""Validate what is read from a tracking store or a trial storage.

A store is shared: users delete tags and log other runs beside the study's, and other
versions write unknown fields. Each kind of run and of artifact has one model here and
one function that reads it. Invalid content raises `StoredError`; a report leaves it
out, counts it and lists it.
"""

from __future__ import annotations

import io
import itertools
import math
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

import numpy as np
import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from lstm_bench.errors import StoredError
from lstm_bench.masking import printable
from lstm_bench.metrics import METRICS
from lstm_bench.suites.config import CONFIG_FIELDS, TrialConfig, config_id_of, former
from lstm_bench.suites.engines import PACKED, STOCK, split_engines
from lstm_bench.system.process import parse_owner
from lstm_bench.tasks import TASKS, TaskName
from lstm_bench.text import count, first_line, quoted
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.results import METRIC_COLUMNS, RUN_NUMBER_COLUMNS
from lstm_bench.training.result import (
    N_FEATURES,
    OBJECTIVE,
    Prediction,
    is_curve_key,
    summary_key,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
    from optuna.trial import FrozenTrial

MIB = 1 << 20
# Most bytes of an artifact; a real one takes a hundredth of it.
LIMITS = {
    rec.SUITE_FILE: MIB,
    rec.ENVIRONMENT: MIB,
    rec.DATASET: 16 * MIB,
    rec.CURVES: 32 * MIB,
    rec.SAMPLES: 32 * MIB,
    rec.ERRORS: 32 * MIB,
    rec.GRADIENTS: 4 * MIB,
    rec.EXPLAINED: 32 * MIB,
    rec.TEST_REVIEWS: 256 * MIB,
    f"{rec.PREDICTIONS}/val.parquet": 256 * MIB,
    f"{rec.PREDICTIONS}/test.parquet": 256 * MIB,
}
MAX_PARQUET_VALUES = 50_000_000
MAX_EPOCHS = 10_000
# Of an explained example: the longest sequence that a configuration can have.
MAX_STEPS = 10_000
# Steps of a series in a sample, and channels of a step; a real one has fewer.
MAX_SHOWN = 256
# The latest Timestamp in nanoseconds: the year 2262.
MAX_TIME_MS = pd.Timestamp.max.value // 1_000_000
MAX_INT = 2**63 - 1
# MLflow's databases store infinity as the largest float.
MAX_METRIC = 1e300
# Tolerance for the sum of a row of probabilities; float32 rounds to 1e-7.
SUM_TOLERANCE = 1e-4
ROUNDING = 1e-9
PARAMS = (
    "seed.root",
    "seed.replicate",
    "dataset_digest",
    "embedding_digest",
    "study.metric",
    "looks",
    rec.PARAM_SUBSET,
)
N_NAMED = 3
MAX_REASON = 400

Whole = Annotated[int, Field(ge=0, le=MAX_INT)]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=100_000)]
Index = Annotated[int, Field(ge=0, le=MAX_INT)]
_Norm = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Step = Annotated[tuple[Finite, ...], Field(min_length=1, max_length=MAX_SHOWN)]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True)
class LeftOut:
    """A run, or an artifact of a run, that could not be read.

    Attributes
    ----------
    part : str
        "run", or the artifact's name; the rest of the run is then used.
    """

    run_id: str
    run_name: str
    part: str
    reason: str


LEFT_OUT_COLUMNS = ("run_id", "run_name", "part", "reason")


def left_out_frame(left_out: Sequence[LeftOut]) -> pd.DataFrame:
    """Return one row each, with columns `LEFT_OUT_COLUMNS`."""
    rows = [
        (one.run_id, _one_line(one.run_name), one.part, _one_line(one.reason))
        for one in left_out
    ]
    return pd.DataFrame(rows, columns=list(LEFT_OUT_COLUMNS), dtype=object)


def describe_left_out(left_out: pd.DataFrame) -> str | None:
    """Return one sentence on what could not be read; None if nothing."""
    if left_out.empty:
        return None
    n_runs = int((left_out["part"] == "run").sum())
    n_files = len(left_out) - n_runs
    counts = [
        count(n, noun) for n, noun in ((n_runs, "run"), (n_files, "artifact")) if n
    ]
    is_one = len(left_out) == 1
    named = [
        ("" if row["part"] == "run" else f"{row['part']} of ")
        + f"run {row['run_id']} ({row['run_name']}): {row['reason']}"
        for row in left_out.head(N_NAMED).to_dict("records")
    ]
    if len(left_out) > N_NAMED:
        named.append(f"and {len(left_out) - N_NAMED} more")
    return (
        f"{' and '.join(counts)} could not be read and {'is' if is_one else 'are'} "
        f"left out: {'; '.join(named)}"
    )


# Runs


class _Stored(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class StoredRun(_Stored):
    """A run of a study, of a command or a training.

    Attributes
    ----------
    start_time, end_time : int
        Milliseconds since 1970.
    """

    run_id: str
    experiment_id: str
    run_name: str
    artifact_uri: str
    status: str
    kind: str = Field(alias=rec.TAG_KIND)
    study: Line = Field(alias=rec.TAG_STUDY)
    suite: Line = Field(alias=rec.TAG_SUITE)
    start_time: Milliseconds
    end_time: Milliseconds | None


class StoredSession(StoredRun):
    """The run of a sweep's or a confirmation's command.

    Attributes
    ----------
    metric : str or None
        Of the suite; None for a confirmation's run.
    looks : str or None
        Numbers of seeds at which a confirmation gives verdicts, ``5, 10, 15``; None for
        one with a fixed number, and for a sweep's run.
    owner : str or None
        The process that wrote it, as stored; see `parse_owner`.
    """

    metric: str | None = Field(None, alias="study.metric")
    looks: Line | None = Field(None, alias="looks")
    owner: str | None = Field(None, alias=rec.TAG_OWNER)


class StoredFit(StoredRun):
    """The run of a training or of a baseline.

    Attributes
    ----------
    n_subset : int or None
        Number of training examples, of a subset; None: all.
    metrics : dict of str to float
        Metrics that a table may show, by MLflow's key; finite and within their bounds.
    """

    state: str = Field(alias=rec.TAG_STATE)
    replicate: Whole = Field(alias="seed.replicate")
    tagged_replicate: Whole | None = Field(None, alias=rec.TAG_REPLICATE)
    test_scored: str = Field("false", alias=rec.TAG_TEST_SCORED)
    dataset_digest: str | None = None
    embedding_digest: str | None = None
    n_subset: Whole | None = None
    failure: str | None = Field(None, alias=rec.TAG_FAILURE)
    metrics: dict[str, float]

    @model_validator(mode="after")
    def _is_of_one_replicate(self) -> Self:
        if self.tagged_replicate not in (None, self.replicate):
            raise ValueError(
                f"tag {rec.TAG_REPLICATE} is {self.tagged_replicate}, parameter "
                f"seed.replicate {self.replicate}; expected the same"
            )
        is_subset = self.kind in (rec.SUBSET, rec.SUBSET_BASELINE)
        if is_subset and self.n_subset is None:
            raise ValueError(
                f"parameter {rec.PARAM_SUBSET}: a {self.kind} has it, but it is gone"
            )
        return self


class StoredBaseline(StoredFit):
    """The run of a baseline; with state "skipped" it was not fitted."""

    state: Literal["running", "complete", "failed", "interrupted", "skipped"] = Field(
        alias=rec.TAG_STATE
    )
    baseline: Line = Field(alias=rec.TAG_BASELINE)
    label: Line = Field(alias=rec.TAG_LABEL)


class StoredTraining(StoredFit):
    """The run of a training; its kind determines which tags are required."""

    state: Literal["running", "complete", "pruned", "failed", "interrupted"] = Field(
        alias=rec.TAG_STATE
    )
    config: TrialConfig
    config_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")] = Field(
        alias=rec.TAG_CONFIG_ID
    )
    seed: Annotated[int, Field(ge=-MAX_INT, le=MAX_INT)] = Field(alias="seed.root")
    trial: Whole | None = Field(None, alias=rec.TAG_TRIAL)
    reference: Line | None = Field(None, alias=rec.TAG_REFERENCE)
    label: Line | None = Field(None, alias=rec.TAG_LABEL)
    origin: Literal["search", "reference", "pair"] | None = Field(
        None, alias=rec.TAG_ORIGIN
    )
    engine: Line = Field(STOCK, alias=rec.TAG_ENGINE)
    model: Line | None = Field(None, alias=rec.TAG_MODEL)
    curve_keys: tuple[str, ...]

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needed: dict[str, dict[str, Any]] = {
            "trial": {rec.TAG_TRIAL: self.trial},
            "reference": {rec.TAG_REFERENCE: self.reference},
            "replicate": {rec.TAG_LABEL: self.label, rec.TAG_ORIGIN: self.origin},
            rec.SUBSET: {rec.TAG_LABEL: self.label},
        }
        missing = [t for t, value in needed.get(self.kind, {}).items() if value is None]
        if missing:
            raise ValueError(
                f"{missing[0]}: a {self.kind} needs it, but it is not there"
            )
        unknown = set(split_engines(self.engine)) - {STOCK, PACKED}
        if unknown:
            raise ValueError(
                f"{rec.TAG_ENGINE}: expected {STOCK}, {PACKED} or both, got "
                f"{quoted(self.engine)}"
            )
        if self.state == "complete" and OBJECTIVE not in self.metrics:
            raise ValueError(
                f"metric {OBJECTIVE}: a complete training has it, but it is not there"
            )
        return self


_MODELS: dict[str, type[StoredRun]] = {
    **dict.fromkeys(("sweep", "confirm"), StoredSession),
    **dict.fromkeys(
        ("trial", "reference", "replicate", rec.SUBSET, "train"), StoredTraining
    ),
    **dict.fromkeys(("baseline", rec.SUBSET_BASELINE), StoredBaseline),
    # Not a result: nothing is scored.
    "refit": StoredRun,
}


def parse_run(run: Run) -> StoredRun:
    """Validate MLflow's `run`; raise StoredError if this program did not log it.

    Unknown parameters are ignored: users log their own.
    """
    tags, params, info = run.data.tags, run.data.params, run.info
    model = _MODELS.get(tags.get(rec.TAG_KIND, ""))
    if model is None:
        got = tags.get(rec.TAG_KIND)
        raise StoredError(
            f"{rec.TAG_KIND}: expected one of {', '.join(rec.KINDS)}, "
            + ("but it is not there" if got is None else f"got {quoted(got)}")
        )
    values: dict[str, Any] = {
        **{key: value for key, value in tags.items() if key not in PARAMS},
        **{key: params[key] for key in PARAMS if key in params},
        "run_id": info.run_id,
        "experiment_id": str(info.experiment_id),
        "run_name": info.run_name or "",
        "artifact_uri": str(info.artifact_uri),
        "status": info.status,
        "start_time": info.start_time,
        "end_time": info.end_time,
    }
    if issubclass(model, StoredFit):
        values["metrics"] = _metrics(run.data.metrics)
    if issubclass(model, StoredTraining):
        values["curve_keys"] = tuple(filter(is_curve_key, run.data.metrics))
        values["config"] = _config(params, tags.get(rec.TAG_CONFIG_ID))
    return _validated(lambda: model.model_validate(values))


def parse_runs(runs: Iterable[Run]) -> tuple[list[StoredRun], list[LeftOut]]:
    """Return the valid runs, and those that are left out."""
    known, left_out = [], []
    for run in runs:
        try:
            known.append(parse_run(run))
        except StoredError as error:
            left_out.append(left_out_run(run, error))
    return known, left_out


def left_out_run(run: Run, error: StoredError) -> LeftOut:
    """Return the entry for a `run` that `parse_run` has refused."""
    return LeftOut(run.info.run_id, run.info.run_name or "", "run", str(error))


def _metrics(metrics: dict[str, float]) -> dict[str, float]:
    found = {}
    for key in (*RUN_NUMBER_COLUMNS, *METRIC_COLUMNS, N_FEATURES):
        value = metrics.get(summary_key(key))
        # NaN: a metric that these examples have no value of.
        if value is None or math.isnan(value):
            continue
        low, high = _bounds(key)
        if not low - ROUNDING <= value <= high + ROUNDING:
            raise StoredError(
                f"metric {summary_key(key)}: expected "
                + (f"{low:g} to {high:g}" if high < MAX_METRIC else "a finite number")
                + f", got {value!r}"
            )
        found[key] = value
    return found


def _bounds(key: str) -> tuple[float, float]:
    """Return the lowest and the highest value of a run's metric."""
    if key == OBJECTIVE:
        return -MAX_METRIC, MAX_METRIC
    metric = next((m for m in METRICS.values() if key.endswith(f"_{m.name}")), None)
    low, high = (0.0, math.inf) if metric is None else metric.bounds
    return max(low, -MAX_METRIC), min(high, MAX_METRIC)


def _config(params: dict[str, str], config_id: str | None) -> TrialConfig:
    stored = {
        key: None if value == "None" else value
        for key, value in params.items()
        if key in CONFIG_FIELDS
    }
    missing = [name for name in CONFIG_FIELDS if name not in stored]
    values = stored | {name: former(name) for name in missing}
    config = _validated(lambda: TrialConfig.model_validate(values))
    # A version from before a hyperparameter existed left it out of the id; if the id
    # does not match, the parameter was lost.
    known = {key: value for key, value in config.model_dump().items() if key in stored}
    if missing and config_id_of(known) != config_id:
        raise StoredError(f"parameter {missing[0]}: a training has it, but it is gone")
    return config


# Trials


class _Trial(_Stored):
    """The attributes of a trial in Optuna; each of them may be absent."""

    config_id: Line | None = None
    duplicate_of: str | None = None


class _Lease(_Stored):
    owner: Annotated[list[Any], BeforeValidator(parse_owner)]
    host: Line
    command: Line
    began: Finite
    renewed: Finite


class _StudyAttributes(_Stored):
    dataset_digest: Line | None = None
    lease: _Lease | None = None


def check_trial(trial: FrozenTrial) -> None:
    """Raise StoredError unless this program wrote the trial."""
    has = _validated(lambda: _Trial.model_validate(trial.user_attrs))
    if trial.state.name != "COMPLETE" or has.duplicate_of is not None:
        return
    if has.config_id is None:
        raise StoredError("config_id: needed, but it is not there")
    if not all(map(math.isfinite, trial.values or [math.nan])):
        raise StoredError(f"value: expected a finite number, got {trial.values}")


def check_study_attributes(attributes: Mapping[str, Any]) -> None:
    """Raise StoredError unless this program wrote the study's attributes."""
    _validated(lambda: _StudyAttributes.model_validate(attributes))


# Artifacts


class _Point(_Stored):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    epoch: Annotated[int, Field(ge=1, le=MAX_EPOCHS)]


class _Curves(_Stored):
    epochs: Annotated[list[_Point], Field(max_length=MAX_EPOCHS)]

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        numbers = [point.epoch for point in self.epochs]
        if any(a >= b for a, b in itertools.pairwise(numbers)):
            raise ValueError("expected epochs in order, each once")
        for point in self.epochs:
            for key, value in (point.__pydantic_extra__ or {}).items():
                # NaN and null: not measured.
                if value is not None and abs(value) > MAX_METRIC:
                    raise ValueError(
                        f"{quoted(key)} of epoch {point.epoch}: expected a finite "
                        f"number, got {value!r}"
                    )
        return self


class _Sample(_Stored):
    index: Index
    text: Text
    y_true: Index
    y_proba: list[Share]
    values: Annotated[tuple[_Step, ...], Field(max_length=MAX_SHOWN)] | None = None

    @model_validator(mode="after")
    def _has_equal_steps(self) -> Self:
        if self.values is not None and len({len(step) for step in self.values}) != 1:
            raise ValueError("values: expected the same channels at each step")
        return self


class Shown(_Stored):
    """Examples with the probability of each class; none where there are no classes."""

    class_names: list[Line]
    samples: list[_Sample]

    @model_validator(mode="after")
    def _has_its_classes(self) -> Self:
        n = len(self.class_names)
        for i, sample in enumerate(self.samples):
            if sample.y_true >= n or len(sample.y_proba) != n:
                raise ValueError(
                    f"samples.{i}: expected a class and probabilities of {n} classes, "
                    f"got class {sample.y_true} and {len(sample.y_proba)} probabilities"
                )
        if len({len(s.values[0]) for s in self.samples if s.values}) > 1:
            raise ValueError("samples: expected values of the same channels")
        return self


class _Gradients(_Stored):
    before: list[_Norm]
    after: list[_Norm]


class ExplainedSample(_Stored):
    """A sample, explained by the run's model; see `explain_samples`."""

    index: Index
    y_true: Index
    target: Index
    turn: Index | None
    steps: Annotated[list[Text], Field(min_length=1, max_length=MAX_STEPS)]
    is_word: list[bool]
    p: list[Share]
    values: list[Finite]

    @model_validator(mode="after")
    def _has_all_by_step(self) -> Self:
        n = len(self.steps)
        if any(len(part) != n for part in (self.is_word, self.p, self.values)):
            raise ValueError(f"expected is_word, p and values of {n} steps")
        if self.turn is not None and self.turn >= n:
            raise ValueError(f"turn: expected one of {n} steps, got {self.turn}")
        return self


class _Explained(_Stored):
    samples: list[ExplainedSample]


class _Part(_Stored):
    model_config = ConfigDict(extra="allow")

    n: Whole
    n_copies: Whole = 0
    classes: dict[Line, Whole] = {}
    targets: dict[Line, dict[Line, Finite]] = {}
    length_mean: Finite | None = None
    length_quantiles: dict[str, Finite] = {}


class _Finding(_Stored):
    level: Literal["error", "warning"]
    name: Line
    n: Whole
    example: Text
    advice: Text
    text: Text


class _Reason(_Stored):
    n: Whole
    example: Text = ""


class _Coverage(_Stored):
    vocabulary_size: Whole
    n_words: Whole
    n_words_found: Whole
    n_tokens: Whole
    n_tokens_found: Whole


class _EmbeddingFile(_Stored):
    name: Line
    digest: Line
    dim: Whole
    n_words: Whole
    coverage: list[_Coverage]


class _Rows(_Stored):
    n_read: Whole = 0
    n_dropped: Whole = 0
    reasons: dict[Text, _Reason] = {}


class _WindowsOf(_Stored):
    n: Whole
    first_origin: Line
    last_origin: Line
    n_without_targets: Whole
    n_without_inputs: Whole


class _TestWindows(_Stored):
    series: list[Text]
    position: list[Whole]
    origin: list[Line]
    scale: list[Finite]

    @model_validator(mode="after")
    def _has_equal_lengths(self) -> Self:
        n = len(self.series)
        if not n == len(self.position) == len(self.origin) == len(self.scale) or not n:
            raise ValueError("test: expected equally long lists that are not empty")
        return self


class _SeriesEnd(_Stored):
    name: Text
    first: Whole
    values: list[Finite | None]
    times: list[Line]


class _Forecast(_Stored):
    window: Whole
    horizon: Whole
    season: Whole
    step: Whole
    refit: bool = False
    n_series: Whole
    n_values: Whole
    n_missing: Whole
    series_with_missing: Whole
    left_out: dict[Text, Text]
    parts: dict[Literal["train", "validation", "test"], _WindowsOf]
    test: _TestWindows
    shown: list[_SeriesEnd]
    noise_floor: list[Finite] | None = None


class _Dataset(_Stored):
    model_config = ConfigDict(extra="allow")

    name: Line
    digest: Line
    task: TaskName = "classification"
    class_names: list[Line]
    output_names: list[Line] = []
    description: Text = ""
    source: Text = ""
    synthetic: bool = False
    vocabulary_words: Whole = 0
    best_possible_accuracy: Share | None = None
    notes: list[Text] = []
    n_test_in_train: Whole = 0
    n_val_in_used_train: Whole = 0
    n_test_in_used_train: Whole = 0
    train: _Part = _Part(n=0)
    test: _Part = _Part(n=0)
    n_used_train: Whole = 0
    n_used_val: Whole = 0
    validation: Literal["holdout", "test"] = "holdout"
    given_validation: _Part | None = None
    code_digest: Line = ""
    example: Line = "example"
    kind: Literal["tokens", "vectors"] = "tokens"
    tokenizer: Line | None = None
    channels: list[Text] = []
    rows: _Rows = _Rows()
    check: list[_Finding] = []
    division: Text = ""
    embedding: _EmbeddingFile | None = None
    forecast: _Forecast | None = None

    @model_validator(mode="after")
    def _has_distinct_targets(self) -> Self:
        names, least = self.class_names, 2
        if TASKS[self.task].is_numeric:
            names, least = self.output_names, 1
        if len(names) < least or len(set(names)) < len(names):
            raise ValueError(
                f"class_names, output_names: expected {least} or more, each once, "
                f"got {quoted(names)}"
            )
        return self


class _Environment(_Stored):
    model_config = ConfigDict(extra="allow")

    lstm_bench: Line | None = None
    python: Line | None = None
    packages: dict[str, str] = {}
    os: Line | None = None
    cpu_model: Line | None = None
    n_cores: Whole | None = None
    n_threads: Whole | None = None
    memory_gib: Finite | None = None
    git_commit: Line | None = None
    git_dirty: bool | None = None
    code_digest: Line | None = None
    suite_committed: bool | None = None
    settings: dict[str, str] = {}


def parse_curves(content: bytes) -> list[dict[str, float]]:
    """Return a training's epochs in order, NaN where nothing was measured."""
    return _epochs(_json(_Curves, content))


def check_epochs(epochs: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Validate `epochs`, rebuilt from a run's metrics, as ``curves.json`` is."""
    return _epochs(_validated(lambda: _Curves.model_validate({"epochs": epochs})))


def _epochs(curves: _Curves) -> list[dict[str, float]]:
    return [
        {
            "epoch": point.epoch,
            **{
                key: float("nan") if value is None else value
                for key, value in (point.__pydantic_extra__ or {}).items()
            },
        }
        for point in curves.epochs
    ]


def parse_shown(content: bytes, n_classes: int | None) -> Shown:
    """Return the examples of ``samples.json`` or ``errors.json``.

    Parameters
    ----------
    n_classes : int or None
        Of the dataset; None if unknown.
    """
    found = _json(Shown, content)
    if n_classes not in (None, len(found.class_names)):
        raise StoredError(
            f"class_names: expected {n_classes} classes, "
            f"got {quoted(found.class_names)}"
        )
    return found


def parse_gradients(content: bytes) -> dict[str, list[float]]:
    """Return the norms of gradients "before" and "after" training."""
    found = _json(_Gradients, content)
    return {"before": found.before, "after": found.after}


def data_identities(runs: Iterable[StoredRun]) -> set[str]:
    """Return the `short_identity` of all data that runs were trained on."""
    return {
        "+".join(filter(None, (run.dataset_digest, run.embedding_digest)))
        for run in runs
        if isinstance(run, StoredFit) and run.dataset_digest is not None
    }


def parse_explained(content: bytes, n_classes: int | None) -> list[ExplainedSample]:
    """Return the samples of ``explained.json``.

    Parameters
    ----------
    n_classes : int or None
        Of the dataset; None if unknown.
    """
    found = _json(_Explained, content).samples
    for i, sample in enumerate(found):
        if n_classes is not None and max(sample.y_true, sample.target) >= n_classes:
            raise StoredError(f"samples.{i}: expected classes below {n_classes}")
    return found


def parse_dataset(content: bytes) -> dict[str, Any]:
    """Return the known fields of a description of the data."""
    return _json(_Dataset, content).model_dump(exclude_unset=True)


def parse_environment(content: bytes) -> dict[str, Any]:
    """Return a description of machine and versions."""
    return _json(_Environment, content).model_dump(exclude_unset=True)


def parse_text(content: bytes) -> str:
    """Return a logged suite's text."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StoredError(f"expected UTF-8, but byte {error.start} is not") from error


def parse_predictions(split: str, content: bytes, n_classes: int | None) -> Prediction:
    """Return the probabilities, or the numbers, of one split's examples.

    Parameters
    ----------
    n_classes : int or None
        Of the dataset; None if unknown or for numbers.
    """
    columns = _parquet(content)
    if n_classes is None and any(name.startswith(NUMBERS[1]) for name in columns):
        return _parse_numbers(split, columns)
    names = [name for name in columns if name.startswith("p_")]
    if len(names) < 2 or n_classes not in (None, len(names)):
        raise StoredError(
            f"expected a column p_<class> for each of {n_classes or 'two or more'} "
            f"classes, got {quoted(list(columns))}"
        )
    index, y_true = (
        _column(columns, name, "whole numbers") for name in ("index", "y_true")
    )
    y_proba = np.column_stack([_column(columns, name, "numbers") for name in names])
    _check_index(index)
    if y_true.min() < 0 or y_true.max() >= len(names):
        raise StoredError(f"y_true: expected classes 0 to {len(names) - 1}")
    if not np.isfinite(y_proba).all() or y_proba.min() < 0 or y_proba.max() > 1:
        raise StoredError("p_<class>: expected probabilities from 0 to 1")
    if np.abs(y_proba.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise StoredError("p_<class>: expected rows that sum to 1")
    return Prediction(
        split,
        index.astype(np.int64),
        y_true.astype(np.int64),
        y_proba.astype(np.float64),
    )


NUMBERS = ("true_", "pred_")
"""Beginnings of the columns with each output's numbers: true, and predicted."""


def _parse_numbers(split: str, columns: dict[str, Any]) -> Prediction:
    scale = origin = None
    if set(rec.OF_WINDOWS) <= set(columns):
        scale = _column(columns, "scale", "numbers").astype(np.float64)
        origin = _column(columns, "origin", "whole numbers").astype(np.int64)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise StoredError("scale: expected finite numbers above 0")
        columns = {
            n: values for n, values in columns.items() if n not in rec.OF_WINDOWS
        }
    outputs = [name.removeprefix(NUMBERS[0]) for name in columns][1:]
    outputs = outputs[: len(outputs) // 2]
    expected = ["index", *(f"{begin}{name}" for begin in NUMBERS for name in outputs)]
    if list(columns) != expected:
        raise StoredError(
            "expected columns index, true_<output> and pred_<output> of each output, "
            f"got {quoted(list(columns))}"
        )
    index = _column(columns, "index", "whole numbers")
    _check_index(index)
    y_true, y_pred = (
        np.column_stack(
            [_column(columns, f"{begin}{name}", "numbers") for name in outputs]
        ).astype(np.float64)
        for begin in NUMBERS
    )
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        raise StoredError("true_<output>, pred_<output>: expected finite numbers")
    return Prediction(split, index.astype(np.int64), y_true, y_pred, scale, origin)


def _check_index(index: Any) -> None:
    if not len(index):
        raise StoredError("expected a row per example, got none")
    if index.min() < 0 or len(np.unique(index)) < len(index):
        raise StoredError("index: expected each example once")


def parse_test_reviews(content: bytes, n_at_least: int) -> pd.DataFrame:
    """Return ``length`` and ``in_train`` by index of the test set.

    Parameters
    ----------
    n_at_least : int
        Number of predicted examples.
    """
    columns = _parquet(content)
    length = _column(columns, "length", "whole numbers")
    in_train = _column(columns, "in_train", "true or false")
    if len(length) and length.min() < 0:
        raise StoredError("length: expected numbers of tokens or steps")
    if len(length) < n_at_least:
        raise StoredError(
            f"expected a row for each of {n_at_least:,} examples, got {len(length):,}"
        )
    return pd.DataFrame({"length": length.astype(np.int64), "in_train": in_train})


def _parquet(content: bytes) -> dict[str, Any]:
    """Return the columns of a parquet file by name, as Arrow holds them."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        n_values = file.metadata.num_rows * file.metadata.num_columns
        if n_values > MAX_PARQUET_VALUES:
            raise StoredError(
                f"expected at most {MAX_PARQUET_VALUES:,} values, got {n_values:,}"
            )
        # Not with pandas, which would also read its own metadata from the file.
        table = file.read()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise StoredError(f"expected a parquet file ({first_line(error)})") from error
    return dict(zip(table.column_names, table.columns, strict=True))


def _column(columns: dict[str, Any], name: str, expected: str) -> Any:
    """Return a column of integers, floats or booleans as an array."""
    from pyarrow import types

    is_type = {
        "whole numbers": types.is_integer,
        "numbers": types.is_floating,
        "true or false": types.is_boolean,
    }[expected]
    column = columns.get(name)
    if column is None:
        raise StoredError(f"expected a column {name}, got {quoted(list(columns))}")
    if column.null_count or not is_type(column.type):
        what = "missing values" if column.null_count else column.type
        raise StoredError(f"{name}: expected {expected}, got {what}")
    return column.to_numpy()


def check_size(name: str, n_bytes: int) -> None:
    """Raise StoredError if an artifact exceeds its size limit."""
    limit = LIMITS[name]
    if n_bytes > limit:
        raise StoredError(f"expected at most {limit:,} bytes, got {n_bytes:,}")


def read_artifact_file(folder: Path, name: str) -> bytes | None:
    """Return the artifact `name` of a run's `folder`; None if it is not there.

    Raises
    ------
    StoredError
        It is a link or below one, is not a file, is too large or cannot be read.
    """
    file = folder / name
    for path in (file, *file.parents):
        # The folder itself may be a link: its owner chooses where the store is.
        if path == folder:
            break
        if path.is_symlink():
            raise StoredError("expected a file in the run's own folder, got a link")
    try:
        status = file.stat()
        # Opening a pipe without a writer would block.
        if not stat.S_ISREG(status.st_mode):
            raise StoredError("expected a file, got something else of that name")
        check_size(name, status.st_size)
        with file.open("rb") as stream:
            return stream.read(LIMITS[name])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoredError(f"cannot be read: {error.strerror}") from error


def _one_line(text: str) -> str:
    """Return the beginning of `text` on one line, control characters escaped."""
    return " ".join(printable(text[:MAX_REASON]).split())


def _json(model: type[M], content: bytes) -> M:
    return _validated(lambda: model.model_validate_json(content))


def _validated(validate: Callable[[], T]) -> T:
    """Return the result of `validate`; raise StoredError with its first problem."""
    try:
        return validate()
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "missing":
            raise StoredError(f"{where}: needed, but it is not there") from error
        expected = problem["msg"].removeprefix("Value error, ")
        expected = f"{expected[0].lower()}{expected[1:]}"[:300]
        got = problem["input"]
        # The message of a rule about the whole object includes the value.
        is_short = isinstance(got, str | int | float | None) and where
        raise StoredError(
            (f"{where[:100]}: " if where else "")
            + expected
            + (f", got {quoted(got)}" if is_short else "")
        ) from error
