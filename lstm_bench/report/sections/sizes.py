"""The section on more data: the score by the number of training examples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lstm_bench.analysis.learning_curve import MIN_SIZES, NOT_LEARNING
from lstm_bench.analysis.verdicts import crossing_text
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import Block, Column, Drawing, Note, Section, count
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    point_name,
    set_log_x,
)
from lstm_bench.report.view import View

MARKERS = "so^vDP*"

SCORES = (
    Column("key"),
    Column("label", "configuration or baseline", "name", colour_by="key"),
    Column("n_train", "training {examples}", "whole"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("mean", "test {metric}", "score", meaning="mean over seeds"),
    Column("low", "95 % over seeds (t)", "interval", high="high"),
)
LAWS = (
    Column("key"),
    Column("label", "configuration or baseline", "name", colour_by="key"),
    Column("n_sizes", "sizes (n)", "count"),
    Column("n_seeds", "seeds (n)", "count"),
    Column(
        "exponent",
        "exponent c",
        "score",
        meaning="the error falls as the number of {examples} to the power −c",
    ),
    Column("exponent_low", "95 % of c", "interval", high="exponent_high"),
    Column("n_train", "all training {examples}", "whole"),
    Column("mean", "test {metric}", "score", meaning="with all training {examples}"),
    Column(
        "checked",
        "as the smaller sizes predict it",
        "score",
        meaning="the same continuation, from the largest size but one",
    ),
    Column("n_more", "twice as many", "whole"),
    Column("predicted", "predicted {metric}", "score", meaning="with twice as many"),
    Column(
        "predicted_low",
        "95 % over seeds",
        "interval",
        meaning="if the error goes on falling as a power of the number",
        high="predicted_high",
    ),
)


def sizes_section(view: View) -> Section:
    """Show the score by the number of training examples, and continue it."""
    title, anchor, curve = "More data", "sizes", view.analysis.learning_curve
    if curve is None:
        return Section(title, anchor, "Nothing was trained on a part of the data.")
    metric, examples = view.metric, view.results.examples
    blocks: list[Block] = [
        Drawing(
            "sizes",
            f"Test {metric.label} by the number of training {examples}, on a "
            "logarithmic scale: means over seeds with 95 % t intervals. Dashed: "
            "twice as many, if the error goes on falling as a power of the number, "
            "with a 95 % interval.",
            plot_sizes(curve.scores, curve.laws, metric, view.colours),
            curve.scores,
        )
    ]
    if len(curve.crossings):
        rows = curve.crossings.to_dict("records")
        text = "; ".join(crossing_text(row, examples) for row in rows)
        against = f"Against {rows[0]['label_b']}, the best baseline on validation"
        blocks.append(Note(f"{against}: {text}."))
    if curve.laws.empty:
        text = f"A prediction takes {MIN_SIZES} sizes, with errors above 0."
        blocks.append(Note(text))
    else:
        blocks.append(
            view.table(
                "twice_the_data",
                "What twice the data would give: the error b n^(−c), fitted to the "
                "logarithms of the mean errors at all sizes and continued from the "
                "largest. Near the least possible error it falls more slowly, and the "
                "prediction is optimistic; how well the smaller sizes predict the "
                "largest is a check.",
                curve.laws,
                LAWS,
            )
        )
    blocks.append(
        view.table("sizes", f"Test {metric.label} by size.", curve.scores, SCORES)
    )
    failed = f" {count(curve.n_failed, 'training')} failed." if curve.n_failed else ""
    return Section(
        title,
        anchor,
        f"The confirmation again, on parts of its training {examples}: in a seed the "
        "same ones for all, each part within the larger ones. All that is fitted is "
        f"fitted on the part alone; validation and test stay.{failed}{_epochs(view)}",
        tuple(blocks),
    )


def _epochs(view: View) -> str:
    fixed = [c.label for c in view.lstms if c.config and c.config.patience is None]
    if not fixed:
        return ""
    return (
        " Without early stopping (patience), a small part gets few steps in the same "
        f"number of epochs: {'; '.join(fixed)}."
    )


@house_style()
def plot_sizes(
    scores: pd.DataFrame,
    laws: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str],
) -> Figure:
    """Draw the score against the number of training examples, a line each.

    Parameters
    ----------
    scores, laws : DataFrame
        Of a `LearningCurve`.
    """
    fig, ax = new_figure(NARROW, 3.8)
    predicted = {row["key"]: row for row in laws.to_dict("records")}
    drawn = scores[~scores["key"].isin(NOT_LEARNING)]
    n_baselines = 0
    for number, (key, own) in enumerate(drawn.groupby("key", sort=False)):
        is_baseline = str(key).startswith("baseline:")
        colour, marker = colours.get(str(key), INK), "o"
        if is_baseline:
            marker = MARKERS[n_baselines % len(MARKERS)]
            n_baselines += 1
        label = str(own["label"].iloc[0])
        ax.fill_between(
            own["n_train"], own["low"], own["high"], color=colour, alpha=0.15, lw=0
        )
        (line,) = ax.plot(
            own["n_train"],
            own["mean"],
            color=colour,
            lw=1.2 if is_baseline else 1.8,
            marker=marker,
            ms=4,
            label=plain_text(label),
        )
        line.set_url(point_name(label))
        law = predicted.get(key)
        if law is not None:
            ax.plot(
                [law["n_train"], law["n_more"]],
                [law["mean"], law["predicted"]],
                color=colour,
                lw=1.0,
                ls="--",
            )
            # Beside each other, as the axis is logarithmic.
            beside = law["n_more"] * 1.02**number
            ends = [law["predicted_low"], law["predicted_high"]]
            ax.plot([beside, beside], ends, color=colour, lw=1.4, alpha=0.6)
    set_log_x(ax)
    sizes = sorted({*drawn["n_train"].tolist(), *laws["n_more"].tolist()})
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("training examples")
    # A band of two seeds may be wider than all curves together.
    values = [*drawn["mean"], *laws["predicted"]]
    ends = [*drawn["low"], *drawn["high"], *laws["predicted_low"]]
    ends = [*filter(math.isfinite, [*ends, *laws["predicted_high"]]), *values]
    room = 0.4 * (max(values) - min(values)) or 0.01
    bottom = max(min(ends), min(values) - room)
    top = min(max(ends), max(values) + room)
    ax.set_ylim(bottom - 0.1 * room, top + 0.1 * room)
    ax.set_ylabel(f"test {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0], 2)
    return fig
