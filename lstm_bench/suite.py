"""Suites: the YAML files that say what a study compares."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lstm_bench.data.dataset import Sizes
from lstm_bench.data.registry import dataset_names, dataset_options, known_sizes
from lstm_bench.data.splits import split_sizes
from lstm_bench.engines import Wanted
from lstm_bench.errors import SuiteError
from lstm_bench.heads import HEADS
from lstm_bench.masking import UNPRINTED
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.space import (
    CONFIG_FIELDS,
    MIN_RELATIVE_STEP,
    SIGNIFICANT_DIGITS,
    Axis,
    CategoricalAxis,
    FloatAxis,
    IntAxis,
    SearchSpace,
    TrialConfig,
    Value,
    canonical,
    short_text,
)
from lstm_bench.text import listed, quoted, shortened

SUITE_FOLDER = Path("benchmarks")
# What MLflow, Optuna and every file system take in a file's name.
FILE_NAME = re.compile(r"\w[\w. -]*", re.ASCII)
MAX_NAME = 80
# `lstm_bench.baselines` stands above this module; a test holds the two together.
BASELINE_NAMES = ("majority", "tfidf_lr", "nb_lr")
# What trials, references, pairs and baselines are called in reports and by `compare`.
_OWN_NAMES = re.compile(
    rf"(trial|run) *\d.*|(reference|baseline)\b.*|{'|'.join(BASELINE_NAMES)}|published"
    # A confirmed pair, and a study in a store.
    rf"|.* with ({'|'.join(CONFIG_FIELDS)}) .*|.*-(?=\d*[a-f])[0-9a-f]{{8}}",
    re.IGNORECASE,
)
MAX_TEXT = 10_000
MAX_PROBLEMS = 5
MAX_COMPARED = 1000
MAX_SECONDS = 1e9
MAX_GRID = 100_000
# The longest suite here has 2 kB, 60 values and 4 levels. A suite may come from
# somebody else's repository or store.
MAX_SUITE_BYTES = 1 << 20
# Of every value, aliases followed: twice what a text without any can hold, and more.
MAX_CHARACTERS = 1 << 22
MAX_DEPTH = 20
MAX_INT_LENGTH = 40

# Of `study:`, what bounds a search without changing what it finds.
MACHINE_FIELDS = {"n_trials", "timeout_s", "trial_timeout_s", "trial_memory_gib"}

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


class _SuiteFile(_Part):
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


class Suite:
    """A validated suite.

    Attributes
    ----------
    name : str
        The file's stem.
    text : str
        The file as it was read, logged with every sweep.
    path : str
        Where a command finds the file: as it was given, or in benchmarks/.
    defaults : TrialConfig
    space : SearchSpace
    references : dict of str to TrialConfig
    dataset, study, confirm, published
        As in the file; confirm is None where the suite declares no round.
    checkpoint : bool
        Whether trainings keep their state after each epoch, to go on from there.
    engine : {"auto", "stock", "packed"}
        What computes the LSTMs.
    sizes : Sizes or None
        Of the data, as far as they are known without reading them.
    pairs : dict of str to tuple
        The values of each hyperparameter that confirmation flips.
    """

    def __init__(
        self, name: str, text: str, where: str, path: str | None = None
    ) -> None:
        check_name(name, where)
        self.name = name
        self.text = text
        self.path = path or str(SUITE_FOLDER / f"{name}.yaml")
        raw = _parse_yaml(text, where)
        file = _validate(_SuiteFile, raw, where)
        dataset = file.dataset
        if isinstance(dataset, str):
            dataset = DatasetSpec(name=dataset)
        self.description = file.description
        self.dataset = _check_dataset(dataset, where)
        self.study = file.study
        self.published = file.published
        self.checkpoint = file.checkpoint
        self.engine = file.engine
        if self.study.metric not in METRICS:
            raise SuiteError(
                f"{where}: study.metric: "
                + _expected_one_of(METRICS, self.study.metric)
            )
        self.defaults = config_from({}, file.defaults, f"{where}: defaults")
        base = self.defaults.model_dump()
        self.space = SearchSpace(
            {
                field: _parse_axis(field, value, base, f"{where}: space")
                for field, value in file.space.items()
            }
        )
        for label in file.references:
            check_name(label, f"{where}: references")
        self.references = {
            label: config_from(base, values, f"{where}: references.{label}")
            for label, values in file.references.items()
        }
        self.confirm = file.confirm
        self.pairs = {
            field: _parse_pair(field, values, base, f"{where}: confirm.pairs")
            for field, values in (file.confirm.pairs if file.confirm else {}).items()
        }
        if not self.space.axes and not self.references:
            raise SuiteError(
                f"{where}: space: expected at least one axis, got none; name an axis "
                "(for example units: [32, 64]) or give fixed configurations under "
                "references"
            )
        if self.confirm and not self.confirm.n_best and not self.references:
            raise SuiteError(
                f"{where}: confirm.n_best: expected at least 1 where the suite has no "
                "references, got 0: nothing would be confirmed"
            )
        n = self.space.n_configurations
        if self.study.sampler == "grid" and (n is None or n > MAX_GRID):
            many = "no end of configurations" if n is None else f"{n:,} configurations"
            raise SuiteError(
                f"{where}: study.sampler: grid needs a finite space of at most "
                f"{MAX_GRID:,} configurations, got {many}; give every float axis a "
                "step, or use sampler: tpe"
            )
        for entry in self.published:
            check_name(entry.label, f"{where}: published.label")
            if entry.reference not in self.references:
                raise SuiteError(
                    f"{where}: published.reference: "
                    + _expected_one_of(self.references, entry.reference)
                )

        self.sizes = known_sizes(self.dataset.name, self.dataset.options)
        if self.sizes is not None:
            self.check_sizes(self.sizes, where)

    def check_sizes(
        self, sizes: Sizes, where: str, config: TrialConfig | None = None
    ) -> None:
        """Raise SuiteError if some training could not be done on so much data.

        Called when the suite is loaded, with what is known without the data, and again
        when they are there.

        Parameters
        ----------
        config : TrialConfig or None
            A configuration to train; None for every one that the suite can give.
        """
        heads = self._values_of("head") if config is None else [("head", config.head)]
        for place, head in heads:
            try:
                HEADS[head].n_units(sizes.n_classes)
            except SuiteError as error:
                raise SuiteError(f"{where}: {place}: {error}") from error
        if sizes.n_train is None:
            return
        spec = self.dataset
        on_test = spec.validation == "test"
        n_train, n_val = split_sizes(
            sizes.n_train, spec.validation_fraction, spec.max_train_samples, on_test
        )
        if min(n_train, n_train if on_test else n_val) < sizes.n_classes:
            raise SuiteError(
                f"{where}: dataset: expected at least one example of each of "
                f"{sizes.n_classes} classes to train on and to validate on, got "
                f"{n_train:,} and {n_val:,} of {sizes.n_train:,}; raise "
                f"validation_fraction ({spec.validation_fraction:g}) or the number of "
                "training examples"
            )

    def _values_of(self, field: str) -> list[tuple[str, Any]]:
        """Return each value of `field` that a training may get, and where it stands."""
        values: list[tuple[str, Any]] = []
        if field in self.space.axes:
            ends = self.space.axes[field].endpoints
            values += [(f"space.{field}", value) for value in ends]
        elif len(self.space):
            values.append((f"defaults.{field}", getattr(self.defaults, field)))
        for label, config in self.references.items():
            values.append((f"references.{label}", getattr(config, field)))
        pair = self.pairs.get(field, ())
        return [*values, *((f"confirm.pairs.{field}", value) for value in pair)]

    @property
    def metric(self) -> Metric:
        """The objective, computed on validation probabilities."""
        return METRICS[self.study.metric]

    @property
    def study_name(self) -> str:
        """Name of the study: suite name and a hash of what changes its results.

        The number of trials, timeouts and the memory limit, the confirmation round,
        the description, published figures, checkpoints and the engine are left out: a
        study can go on with more trials or on a larger machine, and what a search
        found can be confirmed in more than one way. Engines differ by the rounding of
        float32, as two processors do: over many steps it grows, and a run is as
        another seed's, not another model's. Each run is tagged with its engine.
        """
        what = {
            "dataset": self.dataset.model_dump(),
            "defaults": self.defaults.model_dump(),
            "space": {name: repr(axis) for name, axis in self.space},
            "references": {k: v.model_dump() for k, v in self.references.items()},
            "study": self.study.model_dump(exclude=MACHINE_FIELDS),
        }
        canonical = json.dumps(what, sort_keys=True, separators=(",", ":"))
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"

    def search_text(self, n_trials: int) -> str:
        """Return how `n_trials` trials are chosen: ``by TPE``."""
        study = self.study
        if study.sampler == "tpe" and n_trials <= study.n_startup_trials:
            return (
                "all at random: TPE learns after n_startup_trials = "
                f"{study.n_startup_trials}"
            )
        return {"tpe": "by TPE", "random": "at random", "grid": "on the grid"}[
            study.sampler
        ]

    def settings_text(self, config: TrialConfig) -> str:
        """Return what sets `config` apart within this suite: ``units=64 head=...``."""
        return " ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self._settings(config)
        )

    def short_text(self, config: TrialConfig) -> str:
        """Return the same in words, as in a run's name: ``64 units · sigmoid``."""
        return " · ".join(short_text(*setting) for setting in self._settings(config))

    def _settings(self, config: TrialConfig) -> list[tuple[str, Value]]:
        """Return the fields of the axes, and others that are not at their default."""
        axes = [name for name, _ in self.space]
        names = axes + [
            name
            for name in CONFIG_FIELDS
            if name not in axes
            and getattr(config, name) != getattr(self.defaults, name)
        ]
        return [(name, getattr(config, name)) for name in names]

    def with_overrides(self, assignments: Sequence[str]) -> TrialConfig:
        """Return the defaults with ``field=value`` assignments applied.

        Values are read as YAML, as they would be in the suite.
        """
        values: dict[str, Any] = {}
        for assignment in assignments:
            field, sign, value = assignment.partition("=")
            if not sign:
                raise SuiteError(
                    f"--set: expected field=value, got {quoted(assignment)}; "
                    "for example --set units=64"
                )
            try:
                values[field.strip()] = _safe_yaml(value)
            except yaml.YAMLError as error:
                raise SuiteError(
                    f"--set {shortened(field)}: expected a value, got {quoted(value)}"
                ) from error
        config = config_from(self.defaults.model_dump(), values, "--set")
        if self.sizes is not None:
            self.check_sizes(self.sizes, "--set", config)
        return config


def load_suite(path: str | Path) -> Suite:
    """Read and validate the suite at `path`.

    A bare name such as ``imdb`` stands for ``benchmarks/imdb.yaml`` below the
    working directory.

    Raises
    ------
    SuiteError
        No such file, or not a valid suite; names file, field, what was expected
        and what came.
    """
    file = Path(path)
    if not file.is_file() and file.name == str(path) and not file.suffix:
        file = SUITE_FOLDER / f"{path}.yaml"
    if not file.is_file():
        known = [p.stem for p in suite_files()]
        guess = did_you_mean(Path(path).stem, known)
        listing = f"; suites here: {listed(known)}" if known else ""
        where = f", nor {file} below the working directory" if not listing else ""
        raise SuiteError(
            f"{shortened(str(path))}: no such suite file{shortened(where)}{guess}"
            f"{listing}"
        )
    if not FILE_NAME.fullmatch(file.stem):
        raise SuiteError(
            f"{shortened(str(file))}: expected a file name of letters, digits, spaces "
            f"and . _ - (it becomes the study's name), got {quoted(file.stem)}; rename "
            "the file"
        )
    try:
        with file.open("rb") as stream:
            # One byte more, which tells a file that is too large.
            text = stream.read(MAX_SUITE_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(
            f"{shortened(str(file), 200)}: cannot be read as UTF-8 text "
            f"({shortened(str(error))})"
        ) from error
    return Suite(file.stem, text, shortened(str(file), 200), str(file))


def suite_from_text(name: str, text: str) -> Suite:
    """Rebuild a suite from the text that was logged with a sweep."""
    return Suite(name, text, f"{shortened(name)}.yaml as logged")


def suite_files() -> list[Path]:
    """Return the suite files below the working directory's ``benchmarks/``."""
    return sorted(SUITE_FOLDER.glob("*.yaml"))


def check_name(name: str, where: str) -> None:
    """Refuse a name that nobody could tell from another, or type.

    Of suites, references and published figures: they stand beside each other, and
    beside trials, pairs and baselines, in reports and on the command line.

    Raises
    ------
    SuiteError
        Empty, too long, with a character that has a meaning on the command line or
        does not print, or a name that this program gives.
    """
    wanted = None
    if not re.match(r"\w", name) or name != name.strip() or len(name) > MAX_NAME:
        wanted = f"a name of 1 to {MAX_NAME} characters, first a letter or digit"
    elif not name.isprintable() or set("@:") & set(name):
        wanted = "a name without @ and : (as in SUITE:NAME and NAME@STORE)"
    elif _OWN_NAMES.fullmatch(name):
        wanted = "a name of your own (this one lstm-bench gives itself)"
    if wanted:
        raise SuiteError(f"{where}: expected {wanted}, got {quoted(name)}; rename it")


def bounds_of(part: str, field: str) -> tuple[bool, dict[str, Any]]:
    """Return whether a field is a float, and its bounds as click's ranges take them.

    Parameters
    ----------
    part : {"study", "confirm"}
    """
    parts: dict[str, type[BaseModel]] = {"study": StudySpec, "confirm": ConfirmSpec}
    model = parts[part]
    info = model.model_fields[field]
    bounds: dict[str, Any] = {}
    for rule in info.metadata:
        for name, end in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
            if (bound := getattr(rule, name, None)) is not None:
                bounds |= {end: bound, f"{end}_open": name in ("gt", "lt")}
    return info.annotation in (float, float | None), bounds


def config_from(
    base: Mapping[str, Any], values: Mapping[str, Any], where: str
) -> TrialConfig:
    """Return the configuration of `base` updated by `values`, checked."""
    return _validate(TrialConfig, {**base, **values}, where)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for a near miss, else an empty string."""
    # Its time grows with the square of the length.
    if len(name) > MAX_NAME:
        return ""
    names = [one for one in known[:MAX_COMPARED] if len(one) <= MAX_NAME]
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""


def _expected_one_of(known: Mapping[str, Any] | Sequence[str], got: str) -> str:
    names = list(known)
    return (
        f"expected one of {listed(names)}, got {quoted(got)}{did_you_mean(got, names)}"
    )


class _SuiteLoader(yaml.SafeLoader):
    """YAML's safe loader for texts from anywhere.

    A key given twice is an error and not a silent win. Nesting without end exhausts
    the stack, and aliases of aliases a billion values from ten lines as soon as
    somebody walks them: both are refused before anything is made of them.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"more than {MAX_DEPTH} levels", mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if id(node) not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                # Its own size is known only at its end, which is still to come.
                raise yaml.composer.ComposerError(
                    None, None, f"{quoted(event.anchor)} contains itself", mark
                )
            self._sizes[id(node)] = self._size(node)
        if self._sizes[id(node)] > MAX_CHARACTERS:
            raise yaml.composer.ComposerError(
                None,
                None,
                f"more than {MAX_CHARACTERS:,} characters, aliases followed",
                mark,
            )
        return node

    def _size(self, node: yaml.Node) -> int:
        """Return the characters and values of `node`, aliases followed."""
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value)
        children: list[yaml.Node] = node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        return 1 + sum(self._sizes[id(child)] for child in children)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > MAX_INT_LENGTH:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"an integer of more than {MAX_INT_LENGTH} characters: "
                f"{node.value[:MAX_INT_LENGTH]}...",
            )
        return int(super().construct_yaml_int(node))

    def construct_yaml_str(self, node: yaml.ScalarNode) -> str:
        text: str = super().construct_yaml_str(node)
        # Written as escapes: "\\e[31m" would colour a terminal, "\\ud800" has no UTF-8.
        found = UNPRINTED.search(text)
        if found:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"text with {found[0]!a}; leave control characters and lone "
                "surrogates out",
                node.start_mark,
            )
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {quoted(key)} stands twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


_SuiteLoader.add_constructor("tag:yaml.org,2002:int", _SuiteLoader.construct_yaml_int)
_SuiteLoader.add_constructor("tag:yaml.org,2002:str", _SuiteLoader.construct_yaml_str)


def _safe_yaml(text: str) -> Any:
    """Return what `text` holds; every way in which it is not fit is a YAMLError."""
    try:
        return yaml.load(text, Loader=_SuiteLoader)
    except (ValueError, OverflowError) as error:
        # A date that no calendar has, for example.
        raise yaml.YAMLError(str(error)) from error


def _parse_yaml(text: str, where: str) -> dict[str, Any]:
    if len(text.encode()) > MAX_SUITE_BYTES:
        raise SuiteError(
            f"{where}: expected a suite of at most {MAX_SUITE_BYTES:,} bytes, got more"
        )
    try:
        raw = _safe_yaml(text)
    except yaml.YAMLError as error:
        raise SuiteError(
            f"{where}: not valid YAML: {shortened(str(error), 600)}"
        ) from error
    if not isinstance(raw, dict):
        raise SuiteError(
            f"{where}: expected a mapping with description, dataset and space, "
            f"got {type(raw).__name__}"
        )
    return raw


def _validate(model: type[M], values: Mapping[str, Any], where: str) -> M:
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


def _check_dataset(spec: DatasetSpec, where: str) -> DatasetSpec:
    if spec.name not in dataset_names():
        raise SuiteError(
            f"{where}: dataset.name: " + _expected_one_of(dataset_names(), spec.name)
        )
    try:
        dataset_options(spec.name, spec.options)
    except ValidationError as error:
        from lstm_bench.data.registry import dataset_module

        model: type[BaseModel] = dataset_module(spec.name).Options
        raise SuiteError(explain(error, model, f"{where}: dataset.options")) from error
    try:
        # They are part of the study's name.
        json.dumps(spec.options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SuiteError(
            f"{where}: dataset.options: expected finite numbers, texts, lists and "
            f"mappings, got {quoted(spec.options)} ({shortened(str(error))})"
        ) from error
    return spec


_RANGE_KEYS = ("low", "high", "step", "log")


def _parse_axis(field: str, value: Any, base: Mapping[str, Any], where: str) -> Axis:
    if field not in CONFIG_FIELDS:
        guess = did_you_mean(field, CONFIG_FIELDS)
        raise SuiteError(
            f"{where}.{shortened(field)}: unknown field{guess}; "
            f"known: {', '.join(CONFIG_FIELDS)}"
        )
    where = f"{where}.{field}"
    axis: Axis
    if isinstance(value, dict) and set(value) == {"choices"}:
        value = value["choices"]
    if isinstance(value, list):
        axis = _parse_choices(field, value, where)
    elif isinstance(value, dict):
        axis = _parse_range(field, value, where)
    else:
        raise SuiteError(
            f"{where}: expected a list of choices or {{low, high, step, log}}, "
            f"got {quoted(value)}"
        )
    checked: list[Value] = []
    for endpoint in axis.endpoints:
        config = config_from(base, {field: endpoint}, where)
        checked.append(getattr(config, field))
    if isinstance(axis, CategoricalAxis):
        # As TrialConfig reads them: 0 and 0.0 are one choice of a float field.
        if len(set(checked)) != len(checked):
            raise SuiteError(
                f"{where}: expected distinct choices, got {quoted(value)}; remove the "
                "double"
            )
        axis = CategoricalAxis(tuple(checked))
    return axis


def _parse_pair(
    field: str, values: Any, base: Mapping[str, Any], where: str
) -> tuple[Value, ...]:
    if not isinstance(values, list) or len(values) < 2:
        raise SuiteError(
            f"{where}.{field}: expected a list of at least two values to compare, got "
            f"{quoted(values)}; for example head: [sigmoid, softmax]"
        )
    axis = _parse_axis(field, values, base, where)
    if not isinstance(axis, CategoricalAxis):
        raise TypeError(f"{where}.{field}: a list gives choices, got {axis!r}")
    return axis.choices


def _parse_choices(field: str, value: list[Any], where: str) -> CategoricalAxis:
    if not value:
        raise SuiteError(
            f"{where}: expected at least one choice, got []; "
            f"remove the axis to use defaults.{field}"
        )
    for choice in value:
        if isinstance(choice, (list, dict)):
            raise SuiteError(f"{where}: expected plain values, got {quoted(choice)}")
    return CategoricalAxis(tuple(value))


def _parse_range(field: str, value: dict[str, Any], where: str) -> IntAxis | FloatAxis:
    for key in value:
        if key not in _RANGE_KEYS:
            guess = did_you_mean(str(key), _RANGE_KEYS)
            raise SuiteError(
                f"{where}.{shortened(str(key))}: unknown key{guess}; "
                f"known: {', '.join(_RANGE_KEYS)}"
            )
    missing = [key for key in ("low", "high") if key not in value]
    if missing:
        raise SuiteError(f"{where}: expected low and high, {missing[0]} is missing")
    annotation = TrialConfig.model_fields[field].annotation
    if annotation not in (int, float, int | None):
        raise SuiteError(
            f"{where}: a range needs a number, {field} is none; give a list of choices"
        )
    number: type[int] | type[float] = float if annotation is float else int
    read: dict[str, Any] = {"log": value.get("log", False)}
    if not isinstance(read["log"], bool):
        raise SuiteError(
            f"{where}.log: expected true or false, got {quoted(read['log'])}"
        )
    kind = "an integer" if number is int else "a finite number"
    for key in ("low", "high", "step"):
        given: Any = value.get(key)
        if given is None and key == "step":
            continue
        try:
            exact = float(given) if not isinstance(given, bool) else math.nan
            # As one float, for what is compared and hashed later.
            read[key] = int(given) if number is int else canonical(exact)
            is_one = math.isfinite(exact) and (number is float or read[key] == exact)
        except (TypeError, ValueError, OverflowError):
            is_one = False
        if not is_one:
            raise SuiteError(f"{where}.{key}: expected {kind}, got {quoted(given)}")
    if read["low"] > read["high"]:
        raise SuiteError(
            f"{where}: expected low <= high, got {read['low']} > {read['high']}"
        )
    if "step" in read and read["step"] <= 0:
        raise SuiteError(f"{where}.step: expected more than 0, got {read['step']}")
    least = MIN_RELATIVE_STEP * read["high"] if number is float else 1
    if read.get("step", least) < least:
        raise SuiteError(
            f"{where}.step: expected at least {MIN_RELATIVE_STEP:g} of high, got "
            f"{read['step']}: such values are told apart to {SIGNIFICANT_DIGITS} "
            "digits; leave step out for a continuous axis"
        )
    if read["log"] and ("step" in read or read["low"] <= 0):
        raise SuiteError(
            f"{where}.log: a log scale needs low > 0 and no step; remove one of them"
        )
    return IntAxis(**read) if number is int else FloatAxis(**read)
