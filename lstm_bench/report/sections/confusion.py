"""The confusion section: confusion matrices and histograms of probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from lstm_bench.report.blocks import Block, Column, Drawing, Section, column_names
from lstm_bench.report.figures.confusion import (
    MAX_MATRIX,
    MAX_WHOLE,
    class_recall,
    confusion_matrix,
    plot_confusion,
    plot_recall,
)
from lstm_bench.report.figures.style import (
    OTHERS,
    PALETTE,
    add_legend,
    class_label,
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
    Column("y_true", "true class", "name"),
    Column("y_pred", "predicted", "name"),
    Column("n", "{examples}, mean", "whole", meaning="mean over the trainings"),
    Column("share", "share of the class", "share", meaning="mean over the trainings"),
    Column("ci_low", "95 % over seeds (t)", "interval_share", high="ci_high"),
    Column("n_runs", "trainings (n)", "count"),
)
ON = {"test": "test", "val": "validation"}
PAIRS = (
    Column("label", "model", colour_by="key"),
    Column("key"),
    Column("split"),
    Column("y_true", "true class", "name"),
    Column("y_pred", "taken for", "name"),
    Column("n", "{examples}, mean", "count", meaning="mean over the trainings"),
    Column("share", "share of the class", "share", meaning="mean over the trainings"),
    Column("ci_low", "95 % over seeds (t)", "interval_share", high="ci_high"),
    Column("n_runs", "trainings (n)", "count"),
)
PER_CLASS = (
    Column("label", "model", colour_by="key"),
    Column("key"),
    Column("split"),
    Column("name", "class", "name"),
    Column("n", "{examples} (n)", "count"),
    Column("recall", "recall", "share", meaning="share of the class that is found"),
    Column("ci_low", "95 % over seeds (t)", "interval_share", high="ci_high"),
    Column(
        "precision",
        "precision",
        "share",
        meaning="share that is right of what is taken for the class, trainings pooled",
    ),
    Column("f1", "F1", "score", meaning="trainings pooled"),
    Column("n_runs", "trainings (n)", "count"),
)
# Pairs of classes of each model in the table, the most frequent errors.
N_PAIRS = 50


def confusion_section(view: View) -> Section:
    """Show confusion matrices and probability histograms."""
    title, anchor = "Confusion and probabilities", "confusion"
    class_names = list(view.results.dataset.get("class_names", ()))
    models = confirmed_predictions(view.analysis)
    of = (
        f"the best {view.suite.network} and the best baseline, over the "
        "confirmation's seeds"
    )
    if not models:
        models = searched_predictions(view.results, view.board)[:MAX_MODELS]
        of = "the search's best configuration and the references, one run each"
    if not models or not class_names:
        return Section(title, anchor, "No completed training has left predictions.")
    split = ON[models[0].split]
    blocks = [*_whole(view, models, class_names, of, split)]
    if len(class_names) > 2:
        blocks += _by_class(view, models, class_names, of, split)
    return Section(
        title,
        anchor,
        f"Which class is mistaken for which on {split}, and how surely.",
        tuple(blocks),
    )


def _whole(
    view: View,
    models: Sequence[Predicted],
    class_names: Sequence[str],
    of: str,
    split: str,
) -> Iterator[Block]:
    """Yield the matrices with all their cells; nothing for too many classes."""
    examples = view.results.examples
    if len(class_names) > MAX_MATRIX:
        return
    counts = confusion(models, class_names)
    matrices = [(m.label, _matrices(m, len(class_names)).mean(axis=0)) for m in models]
    is_whole = len(class_names) <= MAX_WHOLE
    yield Drawing(
        "confusion",
        f"Confusion on {split} of {of}: shares of each true class (rows)"
        + (f", and {examples}" if is_whole else ", in percent")
        + ". Blue is right, orange wrong.",
        plot_confusion(matrices, class_names),
        counts,
    )
    if len(class_names) == 2:
        histogram = probabilities(models, class_names)
        yield Drawing(
            "probabilities",
            f"How the probability of {class_names[-1]} spreads on {split} over "
            f"{examples} of each true class, trainings pooled, 20 "
            "bins; a good model "
            "keeps the colours apart. Left of the dashed line the model predicts "
            f"{class_names[0]}.",
            plot_probabilities(histogram, class_names, examples),
            histogram,
        )
    if is_whole:
        yield view.table(
            "confusion",
            f"The same shares on {split}, with intervals over trainings.",
            counts,
            CONFUSION,
        )


def _by_class(
    view: View,
    models: Sequence[Predicted],
    class_names: Sequence[str],
    of: str,
    split: str,
) -> Iterator[Block]:
    """Yield recall by class, how sure the models are, and the most frequent errors."""
    examples = view.results.examples
    n_classes = len(class_names)
    scores = per_class(models, class_names)
    if n_classes > MAX_MATRIX:
        points = [
            (
                str(own["label"].iloc[0]),
                own["n"].to_numpy(dtype=float),
                own["recall"].to_numpy(dtype=float),
            )
            for _, own in scores.groupby("key", sort=False)
        ]
        yield Drawing(
            "recall",
            f"Recall of each of the {n_classes:,} classes on {split} by its number of "
            f"{examples}, of {of}: a point is a class.",
            plot_recall(points, class_names, examples),
            scores,
        )
    histogram = confidences(models)
    yield Drawing(
        "confidences",
        f"How sure the models are on {split} where they are right and where they are "
        f"wrong: the probability of the class that is predicted, trainings pooled, "
        f"{N_BINS} bins; a good model is sure where it is right alone.",
        plot_confidences(histogram, examples),
        histogram,
    )
    if n_classes > MAX_WHOLE:
        found = pairs(models, class_names)
        yield view.table(
            "confused_pairs",
            f"The pairs of classes that are confused most on {split}, at most "
            f"{N_PAIRS} of each model.",
            found,
            PAIRS,
        )
    by_recall = n_classes > MAX_MATRIX
    if by_recall:
        scores = scores.sort_values("recall", kind="stable", ignore_index=True)
    yield view.table(
        "per_class",
        f"Scores of each class on {split}, means over trainings"
        + (", the worst recall first." if by_recall else "."),
        scores,
        PER_CLASS,
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


def per_class(models: Sequence[Predicted], class_names: Sequence[str]) -> pd.DataFrame:
    """Return recall, precision and F1 of each class, for each model.

    Returns
    -------
    DataFrame with the columns of `PER_CLASS`
        `n` is the number of examples in one training. Precision is NaN for a class
        that is never predicted.
    """
    n_classes = len(class_names)
    frames = []
    for model in models:
        found = [(p.y_true, p.y_proba.argmax(axis=1)) for p in model.predictions]
        n = np.bincount(found[0][0], minlength=n_classes)
        recall = np.array([class_recall(*one, n_classes)[1] for one in found])
        right, named, true = (
            sum(np.bincount(y, minlength=n_classes) for y in each)
            for each in (
                [t[t == y] for t, y in found],
                [y for _, y in found],
                [t for t, _ in found],
            )
        )
        intervals = [mean_interval(r).within(0.0, 1.0) for r in recall.T]
        frames.append(
            pd.DataFrame(
                {
                    "label": model.label,
                    "key": model.key,
                    "split": model.split,
                    "name": list(class_names),
                    "n": n,
                    "recall": [i.estimate for i in intervals],
                    "ci_low": [i.low for i in intervals],
                    "ci_high": [i.high for i in intervals],
                    "precision": np.where(
                        named > 0, right / np.maximum(named, 1), np.nan
                    ),
                    "f1": 2 * right / np.maximum(named + true, 1),
                    "n_runs": len(found),
                },
                columns=column_names(PER_CLASS),
            )
        )
    return pd.concat(frames, ignore_index=True)


def pairs(
    models: Sequence[Predicted], class_names: Sequence[str], n_pairs: int = N_PAIRS
) -> pd.DataFrame:
    """Return the most frequent errors: pairs of a true and a predicted class.

    Returns
    -------
    DataFrame with the columns of `PAIRS`
        For each model at most `n_pairs` rows, the most frequent first.
    """
    n_classes, rows = len(class_names), []
    for model in models:
        codes = []
        for p in model.predictions:
            y_pred = p.y_proba.argmax(axis=1)
            wrong = y_pred != p.y_true
            codes.append(p.y_true[wrong] * n_classes + y_pred[wrong])
        distinct, counts = np.unique(np.concatenate(codes), return_counts=True)
        n = np.bincount(model.predictions[0].y_true, minlength=n_classes)
        for at in np.argsort(-counts, kind="stable")[:n_pairs].tolist():
            i, j = divmod(int(distinct[at]), n_classes)
            shares = np.array([np.sum(code == distinct[at]) / n[i] for code in codes])
            share = mean_interval(shares).within(0.0, 1.0)
            row: dict[str, Any] = {
                "label": model.label,
                "key": model.key,
                "split": model.split,
                "y_true": class_names[i],
                "y_pred": class_names[j],
                "n": counts[at] / len(codes),
                "share": share.estimate,
                "ci_low": share.low,
                "ci_high": share.high,
                "n_runs": share.n,
            }
            rows.append(row)
    return pd.DataFrame(rows, columns=column_names(PAIRS))


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


def confidences(models: Sequence[Predicted], n_bins: int = N_BINS) -> pd.DataFrame:
    """Return histograms of the predicted class's probability, right and wrong apart.

    Returns
    -------
    DataFrame with columns
        ``label, key, split, outcome`` ("right" or "wrong"), ``p_low, p_high`` (bounds
        of the bin), ``share`` (of all examples, trainings pooled), ``n`` (examples
        times trainings with the outcome), ``n_runs``
    """
    edges = np.linspace(0, 1, n_bins + 1)
    frames = []
    for model in models:
        confidence, right = (
            np.concatenate(each)
            for each in zip(
                *(
                    (p.y_proba.max(axis=1), p.y_proba.argmax(axis=1) == p.y_true)
                    for p in model.predictions
                ),
                strict=True,
            )
        )
        for outcome, members in (("right", right), ("wrong", ~right)):
            counts, _ = np.histogram(confidence[members], edges)
            frames.append(
                pd.DataFrame(
                    {
                        "label": model.label,
                        "key": model.key,
                        "split": model.split,
                        "outcome": outcome,
                        "p_low": edges[:-1],
                        "p_high": edges[1:],
                        "share": counts / len(right),
                        "n": int(members.sum()),
                        "n_runs": len(model.predictions),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


@house_style()
def plot_confidences(table: pd.DataFrame, examples: str) -> Figure:
    """Draw histograms of the predicted class's probability, right and wrong apart.

    Parameters
    ----------
    table : DataFrame
        From `confidences`.
    examples : str
        The word for the data's examples.
    """
    models = list(dict.fromkeys(table["key"].tolist()))
    fig, axes = new_panels(len(models), 3.6, 3.1)
    handles: list[BarContainer] = []
    for ax, key in zip(axes, models, strict=True):
        own = table[table["key"] == key]
        handles = []
        for outcome, colour in (("right", PALETTE[0]), ("wrong", PALETTE[1])):
            rows = own[own["outcome"] == outcome]
            bars = ax.bar(
                rows["p_low"],
                rows["share"],
                rows["p_high"] - rows["p_low"],
                align="edge",
                color=colour,
                alpha=0.6,
                label=outcome,
            )
            for bar, row in zip(bars, rows.to_dict("records"), strict=True):
                where = f"p {row['p_low']:.2f} to {row['p_high']:.2f}"
                bar.set_url(point_name(f"{outcome}, {where}", f"{row['share']:.1%}"))
            handles.append(bars)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlim(0, 1)
        ax.set_xlabel("probability of the predicted class")
        name_panel(ax, own["label"].iloc[0])
    axes[0].set_ylabel(f"share of the {plain_text(examples)}")
    add_legend(fig, handles)
    return fig


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
                label=f"true class {class_label(name)}",
            )
            for bar, row in zip(bars, rows.to_dict("records"), strict=True):
                where = f"p {row['p_low']:.2f} to {row['p_high']:.2f}"
                bar.set_url(point_name(f"true {name}, {where}", f"{row['share']:.1%}"))
            handles.append(bars)
        ax.axvline(0.5, color=OTHERS, lw=0.9, ls="--")
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlim(0, 1)
        ax.set_xlabel(f"predicted p({class_label(class_names[-1])})")
        name_panel(ax, own["label"].iloc[0])
    axes[0].set_ylabel(f"share of the class's {plain_text(examples)}")
    add_legend(fig, handles)
    return fig
