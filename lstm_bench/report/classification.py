"""The section on what is taken for what, and how surely."""

from __future__ import annotations

from lstm_bench.figures.classification import plot_confusion, plot_probabilities
from lstm_bench.report.blocks import Column, Drawing, Section, Table
from lstm_bench.report.view import View
from lstm_bench.tables import classification as tables

# More matrices than these side by side would be too small to read.
MAX_MODELS = 3
ON = {"test": "test", "val": "validation"}


def classification(view: View) -> Section:
    """Show confusion matrices and probability histograms."""
    title, anchor = "Classes and probabilities", "classes"
    class_names = list(view.results.dataset.get("class_names", ()))
    models = tables.confirmed_predictions(view.analysis)
    of = "the best LSTM and the best baseline, over the round's seeds"
    if not models:
        models = tables.searched_predictions(view.results, view.board)[:MAX_MODELS]
        of = "the search's best configuration and the references, one run each"
    if not models or not class_names:
        return Section(title, anchor, "No completed training has left predictions.")
    split = ON[models[0].split]
    confusion = tables.confusion(models, class_names)
    histogram = tables.probabilities(models, class_names)
    columns = (
        Column("label", "model", colours=("key", view.colours)),
        Column("y_true", "true class"),
        Column("y_pred", "predicted"),
        Column("n", f"{view.results.examples}, mean", "whole"),
        Column("share", "share of the class", "share"),
        Column("ci_low", "95 % over seeds (t)", "interval_share", "ci_high"),
        Column("n_runs", "trainings (n)", "count"),
    )
    return Section(
        title,
        anchor,
        f"Which class is mistaken for which on {split}, and how surely.",
        (
            Drawing(
                "confusion",
                f"Confusion on {split} of {of}: shares of each true class (rows), and "
                f"{view.results.examples}. Blue is right, orange wrong.",
                plot_confusion(confusion, class_names),
                confusion,
            ),
            Drawing(
                "probabilities",
                f"How the probability of {class_names[-1]} spreads on {split} over "
                f"{view.results.examples} of each true class, trainings pooled, 20 "
                "bins; a good model "
                "keeps the colours apart. Left of the dashed line the model says "
                f"{class_names[0]}.",
                plot_probabilities(histogram, class_names, view.results.examples),
                histogram,
            ),
            Table(
                "confusion",
                f"The same shares on {split}, with intervals over trainings.",
                confusion,
                columns,
            ),
        ),
    )
