"""The baselines section: scores of bag-of-words models on the same examples."""

from __future__ import annotations

from lstm_bench.analysis.tables.confirmed import baselines
from lstm_bench.report.blocks import Column, Section
from lstm_bench.report.view import View
from lstm_bench.training.result import TRAIN_TIME

BASELINES = (
    Column("label", "baseline", colour_by="key"),
    Column("fitted_on", "fitted on", meaning="the search's split or fresh splits"),
    Column("n_splits", "splits (n)", "count"),
    Column("val_mean", "validation {metric}", "score", meaning="mean over the splits"),
    Column("test_mean", "test {metric}", "score", meaning="mean over the splits"),
    Column("test_low", "95 % over splits (t)", "interval", high="test_high"),
    Column("n_features", "features", "whole", meaning="mean over the splits"),
    Column(TRAIN_TIME, "fit", "seconds", "s", meaning="mean over the splits"),
)


def baselines_section(view: View) -> Section:
    """Show the baselines' scores on validation and test."""
    title, anchor = "Baselines", "baselines"
    frame = baselines(view.results)
    if frame.empty:
        return Section(title, anchor, "No baseline was fitted.")
    frame = frame.assign(key=[f"baseline:{name}" for name in frame["baseline"]])
    caption = (
        f"Fitted on exactly the training {view.results.examples} that the LSTMs saw; "
        "means over splits."
    )
    return Section(
        title,
        anchor,
        "What a bag of words reaches, which an LSTM has to beat. The "
        f"baselines read whole {view.results.examples} with every word; their "
        "settings were fixed "
        "beforehand.",
        (view.table("baselines", caption, frame, BASELINES),),
    )
