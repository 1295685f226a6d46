"""Keras models as MLflow's logged models of a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException

from lstm_bench.system.variables import variables_set
from lstm_bench.tracking import names as rec

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from lstm_bench.models.backend import keras

MODEL_FILE = "model.keras"


def has_model(client: MlflowClient, run_id: str) -> bool:
    """Whether the run has a completely logged model.

    MLflow registers the model with the run before it has uploaded the files.
    """
    statuses = _models(client, run_id).values()
    return any(status == LoggedModelStatus.READY for status in statuses)


def remove_unready(client: MlflowClient, run_id: str) -> None:
    """Remove models whose logging was interrupted."""
    for model_id, status in _models(client, run_id).items():
        if status != LoggedModelStatus.READY:
            client.delete_logged_model(model_id)


def _models(client: MlflowClient, run_id: str) -> dict[str, LoggedModelStatus]:
    outputs = client.get_run(run_id).outputs
    models = {}
    for output in outputs.model_outputs if outputs else []:
        try:
            models[output.model_id] = client.get_logged_model(output.model_id).status
        except MlflowException as error:
            # Removed, but the run still lists it.
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return models


def log_model(
    tracking_uri: str, run_id: str, folder: Path, packages: Mapping[str, str]
) -> str:
    """Log `MODEL_FILE` in `folder` with signature and requirements; return its URI.

    Explicit requirements save the subprocess in which MLflow infers them, 6-8 s per
    model.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from lstm_bench.models.backend import keras

    model = keras.models.load_model(folder / MODEL_FILE)
    # Without names: a named input reaches the model as a dict, with a warning.
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("int32"), (-1, -1))]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, model.output_shape[-1]))]),
    )
    # MLflow sets the variable, too; restore it for calls that use another store.
    with variables_set({"MLFLOW_TRACKING_URI": tracking_uri}):
        mlflow.set_tracking_uri(tracking_uri)
        return _log(model, run_id, signature, packages)


def _log(
    model: keras.Model,
    run_id: str,
    signature: ModelSignature,
    packages: Mapping[str, str],
) -> str:
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
