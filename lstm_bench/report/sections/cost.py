"""The cost section: score against training time, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis.tables.cost import confirmed_cost, pareto
from lstm_bench.analysis.tables.select import CI_HIGH, CI_LOW, complete_runs, engines_of
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Note,
    Section,
    count,
)
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    OTHERS,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    point_name,
    scale_times,
    short_name,
)
from lstm_bench.report.view import View
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME

ON_FRONT = "no other is at least as fast and as good, and better in one"
CONFIRMED_COST = (
    Column("label", "configuration", colour_by="key"),
    Column("n_seeds", "seeds (n)", "count"),
    Column(TRAIN_TIME, "training", "seconds", "s", "mean over the seeds"),
    Column("time_low", "95 % over seeds", "interval_s", "s", high="time_high"),
    Column("test_mean", "test {metric}", "score", meaning="mean over the seeds"),
    Column("test_low", "95 % over seeds (t)", "interval", high="test_high"),
    Column("on_front", "on the front", "yes", meaning=ON_FRONT),
)
PARETO = (
    Column("label", "configuration", colour_by="config_id"),
    Column(TRAIN_TIME, "training", "seconds", "s", "mean over the runs"),
    Column(OBJECTIVE, "validation {metric}", "score", meaning="mean over the runs"),
    Column("on_front", "on the front", "yes", meaning=ON_FRONT),
    Column("n_runs", "runs (n)", "count"),
)


def cost_section(view: View) -> Section:
    """Show score against training time, of the confirmation, then of the search."""
    title, anchor = "Cost", "cost"
    blocks = [*_confirmed(view), *_searched(view)]
    if not blocks:
        return Section(title, anchor, "No completed training has a training time.")
    return Section(
        title,
        anchor,
        "A configuration is on the front when no other is both faster to train and at "
        "least as good. Trainings that ran side by side share the machine, so times "
        "are comparable within a study only.",
        tuple(blocks),
    )


def _confirmed(view: View) -> list[Block]:
    frame = confirmed_cost(view.analysis)
    if frame.empty:
        return []
    engines = engines_of(view.results.confirmed)
    if len(engines) > 1:
        return [_withheld("confirmation", engines)]
    metric = view.metric
    return [
        Drawing(
            "confirmed_cost",
            f"Test {metric.label} against training time: means over seeds, bars are "
            "95 % t intervals over seeds. Squares are baselines.",
            plot_confirmed_cost(frame, metric, view.colours),
            frame,
        ),
        view.table(
            "confirmed_cost",
            f"Training time and test {metric.label} of what was confirmed, means over "
            "seeds.",
            frame,
            CONFIRMED_COST,
            wide=False,
        ),
    ]


def _searched(view: View) -> list[Block]:
    frame, metric = pareto(view.results), view.metric
    if frame.empty:
        return []
    engines = engines_of(complete_runs(view.results))
    if len(engines) > 1:
        return [_withheld("search", engines)]
    intervals = view.board[["config_id", CI_LOW, CI_HIGH]]
    full = frame.merge(intervals, on="config_id", how="left")
    bars = ""
    if metric.name == "accuracy":
        full = full.rename(columns={CI_LOW: "low", CI_HIGH: "high"})
        examples = view.results.examples
        bars = f"; bars are 95 % Wilson intervals over the validation {examples}"
    rest, note = view.sample(full[~full["on_front"]], "other configurations")
    drawn = full.loc[[*full.index[full["on_front"]], *rest.index]].sort_index()
    data = drawn.drop(columns=[CI_LOW, CI_HIGH], errors="ignore")
    return [
        Drawing(
            "pareto",
            f"Validation {metric.label} against training time of "
            f"{count(len(frame), 'configuration')} of the search{bars}." + note,
            plot_pareto(drawn, metric, view.colours),
            data,
        ),
        view.table(
            "pareto",
            f"Validation {metric.label} and training time in the search; "
            f"{frame['on_front'].sum()} of {count(len(frame), 'configuration')} are on "
            "the Pareto front.",
            frame,
            PARETO,
            wide=False,
        ),
    ]


def _withheld(part: str, engines: list[str]) -> Note:
    return Note(
        f"No front of the {part}: its networks were computed by {len(engines)} engines "
        f"({', '.join(engines)}), whose times do not compare. The table of all "
        "runs has the seconds and the engine of each."
    )


@house_style()
def plot_pareto(
    table: pd.DataFrame, metric: Metric, colours: Mapping[str, str] | None = None
) -> Figure:
    """Draw the objective against training time and join the Pareto front.

    Parameters
    ----------
    table : DataFrame
        From `tables.cost.pareto`, with ``low, high`` for error bars, if any.
    """
    fig, ax = new_figure(NARROW, 3.6)
    colours = colours or {}
    front = table[table["on_front"]].sort_values(TRAIN_TIME)
    others = table[~table["on_front"]]
    ax.plot(
        front[TRAIN_TIME],
        front[OBJECTIVE],
        color=INK,
        lw=1,
        drawstyle="steps-post",
        label="Pareto front",
    )
    for group, marker in ((others, "o"), (front, "D")):
        shades = [colours.get(c, OTHERS) for c in group["config_id"]]
        points = ax.scatter(
            group[TRAIN_TIME], group[OBJECTIVE], s=34, marker=marker, c=shades, zorder=3
        )
        points.set_urls(
            [
                point_name(
                    str(row["label"]),
                    f"{row[OBJECTIVE]:{metric.form}} in {row[TRAIN_TIME]:.1f} s",
                )
                for row in group.to_dict("records")
            ]
        )
        if "low" in group:
            ax.vlines(
                group[TRAIN_TIME], group["low"], group["high"], colors=shades, lw=1.1
            )
    for row in front.to_dict("records"):
        ax.annotate(
            plain_text(short_name(row["label"])),
            (row[TRAIN_TIME], row[OBJECTIVE]),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    scale_times(ax, table[TRAIN_TIME])
    ax.margins(x=0.12, y=0.12)
    ax.set_xlabel("training time (s)")
    ax.set_ylabel(f"validation {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig


@house_style()
def plot_confirmed_cost(
    table: pd.DataFrame, metric: Metric, colours: Mapping[str, str]
) -> Figure:
    """Draw test score against training time with error bars, and join the front.

    Parameters
    ----------
    table : DataFrame
        From `confirmed_cost`.
    """
    fig, ax = new_figure(NARROW, 3.6)
    front = table[table["on_front"]]
    ax.plot(
        front[TRAIN_TIME],
        front["test_mean"],
        color=INK,
        lw=1,
        drawstyle="steps-post",
        label="Pareto front",
    )
    for row in table.to_dict("records"):
        colour = colours.get(row["key"], OTHERS)
        x, y = row[TRAIN_TIME], row["test_mean"]
        ax.vlines(x, row["test_low"], row["test_high"], color=colour, lw=1.3)
        ax.hlines(y, row["time_low"], row["time_high"], color=colour, lw=1.3)
        marker = "s" if row["kind"] == "baseline" else "o"
        (point,) = ax.plot(x, y, marker, color=colour, ms=6, zorder=3)
        point.set_url(point_name(row["label"], f"{y:{metric.form}} in {x:.1f} s"))
        if row["kind"] == "baseline":
            # Baselines share the text's colour, so each is labelled.
            ax.annotate(
                plain_text(row["label"]),
                (x, y),
                xytext=(7, 5),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
        else:
            point.set_label(plain_text(row["label"]))
    scale_times(ax, table[TRAIN_TIME])
    ax.margins(x=0.12, y=0.12)
    ax.set_xlabel("training time (s), mean over seeds")
    ax.set_ylabel(f"test {metric.label}, mean over seeds")
    add_legend(fig, ax.get_legend_handles_labels()[0], n_columns=2)
    return fig
