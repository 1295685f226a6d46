"""Learning curves with bands over seeds: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.figures.style import (
    NARROW,
    OTHERS,
    add_legend,
    metric_label,
    new_figure,
    plain_text,
    point_name,
)


def plot_curves_over_seeds(
    curves: pd.DataFrame, metric: str, colours: Mapping[str, str]
) -> Figure:
    """Draw each configuration's mean curve, and its interval as a band.

    Parameters
    ----------
    curves : DataFrame
        As `tables.curves.curves_over_seeds` gives it.
    metric : str
        Name in `METRICS`, or "loss".
    """
    fig, ax = new_figure(NARROW, 3.6)
    for config_id, curve in curves.groupby("config_id", sort=False):
        colour, label = colours.get(str(config_id), OTHERS), curve["label"].iloc[0]
        ax.fill_between(
            curve["epoch"], curve["ci_low"], curve["ci_high"], color=colour, alpha=0.13
        )
        (line,) = ax.plot(
            curve["epoch"],
            curve["mean"],
            color=colour,
            lw=1.8,
            marker="o",
            ms=3.5,
            label=plain_text(label),
        )
        n = int(curve["n_seeds"].iloc[0])
        last = float(curve["mean"].iloc[-1])
        line.set_url(point_name(str(label), f"mean of {n} seeds, last {last:.4f}"))
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"validation {metric_label(metric)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(fig, ax.get_legend_handles_labels()[0], n_columns=2)
    return fig
