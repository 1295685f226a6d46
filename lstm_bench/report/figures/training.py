"""Figures of the search: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.report.figures.style import (
    INK,
    OTHERS,
    PALETTE,
    metric_label,
    new_figure,
    plain_text,
)
from lstm_bench.training.result import TrialResult


def plot_confusion_matrix(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, class_names: Sequence[str]
) -> Figure:
    """Draw how many samples of each true class were given each class.

    Parameters
    ----------
    y_true, y_pred : int array-like of shape (n_samples,)
        Class indices.
    """
    n = len(class_names)
    counts = np.zeros((n, n), dtype=np.int64)
    np.add.at(counts, (np.asarray(y_true), np.asarray(y_pred)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    fig, ax = new_figure(2.2 + 0.9 * n, 1.6 + 0.8 * n)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(n):
        for j in range(n):
            ax.text(
                j,
                i,
                f"{counts[i, j]:,}\n{shares[i, j]:.1%}",
                ha="center",
                va="center",
                fontsize=9,
                color="#ffffff" if shares[i, j] > 0.5 else "#000000",
            )
    names = [plain_text(name) for name in class_names]
    ax.set_xticks(range(n), names)
    ax.set_yticks(range(n), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"n = {int(counts.sum()):,}; shares of each row", fontsize=9)
    ax.grid(False)
    return fig


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
    fig, ax = new_figure(5.0, 3.2)
    for split, name, colour in (
        ("train", "train (running mean, dropout on)", OTHERS),
        ("val", "validation", PALETTE[0]),
    ):
        key = f"{split}_{metric_name}"
        rows = [row for row in history_epochs if key in row]
        if rows:
            ax.plot(
                [row["epoch"] for row in rows],
                [row[key] for row in rows],
                color=colour,
                marker="o",
                ms=3.5,
                label=name,
            )
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric_label(metric_name))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if ax.lines:
        ax.legend(frameon=False, fontsize=8, labelcolor=INK)
    return fig


def training_figures(result: TrialResult, metric_name: str) -> dict[str, Figure]:
    """Draw what a training's run shows in MLflow: its curves and its confusion matrix.

    Returns
    -------
    dict of str to Figure
        ``accuracy``, ``loss``, the study's metric, and ``confusion_matrix_<split>`` of
        the last split that was scored.
    """
    figures = {
        name: plot_run_curves(result.history.epochs, name)
        for name in dict.fromkeys(("accuracy", "loss", metric_name))
    }
    scored = result.predictions[-1]
    figures[f"confusion_matrix_{scored.split}"] = plot_confusion_matrix(
        scored.y_true, scored.y_proba.argmax(axis=1), result.class_names
    )
    return figures
