"""The figure over several published studies: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_bench.report.figures.style import (
    INK,
    OTHERS,
    PALETTE,
    add_legend,
    dress,
    house_style,
    plain_text,
)

COLOURS = {"LSTM": PALETTE[0], "baseline": PALETTE[1], "published": INK}
MARKERS = {"LSTM": "o", "baseline": "s", "published": "D"}
LEGEND = {
    ("LSTM", "test"): "best LSTM, test",
    ("LSTM", "validation"): "best LSTM of a search, validation, not confirmed",
    ("baseline", "test"): "best baseline, test",
    ("baseline", "validation"): "best baseline, validation",
    ("published", "test"): "published by others, test",
}
BARS = {"test": "over seeds (t)", "validation": "over validation (Wilson)"}
ROW_HEIGHT = 0.3


@house_style()
def plot_overview(scores: pd.DataFrame) -> Figure:
    """Draw every study's best LSTM and baseline, one panel for each metric.

    Parameters
    ----------
    scores : DataFrame
        As `tables.overview.overview_scores` gives it.
    """
    panels = [panel for _, panel in scores.groupby("metric", sort=False)]
    n_rows = [len(panel) + panel["suite"].nunique() for panel in panels]
    height = 1.0 + 0.6 * len(panels) + ROW_HEIGHT * sum(n_rows)
    fig = Figure(figsize=(9.0, height), layout="constrained")
    grid = fig.add_gridspec(max(len(panels), 1), 1, height_ratios=n_rows or [1])
    for place, panel in enumerate(panels):
        _draw_panel(fig.add_subplot(grid[place, 0]), panel)
    pairs = list(zip(scores["kind"], scores["split"], strict=True))
    shown = [pair for pair in LEGEND if pair in pairs]
    handles = [
        fig.axes[0].plot([], [], ls="none", label=LEGEND[pair], **_marker(*pair))[0]
        for pair in shown
    ]
    add_legend(fig, handles, n_columns=2 if len(handles) > 3 else 3)
    return fig


def _marker(kind: str, split: str) -> dict[str, Any]:
    colour = COLOURS[kind]
    # Hollow: no fresh seed and no test set stands behind the score.
    face = "white" if split == "validation" else colour
    return {"marker": MARKERS[kind], "ms": 6, "mec": colour, "mfc": face}


def _draw_panel(ax: Axes, panel: pd.DataFrame) -> None:
    dress(ax)
    ax.grid(visible=False, axis="y")
    y, names, places, headings = 0, [], [], []
    for suite, rows in panel.groupby("suite", sort=False):
        if y:
            ax.axhline(y - 0.5, color=OTHERS, lw=0.6, alpha=0.6)
        headings.append(y)
        places.append(y)
        names.append(plain_text(suite))
        for row in rows.to_dict("records"):
            y += 1
            _draw_score(ax, y, row)
            places.append(y)
            n = f" (n = {row['n']})" if row["n"] is not None else ""
            names.append(f"{plain_text(row['label'])}{n}")
        y += 1
    ax.set_yticks(places, names)
    for place, text in zip(places, ax.get_yticklabels(), strict=True):
        if place in headings:
            text.set_fontweight("bold")
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(y - 0.5, -0.6)
    ax.margins(x=0.12)
    splits = sorted(set(panel["split"]))
    bars = " and ".join(BARS[split] for split in splits)
    ax.set_xlabel(
        f"{' or '.join(splits)} {panel['metric_label'].iloc[0]}; bars are 95 % "
        f"intervals {bars}"
    )


def _draw_score(ax: Axes, y: int, row: Mapping[Any, Any]) -> None:
    low, high = row["ci95_low"], row["ci95_high"]
    if low is not None and high is not None:
        colour = COLOURS[row["kind"]]
        ax.hlines(y, low, high, color=colour, lw=4, alpha=0.5)
    ax.plot(row["mean"], y, **_marker(row["kind"], row["split"]))
    end = row["mean"] if high is None else max(high, row["mean"])
    ax.annotate(
        f"{row['mean']:.4f}",
        (end, y),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=INK,
    )
