"""Confusion matrices: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.report.figures.style import (
    INK,
    PALETTE,
    class_label,
    house_style,
    name_panel,
    new_panels,
    plain_text,
    point_name,
    set_log_x,
)

# Classes up to which a matrix's cells have shares and numbers.
MAX_WHOLE = 4
# Characters of a name that fits below a small cell.
SHORT_NAME = 4
# Classes up to which a matrix can be read.
MAX_MATRIX = 20


def confusion_matrix(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_classes: int
) -> FloatArray:
    """Return the number of examples by true class (row) and predicted class (column).

    Parameters
    ----------
    y_true, y_pred : int array-like of shape (n_examples,)
        Class indices.

    Returns
    -------
    float ndarray of shape (n_classes, n_classes)
    """
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (np.asarray(y_true), np.asarray(y_pred)), 1)
    return counts


def class_recall(
    y_true: IntArray, y_pred: IntArray, n_classes: int
) -> tuple[FloatArray, FloatArray]:
    """Return each class's number of examples, and the share that is recognised.

    Parameters
    ----------
    y_true, y_pred : int ndarray of shape (n_examples,)
        Class indices.

    Returns
    -------
    n, recall : float ndarray of shape (n_classes,)
        `recall` is 0 for a class without examples.
    """
    n = np.bincount(y_true, minlength=n_classes).astype(np.float64)
    right = np.bincount(y_true[y_pred == y_true], minlength=n_classes)
    return n, right / np.maximum(n, 1)


@house_style()
def plot_confusion(
    matrices: Sequence[tuple[str, FloatArray]], class_names: Sequence[str]
) -> Figure:
    """Draw one matrix per model: share of the true class, and number of examples.

    Above `MAX_WHOLE` classes the cells have the share in percent alone.

    Parameters
    ----------
    matrices : sequence of (title, matrix)
        Each of shape (n_classes, n_classes): examples by true and predicted class,
        means over trainings.
    class_names : sequence of str
        At most `MAX_MATRIX`.
    """
    n = len(class_names)
    is_whole = n <= MAX_WHOLE
    fig, axes = (
        new_panels(len(matrices), max(1.0 + 0.95 * n, 2.6), 0.9 + 0.75 * n)
        if is_whole
        else new_panels(len(matrices), 2.2 + 0.4 * n, 2.2 + 0.34 * n, stacked=True)
    )
    names = [class_label(name) for name in class_names]
    for ax, (title, counts) in zip(axes, matrices, strict=True):
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for i, j in np.ndindex(n, n):
            # Pale enough for the page's text colour, light or dark.
            ax.add_patch(
                Rectangle(
                    (j - 0.5, i - 0.5),
                    1,
                    1,
                    facecolor=PALETTE[0] if i == j else PALETTE[1],
                    alpha=0.06 + 0.44 * shares[i, j],
                    lw=0,
                )
            )
            text = _percent(shares[i, j])
            if is_whole:
                whole = counts[i, j] >= 10 or counts[i, j] == int(counts[i, j])
                mean = f"{counts[i, j]:,.0f}" if whole else f"{counts[i, j]:.1f}"
                text = f"{shares[i, j]:.1%}\n{mean}"
            if text:
                ax.text(j, i, text, ha="center", va="center", fontsize=9, color=INK)
        ax.set_xlim(-0.5, n - 0.5)
        ax.set_ylim(n - 0.5, -0.5)
        is_short = is_whole or max(map(len, names)) <= SHORT_NAME
        ax.set_xticks(range(n), names, rotation=0 if is_short else 90)
        ax.set_yticks(range(n), names)
        ax.tick_params(length=0)
        ax.grid(False)
        ax.set_xlabel("predicted class")
        name_panel(ax, title)
    for ax in axes[: 1 if is_whole else None]:
        ax.set_ylabel("true class")
    return fig


def _percent(share: float) -> str:
    """Return a share in percent, at most two digits wide below 100; empty for 0."""
    if share == 0:
        return ""
    return f"{100 * share:.0f}" if share >= 0.005 else "<1"


@house_style()
def plot_recall(
    points: Sequence[tuple[str, FloatArray, FloatArray]],
    class_names: Sequence[str],
    examples: str = "examples",
) -> Figure:
    """Draw each class's recall by its number of examples, a panel per model.

    Parameters
    ----------
    points : sequence of (title, n, recall)
        Arrays of shape (n_classes,): examples of each class, and the share of them
        that is recognised.
    examples : str
        The word for the data's examples.
    """
    fig, axes = new_panels(len(points), 3.6, 3.4)
    for ax, (title, n, recall) in zip(axes, points, strict=True):
        drawn = ax.scatter(n, recall, s=16, color=PALETTE[0], alpha=0.6, lw=0)
        drawn.set_urls(
            [
                point_name(name, f"{value:.1%} of {size:,.0f} {examples}")
                for name, size, value in zip(class_names, n, recall, strict=True)
            ]
        )
        if len(n) and n.min() > 0 and n.max() > 20 * n.min():
            set_log_x(ax)
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlabel(f"{plain_text(examples)} of the class")
        name_panel(ax, title)
    axes[0].set_ylabel("share recognised (recall)")
    return fig
