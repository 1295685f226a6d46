"""The memory section: what each cell still solves as sequences get longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from lstm_bench.analysis.memory import (
    LENGTH,
    right_by_run,
    solved_by_length,
    task_of,
)
from lstm_bench.data.memory import SOLVED, MemoryTask
from lstm_bench.report.blocks import Block, Column, Drawing, Note, Section
from lstm_bench.report.figures.style import (
    INK,
    add_legend,
    configuration_colours,
    house_style,
    new_panels,
    plain_text,
)
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results

PANEL = 4.3, 3.2

MEMORY = (
    Column("model", "model"),
    Column(LENGTH, "length", "count", "steps"),
    Column("n_parameters", "parameters", "count"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("n_solved", "solved by", "count", meaning="number of seeds"),
    Column("share", "share of seeds", "share"),
    Column("low", "95 % Wilson", "interval_share", high="high"),
    Column("right", "sequences right", "share", meaning="of test, mean over seeds"),
    Column("right_min", "fewest", "share", meaning="of any seed"),
    Column("right_max", "most", "share", meaning="of any seed"),
)


def memory_section(view: View) -> Section:
    """Show the share of seeds that solve the task by length, and gradients."""
    title, anchor = "Memory", "memory"
    results = view.results
    task = task_of(results)
    if task is None:
        return Section(title, anchor, "The data are no memory task.")
    right = right_by_run(results, task)
    if right.empty:
        return Section(
            title,
            anchor,
            "What is solved is measured in a confirmation: it takes fresh seeds.",
        )
    solved = solved_by_length(right)
    colours = configuration_colours(solved["model"].tolist())
    caption = (
        f"Solved: at least {SOLVED:.0%} of the test sequences right. A sequence is "
        f"right if {task.right}. A training that failed counts with none right."
    )
    blocks: list[Block] = [
        Drawing(
            "memory",
            "Left: share of seeds that solve the task, with 95 % Wilson intervals. "
            "Right: share of the test sequences that are right, a point for each seed "
            f"and a line through the means; dashed: a model that {task.without_memory} "
            f"({task.no_memory:.1%} right, so never solved).",
            plot_memory(solved, right, task.no_memory, colours),
            solved,
        ),
        view.table("memory", caption, solved, MEMORY),
        *_gradients(view, right, solved, colours),
        *_baselines(results, task),
    ]
    return Section(
        title,
        anchor,
        "The same sequences at every length, with the same targets: only how long the "
        f"marks have to be remembered differs. The task is from {task.source}.",
        tuple(blocks),
    )


def _baselines(results: Results, task: MemoryTask) -> Iterator[Note]:
    shares: dict[str, list[float]] = {}
    for row in results.baselines[results.baselines["replicate"] > 0].to_dict("records"):
        tested = results.predictions.get(row["run_id"], {}).get("test")
        if tested is not None:
            right = task.is_right(tested.y_true, tested.y_proba).mean()
            shares.setdefault(row["label"], []).append(float(right))
    if shares:
        each = ", ".join(f"{name} {np.mean(of):.1%}" for name, of in shares.items())
        yield Note(
            "Baselines without a network, on the longest sequences, have right: "
            f"{each}."
        )


def _gradients(
    view: View,
    right: pd.DataFrame,
    solved: pd.DataFrame,
    colours: Mapping[str, str],
) -> Iterator[Drawing]:
    """Draw gradients at the longest length that any seed solves, else the longest.

    Lengths that every model has come first, as a confirmation may be incomplete.
    """
    n_models = solved.groupby(LENGTH)["model"].transform("nunique")
    common = solved[n_models == n_models.max()]
    ever = common.loc[common["n_solved"] > 0, LENGTH]
    length = int((ever if len(ever) else common[LENGTH]).max())
    runs = right[right[LENGTH] == length]
    curves = gradient_curves(runs, view.results.gradients)
    if not curves.empty:
        yield Drawing(
            "memory_gradients",
            f"Norm of the gradient of the loss with respect to the input k steps "
            f"before the last, at length {length:,}, before and after training: mean "
            "over validation sequences, geometric mean over seeds; bands from the "
            "smallest seed to the largest. A steep fall means that early steps hardly "
            "change the weights. After training the whole curve is lower where the "
            "loss is, so compare slopes.",
            plot_gradients(curves, colours),
            curves,
        )


def gradient_curves(
    runs: pd.DataFrame, gradients: Mapping[str, Mapping[str, list[float]]]
) -> pd.DataFrame:
    """Return the norms of gradients over seeds, by model, time and k.

    Parameters
    ----------
    runs : DataFrame
        Of one length, from `right_by_run`.
    gradients : mapping
        `Results.gradients`.

    Returns
    -------
    DataFrame with columns
        ``model, when, k, norm, low, high``: geometric mean, smallest and largest norm
        of any seed; 0 where a seed has 0.
    """
    rows: list[tuple[str, str, int, float, float, float]] = []
    for model in dict.fromkeys(runs["model"].tolist()):
        ids = runs.loc[runs["model"] == model, "run_id"].tolist()
        for when in ("before", "after"):
            found = [gradients[i][when] for i in ids if gradients.get(i)]
            n_steps = min(map(len, found), default=0)
            if not n_steps:
                continue
            norms = np.array([each[:n_steps] for each in found])
            with np.errstate(divide="ignore"):
                means = np.exp(np.log(norms).mean(axis=0))
            low, high = norms.min(axis=0), norms.max(axis=0)
            for k in range(n_steps):
                values = float(means[k]), float(low[k]), float(high[k])
                rows.append((model, when, k, *values))
    return pd.DataFrame(rows, columns=["model", "when", "k", "norm", "low", "high"])


@house_style()
def plot_memory(
    solved: pd.DataFrame,
    right: pd.DataFrame,
    no_memory: float,
    colours: Mapping[str, str],
) -> Figure:
    """Draw the share of seeds that solve the task, and of sequences that are right.

    Parameters
    ----------
    solved, right : DataFrame
        From `solved_by_length` and `right_by_run`.
    no_memory : float
        Share of the sequences that is right without memory.
    """
    fig, (seeds, sequences) = new_panels(2, *PANEL)
    models = list(dict.fromkeys(solved["model"].tolist()))
    for i, model in enumerate(models):
        own = solved[solved["model"] == model]
        # Beside each other, as the axis is logarithmic.
        beside = 1.025 ** (2 * i - len(models) + 1)
        x = own[LENGTH].to_numpy(dtype=float) * beside
        share = own["share"].to_numpy(dtype=float)
        ends = [share - own["low"].to_numpy(), own["high"].to_numpy() - share]
        style: dict[str, Any] = {"color": colours.get(model, INK), "marker": "o"}
        seeds.errorbar(x, share, ends, ms=4.5, lw=1.4, elinewidth=1.0, **style)
        points = right[right["model"] == model]
        sequences.scatter(
            points[LENGTH].to_numpy(dtype=float) * beside,
            points["right"],
            s=12,
            alpha=0.6,
            linewidths=0,
            color=style["color"],
        )
        sequences.plot(
            x, own["right"], lw=1.4, color=style["color"], label=plain_text(model)
        )
    sequences.axhline(no_memory, color=INK, lw=0.9, ls="--", label="without memory")
    lengths = sorted(set(solved[LENGTH].tolist()))
    for ax in (seeds, sequences):
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xticks(lengths, [f"{length:,}" for length in lengths])
        ax.set_xlabel("length (steps)")
        ax.set_ylim(-0.04, 1.04)
        ax.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    seeds.set_ylabel("seeds that solve the task")
    sequences.set_ylabel("test sequences right")
    add_legend(fig, sequences.get_legend_handles_labels()[0])
    return fig


@house_style()
def plot_gradients(curves: pd.DataFrame, colours: Mapping[str, str]) -> Figure:
    """Draw the norm of the gradient against the number of steps back, in two panels.

    Parameters
    ----------
    curves : DataFrame
        From `gradient_curves`.
    """
    fig, axes = new_panels(2, *PANEL)
    positive = curves.loc[curves["low"] > 0, "low"]
    top = float(curves["high"].max())
    # Powers of ten as plain numbers: mathtext takes half a second to load.
    least = max(float(positive.min()) if len(positive) else 1e-12, 1e-20 * top, 1e-40)
    for ax, when in zip(axes, ("before", "after"), strict=True):
        ax.set_yscale("log")
        for model, own in curves[curves["when"] == when].groupby("model", sort=False):
            colour = colours.get(str(model), INK)
            ax.fill_between(
                own["k"], own["low"].clip(least), own["high"].clip(least),
                color=colour, alpha=0.2, lw=0,
            )  # fmt: skip
            ax.plot(
                own["k"],
                own["norm"].where(own["norm"] >= least),
                color=colour,
                lw=1.4,
                label=plain_text(model),
            )
        ax.set_ylim(least / 2, top * 2 if top > 0 else 1.0)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_title(f"{when} training", fontsize=9)
        ax.set_xlabel("k (steps before the last)")
    axes[0].set_ylabel("norm of the gradient")
    add_legend(fig, axes[0].get_legend_handles_labels()[0])
    return fig
