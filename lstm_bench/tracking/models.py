"""Trained models as MLflow's logged models of a run.

A logged model is an MLflow pyfunc from code: `pyfunc_script` and the files of a model
folder (`lstm_bench.training.model_folder`). It reads texts or series, has the class
names, and loads where this package is not installed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.exceptions import MlflowException

from lstm_bench import inference
from lstm_bench.errors import TrackingError
from lstm_bench.inference import ABOUT, ARRAYS, EVIDENCE, FORMAT, MEMBERS, NETWORK
from lstm_bench.system.folders import cache_folder
from lstm_bench.system.variables import variables_set
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.artifacts import run_folder

SCRIPT = Path(__file__).with_name("pyfunc_script.py")
FOLDER = "model"
"""Name of the model folder among a logged model's artifacts."""
TAG_FORMAT = "lstm_bench.format"
_ORIGIN = ("suite", "study", "name", "why")
REQUIRED = ("mlflow", "numpy")
NETWORK_REQUIRES = ("keras", "tensorflow")


def has_model(client: MlflowClient, run_id: str) -> bool:
    """Whether the run has a completely logged model in the format of this version.

    MLflow registers the model with the run before it has uploaded the files.
    """
    return whole_model(client, run_id) is not None


def whole_model(client: MlflowClient, run_id: str) -> LoggedModel | None:
    """Return the model that `has_model` means, or None."""
    return next(filter(_is_whole, _models(client, run_id)), None)


def remove_others(client: MlflowClient, run_id: str) -> None:
    """Remove models whose logging was interrupted, or that have an older format."""
    for model in _models(client, run_id):
        if not _is_whole(model):
            client.delete_logged_model(model.model_id)


def _is_whole(model: LoggedModel) -> bool:
    is_ready = model.status == LoggedModelStatus.READY
    return is_ready and model.tags.get(TAG_FORMAT) == str(FORMAT)


def _models(client: MlflowClient, run_id: str) -> list[LoggedModel]:
    outputs = client.get_run(run_id).outputs
    models = []
    for output in outputs.model_outputs if outputs else []:
        try:
            models.append(client.get_logged_model(output.model_id))
        except MlflowException as error:
            # Removed, but the run still lists it.
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return models


def model_address(run_id: str) -> str:
    """Return the address under which MLflow loads the model of a run."""
    return f"runs:/{run_id}/{rec.MODEL}"


def model_folder(client: MlflowClient, run_id: str) -> Path | None:
    """Return a local folder with a run's MLflow model; None if it has no whole one.

    A server's model is downloaded to the cache, once.

    Raises
    ------
    TrackingError
        Files of the model are lost.
    """
    model = whole_model(client, run_id)
    if model is None:
        return None
    folder = run_folder(client.tracking_uri, model.artifact_location)
    if folder is None:
        folder = cache_folder("models", model.model_id)
        if not folder.exists():
            _download(client, model, folder)
    for file in (folder / "MLmodel", files_of(folder) / ABOUT):
        if not file.is_file():
            raise TrackingError(
                f"run {run_id}: its model has lost the file {file}; bring it back, or "
                f"delete the run's logged model {model.model_id} in MLflow's UI so "
                "that it is trained again"
            )
    return folder


def files_of(folder: Path) -> Path:
    """Return the model folder within the folder of an MLflow model."""
    return folder / "artifacts" / FOLDER


def read_about(folder: Path) -> dict[str, Any]:
    """Return the content of ``about.json`` of an MLflow model."""
    text = (files_of(folder) / ABOUT).read_text(encoding="utf-8")
    about: dict[str, Any] = json.loads(text)
    return about


def write_ensemble(folder: Path, members: Sequence[Path], why: str) -> None:
    """Write the MLflow model that predicts the mean of several.

    Parameters
    ----------
    folder : Path
        A new one.
    members : sequence of Path
        Folders of MLflow models of one study.
    why : str
        A sentence on what the ensemble is.
    """
    # It is run by the same script, with the same signature and requirements.
    shutil.copytree(members[0], folder)
    files = files_of(folder)
    shutil.rmtree(files)
    for i, member in enumerate(members):
        shutil.copytree(files_of(member), files / MEMBERS / str(i))
    about = read_about(members[0]) | {"why": why, "n_members": len(members)}
    text = json.dumps(about, ensure_ascii=False, indent=1)
    (files / ABOUT).write_text(text, encoding="utf-8")
    shutil.copy2(str(inference.__file__), files / "inference.py")


def _download(client: MlflowClient, model: LoggedModel, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        found = download_artifacts(
            artifact_uri=f"models:/{model.model_id}",
            dst_path=partial,
            tracking_uri=client.tracking_uri,
        )
        Path(found).rename(folder)


def log_model(
    tracking_uri: str, run_id: str, folder: Path, packages: Mapping[str, str]
) -> str:
    """Log the model folder `folder` as the run's model; return its address.

    Parameters
    ----------
    packages : mapping of str to str
        Installed versions. Explicit requirements save the subprocess in which MLflow
        infers them, 6-8 s per model.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    about["run_id"] = run_id
    required = [*REQUIRED]
    if (folder / NETWORK).exists():
        # MLflow loads the model to try it; import Keras as the package does.
        import lstm_bench.models.backend  # noqa: F401

        required += NETWORK_REQUIRES
    with (
        tempfile.TemporaryDirectory() as name,
        # MLflow sets the variable, too; restore it for calls that use another store.
        variables_set({"MLFLOW_TRACKING_URI": tracking_uri}),
    ):
        files = Path(name) / FOLDER
        files.mkdir()
        for file in (NETWORK, ARRAYS, EVIDENCE):
            if (folder / file).exists():
                shutil.copy2(folder / file, files)
        shutil.copy2(str(inference.__file__), files / "inference.py")
        text = json.dumps(about, ensure_ascii=False, indent=1)
        (files / ABOUT).write_text(text, encoding="utf-8")
        mlflow.set_tracking_uri(tracking_uri)
        requirements = [f"{package}=={packages[package]}" for package in required]
        return _log(files, about, run_id, requirements)


def _log(
    files: Path, about: Mapping[str, Any], run_id: str, requirements: list[str]
) -> str:
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # MLflow warns of a type hint in its own code.
        warnings.filterwarnings("ignore", ".*Any type hint")
        info = mlflow.pyfunc.log_model(
            name=rec.MODEL,
            python_model=str(SCRIPT),
            artifacts={FOLDER: str(files)},
            model_config={"reads": reads(about)},
            input_example=about["input_example"] or None,
            metadata={
                key: about[key]
                for key in about
                if key in ("class_names", "output_names", *_ORIGIN)
            },
            pip_requirements=requirements,
            tags={TAG_FORMAT: str(FORMAT)},
        )
    return str(info.model_uri)


def reads(about: Mapping[str, Any]) -> str:
    """Return what a model reads: "texts", "categories", "series" or "values"."""
    if about.get("forecast"):
        return "values"
    if about["kind"] != "tokens":
        return "series"
    return "categories" if about["tokenizer"] == "categories" else "texts"
