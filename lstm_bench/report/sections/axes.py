"""The axes section: mean scores by value of each axis, searched and confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender, common_replicates
from lstm_bench.analysis.formatting import plain, value_label
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.tables.select import MEAN_HIGH, MEAN_LOW, spread, trial_runs
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Note,
    Section,
    Table,
    column_names,
    count,
)
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    scatter_runs,
    set_log_x,
    spread_out,
)
from lstm_bench.report.view import View
from lstm_bench.suites.space import Axis, CategoricalAxis
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE

# Columns for the search; the first heading is replaced by the axis.
EFFECT = (
    Column("value", "{axis}", meaning="a choice, a number, or the ends of a bin"),
    Column("low", meaning="lower end of the bin; NaN for a choice that is no number"),
    Column("high"),
    Column("n", "trials (n)", "count"),
    Column("mean", "mean {metric}", "score", meaning="on validation, over the trials"),
    Column(
        MEAN_LOW,
        "95 % (t)",
        "interval",
        meaning="t interval of the mean, over the value's trials",
        high=MEAN_HIGH,
    ),
    Column("best", "best", "score"),
    Column("sd", "sd", "score", more=True),
    Column("min", "min", "score", more=True),
    Column("max", "max", "score", more=True),
)
# Columns for the confirmed runs.
CONFIRMED_EFFECT = (
    Column("value", "{axis}", "value"),
    Column("n_configurations", "configurations (n)", "count"),
    Column("n_runs", "runs (n)", "count"),
    Column("mean", "mean test {metric}", "score"),
    Column(
        "ci_low",
        "95 % over seeds (t)",
        "interval",
        meaning="over seeds, of each seed's mean over the configurations",
        high="ci_high",
    ),
)
MAX_BINS = 6
MIN_TRIALS_PER_VALUE = 3
MAX_UNEVENNESS = 4
NO_TRIAL = "No trial was completed: no axis to show."


def axis_effect(results: Results, axis: str) -> pd.DataFrame:
    """Return the objective of the search's complete trials by value of `axis`.

    More than six distinct numbers are put in at most six bins of about equally many
    trials. The other axes vary too: these are means over the sampler's choices, not
    the effect of the axis alone.

    Returns
    -------
    DataFrame with the columns of `EFFECT`
    """
    runs = trial_runs(results)
    metric = results.suite.metric
    values = [plain(value) for value in runs[axis].tolist()]
    objective = runs[OBJECTIVE].to_numpy(dtype=float)
    rows = []
    for label, low, high, members in _bins(values, results.suite.space.axes[axis]):
        chosen = pd.Series(objective[members])
        interval = mean_interval(objective[members]).within(*metric.bounds)
        rows.append(
            {
                "value": label,
                "low": low,
                "high": high,
                "n": len(chosen),
                **spread(chosen, metric),
                MEAN_LOW: interval.low,
                MEAN_HIGH: interval.high,
            }
        )
    return pd.DataFrame(rows, columns=column_names(EFFECT))


def explored_unevenly(effect: pd.DataFrame) -> str | None:
    """Return why the trials of `axis_effect` are too uneven to compare, else None."""
    n = effect["n"]
    if len(effect) < 2:
        return "only one value has complete trials, so the axis cannot be judged."
    few, many = effect.iloc[int(n.argmin())], effect.iloc[int(n.argmax())]
    if few["n"] >= MIN_TRIALS_PER_VALUE and many["n"] <= MAX_UNEVENNESS * few["n"]:
        return None
    if few["n"] == many["n"]:
        return f"too few trials to judge: {count(few['n'], 'complete trial')} a value."
    return (
        f"explored too unevenly to judge: {few['value']} has {few['n']} complete "
        f"trials, {many['value']} has {many['n']}."
    )


def _bins(
    values: Sequence[Any], axis: Axis
) -> list[tuple[str, float, float, list[int]]]:
    """Return (label, low, high, positions) for each observed value or bin."""
    if isinstance(axis, CategoricalAxis):
        order = list(axis.choices) + [v for v in values if v not in axis.choices]
    else:
        order = sorted(set(values))
    distinct = [v for v in dict.fromkeys(order) if v in values]
    if isinstance(axis, CategoricalAxis) or len(distinct) <= MAX_BINS:
        return [
            (
                value_label(value),
                *((float(value),) * 2 if _is_number(value) else (math.nan,) * 2),
                [i for i, v in enumerate(values) if v == value],
            )
            for value in distinct
        ]
    numbers = np.array(values, dtype=float)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, MAX_BINS + 1)))
    which = np.clip(np.searchsorted(edges, numbers, side="right"), 1, len(edges) - 1)
    bins = []
    for i in range(1, len(edges)):
        members = np.flatnonzero(which == i).tolist()
        if members:
            low, high = numbers[members].min(), numbers[members].max()
            label = f"{low:.4g}" + ("" if low == high else f" to {high:.4g}")
            bins.append((label, float(low), float(high), members))
    return bins


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def confirmed_axis_effect(analysis: Analysis, axis: str) -> pd.DataFrame:
    """Return mean test scores of the confirmed runs by value of `axis`.

    Returns
    -------
    DataFrame with the columns of `CONFIRMED_EFFECT`
    """
    columns = column_names(CONFIRMED_EFFECT)
    groups: dict[Any, list[Contender]] = {}
    for contender in analysis.contenders:
        if contender.config is not None:
            groups.setdefault(getattr(contender.config, axis), []).append(contender)
    rows = []
    for value, members in sorted(groups.items(), key=lambda item: str(item[0])):
        replicates = common_replicates(members)
        means = _replicate_means(members, replicates)
        metric = analysis.results.suite.metric
        interval = mean_interval(means).within(*metric.bounds)
        values = (
            value,
            len(members),
            len(members) * len(replicates),
            interval.estimate,
            interval.low,
            interval.high,
        )
        rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _replicate_means(
    members: Sequence[Contender], replicates: Sequence[int]
) -> FloatArray:
    return np.array([np.mean([c.test[r] for c in members]) for r in replicates])


def axes_section(view: View) -> Section:
    """Show one table and one figure per swept axis, then the confirmed runs."""
    title, anchor = "Axes", "axes"
    results, metric = view.results, view.metric
    if not len(view.suite.space):
        return Section(
            title, anchor, "The suite sweeps no axis: it trains fixed configurations."
        )
    trials = trial_runs(results)
    if trials.empty:
        return Section(title, anchor, NO_TRIAL)
    drawn, note = view.sample(view.named(trials), "complete trials")
    blocks: list[Block] = []
    for name, axis in view.suite.space:
        effect = axis_effect(results, name)
        caption = (
            f"{name} ({axis.describe()}): validation {metric.label} of "
            f"{count(len(trials), 'complete trial')} by value."
        )
        blocks.append(
            view.table(
                f"axis_{name}", caption, effect, _headed(EFFECT, name), wide=False
            )
        )
        log = not isinstance(axis, CategoricalAxis) and axis.log
        blocks.append(
            Drawing(
                f"axis_{name}",
                f"{name}: each point is a trial, each diamond the mean of a value with "
                "its 95 % t interval over the value's trials, cut off where it is far "
                "wider than the points spread." + note,
                plot_axis_effect(drawn, effect, name, metric, view.colours, log),
                drawn[["trial", "config_id", name, OBJECTIVE]],
            )
        )
        uneven = explored_unevenly(effect)
        if uneven is not None:
            blocks.append(Note(f"{name}: {uneven}", True))
    return Section(
        title,
        anchor,
        "The other axes vary along, and a sampler that learns tries good regions more "
        "often: these are means over what was tried, not the effect of one axis alone.",
        (*blocks, *_confirmed_axes(view)),
    )


def _headed(columns: tuple[Column, ...], axis: str) -> tuple[Column, ...]:
    """Return `columns` with the axis as heading of the first."""
    return (replace(columns[0], heading=axis), *columns[1:])


def _confirmed_axes(view: View) -> Iterator[Table]:
    """Yield the mean test score by value of each axis, over the confirmed runs."""
    for name in view.suite.space.axes if view.analysis.contenders else ():
        frame = confirmed_axis_effect(view.analysis, name)
        if len(frame) < 2:
            continue
        caption = (
            f"{name} in the confirmed runs. They were chosen for their scores, so a "
            "value with few configurations is weak evidence on the axis."
        )
        yield view.table(
            f"axis_{name}_confirmed",
            caption,
            frame,
            _headed(CONFIRMED_EFFECT, name),
            wide=False,
        )


@house_style()
def plot_axis_effect(
    points: pd.DataFrame,
    effect: pd.DataFrame,
    axis: str,
    metric: Metric,
    colours: Mapping[str, str] | None = None,
    log: bool = False,
) -> Figure:
    """Draw each trial's objective by its value of `axis`, and the means.

    Parameters
    ----------
    points : DataFrame
        ``objective, config_id`` and the column `axis`, one row per trial.
    effect : DataFrame
        From `axis_effect`.
    log : bool
        Whether the scale of a range is logarithmic.
    """
    fig, ax = new_figure(NARROW, 3.2)
    binned = bool((effect["low"] < effect["high"]).any())
    if binned:
        x = points[axis].to_numpy(dtype=float)
        centres = ((effect["low"] + effect["high"]) / 2).to_numpy(dtype=float)
        if log:
            set_log_x(ax)
            low, high = (effect[end].to_numpy(dtype=float) for end in ("low", "high"))
            centres = np.sqrt(low * high)
    else:
        labels = effect["value"].tolist()
        where = {label: i for i, label in enumerate(labels)}
        position = [where[value_label(plain(v))] for v in points[axis].tolist()]
        x = spread_out(np.array(position, dtype=float))
        centres = np.arange(len(labels), dtype=float)
        ax.set_xticks(centres, [plain_text(label) for label in labels])
        ax.set_xlim(-0.6, len(labels) - 0.4)
    scatter_runs(ax, x, points, colours or {})
    # Limited, because the wide interval of two trials would flatten everything else.
    objective = points[OBJECTIVE].to_numpy(dtype=float)
    span = float(np.ptp(objective)) or 0.01
    ax.set_ylim(objective.min() - 0.35 * span, objective.max() + 0.35 * span)
    ax.vlines(centres, effect[MEAN_LOW], effect[MEAN_HIGH], color=INK, lw=1.2)
    ax.plot(centres, effect["mean"], color=INK, lw=1, marker="D", ms=5, label="mean")
    ax.set_xlabel(plain_text(axis))
    ax.set_ylabel(f"validation {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig
