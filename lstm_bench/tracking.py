"""Write runs to MLflow and read a study back; the one module that knows MLflow."""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import (
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException

from lstm_bench import records as rec
from lstm_bench.chart_view import TAG_PREFIX, chart_view_state
from lstm_bench.errors import TrackingError
from lstm_bench.figures.search import plot_confusion_matrix, plot_run_curves
from lstm_bench.records import Prediction, Results, TrialResult
from lstm_bench.space import CONFIG_FIELDS, TrialConfig
from lstm_bench.stores import check_writable_database, first_line
from lstm_bench.suite import Suite, suite_from_text

if TYPE_CHECKING:
    from lstm_bench.backend import keras

DEFAULT_STORE = "mlflow.db"
EXPERIMENT = "lstm-bench"

# MLflow tells of tables it makes and draws a bar for every file it reads.
logging.getLogger("mlflow").setLevel(logging.WARNING)
# It misses pip in environments that uv made; requirements are named without it.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
# It prints the traceback of every database error that it also raises.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

PARENT_TAG = "mlflow.parentRunId"
CONNECT_TIMEOUT_S = 5.0


def resolve_tracking_uri(uri: str | None) -> str:
    """Return an absolute tracking URI.

    Order: `uri`, the environment's ``MLFLOW_TRACKING_URI``, ``mlflow.db`` in the
    working directory. A relative sqlite path is made absolute, because a relative
    one would mean another file as soon as the working directory changes.

    Raises
    ------
    TrackingError
        A file store, which MLflow no longer writes; a server that does not answer;
        a database whose folder is missing or read-only.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DEFAULT_STORE}"
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        _check_server(uri)
    elif uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///")).absolute()
        check_writable_database(file, "--tracking-uri")
        uri = f"sqlite:///{file}"
    elif parts.scheme in ("", "file"):
        raise TrackingError(
            f"--tracking-uri: expected sqlite:///FILE.db or http://HOST:PORT, got "
            f"{uri!r}; MLflow's plain-folder store is no longer supported"
        )
    return uri


def _check_server(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    shown = f"{parts.scheme}://{parts.hostname}:{port}"
    try:
        socket.create_connection(
            (parts.hostname or "", port), timeout=CONNECT_TIMEOUT_S
        ).close()
    except OSError as error:
        raise TrackingError(
            f"--tracking-uri: no MLflow server answers at {shown} ({error}); start it, "
            "or leave the option out to use mlflow.db in this folder"
        ) from error
    # A server that dies later must not hold a sweep for MLflow's default minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")


class Tracker:
    """Writes sweeps and trainings to one MLflow store, with explicit run ids.

    Parameters
    ----------
    tracking_uri : str
        From `resolve_tracking_uri`.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        try:
            self.client = MlflowClient(tracking_uri)
            # `mlflow run` made a run for this project and names it here. It is the
            # sweep's run. Left in the environment, every later start_run adopts it.
            self.project_run_id = os.environ.pop("MLFLOW_RUN_ID", None)
            self.experiment_id = self._experiment()
        except MlflowException as error:
            raise TrackingError(
                f"--tracking-uri: {tracking_uri}: {first_line(error)}"
            ) from error

    def _experiment(self) -> str:
        if self.project_run_id is not None:
            try:
                run = self.client.get_run(self.project_run_id)
            except MlflowException as error:
                raise TrackingError(
                    f"MLFLOW_RUN_ID: run {self.project_run_id} is not in "
                    f"{self.tracking_uri}; start `mlflow run` in the project's own "
                    "folder, or set MLFLOW_TRACKING_URI to an absolute address"
                ) from error
            return str(run.info.experiment_id)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        known = self.client.get_experiment_by_name(name)
        if known is not None and known.lifecycle_stage == "active":
            return str(known.experiment_id)
        if known is not None:
            raise TrackingError(
                f"experiment {name!r} was deleted in this store; restore it with "
                f"`mlflow experiments restore -x {known.experiment_id}`"
            )
        location = None
        if self.tracking_uri.startswith("sqlite:///"):
            # Beside the database, wherever the command was started.
            folder = Path(self.tracking_uri.removeprefix("sqlite:///")).parent
            location = (folder / "mlruns" / name).as_uri()
        return str(self.client.create_experiment(name, artifact_location=location))

    def start_sweep(
        self,
        suite: Suite,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        n_trials: int,
    ) -> str:
        """Open the sweep's run, or take the one `mlflow run` made; return its id."""
        tags = {
            rec.TAG_KIND: "sweep",
            rec.TAG_SUITE: suite.name,
            rec.TAG_STUDY: suite.study_name,
            "mlflow.note.content": suite.description,
        }
        if self.project_run_id is not None:
            run_id = self.project_run_id
            self.client.log_batch(
                run_id, tags=[RunTag(key, value) for key, value in tags.items()]
            )
            self.client.update_run(run_id, name=suite.study_name)
        else:
            run_id = self.client.create_run(
                self.experiment_id, tags=tags, run_name=suite.study_name
            ).info.run_id
        params = {
            "suite": suite.name,
            "study": suite.study_name,
            "n_trials": n_trials,
            **{f"study.{k}": v for k, v in suite.study.model_dump().items()},
        }
        # `mlflow run` has logged the entry point's own parameters already.
        logged = self.client.get_run(run_id).data.params
        self.client.log_batch(
            run_id,
            params=[Param(k, str(v)) for k, v in params.items() if k not in logged],
        )
        self._log_context(run_id, suite, dataset, environment)
        self.client.set_experiment_tag(
            self.experiment_id,
            f"{TAG_PREFIX}{suite.study_name}",
            json.dumps(chart_view_state(suite)),
        )
        return run_id

    def start_run(
        self,
        config: TrialConfig,
        *,
        suite: Suite,
        kind: str,
        name: str,
        parent_run_id: str | None,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        seeds: Mapping[str, int],
        trial: int | None = None,
        reference: str | None = None,
    ) -> str:
        """Open a training's run with its parameters, tags and dataset; return its id.

        Parameters
        ----------
        kind : {"trial", "reference", "train"}
        seeds : mapping
            Named seeds, logged as ``seed.<name>``.
        """
        tags = {
            rec.TAG_KIND: kind,
            rec.TAG_SUITE: suite.name,
            rec.TAG_STUDY: suite.study_name,
            rec.TAG_CONFIG_ID: config.config_id,
            rec.TAG_STATE: "running",
        }
        if parent_run_id is not None:
            tags[PARENT_TAG] = parent_run_id
        if trial is not None:
            tags[rec.TAG_TRIAL] = str(trial)
        if reference is not None:
            tags[rec.TAG_REFERENCE] = reference
        run_id: str = self.client.create_run(
            self.experiment_id, tags=tags, run_name=name
        ).info.run_id
        params = {
            **config.model_dump(),
            **{f"seed.{name}": seed for name, seed in seeds.items()},
            "dataset": dataset["name"],
            "dataset_digest": dataset["digest"][:12],
        }
        self.client.log_batch(
            run_id, params=[Param(key, str(value)) for key, value in params.items()]
        )
        self.client.log_inputs(
            run_id,
            [
                DatasetInput(
                    MlflowDataset(
                        name=dataset["name"],
                        digest=dataset["digest"][:36],
                        source_type="lstm_bench",
                        source=json.dumps({"source": dataset["source"]}),
                    ),
                    [InputTag("mlflow.data.context", "training and validation")],
                )
            ],
        )
        self._log_context(run_id, suite, dataset, environment)
        return run_id

    def _log_context(
        self,
        run_id: str,
        suite: Suite,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / rec.SUITE_FILE).write_text(suite.text, encoding="utf-8")
            _write_json(Path(folder) / rec.DATASET, dataset)
            _write_json(Path(folder) / rec.ENVIRONMENT, environment)
            self.client.log_artifacts(run_id, folder)

    def log_epoch(self, run_id: str, entry: Mapping[str, float]) -> None:
        """Write one epoch's entry of the history in one request."""
        now, epoch = int(time.time() * 1000), int(entry["epoch"])
        self.client.log_batch(
            run_id,
            metrics=[
                Metric(key, float(value), now, epoch)
                for key, value in entry.items()
                if key != "epoch"
            ],
        )

    def log_best(self, run_id: str, step: int, value: float) -> None:
        """Write the study's best value so far, by number of trainings."""
        self.client.log_batch(
            run_id,
            metrics=[Metric(rec.BEST_VALUE, value, int(time.time() * 1000), step)],
        )

    def finish_run(self, run_id: str, result: TrialResult, metric: str) -> None:
        """Write a training's result and close it as complete."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self._write_history(folder, result.config, result.history.epochs)
            _write_json(
                folder / rec.SAMPLES,
                {"class_names": list(result.class_names), "samples": result.samples},
            )
            (folder / rec.PREDICTIONS).mkdir()
            for prediction in result.predictions:
                frame = _prediction_frame(prediction, result.class_names)
                frame.to_parquet(
                    folder / rec.PREDICTIONS / f"{prediction.split}.parquet",
                    index=False,
                )
            (folder / rec.FIGURES).mkdir()
            for curve in dict.fromkeys(("accuracy", "loss", metric)):
                figure = plot_run_curves(result.history.epochs, curve)
                figure.savefig(folder / rec.FIGURES / f"{curve}.png", dpi=90)
            shown = result.predictions[-1]
            figure = plot_confusion_matrix(
                shown.y_true, shown.y_proba.argmax(axis=1), result.class_names
            )
            figure.savefig(
                folder / rec.FIGURES / f"confusion_matrix_{shown.split}.png", dpi=90
            )
            self.client.log_artifacts(run_id, str(folder))
        now, step = int(time.time() * 1000), len(result.history.epochs)
        scored = [p.split for p in result.predictions if p.split == "test"]
        self.client.log_batch(
            run_id,
            metrics=[
                Metric(_summary_key(key), float(value), now, step)
                for key, value in result.metrics.items()
            ],
            tags=[RunTag(rec.TAG_TEST_SCORED, str(bool(scored)).lower())],
        )
        self.close_run(run_id, "complete")

    def abandon_run(
        self,
        run_id: str,
        config: TrialConfig,
        epochs: list[dict[str, float]],
        state: str,
        reason: str,
    ) -> None:
        """Close a training that did not end, with the epochs it did and the reason."""
        with tempfile.TemporaryDirectory() as folder:
            self._write_history(Path(folder), config, epochs)
            self.client.log_artifacts(run_id, folder)
        self.close_run(run_id, state, reason)

    def _write_history(
        self, folder: Path, config: TrialConfig, epochs: list[dict[str, float]]
    ) -> None:
        _write_json(folder / rec.CURVES, {"epochs": epochs})
        _write_json(folder / rec.CONFIG, config.model_dump())

    def close_run(self, run_id: str, state: str, reason: str | None = None) -> None:
        """Set a training's state and the MLflow status that means the same."""
        tags = [RunTag(rec.TAG_STATE, state)]
        if reason is not None:
            tags.append(RunTag(rec.TAG_FAILURE, reason))
        self.client.log_batch(run_id, tags=tags)
        self.client.set_terminated(run_id, rec.MLFLOW_STATUS[state])

    def end_sweep(self, run_id: str, status: str) -> None:
        """Close the sweep's run as FINISHED, KILLED or FAILED."""
        self.client.set_terminated(run_id, status)

    def log_report(self, run_id: str, folder: Path) -> None:
        """Attach the report in `folder` to the sweep's run, and nothing beside it."""
        for name in rec.REPORT_FILES:
            self.client.log_artifact(run_id, str(folder / name), rec.REPORT)

    def log_model(
        self, run_id: str, model: keras.Model, packages: Mapping[str, str]
    ) -> str:
        """Log a Keras model with signature and requirements; return its URI.

        Naming the requirements spares MLflow a subprocess that finds them out,
        6-8 s a model.
        """
        import warnings

        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        # Without names: a named input reaches the model as a dict, which it warns of.
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype("int32"), (-1, -1))]),
            outputs=Schema(
                [TensorSpec(np.dtype("float32"), (-1, model.output_shape[-1]))]
            ),
        )
        mlflow.set_tracking_uri(self.tracking_uri)
        with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
            # MLflow warns of a type hint in its own code.
            warnings.filterwarnings("ignore", ".*Any type hint")
            info = mlflow.keras.log_model(
                model,
                name=rec.MODEL,
                signature=signature,
                pip_requirements=[
                    f"{name}=={packages[name]}" for name in ("keras", "tensorflow")
                ],
            )
        return str(info.model_uri)

    def has_model(self, run_id: str) -> bool:
        """Whether the run has a logged model."""
        outputs = self.client.get_run(run_id).outputs
        return bool(outputs and outputs.model_outputs)

    def runs_of(self, study: str) -> list[Run]:
        """Return every run of `study`, sweeps and trainings, oldest first."""
        return find_runs(self.client, f"tags.`{rec.TAG_STUDY}` = '{study}'")


def _is_curve(key: str) -> bool:
    """Whether a metric has a value for every epoch."""
    times = (rec.EPOCH_TIME, rec.EVAL_TIME, rec.SAMPLES_PER_SECOND)
    is_score = key.startswith(("train_", "val_")) and key != rec.TRAIN_TIME
    return is_score or key in times


def _summary_key(key: str) -> str:
    """Return the MLflow key of a finished training's value."""
    return rec.final_key(key) if _is_curve(key) else key


def find_runs(client: MlflowClient, filter_string: str) -> list[Run]:
    """Return the runs that match, over every experiment, oldest first."""
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            experiments,
            filter_string,
            ViewType.ACTIVE_ONLY,
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


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
    sweeps = [run for run in found if run.data.tags[rec.TAG_KIND] == "sweep"]
    trainings = [
        run
        for run in found
        if run.data.tags[rec.TAG_KIND] in ("trial", "reference")
        and run.data.tags[rec.TAG_STATE] in ("running", "complete", "pruned", "failed")
    ]
    if not sweeps:
        raise TrackingError(_no_study(client, suite))
    rows, curves, samples = [], [], []
    context = sweeps[-1].info.run_id
    for run in trainings:
        # `mlflow gc` and interrupted clean-ups leave runs without their files.
        config, epochs, shown = _read_training(client, run)
        rows.append(_run_row(run, config, epochs))
        curves += _curve_rows(run.info.run_id, epochs)
        samples += _sample_rows(run.info.run_id, shown)
    logged = _read_text(client, context, rec.SUITE_FILE)
    return Results(
        study=study,
        suite=suite if logged is None else suite_from_text(suite.name, logged),
        runs=_runs_frame(rows),
        curves=pd.DataFrame(
            curves, columns=["run_id", "split", "metric", "epoch", "value"]
        ),
        samples=pd.DataFrame(
            samples,
            columns=["run_id", "index", "text", "y_true", "y_pred", "y_proba"],
        ),
        dataset=json.loads(_read_text(client, context, rec.DATASET) or "{}"),
        environment=json.loads(_read_text(client, context, rec.ENVIRONMENT) or "{}"),
        sessions=pd.DataFrame(
            [
                {
                    "run_id": run.info.run_id,
                    "start_time": _timestamp(run.info.start_time),
                    "end_time": _timestamp(run.info.end_time),
                    "status": run.info.status,
                }
                for run in sweeps
            ]
        ),
        tracking_url=tracking_uri if tracking_uri.startswith("http") else None,
    )


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
) -> tuple[TrialConfig, list[dict[str, float]], dict[str, Any] | None]:
    run_id = run.info.run_id
    stored = {
        key: value for key, value in run.data.params.items() if key in CONFIG_FIELDS
    }
    config = TrialConfig.model_validate(
        {key: None if value == "None" else value for key, value in stored.items()}
    )
    curves = _read_artifact(run, client, rec.CURVES)
    if curves is not None:
        epochs = json.loads(curves)["epochs"]
    else:
        epochs = _history_from_metrics(client, run_id, list(run.data.metrics))
    shown = _read_artifact(run, client, rec.SAMPLES)
    return config, epochs, None if shown is None else json.loads(shown)


def _read_artifact(run: Run, client: MlflowClient, name: str) -> str | None:
    """Return an artifact's text: from the disk where it lies there, else asked for."""
    uri = str(run.info.artifact_uri)
    if uri.startswith(("file:", "/")):
        file = Path(url2pathname(urlsplit(uri).path)) / name
        return file.read_text(encoding="utf-8") if file.is_file() else None
    return _read_text(client, run.info.run_id, name)


def _read_text(client: MlflowClient, run_id: str, name: str) -> str | None:
    if name not in {item.path for item in client.list_artifacts(run_id)}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = client.download_artifacts(run_id, name, folder)
        return Path(file).read_text(encoding="utf-8")


def _history_from_metrics(
    client: MlflowClient, run_id: str, keys: Iterable[str]
) -> list[dict[str, float]]:
    """Rebuild the epochs of a run whose curves were not written (yet)."""
    epochs: dict[int, dict[str, float]] = {}
    for key in keys:
        if _is_curve(key):
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
        "start_time": _timestamp(run.info.start_time),
        **config.model_dump(),
        **{
            key: metrics.get(_summary_key(key), float("nan"))
            for key in (*rec.RUN_NUMBER_COLUMNS, *rec.METRIC_COLUMNS)
        },
    }


def _runs_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = [
        *("run_id", "experiment_id", "run_name", "kind", "reference", "trial"),
        *("config_id", "state", "failure_reason", "seed", "start_time"),
        *CONFIG_FIELDS,
        *rec.RUN_NUMBER_COLUMNS,
        *rec.METRIC_COLUMNS,
    ]
    frame = pd.DataFrame(
        {c: pd.Series([row[c] for row in rows], dtype=object) for c in columns}
    )
    numbers = [*rec.RUN_NUMBER_COLUMNS, *rec.METRIC_COLUMNS]
    return frame.astype(
        {"trial": "Int64", "seed": "Int64"} | dict.fromkeys(numbers, float)
    )


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


def _prediction_frame(
    prediction: Prediction, class_names: tuple[str, ...]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "index": prediction.index,
            "y_true": prediction.y_true,
            **{
                f"p_{name}": prediction.y_proba[:, i]
                for i, name in enumerate(class_names)
            },
        }
    )


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
