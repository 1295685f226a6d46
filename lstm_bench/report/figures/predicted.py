"""Predicted against true numbers: data in, `Figure` out."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lstm_bench.report.figures.style import INK, PALETTE, house_style, new_figure
from lstm_bench.training.result import Prediction

# A figure with more points shows a sample of them, evenly spaced by the true value.
MAX_POINTS = 600


@house_style()
def plot_predicted(scored: Prediction, output: int = 0, name: str = "") -> Figure:
    """Draw an output's predicted numbers against the true ones.

    Parameters
    ----------
    output : int
        Index of the output.
    name : str
        Name of the output, for the axes.
    """
    fig, ax = new_figure(4.2, 4.0)
    y_true, y_pred = scored.y_true[:, output], scored.y_pred[:, output]
    order = np.argsort(y_true, kind="stable")
    if len(order) > MAX_POINTS:
        order = order[np.linspace(0, len(order) - 1, MAX_POINTS).round().astype(int)]
    ends = [min(y_true.min(), y_pred.min()), max(y_true.max(), y_pred.max())]
    ax.plot(ends, ends, color=INK, lw=0.8)
    ax.scatter(y_true[order], y_pred[order], s=9, color=PALETTE[0], alpha=0.5, lw=0)
    what = f" {name}" if name else ""
    ax.set_xlabel(f"true{what}")
    ax.set_ylabel(f"predicted{what}")
    return fig
