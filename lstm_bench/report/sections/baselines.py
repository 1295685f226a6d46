"""The baselines section: scores of models without a network on the same examples."""

from __future__ import annotations

from lstm_bench.analysis.tables.confirmed import baselines
from lstm_bench.data.dataset import VECTORS
from lstm_bench.report.blocks import Column, Note, Section
from lstm_bench.report.view import View
from lstm_bench.text import plural
from lstm_bench.training.result import TRAIN_TIME

TOKENS = {
    "words": "word",
    "words_and_punctuation": "token",
    "whitespace": "word",
    "characters": "character",
    "categories": "step",
}
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
    skipped = tuple(Note(text) for text in view.results.skipped_baselines)
    if frame.empty:
        return Section(title, anchor, "No baseline was fitted.", skipped)
    frame = frame.assign(key=[f"baseline:{name}" for name in frame["baseline"]])
    caption = (
        f"Fitted on exactly the training {view.results.examples} that the networks "
        "saw; means over splits."
    )
    every = TOKENS.get(view.results.dataset.get("tokenizer") or "words", "token")
    what, how = f"a bag of {plural(every)}", f"with every {every}"
    if view.results.dataset.get("kind") == VECTORS:
        what, how = "a model without a network", "as scaled for the networks"
    return Section(
        title,
        anchor,
        f"What {what} reaches, which a network has to beat. The baselines read whole "
        f"{view.results.examples} {how}; their settings were fixed beforehand.",
        (view.table("baselines", caption, frame, BASELINES), *skipped),
    )
