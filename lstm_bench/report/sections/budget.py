"""The budget section: expected best validation score by number of trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_bench.analysis import budget
from lstm_bench.analysis.contenders import confirm_spec
from lstm_bench.analysis.tables.select import trial_runs
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import Column, Drawing, Section, column_names
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    OTHERS,
    PALETTE,
    add_legend,
    house_style,
    new_figure,
)
from lstm_bench.report.view import View
from lstm_bench.seeding import derive_rng
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE, TOTAL_TIME, TRAIN_TIME

EXPECTED = (
    Column("n_trials", "trials", "count"),
    Column(
        "seconds",
        "training",
        "seconds",
        "s",
        "trials times the mean time of a complete one, pruned and failed ones included",
    ),
    Column("expected", "expected best {metric}", "score", meaning="on validation"),
    Column(
        "ci_low",
        "95 % bootstrap",
        "interval",
        meaning="over the trials",
        high="ci_high",
    ),
)


def expected_best(results: Results) -> pd.DataFrame:
    """Return the expected best validation score by number of trials.

    Returns
    -------
    DataFrame with the columns of `EXPECTED`
        ``frame.attrs["n_paid"]``: the smallest number of trials whose expected best
        is within the suite's margin of the last.
    """
    metric = results.suite.metric
    values = trial_runs(results)[OBJECTIVE].to_numpy(dtype=float)
    columns = column_names(EXPECTED)
    if len(values) < 2:
        return pd.DataFrame(columns=columns)
    expected = budget.expected_best(values, metric.higher_is_better)
    rng = derive_rng(results.suite.study.seed, "bootstrap", "expected_best")
    low, high = budget.expected_best_interval(values, metric.higher_is_better, rng=rng)
    searched = results.runs[results.runs["kind"] == "trial"]
    spent = searched[TOTAL_TIME].fillna(searched[TRAIN_TIME]).sum() / len(values)
    n = np.arange(1, len(values) + 1)
    table = pd.DataFrame(
        dict(zip(columns, (n, n * float(spent), expected, low, high), strict=True))
    )
    margin = confirm_spec(results.suite).margin
    table.attrs["n_paid"] = budget.budget_that_paid(expected, margin)
    return table


def budget_section(view: View) -> Section:
    """Show the expected best score, and the number of trials that was enough."""
    title, anchor = "Budget", "budget"
    suite = view.suite
    frame = expected_best(view.results)
    if frame.empty:
        return Section(title, anchor, "At least two complete trials are needed.")
    n, paid = len(frame), int(frame.attrs["n_paid"])
    margin = confirm_spec(suite).margin
    intro = (
        "The best validation score to expect from so many trials drawn at random from "
        f"the {n} complete ones (Dodge et al. 2019). "
        + (
            f"From {paid} trials on, the rest of the budget is expected to bring less "
            f"than the margin of {margin:g}."
            if paid < n
            else "All configurations of the space were tried: there are no more."
            if n == suite.space.n_configurations
            else "It was still rising by more than the margin at the end."
        )
        + " A sampler that learns does not draw at random, so its own curve may rise "
        "faster."
    )
    caption = f"Expected best validation {suite.metric.label} by number of trials."
    return Section(
        title,
        anchor,
        intro,
        (
            Drawing(
                "expected_best",
                f"{caption} The band is a 95 % bootstrap interval over trials, the "
                "grey area the part of the budget that stays within the margin.",
                plot_expected_best(frame, suite.metric),
                frame,
            ),
            view.table("expected_best", caption, frame, EXPECTED, wide=False),
        ),
    )


@house_style()
def plot_expected_best(table: pd.DataFrame, metric: Metric) -> Figure:
    """Draw the expected best score by number of trials, and mark ``n_paid``.

    Parameters
    ----------
    table : DataFrame
        From `expected_best`.
    """
    fig, ax = new_figure(NARROW, 3.4)
    n, expected = table["n_trials"], table["expected"]
    colour = PALETTE[0]
    ax.fill_between(n, table["ci_low"], table["ci_high"], color=colour, alpha=0.18)
    ax.plot(n, expected, color=colour, marker="o", ms=3, label="expected best")
    paid = int(table.attrs["n_paid"])
    if paid < int(n.iloc[-1]):
        ax.axvspan(
            paid,
            float(n.iloc[-1]),
            color=OTHERS,
            alpha=0.15,
            lw=0,
            label="within margin",
        )
    ax.set_xlabel("trials")
    ax.set_ylabel(f"validation {metric.label}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    seconds = float(table["seconds"].iloc[0])
    above = ax.secondary_xaxis(
        "top",
        functions=(
            lambda x: np.asarray(x, float) * seconds,
            lambda x: np.asarray(x, float) / seconds,
        ),
    )
    above.set_xlabel("seconds of training", color=INK, fontsize=9)
    above.tick_params(colors=INK, labelsize=9)
    add_legend(fig, ax.get_legend_handles_labels()[0])
    return fig
