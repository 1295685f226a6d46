"""The section on learning curves."""

from __future__ import annotations

import pandas as pd

from lstm_bench.figures.curves import plot_curves_over_seeds
from lstm_bench.figures.search import plot_learning_curves
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import Block, Drawing, Section, count
from lstm_bench.report.view import View
from lstm_bench.tables.curves import curves_over_seeds

N_HIGHLIGHTED = 5
# Grey lines behind the best ones.
N_OTHERS = 150


def curves(view: View) -> Section:
    """Show the confirmed configurations over seeds, then the search's runs."""
    title, anchor = "Learning curves", "curves"
    names = list(dict.fromkeys((view.metric.name, "accuracy", "log_loss")))
    confirmed = [_over_seeds(view, name) for name in names] if view.lstms else []
    searched = [_searched(view, name) for name in names]
    blocks: list[Block] = [d for d in (*confirmed, *searched) if d is not None]
    if not blocks:
        return Section(title, anchor, "No completed training has left a curve.")
    return Section(
        title,
        anchor,
        f"Scores after each epoch, on the validation {view.results.examples}. Where "
        "training stops "
        "early, the weights of the best epoch are kept.",
        tuple(blocks),
    )


def _over_seeds(view: View, name: str) -> Drawing | None:
    frame = curves_over_seeds(view.analysis, name)
    if frame.empty:
        return None
    label = METRICS[name].label
    return Drawing(
        f"curves_over_seeds_{name}",
        f"Validation {label} by epoch, means over the round's seeds; bands are 95 % t "
        "intervals over seeds. A line ends where the first of its seeds stopped.",
        plot_curves_over_seeds(frame, name, view.colours),
        frame,
    )


def _searched(view: View, name: str) -> Drawing | None:
    board, all_curves = view.board, view.results.curves
    own = all_curves[(all_curves["split"] == "val") & (all_curves["metric"] == name)]
    shown = board[board["run_id"].isin(own["run_id"].unique().tolist())]
    if shown.empty:
        return None
    drawn = shown.head(N_HIGHLIGHTED + N_OTHERS)
    rows = own[own["run_id"].isin(drawn["run_id"].tolist())].sort_values(
        ["run_id", "epoch"], kind="stable"
    )
    caption = (
        f"Validation {METRICS[name].label} by epoch in the search: the best "
        f"{min(N_HIGHLIGHTED, len(shown))} of {count(len(shown), 'configuration')} in "
        "colour, one run each."
    )
    if len(drawn) < len(shown):
        caption += f" Grey: the next {len(drawn) - N_HIGHLIGHTED}."
    data = rows.merge(drawn[["run_id", "label"]], on="run_id")
    return Drawing(
        f"curves_{name}",
        caption,
        plot_learning_curves(
            rows, view.named(drawn), name, view.colours, N_HIGHLIGHTED
        ),
        pd.DataFrame(data[["label", "run_id", "epoch", "value"]]),
    )
