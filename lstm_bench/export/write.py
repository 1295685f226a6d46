"""Export a model folder: write it, compare it with the model, and only then keep it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.errors import ExportError, OutputError
from lstm_bench.export.examples import Examples
from lstm_bench.export.formats import FORMATS, MLFLOW
from lstm_bench.export.readme import readme
from lstm_bench.inference import ABOUT, NETWORKS
from lstm_bench.system.files import new_folder
from lstm_bench.tracking.models import files_of, read_about

TOLERANCE = 1e-5
"""Largest difference of a probability between a model and its export; of numbers, of
the difference divided by the standard deviation of the training targets."""


def check_export(form: str, out: Path) -> None:
    """Raise what prevents an export, before anything is loaded.

    Raises
    ------
    ExportError
        A package is missing.
    OutputError
        `out` exists.
    """
    FORMATS[form].check()
    if out.exists():
        raise OutputError(
            f"{out}: exists already, and an export never overwrites; choose another "
            "folder with --out"
        )


def export_model(logged: Path, form: str, out: Path, examples: Examples) -> float:
    """Export a model, and compare its probabilities with the model's.

    Parameters
    ----------
    logged : Path
        Local folder of a logged MLflow model, as `find_logged_model` returns it.
    form : str
        One of `FORMATS`.
    out : Path
        The new folder.

    Returns
    -------
    float
        The largest difference, at most `TOLERANCE`.

    Raises
    ------
    ExportError
        The model has no such format, or the probabilities differ by more than
        `TOLERANCE`; nothing is written.
    OutputError
        `out` exists or cannot be written.
    """
    check_export(form, out)
    about = read_about(logged)
    if about["model"] not in NETWORKS and form != MLFLOW:
        raise ExportError(
            f"--format {form}: {about['name']} is a baseline, and {form} has only "
            f"networks; --format {MLFLOW} exports it"
        )
    if about.get("forecast") and form != MLFLOW:
        raise ExportError(
            f"--format {form}: {about['name']} forecasts series, whose scales {form} "
            f"has no place for; --format {MLFLOW} exports it"
        )
    try:
        with new_folder(out) as folder:
            difference = _write(logged, form, folder, about, examples)
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror or error}); choose another "
            "folder with --out"
        ) from error
    return difference


def compared(about: Mapping[str, Any]) -> tuple[str, FloatArray | float]:
    """Return what is compared, in words, and the unit of its differences.

    Parameters
    ----------
    about : mapping
        The content of a model folder's ``about.json``.
    """
    scaling, forecast = about.get("target_scaling"), about.get("forecast")
    if scaling is None:
        return "a probability", 1.0
    # All examples of forecasts have the scale of the first series.
    scale = next(iter(forecast["scales"].values())) if forecast else 1.0
    unit: FloatArray = np.asarray(scaling["std"], np.float64) * scale
    return "a prediction, in standard deviations of the targets,", unit


def _write(
    logged: Path, form: str, folder: Path, about: dict[str, Any], examples: Examples
) -> float:
    chosen = FORMATS[form]
    chosen.write(logged, folder, about)
    expected = chosen.expected(files_of(logged), about, examples.sequences)
    got = chosen.proba(folder, about, examples.sequences)
    what, unit = compared(about)
    difference = float((np.abs(got - expected) / unit).max())
    # NaN is not within.
    if not difference <= TOLERANCE:
        raise ExportError(
            f"--format {form}: on {examples.what} the largest difference of {what} "
            f"between the exported model and the model is {difference:.1e}, more than "
            f"{TOLERANCE:.0e}; nothing is written"
        )
    if form != MLFLOW:
        for file in (ABOUT, "inference.py"):
            shutil.copyfile(files_of(logged) / file, folder / file)
    text = readme(
        form,
        about,
        f"Compared on {examples.what}: the largest difference of {what} is "
        f"{difference:.1e}",
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    return difference
