"""What is taken for what, and how surely: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from lstm_bench.figures.style import (
    INK,
    OTHERS,
    PALETTE,
    add_legend,
    dress,
    plain_text,
    point_name,
)


def plot_confusion(table: pd.DataFrame, class_names: Sequence[str]) -> Figure:
    """Draw one matrix per model: rows are true classes, columns predicted ones.

    Parameters
    ----------
    table : DataFrame
        As `tables.classification.confusion` gives it.
    """
    models = list(dict.fromkeys(table["key"].tolist()))
    n = len(class_names)
    size = 1.0 + 0.95 * n
    fig, axes = _panels(len(models), max(size, 2.6), 0.9 + 0.75 * n)
    names = [plain_text(name) for name in class_names]
    for ax, key in zip(axes, models, strict=True):
        own = table[table["key"] == key]
        for row in own.to_dict("records"):
            i, j = (class_names.index(row[k]) for k in ("y_true", "y_pred"))
            # Pale enough for the page's text, light or dark.
            ax.add_patch(
                Rectangle(
                    (j - 0.5, i - 0.5),
                    1,
                    1,
                    facecolor=PALETTE[0] if i == j else PALETTE[1],
                    alpha=0.06 + 0.44 * row["share"],
                    lw=0,
                )
            )
            n_mean = f"{row['n']:,.0f}" if row["n"] >= 10 else f"{row['n']:.1f}"
            text = f"{row['share']:.1%}\n{n_mean}"
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color=INK)
        ax.set_xlim(-0.5, n - 0.5)
        ax.set_ylim(n - 0.5, -0.5)
        ax.set_xticks(range(n), names)
        ax.set_yticks(range(n), names)
        ax.tick_params(length=0)
        ax.grid(False)
        ax.set_xlabel("predicted class")
        ax.set_title(plain_text(own["label"].iloc[0]), fontsize=9)
    axes[0].set_ylabel("true class")
    return fig


def plot_probabilities(
    table: pd.DataFrame, class_names: Sequence[str], examples: str
) -> Figure:
    """Draw how the last class's probability spreads over examples of each class.

    Parameters
    ----------
    table : DataFrame
        As `tables.classification.probabilities` gives it.
    examples : str
        What the data's examples are called.
    """
    models = list(dict.fromkeys(table["key"].tolist()))
    fig, axes = _panels(len(models), 3.6, 3.1)
    handles: list[BarContainer] = []
    for ax, key in zip(axes, models, strict=True):
        own = table[table["key"] == key]
        handles = []
        for i, name in enumerate(class_names):
            rows = own[own["y_true"] == name]
            colour = PALETTE[(1, 0, *range(2, len(PALETTE)))[i % len(PALETTE)]]
            bars = ax.bar(
                rows["p_low"],
                rows["share"],
                rows["p_high"] - rows["p_low"],
                align="edge",
                color=colour,
                alpha=0.6,
                label=f"true class {plain_text(name)}",
            )
            for bar, row in zip(bars, rows.to_dict("records"), strict=True):
                where = f"p {row['p_low']:.2f} to {row['p_high']:.2f}"
                bar.set_url(point_name(f"true {name}, {where}", f"{row['share']:.1%}"))
            handles.append(bars)
        ax.axvline(0.5, color=OTHERS, lw=0.9, ls="--")
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"predicted p({plain_text(class_names[-1])})")
        ax.set_title(plain_text(own["label"].iloc[0]), fontsize=9)
    axes[0].set_ylabel(f"share of the class's {plain_text(examples)}")
    add_legend(fig, handles)
    return fig


def _panels(n: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    fig = Figure(figsize=(0.5 + n * width, height), layout="constrained")
    axes = [fig.add_subplot(1, n, i + 1) for i in range(n)]
    for ax in axes:
        dress(ax)
    return fig, axes
