"""The program of a logged model: MLflow runs it, also where lstm_bench is missing.

It is logged as it is and reads the model folder among the model's artifacts, which has
`lstm_bench/inference.py` beside the weights. Nothing is pickled.
"""

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel, PythonModelContext

FOLDER = "model"
"""Name of the model folder among the artifacts."""


class Classifier(PythonModel):
    """Gives each input its class with each one's probability, or its numbers."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model with the module that was logged with it."""
        folder = Path(context.artifacts[FOLDER])
        name = "logged_lstm_bench_inference"
        spec = importlib.util.spec_from_file_location(name, folder / "inference.py")
        if spec is None or spec.loader is None:
            raise MlflowException(f"{folder}: expected inference.py among the files")
        module = importlib.util.module_from_spec(spec)
        # Where dataclasses look for the names in annotations.
        sys.modules[name] = module
        spec.loader.exec_module(module)
        self.model = module.load(folder)

    def table(self, inputs: list[Any]) -> pd.DataFrame:
        """Return columns ``label`` and each ``p_<class>``, or ``prediction``."""
        try:
            y_proba = self.model.predict_proba(inputs)
        except ValueError as error:
            raise MlflowException(str(error), error_code=BAD_REQUEST) from error
        return pd.DataFrame(self.model.columns(y_proba))


# MLflow reads a model's signature from the type hint of its input.


class Texts(Classifier):
    """Reads texts."""

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[str],
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return the table of `Classifier`."""
        return self.table(model_input)


class Categories(Classifier):
    """Reads sequences of categories."""

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[list[str]],
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return the table of `Classifier`."""
        return self.table(model_input)


# MLflow logs a warning of a union.
_hints = logging.getLogger("mlflow.types.type_hints")
_level = _hints.level
_hints.setLevel(logging.ERROR)


class Series(Classifier):
    """Reads series: for each step a list with one number per channel."""

    def predict(
        self,
        context: PythonModelContext,
        # Not float alone: MLflow would refuse a 1 for 1.0.
        model_input: list[list[list[float | int]]],
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return the table of `Classifier`."""
        return self.table(model_input)


class Values(Classifier):
    """Reads the values of series: lists of numbers, or dicts with the series' names."""

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[list[Any] | dict[str, Any]],
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return the table of `Classifier`."""
        return self.table(model_input)


_hints.setLevel(_level)

READS: dict[str, type[PythonModel]] = {
    "texts": Texts,
    "categories": Categories,
    "series": Series,
    "values": Values,
}
settings = mlflow.models.ModelConfig(development_config={})

mlflow.models.set_model(READS[settings.get("reads")]())  # type: ignore[no-untyped-call]
