"""Suites: the YAML files that declare a study."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lstm_bench.data.dataset import Sizes
from lstm_bench.data.registry import (
    OWN,
    dataset_names,
    dataset_options,
    known_sizes,
    task_of,
)
from lstm_bench.data.splits import split_sizes
from lstm_bench.errors import SuiteError
from lstm_bench.metrics import METRICS, Metric, metrics_of
from lstm_bench.suites.axes import parse_axis, parse_pair
from lstm_bench.suites.cells import CELL_NAMES
from lstm_bench.suites.config import (
    CONFIG_FIELDS,
    FROM_FILE,
    TOGETHER,
    TrialConfig,
    Value,
    check_classes,
    check_task,
    hashed,
    short_text,
)
from lstm_bench.suites.files import SHIPPED, suite_file, suite_names
from lstm_bench.suites.schema import (
    MAX_NAME,
    ConfirmSpec,
    DatasetSpec,
    StudySpec,
    SuiteFile,
    config_from,
    did_you_mean,
    expected_one_of,
    explain,
    validate,
)
from lstm_bench.suites.space import (
    SearchSpace,
)
from lstm_bench.suites.yaml_file import (
    MAX_SUITE_BYTES,
    parse_yaml,
    safe_yaml,
)
from lstm_bench.tasks import FORECAST, Task
from lstm_bench.text import listed, quoted, shortened

# Characters that MLflow, Optuna and every file system accept in a file's name.
FILE_NAME = re.compile(r"\w[\w. -]*", re.ASCII)
# From `lstm_bench.training.baselines`, which this module may not import; a test
# compares the two.
BASELINE_NAMES = (
    *("majority", "tfidf_lr", "nb_lr", "summary_lr", "dtw_1nn"),
    *("train_mean", "tfidf_ridge", "summary_ridge"),
    *("naive", "seasonal_naive", "linear_ar"),
)
# Names of trials, references, pairs and baselines in reports and in `compare`.
_OWN_NAMES = re.compile(
    rf"(trial|run) *\d.*|(reference|baseline)\b.*|{'|'.join(BASELINE_NAMES)}|published"
    # The end of a trial's or a pair's name, and a study's name in a store.
    r"|.*\((trial|pair)\b.*|.*-(?=\d*[a-f])[0-9a-f]{8}",
    re.IGNORECASE,
)
MAX_GRID = 100_000
# With fewer seeds there is no verdict: `hypothesis_tests.MIN_SEEDS`, which this module
# may not import; a test compares the two.
MIN_FIRST_LOOK = 3
MAX_LOOKS = 20

# Fields of `study:` that limit a search without changing its results.
MACHINE_FIELDS = {"n_trials", "timeout_s", "trial_timeout_s", "trial_memory_gib"}


class Suite:
    """A validated suite.

    Attributes
    ----------
    name : str
        The file's stem.
    text : str
        Content of the file, logged with every sweep.
    path : str
        Argument for commands: the file, or the name of a shipped suite.
    defaults : TrialConfig
    space : SearchSpace
    references : dict of str to TrialConfig
    dataset, study, confirm, ensemble, published
        As in the file; confirm is None if the suite declares no confirmation, and
        ensemble if it declares no ensembles.
    checkpoint : bool
        Whether trainings save their state after each epoch, to resume from it.
    engine : {"auto", "stock", "packed"}
        Engine of the recurrent layers.
    task : Task
        Whether the data's targets are classes or numbers.
    sizes : Sizes or None
        Sizes of the data, as far as they are known without reading them.
    pairs : dict of str to tuple
        The values of each hyperparameter that a confirmation compares in pairs.
    """

    def __init__(
        self, name: str, text: str, where: str, read_from: Path | None = None
    ) -> None:
        check_name(name, where)
        self.name = name
        self.text = text
        path = read_from or suite_file(name)
        self.path = name if path.parent == SHIPPED else str(path)
        raw = parse_yaml(text, where)
        file = validate(SuiteFile, raw, where)
        dataset = file.dataset
        if isinstance(dataset, str):
            dataset = DatasetSpec(name=dataset)
        self.description = file.description
        self.dataset = _check_dataset(dataset, where)
        self.study = file.study
        self.published = file.published
        self.checkpoint = file.checkpoint
        self.engine = file.engine
        self.task = task_of(self.dataset.name, self.dataset.options)
        if "metric" not in self.study.model_fields_set:
            objective = {"metric": self.task.objective}
            self.study = self.study.model_copy(update=objective)
        _check_metric(self.study.metric, self.task, where)
        hyperparameters = {**self.task.hyperparameters, **file.defaults}
        self.defaults = config_from({}, hyperparameters, f"{where}: defaults")
        base = self.defaults.model_dump()
        self.space = SearchSpace(
            {
                field: parse_axis(field, value, base, f"{where}: space")
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
        if self.confirm and "margin" not in self.confirm.model_fields_set:
            self.confirm = self.confirm.model_copy(update={"margin": self.task.margin})
        self.pairs = {
            field: parse_pair(field, values, base, f"{where}: confirm.pairs")
            for field, values in (file.confirm.pairs if file.confirm else {}).items()
        }
        self.ensemble = file.ensemble
        self._check_ensemble(where)
        if self.confirm:
            self._check_looks(self.confirm, f"{where}: confirm.")
        self._check_together(where)
        self._check_embedding(where)
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
        against = self.confirm.against if self.confirm else None
        if against not in (None, *self.references):
            got = quoted(str(against))
            expected = f"expected null, since there are no references, got {got}"
            if self.references:
                expected = expected_one_of(self.references, str(against))
            raise SuiteError(f"{where}: confirm.against: {expected}")
        if self.confirm and against is not None:
            if len(self.references) == 1 and not self.confirm.n_best:
                raise SuiteError(
                    f"{where}: confirm.against: expected other references to compare "
                    f"{quoted(against)} with, got none; add one, or leave it out"
                )
            if "references" not in self.confirm.families:
                raise SuiteError(
                    f"{where}: confirm.against: compares references, and "
                    "confirm.families leaves these comparisons out; add references "
                    "there, or leave it out"
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
            has_accuracy = entry.val_accuracy or entry.test_accuracy is not None
            if self.task.is_numeric and has_accuracy:
                raise SuiteError(
                    f"{where}: published: {quoted(entry.label)} has an accuracy, and "
                    f"the dataset's targets are {self.task.targets}; leave it out"
                )
            is_of_another = entry.reference is None and not (
                entry.val_accuracy or entry.epoch_time_s
            )
            if not is_of_another and entry.reference not in self.references:
                raise SuiteError(
                    f"{where}: published.reference: "
                    + expected_one_of(self.references, str(entry.reference))
                )

        self.check_task(where)
        # At most so many are trained on; the data may have fewer.
        self.check_train_sizes(self.dataset.max_train_samples, where)
        self.sizes = known_sizes(self.dataset.name, self.dataset.options)
        if self.sizes is not None:
            self.check_sizes(self.sizes, where)

    def _check_ensemble(self, where: str) -> None:
        """Raise SuiteError if ensembles are declared that could not be scored."""
        if self.ensemble is None:
            return
        n, problem = self.ensemble.n, f"{where}: ensemble"
        if self.confirm is None:
            raise SuiteError(
                f"{problem}: an ensemble averages the trainings of a confirmation, and "
                f"the suite has none; add confirm: {{n_replicates: {n}}}"
            )
        if n > self.confirm.n_replicates:
            raise SuiteError(
                f"{problem}.n: expected at most {self.confirm.n_replicates}, the seeds "
                f"of the confirmation, got {n}; raise confirm.n_replicates, or lower it"
            )
        if self.task.name == FORECAST:
            raise SuiteError(
                f"{problem}: expected targets that are classes or numbers, got "
                "forecasts, of which no ensembles are made; leave it out"
            )
        if self.dataset.validation == "test":
            raise SuiteError(
                f"{problem}: the suite validates on the test set (dataset.validation), "
                "on which no weight of an ensemble may be chosen; leave one of the two "
                "out"
            )

    def _check_looks(self, spec: ConfirmSpec, where: str) -> None:
        """Raise SuiteError if the looks of a confirmation are no schedule."""
        if spec.until is None:
            if "max_replicates" in spec.model_fields_set:
                raise SuiteError(
                    f"{where}max_replicates: expected none without until: settled, got "
                    f"{spec.max_replicates}; add until: settled, or set n_replicates "
                    "instead"
                )
            return
        if spec.n_replicates < MIN_FIRST_LOOK:
            raise SuiteError(
                f"{where}n_replicates: expected at least {MIN_FIRST_LOOK} with until: "
                f"settled, got {spec.n_replicates}: fewer seeds give no verdict"
            )
        if spec.max_replicates < spec.n_replicates:
            raise SuiteError(
                f"{where}max_replicates: expected at least n_replicates "
                f"({spec.n_replicates}), the seeds of the first look, got "
                f"{spec.max_replicates}"
            )
        if len(spec.looks) > MAX_LOOKS:
            raise SuiteError(
                f"{where}n_replicates: expected at most {MAX_LOOKS} looks, which share "
                f"the significance level, got {len(spec.looks)} (every "
                f"{spec.n_replicates} seeds up to {spec.max_replicates}); raise it"
            )
        if not set(spec.families) - (set() if self.pairs else {"pairs"}):
            raise SuiteError(
                f"{where}until: expected a comparison to settle, got none; name "
                "families, or pairs, or leave until out"
            )

    def check_train_sizes(self, n_train: int | None, where: str) -> None:
        """Raise SuiteError if a size needs more examples than there are to train on.

        Parameters
        ----------
        n_train : int or None
            None while it is unknown.
        """
        sizes = () if self.confirm is None else self.confirm.train_sizes
        if not sizes:
            return
        if self.task.name == FORECAST:
            raise SuiteError(
                f"{where}: confirm.train_sizes: expected none for forecasts, got "
                f"{listed(map(str, sizes))}: windows overlap, so that their number is "
                "not the amount of data; leave it out"
            )
        if n_train is not None and sizes[-1] > n_train:
            raise SuiteError(
                f"{where}: confirm.train_sizes: expected at most {n_train:,}, the "
                f"number of examples to train on, got {sizes[-1]:,}; remove it, or "
                "lower dataset.validation_fraction"
            )

    def subset_sizes(self, n_train: int) -> tuple[int, ...]:
        """Return the confirmation's `train_sizes` without that of all examples.

        Parameters
        ----------
        n_train : int
            Number of examples to train on.
        """
        sizes = () if self.confirm is None else self.confirm.train_sizes
        return tuple(size for size in sizes if size < n_train)

    def _check_together(self, where: str) -> None:
        """Raise SuiteError if two axes, or a pair, combine what does not go together.

        `config_from` has checked the values of each axis and each reference alone.
        """
        combinations = (
            (check, *pair)
            for one, other, check in TOGETHER
            for pair in itertools.product(self.values_of(one), self.values_of(other))
        )
        for check, (place, value), (other_place, other_value) in combinations:
            kinds = [name.partition(".")[0] for name in (place, other_place)]
            n_pairs = kinds.count("confirm")
            if n_pairs == 2 or (not n_pairs and "references" in kinds):
                continue
            try:
                check(value, other_value)
            except SuiteError as error:
                raise SuiteError(
                    f"{where}: {place} and {other_place}: {error}"
                ) from error

    def _check_embedding(self, where: str, config: TrialConfig | None = None) -> None:
        """Raise SuiteError if an embedding file is needed and not given, or not used.

        Parameters
        ----------
        config : TrialConfig or None
            A configuration to train; None for all configurations of the suite.
        """
        values = self.values_of("embedding")
        if config is not None:
            values = [("embedding", config.embedding)]
        used = [(place, value) for place, value in values if value in FROM_FILE]
        file = self.dataset.embedding_file
        if used and file is None:
            place, value = used[0]
            raise SuiteError(
                f"{where}: {place}: {value} needs word vectors, and the suite names "
                "none; name a GloVe or word2vec text file in dataset.embedding_file"
            )
        if file is not None and not used and config is None:
            raise SuiteError(
                f"{where}: dataset.embedding_file: no training uses it; set embedding: "
                "pretrained or frozen in defaults or a reference, or compare them as "
                "an axis (embedding: [random, pretrained, frozen])"
            )

    def check_embedding_dim(
        self, dim: int, where: str, config: TrialConfig | None = None
    ) -> None:
        """Raise SuiteError if a training takes vectors of another length than its own.

        Parameters
        ----------
        dim : int
            Length of the embedding file's vectors.
        config : TrialConfig or None
            A configuration to train; None for all configurations of the suite.
        """
        if config is not None:
            values = [("embedding_dim", config.embedding_dim)]
            if config.embedding not in FROM_FILE:
                values = []
        else:
            values = [
                (place, value)
                for place, value in self.values_of("embedding_dim")
                if any(name in FROM_FILE for name in self._embeddings_at(place))
            ]
        for place, value in values:
            if value != dim:
                raise SuiteError(
                    f"{where}: {place}: expected {dim:,}, the length of the vectors in "
                    f"{self.dataset.embedding_file}, got {value:,}; set embedding_dim: "
                    f"{dim}, or embedding: random where it differs"
                )

    def _embeddings_at(self, place: str) -> list[str]:
        """Return each `embedding` of configurations with the value at `place`."""
        reference = self.references.get(place.removeprefix("references."))
        if reference is not None:
            return [reference.embedding, *map(str, self.pairs.get("embedding", ()))]
        is_pair = place.startswith("confirm.pairs.")
        return [
            value
            for where, value in self.values_of("embedding")
            if is_pair or not where.startswith("references.")
        ]

    def check_task(self, where: str, config: TrialConfig | None = None) -> None:
        """Raise SuiteError if a training's head or loss is of another task.

        Parameters
        ----------
        config : TrialConfig or None
            A configuration to train; None for all configurations of the suite.
        """
        for field in self.task.only:
            values = self.values_of(field)
            if config is not None:
                values = [(field, getattr(config, field))]
            for place, value in values:
                try:
                    check_task(field, value, self.task)
                except SuiteError as error:
                    raise SuiteError(f"{where}: {place}: {error}") from error

    def check_sizes(
        self, sizes: Sizes, where: str, config: TrialConfig | None = None
    ) -> None:
        """Raise SuiteError if a training does not fit data of these sizes.

        Called when the suite is loaded, with the sizes known without the data, and
        again when the data are loaded.

        Parameters
        ----------
        config : TrialConfig or None
            A configuration to train; None for all configurations of the suite.
        """
        heads = self.values_of("head") if config is None else [("head", config.head)]
        for place, head in heads:
            try:
                check_classes(head, sizes.n_classes)
            except SuiteError as error:
                raise SuiteError(f"{where}: {place}: {error}") from error
        if sizes.lengths is not None:
            self._check_lengths(*sizes.lengths, where, config)
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

    def _check_lengths(
        self, low: int, high: int, where: str, config: TrialConfig | None
    ) -> None:
        values = self.values_of("sequence_length")
        if config is not None:
            values = [("sequence_length", config.sequence_length)]
        for place, length in values:
            if not low <= length <= high:
                raise SuiteError(
                    f"{where}: {place}: expected {low:,} to {high:,} steps, at which "
                    f"{self.dataset.name} has sequences, got {length:,}; change it, or "
                    "dataset.options.max_length"
                )

    def values_of(self, field: str) -> list[tuple[str, Any]]:
        """Return each value of `field` that a training may have, and its place."""
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
        """The objective, computed on the predictions for validation."""
        return METRICS[self.study.metric]

    @property
    def network(self) -> str:
        """What sentences call a model of the suite: LSTM, GRU or SimpleRNN.

        ``network`` if it has several cells.
        """
        cells = {value for _, value in self.values_of("cell")}
        return CELL_NAMES[cells.pop()] if len(cells) == 1 else "network"

    @property
    def data_name(self) -> str:
        """Name of the data in messages: the dataset's, or that of one's own file."""
        spec = self.dataset
        file = spec.options.get("file") or spec.options.get("train")
        return str(file) if spec.name in OWN and file else spec.name

    @property
    def study_name(self) -> str:
        """Name of the study: suite name and a hash of what changes its results.

        The number of trials, timeouts and the memory limit, the confirmation, its
        ensembles, the description, published figures, checkpoints and the engine are
        left out: a study can be resumed with more trials or on a larger machine, and
        the search's results can be confirmed in more than one way. Engines differ by
        float32 rounding, as two processors do: over many steps the differences grow as
        between two seeds, but the model is the same. Each run is tagged with its
        engine.
        """
        dataset = self.dataset.model_dump()
        if self.dataset.embedding_file is None:
            # Names stay what they were before there was such a field.
            del dataset["embedding_file"]
        what = {
            "dataset": dataset,
            "defaults": hashed(self.defaults.model_dump()),
            "space": {name: repr(axis) for name, axis in self.space},
            "references": {
                label: hashed(config.model_dump())
                for label, config in self.references.items()
            },
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

    def pairs_of(self, config: TrialConfig) -> list[TrialConfig]:
        """Return the pairs of `config`: one field has a value of `pairs` instead."""
        return [
            TrialConfig.model_validate({**config.model_dump(), field: value})
            for field, values in self.pairs.items()
            for value in values
        ]

    def name_of(
        self,
        config: TrialConfig,
        trial: int | None = None,
        pair_of: TrialConfig | None = None,
    ) -> str:
        """Return a configuration's name: ``32 units, sigmoid (trial 6)``.

        It is the same in every table, figure and message, and in MLflow. A reference
        has its name from the suite: ``reference tutorial``.

        Parameters
        ----------
        trial : int or None
            Number of the configuration's trial, or of the trial of `pair_of`.
        pair_of : TrialConfig or None
            The configuration that this one is paired with: ``64 units, softmax (pair of
            trial 6)``, ``softmax (pair of reference tutorial)``.
        """
        if known := self._reference_name(config):
            return known
        text, called = self.settings_text(config), f"trial {trial}"
        if pair_of is not None and (base := self._reference_name(pair_of)):
            called = base
            text = _in_words(
                (field, value)
                for field, value in config
                if value != getattr(pair_of, field)
            )
        elif trial is None:
            return text
        return f"{text} ({'' if pair_of is None else 'pair of '}{called})"

    def _reference_name(self, config: TrialConfig) -> str:
        """Return ``reference NAME`` if `config` is a reference, else ``""``."""
        for name, reference in self.references.items():
            if reference == config:
                return f"reference {name}"
        return ""

    def settings_text(self, config: TrialConfig) -> str:
        """Return the settings that identify `config` here: ``32 units, sigmoid``."""
        return _in_words(self._settings(config))

    def _settings(self, config: TrialConfig) -> list[tuple[str, Value]]:
        """Return the fields of the axes, and others that differ from the defaults."""
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

        Values are parsed as YAML, as in the suite.
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
                values[field.strip()] = safe_yaml(value)
            except yaml.YAMLError as error:
                raise SuiteError(
                    f"--set {shortened(field)}: expected a value, got {quoted(value)}"
                ) from error
        config = config_from(self.defaults.model_dump(), values, "--set")
        self._check_embedding("--set", config)
        self.check_task("--set", config)
        if self.sizes is not None:
            self.check_sizes(self.sizes, "--set", config)
        return config


def _in_words(settings: Iterable[tuple[str, Value]]) -> str:
    return ", ".join(short_text(*setting) for setting in settings)


def load_suite(path: str | Path) -> Suite:
    """Read and validate the suite at `path`.

    A bare name such as ``imdb`` means ``imdb.yaml`` in the working directory, else in
    its ``benchmarks/``, else the suite of that name that is shipped with this package.

    Raises
    ------
    SuiteError
        The file does not exist or is not a valid suite; the message has file, field,
        what was expected and what was found.

    Examples
    --------
    >>> import lstm_bench
    >>> suite = lstm_bench.load_suite("quick")
    >>> suite.space.axes["units"].describe()
    '8, 16, 32'
    >>> suite.metric.name
    'accuracy'
    """
    file = suite_file(path)
    if not file.is_file():
        known = suite_names()
        raise SuiteError(
            f"{shortened(str(path))}: no such suite file"
            f"{did_you_mean(file.stem, known)}; suites by name: {listed(known)}"
        )
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise SuiteError(
            f"{shortened(str(file), 200)}: expected a suite, whose name ends in .yaml; "
            "`lstm-bench init FILE` writes one for a file of texts or series"
        )
    if not FILE_NAME.fullmatch(file.stem):
        raise SuiteError(
            f"{shortened(str(file))}: expected a file name of letters, digits, spaces "
            f"and . _ - (it becomes the study's name), got {quoted(file.stem)}; rename "
            "the file"
        )
    try:
        with file.open("rb") as stream:
            # One byte more shows that a file exceeds the limit.
            text = stream.read(MAX_SUITE_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(
            f"{shortened(str(file), 200)}: cannot be read as UTF-8 text "
            f"({shortened(str(error))})"
        ) from error
    return Suite(file.stem, text, shortened(str(file), 200), file)


def suite_from_text(name: str, text: str) -> Suite:
    """Rebuild a suite from the text logged with a sweep."""
    return Suite(name, text, f"{shortened(name)}.yaml as logged")


def check_name(name: str, where: str) -> None:
    """Reject a name that cannot be typed, or could be confused with generated ones.

    Names of suites, references and published figures appear beside each other, and
    beside trials, pairs and baselines, in reports and on the command line.

    Raises
    ------
    SuiteError
        The name is empty or too long, has a character that does not print or has a
        meaning on the command line, or is of the form of this program's own names.
    """
    expected = None
    if not re.match(r"\w", name) or name != name.strip() or len(name) > MAX_NAME:
        expected = f"a name of 1 to {MAX_NAME} characters, first a letter or digit"
    elif not name.isprintable() or set("@:") & set(name):
        expected = "a name without @ and : (as in SUITE:NAME and NAME@STORE)"
    elif _OWN_NAMES.fullmatch(name):
        expected = "a name of your own (this one lstm-bench gives itself)"
    if expected:
        raise SuiteError(f"{where}: expected {expected}, got {quoted(name)}; rename it")


def bounds_of(part: str, field: str) -> tuple[bool, dict[str, Any]]:
    """Return whether a field is a float, and its bounds as arguments of click's ranges.

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


def _check_metric(name: str, task: Task, where: str) -> None:
    known = metrics_of(task.name)
    if name in known:
        return
    problem = f"{where}: study.metric: "
    if name in METRICS:
        raise SuiteError(
            f"{problem}{name} is no metric of {task.targets}, which the dataset's "
            f"targets are; use one of {', '.join(known)}"
        )
    raise SuiteError(problem + expected_one_of(known, name))


def _check_dataset(spec: DatasetSpec, where: str) -> DatasetSpec:
    if spec.name not in dataset_names():
        raise SuiteError(
            f"{where}: dataset.name: " + expected_one_of(dataset_names(), spec.name)
        )
    try:
        dataset_options(spec.name, spec.options)
    except ValidationError as error:
        from lstm_bench.data.registry import dataset_module

        model: type[BaseModel] = dataset_module(spec.name).Options
        place = "dataset" if spec.name in OWN else "dataset.options"
        beside = [f for f in DatasetSpec.model_fields if f not in ("name", "options")]
        raise SuiteError(
            explain(
                error,
                model,
                f"{where}: {place}",
                beside if spec.name in OWN else (),
            )
        ) from error
    try:
        # The options are part of the study's name.
        json.dumps(spec.options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SuiteError(
            f"{where}: dataset.options: expected finite numbers, texts, lists and "
            f"mappings, got {quoted(spec.options)} ({shortened(str(error))})"
        ) from error
    return spec
