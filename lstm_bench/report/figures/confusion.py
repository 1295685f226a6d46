"""Confusion matrices: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lstm_bench.arrays import FloatArray
from lstm_bench.report.figures.style import (
    INK,
    PALETTE,
    house_style,
    name_panel,
    new_panels,
    plain_text,
)


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


@house_style()
def plot_confusion(
    matrices: Sequence[tuple[str, FloatArray]], class_names: Sequence[str]
) -> Figure:
    """Draw one matrix per model: share of the true class, and number of examples.

    Parameters
    ----------
    matrices : sequence of (title, matrix)
        Each of shape (n_classes, n_classes): examples by true and predicted class,
        means over trainings.
    """
    n = len(class_names)
    fig, axes = new_panels(len(matrices), max(1.0 + 0.95 * n, 2.6), 0.9 + 0.75 * n)
    names = [plain_text(name) for name in class_names]
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
            whole = counts[i, j] >= 10 or counts[i, j] == int(counts[i, j])
            mean = f"{counts[i, j]:,.0f}" if whole else f"{counts[i, j]:.1f}"
            text = f"{shares[i, j]:.1%}\n{mean}"
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color=INK)
        ax.set_xlim(-0.5, n - 0.5)
        ax.set_ylim(n - 0.5, -0.5)
        ax.set_xticks(range(n), names)
        ax.set_yticks(range(n), names)
        ax.tick_params(length=0)
        ax.grid(False)
        ax.set_xlabel("predicted class")
        name_panel(ax, title)
    axes[0].set_ylabel("true class")
    return fig
