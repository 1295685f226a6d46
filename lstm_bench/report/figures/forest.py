"""Forest plot of paired differences with intervals: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.metrics import Metric
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    OTHERS,
    PALETTE,
    add_legend,
    house_style,
    name_rows,
    new_figure,
    plain_text,
    point_name,
)

VERDICT_COLOURS: Mapping[str, str] = {
    "better": PALETTE[2],
    "worse": PALETTE[1],
    "equivalent": PALETTE[0],
    "identical": PALETTE[5],
    "undecided": OTHERS,
}


@house_style()
def plot_forest(comparisons: pd.DataFrame, metric: Metric) -> Figure:
    """Draw differences with their intervals and the margin, coloured by verdict.

    Parameters
    ----------
    comparisons : DataFrame
        From `comparisons.compare_all`.
    """
    rows: list[dict[Any, Any]] = comparisons.to_dict("records")
    fig, ax = new_figure(NARROW, 1.2 + 0.5 * len(rows))
    margin = float(comparisons["margin"].max()) if rows else 0.0
    band = ax.axvspan(-margin, margin, color=OTHERS, alpha=0.18, lw=0, label="margin")
    ax.axvline(0, color=INK, lw=0.8)
    for i, row in enumerate(rows):
        colour = VERDICT_COLOURS[row["verdict"]]
        ax.hlines(i, row["both_low"], row["both_high"], color=colour, lw=1.2)
        ax.hlines(i, row["ci_low"], row["ci_high"], color=colour, lw=4, alpha=0.5)
        (mean,) = ax.plot(row["difference"], i, "o", color=colour, ms=6)
        mean.set_url(
            point_name(
                f"{row['label_a']} against {row['label_b']}: {row['verdict']}",
                f"{row['difference']:+{metric.form}}",
            )
        )
    name_rows(ax, [plain_text(f"{r['label_a']} − {r['label_b']}") for r in rows])
    side = "right" if metric.higher_is_better else "left"
    ax.set_xlabel(
        f"difference in test {metric.label} (a − b), to the {side} a is better"
    )
    handles = [
        ax.plot([], [], "o", color=colour, label=verdict)[0]
        for verdict, colour in VERDICT_COLOURS.items()
        if verdict in set(comparisons["verdict"])
    ]
    add_legend(fig, [*handles, band])
    return fig
