"""Export a model folder: write it, compare it with the model, and only then keep it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lstm_bench import inference
from lstm_bench.data.dataset import Values
from lstm_bench.errors import ExportError, OutputError
from lstm_bench.export.formats import FORMATS, network_proba
from lstm_bench.export.readme import readme
from lstm_bench.inference import ABOUT, LSTM
from lstm_bench.system.files import new_folder

TOLERANCE = 1e-5
"""Largest difference of a probability between a model and its export."""


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


def export_model(
    source: Path, form: str, out: Path, sequences: Sequence[Values], examples: str
) -> float:
    """Export a model, and compare its probabilities with the model's.

    Parameters
    ----------
    source : Path
        A model folder.
    form : str
        One of `FORMATS`.
    out : Path
        The new folder.
    sequences : sequence of ndarray
        Token ids, int32 of shape (length,), or scaled vectors, float32 of shape
        (length, n_channels), to compare on.
    examples : str
        What these are, such as ``256 random sequences``.

    Returns
    -------
    float
        The largest difference of a probability, at most `TOLERANCE`.

    Raises
    ------
    ExportError
        The model has no such format, or the probabilities differ by more than
        `TOLERANCE`; nothing is written.
    OutputError
        `out` exists or cannot be written.
    """
    check_export(form, out)
    about = json.loads((source / ABOUT).read_text(encoding="utf-8"))
    if about["model"] != LSTM:
        raise ExportError(
            f"--format {form}: {about['name']} is no network, and {form} has only "
            "networks; --format mlflow exports it"
        )
    try:
        with new_folder(out) as folder:
            FORMATS[form].write(source, folder, about)
            expected = network_proba(source, about, sequences)
            got = FORMATS[form].proba(folder, about, sequences)
            difference = float(np.abs(got - expected).max())
            # NaN is not within.
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"--format {form}: on {examples} the largest difference between "
                    f"the exported model's probabilities and the model's is "
                    f"{difference:.1e}, more than {TOLERANCE:.0e}; nothing is written"
                )
            checked = (
                f"Compared on {examples}: the largest difference of a probability is "
                f"{difference:.1e}"
            )
            shutil.copyfile(source / ABOUT, folder / ABOUT)
            shutil.copyfile(inference.__file__, folder / "inference.py")
            text = readme(form, about, checked)
            (folder / "README.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror or error}); choose another "
            "folder with --out"
        ) from error
    return difference
