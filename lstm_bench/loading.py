"""Read a study back from MLflow alone."""

from __future__ import annotations

import io
import json
import tempfile
from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run, RunInfo
from mlflow.exceptions import MlflowException

from lstm_bench import records as rec
from lstm_bench.artifacts import places, run_folder
from lstm_bench.engines import STOCK
from lstm_bench.errors import TrackingError, listed
from lstm_bench.heads import IntArray
from lstm_bench.masking import bare_url
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.records import Prediction, Results
from lstm_bench.space import CONFIG_FIELDS, TrialConfig
from lstm_bench.stores import first_line
from lstm_bench.suite import Suite, suite_from_text
from lstm_bench.tracking import find_pages, find_runs

SHOWN_STATES = ("running", "complete", "pruned", "failed")
# Configurations of the search whose samples are read, the best ones.
N_SAMPLED = 20
SAMPLE_COLUMNS = ["run_id", "index", "text", "y_true", "y_pred", "y_proba"]


def load_results(tracking_uri: str, suite: Suite, study: str | None = None) -> Results:
    """Read the study of `suite` from MLflow alone.

    Samples and predictions are read of the runs that may be shown: of references, of
    confirmed runs and of the `N_SAMPLED` configurations that did best in the search.
    Of thousands of runs they would be thousands of further requests to a server.

    Parameters
    ----------
    study : str or None
        Its name in the store, where another version of this package gave it: a new
        hyperparameter changes the names of studies.

    Raises
    ------
    TrackingError
        The store holds no such study.
    """
    client = MlflowClient(tracking_uri)
    study = study or suite.study_name
    runs, confirmed, baselines = [], [], []
    sessions: list[Run] = []
    curves, predictions = _Curves(), {}
    samples, errors = _Samples(client, rec.SAMPLES), _Samples(client, rec.ERRORS)
    searched: dict[str, Run] = {}
    digests: set[str] = set()
    whole = _Whole(client)
    for run in _study_runs(client, tracking_uri, study):
        run_id, kind = run.info.run_id, _kind(run)
        if kind in ("sweep", "confirm"):
            sessions.append(run)
        if "dataset_digest" in run.data.params:
            digests.add(run.data.params["dataset_digest"])
        if kind == "baseline" and run.data.tags[rec.TAG_STATE] == "complete":
            baselines.append(_baseline_row(run))
            predictions[run_id] = _read_predictions(client, run.info)
            whole.check_predictions(run, predictions[run_id])
        if kind not in ("trial", "reference", "replicate"):
            continue
        if run.data.tags[rec.TAG_STATE] not in SHOWN_STATES:
            continue
        config, epochs, has_curves = _read_training(client, run)
        whole.check(run, rec.CURVES, has_curves)
        row = _run_row(run, config, epochs)
        curves.add(run_id, epochs)
        if kind == "replicate":
            tags = run.data.tags
            why = {"label": tags[rec.TAG_LABEL], "origin": tags[rec.TAG_ORIGIN]}
            confirmed.append({**row, **why})
            whole.check(run, rec.SAMPLES, samples.add(run.info))
            errors.add(run.info)
            predictions[run_id] = _read_predictions(client, run.info)
            whole.check_predictions(run, predictions[run_id])
        else:
            runs.append(row)
            searched[run_id] = run
    if not sessions:
        raise TrackingError(_no_study(client, suite))
    runs_frame = _runs_frame(runs)
    for run_id in _sampled(runs_frame, suite.metric):
        run = searched[run_id]
        whole.check(run, rec.SAMPLES, samples.add(run.info))
        predictions[run_id] = _read_predictions(client, run.info)
        whole.check_predictions(run, predictions[run_id])
    dataset, environment = (
        _read_context(client, sessions, name, whole)
        for name in (rec.DATASET, rec.ENVIRONMENT)
    )
    return Results(
        study=study,
        # The caller's: the margin, say, may have been changed since; what changes
        # results is in the study's name.
        suite=suite,
        runs=runs_frame,
        curves=curves.frame(),
        samples=samples.frame(),
        confirmed=_runs_frame(confirmed, ("label", "origin")),
        baselines=_baselines_frame(baselines),
        predictions=predictions,
        errors=errors.frame(),
        test_reviews=_read_test_reviews(client, sessions),
        # Of the trainings: dataset.json may be gone, a parameter is not.
        test_looks=_test_looks(client, digests or {str(dataset.get("digest"))[:12]}),
        dataset=dataset,
        environment=environment,
        sessions=pd.DataFrame(
            [
                {
                    "run_id": run.info.run_id,
                    "kind": _kind(run),
                    "start_time": _timestamp(run.info.start_time),
                    "end_time": _timestamp(run.info.end_time),
                    "status": run.info.status,
                }
                for run in sessions
            ]
        ),
        # It becomes links: who follows one logs in for themselves.
        tracking_url=bare_url(tracking_uri)
        if tracking_uri.startswith("http")
        else None,
        missing=whole.missing(),
    )


class _Whole:
    """Finds out which finished runs lack files that were logged with them."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._finished: set[str] = set()
        self._missing: dict[str, tuple[Run, list[str]]] = {}

    def check(self, run: Run, name: str, is_there: bool) -> None:
        """Count a run's file; one that has not finished may lack it."""
        if run.data.tags[rec.TAG_STATE] != "complete":
            return
        self._finished.add(run.info.run_id)
        if not is_there:
            self.add(run, name)

    def check_predictions(self, run: Run, found: Mapping[str, Prediction]) -> None:
        """Count the predictions on each split that a run was scored on."""
        scored = {"val"}
        if run.data.tags.get(rec.TAG_TEST_SCORED) == "true":
            scored.add("test")
        for split in sorted(scored):
            self.check(run, f"{rec.PREDICTIONS}/{split}.parquet", split in found)

    def add(self, run: Run, name: str) -> None:
        """Count a file that is not there."""
        self._missing.setdefault(run.info.run_id, (run, []))[1].append(name)

    def missing(self) -> str:
        """Return what is not there and where it was looked for; empty for nothing."""
        if not self._missing:
            return ""
        run, names = next(iter(self._missing.values()))
        n = len(self._finished & set(self._missing))
        of = f"{n} of {len(self._finished)} finished trainings and baselines lack "
        return (
            (of if n else "the study lacks ")
            + f"files that were logged with them (the first: run {run.info.run_id}, "
            f"{run.info.run_name}: {', '.join(names)}); looked for in "
            + places(self._client.tracking_uri, str(run.info.artifact_uri))
        )


def _read_context(
    client: MlflowClient, sessions: list[Run], name: str, whole: _Whole
) -> dict[str, Any]:
    """Return what the last command logged in `name`, or one before where it is gone."""
    for run in reversed(sessions):
        if content := _read_json(run.info, client, name):
            return dict(content)
    whole.add(sessions[-1], name)
    return {}


def _study_runs(client: MlflowClient, tracking_uri: str, study: str) -> Iterator[Run]:
    """Yield the study's runs, oldest first, of which one page is held at a time."""
    try:
        for page in find_pages(client, f"tags.`{rec.TAG_STUDY}` = '{study}'"):
            yield from page
    except MlflowException as error:
        raise TrackingError(
            f"--tracking-uri: {bare_url(tracking_uri)}: {first_line(error)}"
        ) from error


def _sampled(runs: pd.DataFrame, metric: Metric) -> list[str]:
    """Return the runs of the search whose samples may be shown, in order of start.

    Among them the run that stands for its configuration in the tables: the first.
    """
    complete = runs[(runs["state"] == "complete") & runs[rec.OBJECTIVE].notna()]
    means = complete.groupby("config_id")[rec.OBJECTIVE].mean()
    rank = metric.ranks(means.to_numpy(dtype=float))
    best = complete["config_id"].isin(means.index[rank <= N_SAMPLED])
    shown = complete[best].drop_duplicates("config_id")["run_id"].tolist()
    shown += runs.loc[runs["kind"] == "reference", "run_id"].tolist()
    return runs.loc[runs["run_id"].isin(shown), "run_id"].tolist()


def load_suite_of(client: MlflowClient, run: Run) -> Suite:
    """Return the suite that was logged with a training's run."""
    text = _read_artifact(run.info, client, rec.SUITE_FILE)
    name = run.data.tags[rec.TAG_SUITE]
    if text is None:
        raise TrackingError(
            f"run {run.info.run_id} has lost its {rec.SUITE_FILE}; name the suite's "
            "file instead"
        )
    return suite_from_text(name, text.decode())


def _kind(run: Run) -> str:
    return str(run.data.tags[rec.TAG_KIND])


def _test_looks(client: MlflowClient, digests: Container[str]) -> pd.DataFrame:
    """Count the runs of this store that looked at the dataset's test set.

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
                counts[tags[rec.TAG_KIND], tags[rec.TAG_STUDY], how] += 1
    return pd.DataFrame(
        [(*key, n) for key, n in sorted(counts.items())],
        columns=["kind", "study", "how", "n"],
    )


def _read_test_reviews(client: MlflowClient, sessions: list[Run]) -> pd.DataFrame:
    for run in reversed(sessions):
        if _kind(run) == "confirm":
            content = _read_artifact(run.info, client, rec.TEST_REVIEWS)
            if content is not None:
                return pd.read_parquet(io.BytesIO(content))
    return pd.DataFrame({"length": [], "in_train": []})


def _no_study(client: MlflowClient, suite: Suite) -> str:
    others = find_runs(
        client,
        f"tags.`{rec.TAG_SUITE}` = '{suite.name}' and tags.`{rec.TAG_KIND}` = 'sweep'",
    )
    names = sorted({run.data.tags[rec.TAG_STUDY] for run in others})
    if names:
        return (
            f"no study {suite.study_name} in the tracking store; it holds "
            f"{listed(names)} of the same suite's earlier versions. Run "
            "`lstm-bench sweep` with the suite as it is now, or give `lstm-bench "
            "report` one of these names"
        )
    return (
        f"no study {suite.study_name} in the tracking store; run `lstm-bench sweep` "
        "first, or say where it was tracked with --tracking-uri"
    )


def _read_training(
    client: MlflowClient, run: Run
) -> tuple[TrialConfig, list[dict[str, float]], bool]:
    """Return a training's configuration, epochs, and whether its curves were there."""
    stored = {
        key: value for key, value in run.data.params.items() if key in CONFIG_FIELDS
    }
    config = TrialConfig.model_validate(
        {key: None if value == "None" else value for key, value in stored.items()}
    )
    curves = _read_json(run.info, client, rec.CURVES)
    if curves is not None:
        return config, curves["epochs"], True
    keys = list(run.data.metrics)
    return config, _history_from_metrics(client, run.info.run_id, keys), False


def _read_predictions(client: MlflowClient, info: RunInfo) -> dict[str, Prediction]:
    predictions = {}
    for split in ("val", "test"):
        name = f"{rec.PREDICTIONS}/{split}.parquet"
        content = _read_artifact(info, client, name)
        if content is not None:
            frame = pd.read_parquet(io.BytesIO(content))
            y_proba = frame.filter(regex="^p_").to_numpy(np.float64)
            predictions[split] = Prediction(
                split,
                frame["index"].to_numpy(np.int64),
                frame["y_true"].to_numpy(np.int64),
                y_proba,
            )
    return predictions


def _read_json(info: RunInfo, client: MlflowClient, name: str) -> Any:
    content = _read_artifact(info, client, name)
    return None if content is None else json.loads(content)


def _read_artifact(info: RunInfo, client: MlflowClient, name: str) -> bytes | None:
    """Return an artifact: from the disk where it lies there, else asked for."""
    held = run_folder(client.tracking_uri, str(info.artifact_uri))
    if held is not None:
        file = held / name
        return file.read_bytes() if file.is_file() else None
    folder, _, _ = name.rpartition("/")
    listed = client.list_artifacts(info.run_id, folder or None)
    if name not in {item.path for item in listed}:
        return None
    with tempfile.TemporaryDirectory() as local:
        path = client.download_artifacts(info.run_id, name, local)
        return Path(path).read_bytes()


def _history_from_metrics(
    client: MlflowClient, run_id: str, keys: Iterable[str]
) -> list[dict[str, float]]:
    """Rebuild the epochs of a run whose curves were not written (yet)."""
    epochs: dict[int, dict[str, float]] = {}
    for key in keys:
        if rec.is_curve_key(key):
            for point in client.get_metric_history(run_id, key):
                entry = epochs.setdefault(point.step, {"epoch": point.step})
                entry[key] = point.value
    return [epochs[step] for step in sorted(epochs)]


def _timestamp(milliseconds: int | None) -> pd.Timestamp | None:
    if milliseconds is None:
        return None
    return pd.Timestamp(milliseconds, unit="ms", tz="UTC")


def _run_row(
    run: Run, config: TrialConfig, epochs: list[dict[str, float]]
) -> dict[str, Any]:
    tags, metrics = run.data.tags, dict(run.data.metrics)
    if epochs and rec.N_EPOCHS not in metrics:
        # A training that did not end has its epochs, but no summary of them.
        metrics[rec.N_EPOCHS] = float(len(epochs))
        metrics[rec.TRAIN_TIME] = sum(entry[rec.EPOCH_TIME] for entry in epochs)
    return {
        "run_id": run.info.run_id,
        "experiment_id": run.info.experiment_id,
        "run_name": run.info.run_name,
        "kind": tags[rec.TAG_KIND],
        "reference": tags.get(rec.TAG_REFERENCE),
        "trial": int(tags[rec.TAG_TRIAL]) if rec.TAG_TRIAL in tags else None,
        # Not the tag: an earlier version gave 0.1 + 0.2 and 0.3 two ids.
        "config_id": config.config_id,
        "state": tags[rec.TAG_STATE],
        "failure_reason": tags.get(rec.TAG_FAILURE),
        "engine": tags.get(rec.TAG_ENGINE, STOCK),
        "seed": int(run.data.params["seed.root"]),
        "replicate": int(run.data.params["seed.replicate"]),
        "start_time": _timestamp(run.info.start_time),
        **config.model_dump(),
        **{
            key: metrics.get(rec.summary_key(key), float("nan"))
            for key in (*rec.RUN_NUMBER_COLUMNS, *rec.METRIC_COLUMNS)
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
        *rec.RUN_NUMBER_COLUMNS,
        *rec.METRIC_COLUMNS,
    ]
    frame = pd.DataFrame(
        {c: pd.Series([row[c] for row in rows], dtype=object) for c in columns}
    )
    numbers = [*rec.RUN_NUMBER_COLUMNS, *rec.METRIC_COLUMNS]
    return frame.astype(
        dict.fromkeys(("trial", "seed", "replicate"), "Int64")
        | dict.fromkeys(numbers, float)
    )


BASELINE_NUMBERS = (
    rec.TRAIN_TIME,
    rec.N_FEATURES,
    *(rec.metric_key(split, name) for split in ("val", "test") for name in METRICS),
)


def _baseline_row(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.info.run_id,
        "experiment_id": run.info.experiment_id,
        "baseline": run.data.tags[rec.TAG_BASELINE],
        "label": run.data.tags[rec.TAG_LABEL],
        "replicate": int(run.data.tags[rec.TAG_REPLICATE]),
        **{
            key: run.data.metrics.get(rec.summary_key(key), float("nan"))
            for key in BASELINE_NUMBERS
        },
    }


def _baselines_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["run_id", "experiment_id", "baseline", "label", "replicate"]
    frame = pd.DataFrame(rows, columns=[*columns, *BASELINE_NUMBERS])
    # Two commands at once may log one twice, of equal scores: the first one counts.
    frame = frame.drop_duplicates(["baseline", "replicate"], ignore_index=True)
    return frame.astype(dict.fromkeys(BASELINE_NUMBERS, float) | {"replicate": int})


class _Curves:
    """Collects the long form column by column.

    A study of thousands of runs has a million points, and a dict for each of them
    would take a gigabyte. Texts are numbers until the frame is made.
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
            if rec.EPOCH_TIME in entry:
                self._key.append(self._number_of("train", rec.EPOCH_TIME))
                self._epoch.append(int(entry["epoch"]))
                self._value.append(_number(entry[rec.EPOCH_TIME]))
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
    """Collects what runs have in one file of reviews shown with their probabilities."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self._client = client
        self._name = name
        self._rows: list[dict[str, Any]] = []

    def add(self, info: RunInfo) -> bool:
        """Read the file of a run; return whether it has one."""
        shown = _read_json(info, self._client, self._name)
        if shown is None:
            return False
        self._rows += _sample_rows(info.run_id, shown)
        return True

    def frame(self) -> pd.DataFrame:
        """Return a row per run and review."""
        return pd.DataFrame(self._rows, columns=SAMPLE_COLUMNS)


def _sample_rows(run_id: str, shown: dict[str, Any]) -> list[dict[str, Any]]:
    names = shown["class_names"]
    return [
        {
            "run_id": run_id,
            "index": sample["index"],
            "text": sample["text"],
            "y_true": names[sample["y_true"]],
            "y_pred": names[max(range(len(names)), key=sample["y_proba"].__getitem__)],
            "y_proba": sample["y_proba"],
        }
        for sample in shown["samples"]
    ]
