"""The confusion section: confusion matrices and histograms of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.arrays import FloatArray
from lstm_bench.report.blocks import Column, Drawing, Section, column_names
from lstm_bench.report.figures.confusion import confusion_matrix, plot_confusion
from lstm_bench.report.figures.style import (
    OTHERS,
    PALETTE,
    add_legend,
    house_style,
    name_panel,
    new_panels,
    plain_text,
    point_name,
)
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import Prediction

N_BINS = 20


# More matrices side by side would be too small to read.
MAX_MODELS = 3
CONFUSION = (
    Column("label", "model", colour_by="key"),
    Column("key"),
    Column("split"),
    Column("y_true", "true class"),
    Column("y_pred", "predicted"),
    Column("n", "{examples}, mean", "whole", meaning="mean over the trainings"),
    Column("share", "share of the class", "share", meaning="mean over the trainings"),
    Column("ci_low", "95 % over seeds (t)", "interval_share", high="ci_high"),
    Column("n_runs", "trainings (n)", "count"),
)
ON = {"test": "test", "val": "validation"}


def confusion_section(view: View) -> Section:
    """Show confusion matrices and probability histograms."""
    title, anchor = "Confusion and probabilities", "confusion"
    class_names = list(view.results.dataset.get("class_names", ()))
    models = confirmed_predictions(view.analysis)
    of = "the best LSTM and the best baseline, over the confirmation's seeds"
    if not models:
        models = searched_predictions(view.results, view.board)[:MAX_MODELS]
        of = "the search's best configuration and the references, one run each"
    if not models or not class_names:
        return Section(title, anchor, "No completed training has left predictions.")
    split = ON[models[0].split]
    counts = confusion(models, class_names)
    matrices = [(m.label, _matrices(m, len(class_names)).mean(axis=0)) for m in models]
    histogram = probabilities(models, class_names)
    return Section(
        title,
        anchor,
        f"Which class is mistaken for which on {split}, and how surely.",
        (
            Drawing(
                "confusion",
                f"Confusion on {split} of {of}: shares of each true class (rows), and "
                f"{view.results.examples}. Blue is right, orange wrong.",
                plot_confusion(matrices, class_names),
                counts,
            ),
            Drawing(
                "probabilities",
                f"How the probability of {class_names[-1]} spreads on {split} over "
                f"{view.results.examples} of each true class, trainings pooled, 20 "
                "bins; a good model "
                "keeps the colours apart. Left of the dashed line the model predicts "
                f"{class_names[0]}.",
                plot_probabilities(histogram, class_names, view.results.examples),
                histogram,
            ),
            view.table(
                "confusion",
                f"The same shares on {split}, with intervals over trainings.",
                counts,
                CONFUSION,
            ),
        ),
    )


@dataclass(frozen=True)
class Predicted:
    """One model's predictions on one split, one per training."""

    label: str
    key: str
    split: str
    predictions: tuple[Prediction, ...]


def confirmed_predictions(analysis: Analysis) -> list[Predicted]:
    """Return the winner's and the best baseline's predictions on test."""
    chosen = (analysis.winner, analysis.baseline)
    return [
        Predicted(
            c.label, c.key, "test", tuple(p["test"] for p in c.predictions.values())
        )
        for c in chosen
        if c is not None
    ]


def searched_predictions(results: Results, board: pd.DataFrame) -> list[Predicted]:
    """Return the validation predictions of the best configuration and references.

    Parameters
    ----------
    board : DataFrame
        From `analysis.tables.search.leaderboard`.
    """
    chosen = board[(board.index == 0) | board["reference"].notna()]
    return [
        Predicted(label, key, "val", (results.predictions[run_id]["val"],))
        for label, key, run_id in zip(
            chosen["label"], chosen["config_id"], chosen["run_id"], strict=True
        )
        if "val" in results.predictions.get(run_id, {})
    ]


def confusion(models: Sequence[Predicted], class_names: Sequence[str]) -> pd.DataFrame:
    """Return the number of examples by true and predicted class, for each model.

    Returns
    -------
    DataFrame with the columns of `CONFUSION`
    """
    rows = []
    for model in models:
        counts = _matrices(model, len(class_names))
        shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
        for i, y_true in enumerate(class_names):
            for j, y_pred in enumerate(class_names):
                share = mean_interval(shares[:, i, j]).within(0.0, 1.0)
                row: dict[str, Any] = {
                    "label": model.label,
                    "key": model.key,
                    "split": model.split,
                    "y_true": y_true,
                    "y_pred": y_pred,
                    "n": float(counts[:, i, j].mean()),
                    "share": share.estimate,
                    "ci_low": share.low,
                    "ci_high": share.high,
                    "n_runs": share.n,
                }
                rows.append(row)
    return pd.DataFrame(rows, columns=column_names(CONFUSION))


def _matrices(model: Predicted, n_classes: int) -> FloatArray:
    """Return one matrix per training, of shape (n_trainings, n_classes, n_classes)."""
    return np.array(
        [
            confusion_matrix(p.y_true, p.y_proba.argmax(axis=1), n_classes)
            for p in model.predictions
        ]
    )


def probabilities(
    models: Sequence[Predicted], class_names: Sequence[str], n_bins: int = N_BINS
) -> pd.DataFrame:
    """Return histograms of the last class's probability, by true class and model.

    Returns
    -------
    DataFrame with columns
        ``label, key, split, y_true`` (class name), ``p_low, p_high`` (bounds of the
        bin), ``share`` (of the class's examples, trainings pooled), ``n`` (examples
        times trainings of the class), ``n_runs``
    """
    columns = ["label", "key", "split", "y_true", "p_low", "p_high", "share", "n"]
    columns += ["n_runs"]
    edges = np.linspace(0, 1, n_bins + 1)
    rows = []
    for model in models:
        y_true = np.concatenate([p.y_true for p in model.predictions])
        proba = np.concatenate([p.y_proba[:, -1] for p in model.predictions])
        for i, name in enumerate(class_names):
            own = proba[y_true == i]
            counts, _ = np.histogram(own, edges)
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True):
                row: dict[str, Any] = {
                    "label": model.label,
                    "key": model.key,
                    "split": model.split,
                    "y_true": name,
                    "p_low": float(low),
                    "p_high": float(high),
                    "share": float(n / max(len(own), 1)),
                    "n": len(own),
                    "n_runs": len(model.predictions),
                }
                rows.append(row)
    return pd.DataFrame(rows, columns=columns)


@house_style()
def plot_probabilities(
    table: pd.DataFrame, class_names: Sequence[str], examples: str
) -> Figure:
    """Draw histograms of the last class's probability, by true class and model.

    Parameters
    ----------
    table : DataFrame
        From `probabilities`.
    examples : str
        The word for the data's examples.
    """
    models = list(dict.fromkeys(table["key"].tolist()))
    fig, axes = new_panels(len(models), 3.6, 3.1)
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
        name_panel(ax, own["label"].iloc[0])
    axes[0].set_ylabel(f"share of the class's {plain_text(examples)}")
    add_legend(fig, handles)
    return fig
