"""Read a study back from MLflow alone."""

from __future__ import annotations

import io
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from lstm_bench import records as rec
from lstm_bench.errors import TrackingError
from lstm_bench.metrics import METRICS
from lstm_bench.records import Prediction, Results
from lstm_bench.space import CONFIG_FIELDS, TrialConfig
from lstm_bench.stores import first_line
from lstm_bench.suite import Suite, suite_from_text
from lstm_bench.tracking import find_runs

SHOWN_STATES = ("running", "complete", "pruned", "failed")
SAMPLE_COLUMNS = ["run_id", "index", "text", "y_true", "y_pred", "y_proba"]


def load_results(tracking_uri: str, suite: Suite) -> Results:
    """Read the study of `suite` from MLflow alone.

    Raises
    ------
    TrackingError
        The store holds no such study.
    """
    client = MlflowClient(tracking_uri)
    study = suite.study_name
    try:
        found = find_runs(client, f"tags.`{rec.TAG_STUDY}` = '{study}'")
    except MlflowException as error:
        raise TrackingError(
            f"--tracking-uri: {tracking_uri}: {first_line(error)}"
        ) from error
    sessions = [run for run in found if _kind(run) in ("sweep", "confirm")]
    if not sessions:
        raise TrackingError(_no_study(client, suite))
    context = sessions[-1]
    runs, curves, samples, errors = [], [], [], []
    confirmed, baselines, predictions = [], [], {}
    for run in found:
        run_id, kind = run.info.run_id, _kind(run)
        if kind == "baseline" and run.data.tags[rec.TAG_STATE] == "complete":
            baselines.append(_baseline_row(run))
            predictions[run_id] = _read_predictions(client, run)
        if kind not in ("trial", "reference", "replicate"):
            continue
        if run.data.tags[rec.TAG_STATE] not in SHOWN_STATES:
            continue
        # `mlflow gc` and interrupted clean-ups leave runs without their files.
        config, epochs = _read_training(client, run)
        row = _run_row(run, config, epochs)
        curves += _curve_rows(run_id, epochs)
        samples += _sample_rows(run_id, _read_json(run, client, rec.SAMPLES))
        if kind == "replicate":
            tags = run.data.tags
            why = {"label": tags[rec.TAG_LABEL], "origin": tags[rec.TAG_ORIGIN]}
            confirmed.append({**row, **why})
            errors += _sample_rows(run_id, _read_json(run, client, rec.ERRORS))
            predictions[run_id] = _read_predictions(client, run)
        else:
            runs.append(row)
    dataset = _read_json(context, client, rec.DATASET) or {}
    return Results(
        study=study,
        # The caller's: the margin, say, may have been changed since; what changes
        # results is in the study's name.
        suite=suite,
        runs=_runs_frame(runs),
        curves=pd.DataFrame(
            curves, columns=["run_id", "split", "metric", "epoch", "value"]
        ),
        samples=pd.DataFrame(samples, columns=SAMPLE_COLUMNS),
        confirmed=_runs_frame(confirmed, ("label", "origin")),
        baselines=_baselines_frame(baselines),
        predictions=predictions,
        errors=pd.DataFrame(errors, columns=SAMPLE_COLUMNS),
        test_reviews=_read_test_reviews(client, sessions),
        test_looks=_test_looks(client, str(dataset.get("digest", ""))),
        dataset=dataset,
        environment=_read_json(context, client, rec.ENVIRONMENT) or {},
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
        tracking_url=tracking_uri if tracking_uri.startswith("http") else None,
    )


def load_suite_of(client: MlflowClient, run: Run) -> Suite:
    """Return the suite that was logged with a training's run."""
    text = _read_artifact(run, client, rec.SUITE_FILE)
    name = run.data.tags[rec.TAG_SUITE]
    if text is None:
        raise TrackingError(
            f"run {run.info.run_id} has lost its {rec.SUITE_FILE}; name the suite's "
            "file instead"
        )
    return suite_from_text(name, text.decode())


def _kind(run: Run) -> str:
    return str(run.data.tags[rec.TAG_KIND])


def _test_looks(client: MlflowClient, digest: str) -> pd.DataFrame:
    """Count the runs of this store that looked at the dataset's test set."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for how in rec.TEST_LOOKS:
        for run in find_runs(client, f"tags.`{rec.TAG_TEST_SCORED}` = '{how}'"):
            if run.data.params.get("dataset_digest") == digest[:12]:
                tags = run.data.tags
                counts[tags[rec.TAG_KIND], tags[rec.TAG_STUDY], how] += 1
    return pd.DataFrame(
        [(*key, n) for key, n in sorted(counts.items())],
        columns=["kind", "study", "how", "n"],
    )


def _read_test_reviews(client: MlflowClient, sessions: list[Run]) -> pd.DataFrame:
    for run in reversed(sessions):
        if _kind(run) == "confirm":
            content = _read_artifact(run, client, rec.TEST_REVIEWS)
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
            f"{', '.join(names)} of the same suite's earlier versions. Run "
            "`lstm-bench sweep` with the suite as it is now, or restore that version"
        )
    return (
        f"no study {suite.study_name} in the tracking store; run `lstm-bench sweep` "
        "first, or say where it was tracked with --tracking-uri"
    )


def _read_training(
    client: MlflowClient, run: Run
) -> tuple[TrialConfig, list[dict[str, float]]]:
    stored = {
        key: value for key, value in run.data.params.items() if key in CONFIG_FIELDS
    }
    config = TrialConfig.model_validate(
        {key: None if value == "None" else value for key, value in stored.items()}
    )
    curves = _read_json(run, client, rec.CURVES)
    if curves is not None:
        return config, curves["epochs"]
    keys = list(run.data.metrics)
    return config, _history_from_metrics(client, run.info.run_id, keys)


def _read_predictions(client: MlflowClient, run: Run) -> dict[str, Prediction]:
    predictions = {}
    for split in ("val", "test"):
        name = f"{rec.PREDICTIONS}/{split}.parquet"
        content = _read_artifact(run, client, name)
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


def _read_json(run: Run, client: MlflowClient, name: str) -> Any:
    content = _read_artifact(run, client, name)
    return None if content is None else json.loads(content)


def _read_artifact(run: Run, client: MlflowClient, name: str) -> bytes | None:
    """Return an artifact: from the disk where it lies there, else asked for."""
    uri = str(run.info.artifact_uri)
    if uri.startswith(("file:", "/")):
        file = Path(url2pathname(urlsplit(uri).path)) / name
        return file.read_bytes() if file.is_file() else None
    folder, _, _ = name.rpartition("/")
    listed = client.list_artifacts(run.info.run_id, folder or None)
    if name not in {item.path for item in listed}:
        return None
    with tempfile.TemporaryDirectory() as local:
        path = client.download_artifacts(run.info.run_id, name, local)
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
        "config_id": tags[rec.TAG_CONFIG_ID],
        "state": tags[rec.TAG_STATE],
        "failure_reason": tags.get(rec.TAG_FAILURE),
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
        *("config_id", "state", "failure_reason", "seed", "replicate", "start_time"),
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
    return frame.astype(dict.fromkeys(BASELINE_NUMBERS, float) | {"replicate": int})


def _curve_rows(run_id: str, epochs: list[dict[str, float]]) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run_id,
            "split": key.partition("_")[0],
            "metric": key.partition("_")[2],
            "epoch": int(entry["epoch"]),
            "value": value,
        }
        for entry in epochs
        for key, value in entry.items()
        if key.startswith(("train_", "val_"))
    ] + [
        {
            "run_id": run_id,
            "split": "train",
            "metric": rec.EPOCH_TIME,
            "epoch": int(entry["epoch"]),
            "value": entry[rec.EPOCH_TIME],
        }
        for entry in epochs
        if rec.EPOCH_TIME in entry
    ]


def _sample_rows(run_id: str, shown: dict[str, Any] | None) -> list[dict[str, Any]]:
    if shown is None:
        return []
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
