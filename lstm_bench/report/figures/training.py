"""Figures of one training for its MLflow run, as PNG files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.metrics import METRICS
from lstm_bench.report.figures.confusion import (
    MAX_MATRIX,
    class_recall,
    confusion_matrix,
    plot_confusion,
    plot_recall,
)
from lstm_bench.report.figures.curves import Curve, plot_curves
from lstm_bench.report.figures.predicted import plot_predicted
from lstm_bench.report.figures.style import OTHERS, PALETTE, figure_png, metric_label
from lstm_bench.system.files import new_folder
from lstm_bench.tasks import TASKS
from lstm_bench.tracking import names as rec
from lstm_bench.training.result import Prediction

# The last one that was scored is drawn.
SPLITS = ("test", "val")


def plot_run_curves(
    history_epochs: Sequence[Mapping[str, float]], metric_name: str
) -> Figure:
    """Draw one run's train and validation values by epoch.

    Parameters
    ----------
    history_epochs : sequence of dict
        As `History.epochs`: ``epoch, train_<metric>, val_<metric>``.
    metric_name : str
        Name in `METRICS`, or "loss".
    """
    curves = []
    for split, name, colour in (
        ("val", "validation", PALETTE[0]),
        ("train", "train (running mean, dropout on)", OTHERS),
    ):
        key = f"{split}_{metric_name}"
        rows = [row for row in history_epochs if key in row]
        if rows:
            epochs = [int(row["epoch"]) for row in rows]
            values = [row[key] for row in rows]
            curves.append(Curve(name, name, colour, epochs, values))
    return plot_curves(curves, metric_label(metric_name))


def training_figures(
    epochs: Sequence[Mapping[str, float]],
    scored: Prediction,
    class_names: Sequence[str],
    metric_name: str,
) -> dict[str, bytes]:
    """Draw the figures of a training's MLflow run: learning curves, confusion matrix.

    Parameters
    ----------
    scored : Prediction
        Of the last scored split.

    Returns
    -------
    dict of str to bytes
        PNG files ``accuracy`` or ``mse``, ``loss``, the study's metric, and
        ``confusion_matrix_<split>``, ``recall_<split>`` of more classes than a matrix
        can show, or ``predicted_<split>`` of numbers.
    """
    task = METRICS[metric_name].tasks[0]
    figures = {
        name: plot_run_curves(epochs, name)
        for name in dict.fromkeys((TASKS[task].objective, "loss", metric_name))
        if f"val_{name}" in epochs[0]
    }
    if TASKS[task].is_numeric:
        figures[f"predicted_{scored.split}"] = plot_predicted(scored)
        return {name: figure_png(figure) for name, figure in figures.items()}
    n_classes = len(class_names)
    y_pred, title = scored.y_proba.argmax(axis=1), f"n = {len(scored.y_true):,}"
    if n_classes > MAX_MATRIX:
        n, recall = class_recall(scored.y_true, y_pred, n_classes)
        figures[f"recall_{scored.split}"] = plot_recall(
            [(title, n, recall)], class_names
        )
    else:
        counts = confusion_matrix(scored.y_true, y_pred, n_classes)
        figures[f"confusion_matrix_{scored.split}"] = plot_confusion(
            [(title, counts)], class_names
        )
    return {name: figure_png(figure) for name, figure in figures.items()}


def draw_training(artifacts: Path, metric_name: str) -> None:
    """Draw the figures of a training beside the files that they are drawn from."""
    epochs = json.loads((artifacts / rec.CURVES).read_bytes())["epochs"]
    samples = json.loads((artifacts / rec.SAMPLES).read_bytes())
    files = [artifacts / rec.PREDICTIONS / f"{split}.parquet" for split in SPLITS]
    file = next(file for file in files if file.exists())
    table = pd.read_parquet(file)
    names = [name for name in table if name not in rec.OF_WINDOWS]
    index, *columns = (table[name].to_numpy() for name in names)
    if samples["class_names"]:
        y_true, y_pred = columns[0], np.column_stack(columns[1:])
    else:
        y_true, y_pred = np.split(np.column_stack(columns), 2, axis=1)
    scored = Prediction(file.stem, index, y_true, y_pred)
    figures = training_figures(epochs, scored, samples["class_names"], metric_name)
    with new_folder(artifacts / rec.FIGURES) as folder:
        for name, png in figures.items():
            (folder / f"{name}.png").write_bytes(png)
