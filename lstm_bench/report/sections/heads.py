"""The heads section: sigmoid against softmax, in confirmed pairs and in the search."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis.contenders import differing_in
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.analysis.tables.select import (
    MEAN_HIGH,
    MEAN_LOW,
    complete_runs,
    engines_of,
    first_runs,
    mean_bounds,
    plain_list,
    shown_fields,
    spread,
)
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Note,
    Section,
    column_names,
    count,
    field_columns,
)
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    scatter_runs,
    spread_out,
)
from lstm_bench.report.sections.comparisons import comparison_table
from lstm_bench.report.view import View
from lstm_bench.suites.config import CONFIG_FIELDS
from lstm_bench.text import with_interval
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import EPOCH_TIME, OBJECTIVE, TRAIN_TIME

# The family of comparisons between heads of confirmed configurations.
HEAD_PAIRS = "pairs: head"

HEADS: tuple[Column, ...] = (
    Column("head", "head"),
    Column("n_runs", "runs (n)", "count"),
    Column("objective_mean", "mean {metric}", "score", meaning="on validation"),
    Column(
        MEAN_LOW,
        "95 % over runs (t)",
        "interval",
        meaning="t interval of the mean",
        high=MEAN_HIGH,
    ),
    Column("objective_sd", "sd", "score"),
    Column("objective_min", "min", "score", more=True),
    Column("objective_max", "max", "score", more=True),
    Column("objective_best", "best", "score", more=True),
    Column("val_log_loss_mean", "mean log loss", "score", "nats"),
    Column("val_log_loss_best", "best log loss", "score", "nats", more=True),
)
TIMES = (
    Column("train_time_s_mean", "mean training", "seconds", "s"),
    Column("epoch_time_s_mean", "mean per epoch", "seconds", "s"),
)


def pair_columns(fields: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of `compare_heads_paired`."""
    return (
        *field_columns(fields),
        Column("head_a", "a"),
        Column("head_b", "b"),
        Column("config_id_a"),
        Column("config_id_b"),
        Column("objective_a", "{metric} of a", "score", meaning="mean over its runs"),
        Column("objective_b", "{metric} of b", "score", meaning="mean over its runs"),
        Column("difference", "b − a", "signed"),
        Column("n_runs_a", "runs of a (n)", "count"),
        Column("n_runs_b", "runs of b (n)", "count"),
    )


def compare_heads(results: Results) -> pd.DataFrame:
    """Return the objective, log loss and training time of each head's runs.

    A search tries different configurations for each head, and more for the better
    head: these rows describe the search and are not a paired comparison.

    Returns
    -------
    DataFrame with the columns of `HEADS` and `TIMES`
    """
    rows = [
        {
            "head": head,
            "n_runs": len(group),
            **mean_bounds(group[OBJECTIVE], results.suite.metric),
            **{
                f"objective_{name}": value
                for name, value in spread(
                    group[OBJECTIVE], results.suite.metric
                ).items()
            },
            "val_log_loss_mean": float(group["val_log_loss"].mean()),
            "val_log_loss_best": float(group["val_log_loss"].min()),
            "train_time_s_mean": float(group[TRAIN_TIME].mean()),
            "epoch_time_s_mean": float(group[EPOCH_TIME].mean()),
        }
        for head, group in complete_runs(results).groupby("head")
    ]
    return pd.DataFrame(rows, columns=column_names(HEADS + TIMES))


def compare_heads_paired(results: Results) -> pd.DataFrame:
    """Return one row per pair of configurations that differ in the head alone.

    Returns
    -------
    DataFrame with the columns of `pair_columns` for `shown_fields` without the head
    """
    fields = [field for field in shown_fields(results) if field != "head"]
    columns = column_names(pair_columns(fields))
    runs = complete_runs(results)
    first, by_config = first_runs(runs), runs.groupby("config_id", sort=False)
    means, n_runs = by_config[OBJECTIVE].mean(), by_config.size()
    values = zip(*(plain_list(first[field]) for field in CONFIG_FIELDS), strict=True)
    configs = {
        config_id: dict(zip(CONFIG_FIELDS, config, strict=True))
        for config_id, config in zip(first["config_id"].tolist(), values, strict=True)
    }
    rows = []
    for by_head in differing_in("head", configs):
        for head_a, head_b in itertools.combinations(sorted(by_head), 2):
            a, b = by_head[head_a], by_head[head_b]
            rows.append(
                {
                    **{field: configs[a][field] for field in fields},
                    "head_a": head_a,
                    "head_b": head_b,
                    "config_id_a": a,
                    "config_id_b": b,
                    "n_runs_a": n_runs[a],
                    "n_runs_b": n_runs[b],
                    "objective_a": means[a],
                    "objective_b": means[b],
                    "difference": means[b] - means[a],
                }
            )
    return pd.DataFrame(rows, columns=columns)


def heads_section(view: View) -> Section:
    """Show sigmoid against softmax: the confirmed pairs, then the search."""
    title, anchor = "Heads: sigmoid and softmax", "heads"
    results, metric = view.results, view.metric
    compared = view.analysis.comparisons
    pairs = compared[compared["family"] == HEAD_PAIRS]
    blocks: list[Block] = []
    if len(pairs):
        blocks.append(comparison_table(view, pairs, "heads_confirmed"))
    frame = compare_heads(results)
    if frame.empty:
        intro = (
            "Both heads are scored by the same formula, from class probabilities."
            if blocks
            else "No complete training to compare heads."
        )
        return Section(title, anchor, intro, tuple(blocks))
    columns = HEADS
    what = "scores"
    # Times of different engines are not comparable, and heads may differ in engines.
    if len(engines_of(complete_runs(results))) == 1:
        what = "scores and times"
        columns += TIMES
    caption = f"Validation {what} of all complete runs of the search, by head."
    blocks.append(view.table("heads", caption, frame, columns))
    if len(frame) == 1:
        return Section(
            title,
            anchor,
            f"Every complete run has the {frame.iloc[0]['head']} head: there is "
            "nothing to compare it with.",
            tuple(blocks),
        )
    runs = complete_runs(results)
    drawn, note = view.sample(view.named(runs), "complete runs")
    blocks.append(
        Drawing(
            "heads",
            f"Validation {metric.label} of every complete run by head; lines are "
            "means." + note,
            plot_heads(drawn, runs, metric, view.colours),
            drawn[["run_id", "config_id", "head", OBJECTIVE]],
        )
    )
    paired = compare_heads_paired(results)
    if paired.empty:
        blocks.append(
            Note(
                "No two complete configurations of the search differ in the head "
                "alone, so it has no paired comparison."
            )
        )
    else:
        blocks += _paired_blocks(view, paired)
    return Section(
        title,
        anchor,
        "Both heads are scored by the same formula, from class probabilities. A search "
        "does not pair its heads: each was tried with other settings, so the means "
        "over its runs do not show which head is better.",
        tuple(blocks),
    )


def _paired_blocks(view: View, paired: pd.DataFrame) -> Iterator[Block]:
    fields = [f for f in view.fields if f != "head"]
    metric = view.metric
    differences = paired["difference"].to_numpy(dtype=float)
    mean = mean_interval(differences).within(*metric.difference_bounds)
    scores = zip(paired["objective_b"], paired["objective_a"], strict=True)
    wins = sum(metric.is_better(b, a) for b, a in scores)
    yield view.table(
        "heads_paired",
        f"{count(len(paired), 'pair')} of searched configurations that differ in the "
        "head alone.",
        paired,
        pair_columns(fields),
    )
    yield Note(
        f"Mean difference over {count(len(paired), 'pair')}: "
        f"{with_interval(mean.estimate, mean.low, mean.high, '+.4f')}; b is better "
        f"in {wins} of {len(paired)}. With few pairs and one seed this may well be "
        "chance."
    )


@house_style()
def plot_heads(
    points: pd.DataFrame,
    runs: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Draw each run's objective by head, and each head's mean.

    Parameters
    ----------
    points : DataFrame
        The runs to draw: ``head, objective, config_id, name``.
    runs : DataFrame
        All complete runs: ``head, objective``.
    """
    heads = sorted(runs["head"].unique().tolist())
    fig, ax = new_figure(NARROW, 3.2)
    position = np.array([heads.index(h) for h in points["head"].tolist()], dtype=float)
    scatter_runs(ax, spread_out(position), points, colours or {})
    means = [float(runs.loc[runs["head"] == head, OBJECTIVE].mean()) for head in heads]
    ax.hlines(
        means,
        [i - 0.3 for i in range(len(heads))],
        [i + 0.3 for i in range(len(heads))],
        color=INK,
        lw=1.4,
        label="mean",
    )
    names = [f"{plain_text(h)}\nn = {int((runs['head'] == h).sum()):,}" for h in heads]
    ax.set_xticks(range(len(heads)), names)
    ax.set_xlim(-0.6, len(heads) - 0.4)
    ax.set_ylabel(f"validation {metric.label}")
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig
