"""Figures of one training for its MLflow run: result in, PNG out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from lstm_bench.report.figures.confusion import (
    MAX_MATRIX,
    class_recall,
    confusion_matrix,
    plot_confusion,
    plot_recall,
)
from lstm_bench.report.figures.curves import Curve, plot_curves
from lstm_bench.report.figures.style import OTHERS, PALETTE, figure_png, metric_label
from lstm_bench.training.result import TrialResult


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


def training_figures(result: TrialResult, metric_name: str) -> dict[str, bytes]:
    """Draw the figures of a training's MLflow run: learning curves, confusion matrix.

    Returns
    -------
    dict of str to bytes
        PNG files ``accuracy``, ``loss``, the study's metric, and
        ``confusion_matrix_<split>`` of the last scored split, or ``recall_<split>``
        of more classes than a matrix can show.
    """
    figures = {
        name: plot_run_curves(result.history.epochs, name)
        for name in dict.fromkeys(("accuracy", "loss", metric_name))
    }
    scored, names = result.predictions[-1], result.class_names
    y_pred, title = scored.y_proba.argmax(axis=1), f"n = {len(scored.y_true):,}"
    if len(names) > MAX_MATRIX:
        n, recall = class_recall(scored.y_true, y_pred, len(names))
        figures[f"recall_{scored.split}"] = plot_recall([(title, n, recall)], names)
    else:
        counts = confusion_matrix(scored.y_true, y_pred, len(names))
        figures[f"confusion_matrix_{scored.split}"] = plot_confusion(
            [(title, counts)], names
        )
    return {name: figure_png(figure) for name, figure in figures.items()}
