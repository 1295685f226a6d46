"""Read a study back from MLflow alone."""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections import Counter
from collections.abc import (
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from lstm_bench.arrays import IntArray
from lstm_bench.data.registry import memory_task
from lstm_bench.errors import StoredError, TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.suites.config import CONFIG_FIELDS
from lstm_bench.suites.suite import Suite, suite_from_text
from lstm_bench.text import first_line, listed
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.artifacts import places, run_folder
from lstm_bench.tracking.queries import find_pages, find_runs
from lstm_bench.tracking.results import METRIC_COLUMNS, RUN_NUMBER_COLUMNS, Results
from lstm_bench.tracking.stored_runs import (
    ExplainedSample,
    LeftOut,
    Shown,
    StoredBaseline,
    StoredFit,
    StoredRun,
    StoredSession,
    StoredTraining,
    check_epochs,
    check_size,
    describe_left_out,
    left_out_frame,
    left_out_run,
    parse_curves,
    parse_dataset,
    parse_environment,
    parse_explained,
    parse_gradients,
    parse_predictions,
    parse_run,
    parse_runs,
    parse_shown,
    parse_test_reviews,
    parse_text,
    read_artifact_file,
)
from lstm_bench.training.result import (
    EPOCH_TIME,
    N_EPOCHS,
    N_FEATURES,
    OBJECTIVE,
    TOTAL_TIME,
    TRAIN_TIME,
    Prediction,
    is_curve_key,
    metric_key,
)

T = TypeVar("T")

SHOWN_STATES = ("running", "complete", "pruned", "failed")
# The best configurations of the search, whose samples are read.
N_SAMPLED = 20
SAMPLE_COLUMNS = ["run_id", "index", "text", "y_true", "y_pred", "y_proba", "values"]


def load_results(tracking_uri: str, suite: Suite, study: str | None = None) -> Results:
    """Read the study of `suite` from MLflow alone.

    Samples and predictions are read only for references, confirmed runs and the
    `N_SAMPLED` best configurations of the search: reading them for thousands of runs
    would take thousands of requests to a server.

    Parameters
    ----------
    study : str or None
        Name in the store, if another version of this package gave it: a new
        hyperparameter changes the names of studies.

    Raises
    ------
    TrackingError
        The store has no such study.
    """
    client = MlflowClient(tracking_uri)
    study = study or suite.study_name
    reader = _Reader(client)
    known = list(reader.parse(_study_runs(client, tracking_uri, study, suite)))
    sessions = [run for run in known if isinstance(run, StoredSession)]
    trained = [run for run in known if _is_shown(run)]
    if not sessions and not trained:
        raise TrackingError(_no_study(client, suite, study, reader.left_out))
    # The latest command's run comes first; a training's run has the same files.
    context = [*reversed(sessions), *trained[-1:]]
    dataset = reader.context(context, rec.DATASET, parse_dataset)
    reader.n_classes = len(dataset.get("class_names", ())) or None
    environment = reader.context(context, rec.ENVIRONMENT, parse_environment)
    runs, confirmed, baselines, subsets = [], [], [], []
    skipped: dict[tuple[str, bool], str] = {}
    curves, predictions, gradients = _Curves(), {}, {}
    is_memory = memory_task(suite.dataset.name) is not None
    explained: dict[str, list[ExplainedSample]] = {}
    samples, errors = _Samples(reader, rec.SAMPLES), _Samples(reader, rec.ERRORS)
    searched: dict[str, StoredTraining] = {}
    for run in known:
        if (
            isinstance(run, StoredBaseline | StoredTraining)
            and run.n_subset is not None
        ):
            subsets.append(_subset_row(run))
            continue
        if isinstance(run, StoredBaseline) and run.state == "complete":
            baselines.append(_baseline_row(run))
            predictions[run.run_id] = reader.predictions(run)
        if isinstance(run, StoredBaseline) and run.state == rec.SKIPPED:
            skipped[run.baseline, run.replicate > 0] = _why_skipped(run)
        if not isinstance(run, StoredTraining) or not _is_shown(run):
            continue
        epochs = reader.epochs(run)
        row = _run_row(run, epochs)
        curves.add(run.run_id, epochs)
        if run.kind == "replicate":
            confirmed.append({**row, "origin": run.origin})
            samples.add(run)
            errors.add(run)
            predictions[run.run_id] = reader.predictions(run)
            if is_memory:
                found = reader.read(run, rec.GRADIENTS, parse_gradients)
                gradients[run.run_id] = found or {}
            if run.model is not None and (shown := reader.explained(run)):
                explained[run.run_id] = shown
        else:
            runs.append(row)
            searched[run.run_id] = run
    runs_frame = _runs_frame(runs)
    for run_id in _sampled(runs_frame, suite.metric):
        samples.add(searched[run_id])
        is_reference = searched[run_id].kind == "reference"
        if is_reference and (shown := reader.explained(searched[run_id])):
            explained[run_id] = shown
        predictions[run_id] = reader.predictions(searched[run_id])
    reader.drop_other_test_sets(predictions, known)
    return Results(
        study=study,
        # The caller's suite: fields such as the margin may have changed since; fields
        # that change results are part of the study's name.
        suite=suite,
        runs=runs_frame,
        curves=curves.frame(),
        samples=samples.frame(),
        confirmed=_runs_frame(confirmed, ("origin",)),
        baselines=_baselines_frame(baselines),
        subsets=pd.DataFrame(subsets, columns=SUBSET_COLUMNS),
        predictions=predictions,
        errors=errors.frame(),
        test_reviews=_test_reviews(reader, sessions, predictions),
        test_looks=_test_looks(client, _digests(known, dataset)),
        dataset=dataset,
        environment=environment,
        sessions=_sessions_frame(sessions),
        left_out=left_out_frame(reader.left_out),
        # Without a login: the report makes links of it.
        tracking_url=bare_url(tracking_uri)
        if tracking_uri.startswith("http")
        else None,
        missing=reader.whole.missing(),
        skipped_baselines=tuple(skipped.values()),
        gradients=gradients,
        explained=explained,
    )


def _digests(runs: Iterable[StoredRun], dataset: Mapping[str, Any]) -> set[str]:
    """Return the first 12 digits of the digests of the study's data.

    Read from the trainings' parameters first, since dataset.json may be missing.
    """
    found = {run.dataset_digest for run in runs if isinstance(run, StoredFit)} - {None}
    return {str(digest) for digest in found} or {str(dataset.get("digest"))[:12]}


def _is_shown(run: StoredRun) -> bool:
    """Whether a run is a training that a report shows."""
    return (
        isinstance(run, StoredTraining)
        and run.kind != "train"
        and run.state in SHOWN_STATES
    )


def _sessions_frame(sessions: Sequence[StoredSession]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "run_id": run.run_id,
                "kind": run.kind,
                "start_time": _timestamp(run.start_time),
                "end_time": _timestamp(run.end_time),
                "status": run.status,
            }
            for run in sessions
        ],
        columns=["run_id", "kind", "start_time", "end_time", "status"],
    )


class _Reader:
    """Reads a study's runs and their artifacts; collects those that are invalid.

    Attributes
    ----------
    left_out : list of LeftOut
    whole : _Whole
        Collects the missing files.
    n_classes : int or None
        Of the dataset; None if unknown.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._artifacts = _Artifacts(client.tracking_uri)
        self.left_out: list[LeftOut] = []
        self.whole = _Whole(client.tracking_uri)
        self.n_classes: int | None = None

    def parse(self, runs: Iterable[Run]) -> Iterator[StoredRun]:
        """Yield each run that parses."""
        for run in runs:
            try:
                yield parse_run(run)
            except StoredError as error:
                self.left_out.append(left_out_run(run, error))

    def read(
        self,
        run: StoredRun,
        name: str,
        parse: Callable[[bytes], T],
        *,
        is_needed: bool = False,
    ) -> T | None:
        """Return an artifact, parsed; None if it is missing or does not parse.

        Parameters
        ----------
        is_needed : bool
            Whether every finished run should have it, so that its absence is counted.
        """
        try:
            content = self._artifacts.read(run, name)
            if is_needed:
                self.whole.check(run, name, content is not None)
            return None if content is None else parse(content)
        except StoredError as error:
            self.leave_out(run, name, str(error))
            return None

    def first(
        self,
        runs: Iterable[StoredRun],
        name: str,
        parse: Callable[[bytes], T],
    ) -> T | None:
        """Return the artifact of the first of `runs` for which it can be read."""
        read = (self.read(run, name, parse) for run in runs)
        return next((found for found in read if found is not None), None)

    def context(
        self,
        runs: Sequence[StoredRun],
        name: str,
        parse: Callable[[bytes], dict[str, Any]],
    ) -> dict[str, Any]:
        """Return the artifact `name` of the first of `runs` that has it; {} if none."""
        n_left_out = len(self.left_out)
        found = self.first(runs, name, parse)
        if found is None and len(self.left_out) == n_left_out:
            self.whole.add(runs[0], name)
        return found or {}

    def epochs(self, run: StoredTraining) -> list[dict[str, float]]:
        """Return a training's epochs, from its metrics where its file has none."""
        epochs = self.read(run, rec.CURVES, parse_curves, is_needed=True)
        if epochs is not None:
            return epochs
        rebuilt = _history_from_metrics(self._client, run.run_id, run.curve_keys)
        try:
            return check_epochs(rebuilt)
        except StoredError as error:
            self.leave_out(run, "metrics by epoch", str(error))
            return []

    def shown(self, run: StoredRun, name: str) -> Shown | None:
        """Return the examples of a run's ``samples.json`` or ``errors.json``."""
        parse = partial(parse_shown, n_classes=self.n_classes)
        return self.read(run, name, parse, is_needed=name == rec.SAMPLES)

    def explained(self, run: StoredRun) -> list[ExplainedSample] | None:
        """Return a run's samples, explained by its model."""
        parse = partial(parse_explained, n_classes=self.n_classes)
        return self.read(run, rec.EXPLAINED, parse)

    def predictions(self, run: StoredFit) -> dict[str, Prediction]:
        """Return a run's predictions by split."""
        found = {}
        for split in ("val", "test"):
            name = f"{rec.PREDICTIONS}/{split}.parquet"
            parse = partial(parse_predictions, split, n_classes=self.n_classes)
            is_needed = split == "val" or run.test_scored == "true"
            prediction = self.read(run, name, parse, is_needed=is_needed)
            if prediction is not None:
                found[split] = prediction
        return found

    def drop_other_test_sets(
        self, predictions: dict[str, dict[str, Prediction]], runs: Sequence[StoredRun]
    ) -> None:
        """Leave out predictions on a test set other than the most common one.

        Differences are paired by example.
        """
        test_sets = {
            run_id: _test_set(parts["test"])
            for run_id, parts in predictions.items()
            if "test" in parts
        }
        ((most_common, _),) = Counter(test_sets.values()).most_common(1) or [("", 0)]
        for run in runs:
            if test_sets.get(run.run_id, most_common) != most_common:
                del predictions[run.run_id]["test"]
                name = f"{rec.PREDICTIONS}/test.parquet"
                reason = "expected the examples that the other runs were tested on"
                self.leave_out(run, name, reason)

    def leave_out(self, run: StoredRun, part: str, reason: str) -> None:
        """Record that `part` of a run is left out."""
        self.left_out.append(LeftOut(run.run_id, run.run_name, part, reason))


class _Whole:
    """Finds the finished runs that lack files which were logged with them."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._finished: set[str] = set()
        self._missing: dict[str, tuple[StoredRun, list[str]]] = {}

    def check(self, run: StoredRun, name: str, is_there: bool) -> None:
        """Count a run's file; an unfinished run may lack it."""
        if not isinstance(run, StoredFit) or run.state != "complete":
            return
        self._finished.add(run.run_id)
        if not is_there:
            self.add(run, name)

    def add(self, run: StoredRun, name: str) -> None:
        """Count a missing file."""
        self._missing.setdefault(run.run_id, (run, []))[1].append(name)

    def missing(self) -> str:
        """Return which files are missing and where they were searched; "" if none."""
        if not self._missing:
            return ""
        run, names = next(iter(self._missing.values()))
        n = len(self._finished & set(self._missing))
        of = f"{n} of {len(self._finished)} finished trainings and baselines lack "
        return (
            (of if n else "the study lacks ")
            + f"files that were logged with them (the first: run {run.run_id}, "
            f"{run.run_name}: {', '.join(names)}); looked for in "
            + places(self._tracking_uri, run.artifact_uri)
        )


def _test_set(prediction: Prediction) -> str:
    """Return a digest of the examples that were predicted."""
    digest = hashlib.sha256(prediction.index.tobytes())
    digest.update(prediction.y_true.tobytes())
    return digest.hexdigest()


def _study_runs(
    client: MlflowClient, tracking_uri: str, study: str, suite: Suite
) -> Iterator[Run]:
    """Yield the study's runs, oldest first, with one page in memory at a time.

    Runs of the suite without the study's tag come last.
    """
    try:
        for page in find_pages(client, f"tags.`{rec.TAG_STUDY}` = '{study}'"):
            yield from page
        lost = f"tags.`{rec.TAG_SUITE}` = '{suite.name}' and "
        yield from find_runs(client, f"{lost}tags.`{rec.TAG_STUDY}` IS NULL")
    except MlflowException as error:
        raise TrackingError(
            f"--tracking-uri: {bare_url(tracking_uri)}: {first_line(error)}"
        ) from error


def _sampled(runs: pd.DataFrame, metric: Metric) -> list[str]:
    """Return the runs of the search whose samples may be shown, in order of start.

    For each configuration its first run is chosen, which represents it in the tables.
    """
    complete = runs[(runs["state"] == "complete") & runs[OBJECTIVE].notna()]
    means = complete.groupby("config_id")[OBJECTIVE].mean()
    rank = metric.ranks(means.to_numpy(dtype=float))
    best = complete["config_id"].isin(means.index[rank <= N_SAMPLED])
    shown = complete[best].drop_duplicates("config_id")["run_id"].tolist()
    shown += runs.loc[runs["kind"] == "reference", "run_id"].tolist()
    return runs.loc[runs["run_id"].isin(shown), "run_id"].tolist()


def load_suite_of(client: MlflowClient, run: StoredRun) -> Suite:
    """Return the suite that was logged with a command's or a training's run."""
    try:
        content = _Artifacts(client.tracking_uri).read(run, rec.SUITE_FILE)
        text = None if content is None else parse_text(content)
    except StoredError as error:
        raise TrackingError(
            f"run {run.run_id}: {rec.SUITE_FILE}: {error}; name the suite's file "
            "instead"
        ) from error
    if text is None:
        raise TrackingError(
            f"run {run.run_id} lacks its {rec.SUITE_FILE}, looked for in "
            f"{places(client.tracking_uri, run.artifact_uri)}; bring it back, or name "
            "the suite's file instead"
        )
    return suite_from_text(run.suite, text)


def _test_looks(client: MlflowClient, digests: Container[str]) -> pd.DataFrame:
    """Count the runs of this store that used the dataset's test set.

    A run without a kind counts, too.

    Parameters
    ----------
    digests : container of str
        The first 12 digits of the dataset's digest.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for how in rec.TEST_LOOKS:
        for run in find_runs(client, f"tags.`{rec.TAG_TEST_SCORED}` = '{how}'"):
            if run.data.params.get("dataset_digest") in digests:
                tags = run.data.tags
                kind, study = (
                    tags.get(tag, "unknown") for tag in (rec.TAG_KIND, rec.TAG_STUDY)
                )
                counts[kind, study, how] += 1
    return pd.DataFrame(
        [(*key, n) for key, n in sorted(counts.items())],
        columns=["kind", "study", "how", "n"],
    )


def _test_reviews(
    reader: _Reader,
    sessions: Sequence[StoredSession],
    predictions: Mapping[str, Mapping[str, Prediction]],
) -> pd.DataFrame:
    tested = [parts["test"] for parts in predictions.values() if "test" in parts]
    n_test = max((int(each.index.max()) + 1 for each in tested), default=0)
    rounds = [run for run in reversed(sessions) if run.kind == "confirm"]
    parse = partial(parse_test_reviews, n_at_least=n_test)
    found = reader.first(rounds, rec.TEST_REVIEWS, parse)
    return pd.DataFrame({"length": [], "in_train": []}) if found is None else found


def _no_study(
    client: MlflowClient, suite: Suite, study: str, left_out: Sequence[LeftOut]
) -> str:
    if left_out:
        return (
            f"study {study} has no run that can be read: "
            f"{describe_left_out(left_out_frame(left_out))}; restore the store from a "
            "copy, or run `lstm-bench sweep` with another --tracking-uri"
        )
    others = find_runs(
        client,
        f"tags.`{rec.TAG_SUITE}` = '{suite.name}' and tags.`{rec.TAG_KIND}` = 'sweep'",
    )
    names = sorted({run.study for run in parse_runs(others)[0]})
    if names:
        return (
            f"no study {suite.study_name} in the tracking store; it holds "
            f"{listed(names)} of the same suite's earlier versions. Run "
            "`lstm-bench sweep` with the suite as it is now, or give `lstm-bench "
            "report` one of these names"
        )
    return (
        f"no study {suite.study_name} in the tracking store; run `lstm-bench sweep` "
        "first, or name its store with --tracking-uri"
    )


class _Artifacts:
    """Reads artifacts, from the disk if they are there, else from the server.

    A server is asked by a run's artifact address: by the run's id, MLflow would fetch
    the run and search all logged models of its experiment for each file.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._listed: dict[str, dict[str, int]] = {}

    def read(self, run: StoredRun, name: str) -> bytes | None:
        """Return the content of an artifact; None if it is not there.

        Raises
        ------
        StoredError
            It is a link, is not a file, or exceeds its size limit.
        """
        folder = run_folder(self._tracking_uri, run.artifact_uri)
        if folder is not None:
            return read_artifact_file(folder, name)
        address = f"{run.artifact_uri}/{name}"
        parent, _, file = address.rpartition("/")
        sizes = self._sizes(parent)
        if file not in sizes:
            return None
        check_size(name, sizes[file])
        with tempfile.TemporaryDirectory() as local:
            download_artifacts(
                artifact_uri=address,
                dst_path=str(Path(local, name).parent),
                tracking_uri=self._tracking_uri,
            )
            return read_artifact_file(Path(local), name)

    def _sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of the files in a folder by name, requested once."""
        if folder not in self._listed:
            found = list_artifacts(artifact_uri=folder, tracking_uri=self._tracking_uri)
            self._listed[folder] = {
                Path(item.path).name: item.file_size or 0
                for item in found
                if not item.is_dir
            }
        return self._listed[folder]


def _history_from_metrics(
    client: MlflowClient, run_id: str, keys: Iterable[str]
) -> list[dict[str, float]]:
    """Rebuild the epochs of a run whose curves are not written (yet)."""
    epochs: dict[int, dict[str, float]] = {}
    for key in keys:
        if is_curve_key(key):
            for point in client.get_metric_history(run_id, key):
                entry = epochs.setdefault(point.step, {"epoch": point.step})
                entry[key] = point.value
    return [epochs[step] for step in sorted(epochs)]


def _timestamp(milliseconds: int | None) -> pd.Timestamp | None:
    if milliseconds is None:
        return None
    return pd.Timestamp(milliseconds, unit="ms", tz="UTC")


def _run_row(run: StoredTraining, epochs: list[dict[str, float]]) -> dict[str, Any]:
    metrics = dict(run.metrics)
    if epochs and N_EPOCHS not in metrics:
        # An unfinished training has epochs, but no summary of them.
        metrics[N_EPOCHS] = float(len(epochs))
        times = [entry.get(EPOCH_TIME, float("nan")) for entry in epochs]
        metrics[TRAIN_TIME] = sum(times)
    return {
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "run_name": run.run_name,
        "kind": run.kind,
        "reference": run.reference,
        "trial": run.trial,
        "config_id": run.config.config_id,
        "state": run.state,
        "failure_reason": run.failure,
        "engine": run.engine,
        "seed": run.seed,
        "replicate": run.replicate,
        "start_time": _timestamp(run.start_time),
        **run.config.model_dump(),
        **{
            key: metrics.get(key, float("nan"))
            for key in (*RUN_NUMBER_COLUMNS, *METRIC_COLUMNS)
        },
    }


def _runs_frame(
    rows: list[dict[str, Any]], more_columns: tuple[str, ...] = ()
) -> pd.DataFrame:
    columns = [
        *("run_id", "experiment_id", "run_name", "kind", "reference", "trial"),
        *("config_id", "state", "failure_reason", "engine"),
        *("seed", "replicate", "start_time"),
        *more_columns,
        *CONFIG_FIELDS,
        *RUN_NUMBER_COLUMNS,
        *METRIC_COLUMNS,
    ]
    frame = pd.DataFrame(
        {c: pd.Series([row[c] for row in rows], dtype=object) for c in columns}
    )
    numbers = [*RUN_NUMBER_COLUMNS, *METRIC_COLUMNS]
    return frame.astype(
        dict.fromkeys(("trial", "seed", "replicate"), "Int64")
        | dict.fromkeys(numbers, float)
    )


BASELINE_NUMBERS = (
    TRAIN_TIME,
    N_FEATURES,
    *(metric_key(split, name) for split in ("val", "test") for name in METRICS),
)


def _baseline_row(run: StoredBaseline) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "baseline": run.baseline,
        "label": run.label,
        "replicate": run.replicate,
        **{key: run.metrics.get(key, float("nan")) for key in BASELINE_NUMBERS},
    }


SUBSET_NUMBERS = (
    *(TRAIN_TIME, TOTAL_TIME),
    *(metric_key("test", name) for name in METRICS),
)
SUBSET_COLUMNS = ["run_id", "key", "n_train", "replicate", "state", *SUBSET_NUMBERS]


def _subset_row(run: StoredBaseline | StoredTraining) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "key": run.config_id
        if isinstance(run, StoredTraining)
        else f"baseline:{run.baseline}",
        "n_train": run.n_subset,
        "replicate": run.replicate,
        "state": run.state,
        **{key: run.metrics.get(key, float("nan")) for key in SUBSET_NUMBERS},
    }


def _why_skipped(run: StoredBaseline) -> str:
    where = "fresh splits" if run.replicate else "the search's split"
    return f"{run.label} was not fitted on {where}: {run.failure or 'no reason given'}."


def _baselines_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["run_id", "experiment_id", "baseline", "label", "replicate"]
    frame = pd.DataFrame(rows, columns=[*columns, *BASELINE_NUMBERS])
    # Two concurrent commands may log one twice, with equal scores: keep the first.
    frame = frame.drop_duplicates(["baseline", "replicate"], ignore_index=True)
    return frame.astype(dict.fromkeys(BASELINE_NUMBERS, float) | {"replicate": int})


class _Curves:
    """Builds the long table of curves column by column.

    A study of thousands of runs has a million points, and a dict for each of them
    would take a gigabyte. Texts are integer codes until the frame is built.
    """

    def __init__(self) -> None:
        self._run_ids: list[str] = []
        self._n_points: list[int] = []
        self._keys: dict[tuple[str, str], int] = {}
        self._keys_of: dict[tuple[str, ...], tuple[list[str], list[int]]] = {}
        self._key = array("q")
        self._epoch = array("q")
        self._value = array("d")

    def add(self, run_id: str, epochs: list[dict[str, float]]) -> None:
        """Add a run's scores epoch by epoch, then its times."""
        n_before = len(self._value)
        for entry in epochs:
            keys, numbers = self._scores(tuple(entry))
            self._key.extend(numbers)
            self._epoch.extend([int(entry["epoch"])] * len(keys))
            self._value.extend([_number(entry[key]) for key in keys])
        for entry in epochs:
            if EPOCH_TIME in entry:
                self._key.append(self._number_of("train", EPOCH_TIME))
                self._epoch.append(int(entry["epoch"]))
                self._value.append(_number(entry[EPOCH_TIME]))
        self._run_ids.append(run_id)
        self._n_points.append(len(self._value) - n_before)

    def _scores(self, keys: tuple[str, ...]) -> tuple[list[str], list[int]]:
        if keys not in self._keys_of:
            scores = [key for key in keys if key.startswith(("train_", "val_"))]
            parts = [key.partition("_") for key in scores]
            numbers = [self._number_of(split, metric) for split, _, metric in parts]
            self._keys_of[keys] = scores, numbers
        return self._keys_of[keys]

    def _number_of(self, split: str, metric: str) -> int:
        return self._keys.setdefault((split, metric), len(self._keys))

    def frame(self) -> pd.DataFrame:
        """Return columns ``run_id, split, metric, epoch, value``."""
        key = np.array(self._key, dtype=np.int64)
        run = np.repeat(np.arange(len(self._run_ids)), self._n_points)
        return pd.DataFrame(
            {
                "run_id": _texts(self._run_ids, run),
                "split": _texts([split for split, _ in self._keys], key),
                "metric": _texts([metric for _, metric in self._keys], key),
                "epoch": np.array(self._epoch, dtype=np.int64),
                "value": np.array(self._value, dtype=np.float64),
            }
        )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _texts(distinct: list[str], numbers: IntArray) -> Any:
    """Return ``distinct[number]`` for each number, as a column."""
    return pd.array(distinct, dtype="str").take(numbers)


class _Samples:
    """Builds a table of examples with their probabilities from one file of each run."""

    def __init__(self, reader: _Reader, name: str) -> None:
        self._reader = reader
        self._name = name
        self._rows: list[dict[str, Any]] = []
        self._widths: set[int] = set()

    def add(self, run: StoredRun) -> None:
        """Read the file of a run, if it has one."""
        shown = self._reader.shown(run, self._name)
        if shown is None:
            return
        widths = {len(sample.values[0]) for sample in shown.samples if sample.values}
        self._widths = self._widths or widths
        if widths - self._widths:
            reason = "values: expected as many channels as in other runs"
            self._reader.leave_out(run, self._name, reason)
            return
        self._rows += _sample_rows(run.run_id, shown)

    def frame(self) -> pd.DataFrame:
        """Return a row per run and example."""
        return pd.DataFrame(self._rows, columns=SAMPLE_COLUMNS)


def _sample_rows(run_id: str, shown: Shown) -> list[dict[str, Any]]:
    names = shown.class_names
    return [
        {
            "run_id": run_id,
            "index": sample.index,
            "text": sample.text,
            "y_true": names[sample.y_true],
            "y_pred": names[max(range(len(names)), key=sample.y_proba.__getitem__)],
            "y_proba": sample.y_proba,
            "values": sample.values,
        }
        for sample in shown.samples
    ]
