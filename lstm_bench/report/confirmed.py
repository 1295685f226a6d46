"""Sections about the confirmation round and baselines, each of a `View`."""

from __future__ import annotations

import shlex

import pandas as pd

from lstm_bench.analysis.calibration import MAX_BINS, MIN_PER_BIN, bins_for
from lstm_bench.analysis.contenders import Contender, confirm_spec
from lstm_bench.analysis.formatting import data_option
from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS, smallest_rank_p
from lstm_bench.figures import confirmed as figures
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Note,
    Section,
    Table,
    count,
)
from lstm_bench.report.view import View
from lstm_bench.tables import confirmed as tables
from lstm_bench.tables.runs import MAJORITY
from lstm_bench.training.result import TRAIN_TIME, Prediction

N_RELIABILITY = 4
SHOWN_METRICS = ("accuracy", "log_loss", "brier_score_loss")
MEASURES = {
    "log_loss": "log loss (nats)",
    "brier_score_loss": "Brier score",
    "ece": "ECE",
    "log_temperature": "logarithm of the temperature",
}
UNEQUAL = (
    "Not every configuration has the same number of seeds: the round is unfinished, or "
    "trainings failed. The winner is chosen over the seeds that all have; this table's "
    "means and order are over each one's own."
)
HOW = {"true": "scored", "validation": "used as validation data"}


def confirmation(view: View) -> Section:
    """Show every confirmed configuration and baseline on test."""
    title, anchor = "Confirmation on fresh seeds", "confirmation"
    analysis, suite = view.analysis, view.suite
    if not analysis.contenders:
        command = ["lstm-bench", "confirm", suite.path, *data_option(view.results)]
        again = (
            f"`{shlex.join(command)}` runs one."
            if suite.confirm is not None
            else "The suite declares none."
        )
        text = (
            f"No confirmation round was completed, so nothing is known of test. {again}"
        )
        return Section(title, anchor, text, _looks(view))
    metric, board = suite.metric, tables.confirmed_board(analysis)
    drawn = board[board["key"] != MAJORITY]
    examples = view.results.examples
    columns = (
        Column("rank", "#", "count"),
        view.label(key="key"),
        Column("test_mean", f"test {metric.label}", "score"),
        Column("seeds_low", "95 % over seeds (t)", "interval", "seeds_high"),
        Column("n_seeds", "seeds (n)", "count"),
        Column("val_mean", f"validation {metric.label}", "score"),
        Column("kind", "kind", more=True),
        *(Column(f, f, "value") for f in tables.confirmed_fields(analysis)),
        Column(
            "examples_low",
            f"95 % over {examples} (bootstrap)",
            "interval",
            "examples_high",
            more=True,
        ),
        Column("both_low", f"95 % over seeds and {examples}", "interval", "both_high"),
        Column("n_failed", "failed", "count", more=True),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        view.command,
    )
    caption = (
        f"Mean {metric.label} over n fresh seeds; ranked by validation, so that test "
        f"had no say. Over seeds: what another seed would give on these {examples}. "
        f"Over {examples}: what these models would give on others. Intervals end at "
        "the "
        "lowest and highest value that the metric can have."
    )
    blocks: list[Block] = []
    if board["n_seeds"].nunique() > 1:
        blocks.append(Note(UNEQUAL, True))
    blocks += [
        Table("confirmed", caption, board, columns),
        Drawing(
            "confirmed",
            f"Test {metric.label}: thick bars are 95 % t intervals over seeds, thin "
            f"ones 95 % intervals over seeds and {examples}, ticks the single seeds. "
            "Squares are baselines; the majority class is left out.",
            figures.plot_confirmed(
                drawn,
                metric,
                view.colours,
                {c.key: c.test for c in analysis.contenders},
            ),
            drawn,
        ),
        _optimism(view),
        *_looks(view),
    ]
    intro = (
        "Each configuration was trained again on fresh seeds. A seed has one split, "
        f"one stream of initial weights and one order of {examples} for all of them, "
        "so "
        "they are compared pair by pair. Test was scored once for each training."
    )
    return Section(title, anchor, intro, tuple(blocks))


def _optimism(view: View) -> Table:
    columns = (
        view.label(),
        Column("n_seeds", "seeds (n)", "count"),
        Column("search", "search score", "score"),
        Column("val_mean", "validation mean", "score"),
        Column("test_mean", "test mean", "score"),
        Column("search_minus_val", "search − validation", "signed"),
        Column("val_minus_test", "validation − test", "signed"),
        Column("ci_low", "95 % over seeds (t)", "interval", "ci_high"),
    )
    caption = (
        "Selection optimism. Search − validation: how much of the search's score was "
        "the luck of one seed. Validation − test: how much early stopping on "
        f"validation, and a test set of other {view.results.examples}, take off. "
        "Positive means flattered."
    )
    return Table("optimism", caption, view.analysis.optimism, columns)


def _looks(view: View) -> tuple[Block, ...]:
    frame = view.results.test_looks
    n = int(frame["n"].sum())
    if not n:
        return (
            Note("The test set of this data has not been looked at in this store."),
        )
    frame = frame.assign(how=[HOW[how] for how in frame["how"].tolist()])
    columns = (
        Column("kind", "by"),
        Column("study", "study"),
        Column("how", "how"),
        Column("n", "times (n)", "count"),
    )
    caption = (
        f"The test set was looked at {count(n, 'time')} in this tracking store. Every "
        "look that steers a decision makes the next score more optimistic."
    )
    return (Table("test_looks", caption, frame, columns),)


def comparisons(view: View) -> Section:
    """Paired differences with verdicts."""
    title, anchor = "Comparisons and verdicts", "comparisons"
    frame, metric = view.analysis.comparisons, view.metric
    if frame.empty:
        return Section(title, anchor, "No two configurations were confirmed together.")
    margin = confirm_spec(view.suite).margin
    return Section(
        title,
        anchor,
        "The winner was chosen on validation. A difference smaller than the margin "
        "makes no odds in practice, says the suite; where neither can be said, the "
        "table says how many seeds would be needed, by the same rule. No verdict is "
        f"given from fewer than {MIN_SEEDS} seeds: two say too little about the "
        "spread.",
        (
            Drawing(
                "forest",
                f"Difference in test {metric.label}, a − b: thick bars are 95 % t "
                "intervals over seeds, thin ones over seeds and "
                f"{view.results.examples}; "
                f"the grey band is the margin of ±{margin:g}. The majority class is "
                "left out.",
                figures.plot_forest(frame[frame["id_b"] != MAJORITY], metric),
                frame[frame["id_b"] != MAJORITY],
            ),
            comparison_table(view, frame, "comparisons"),
        ),
    )


def comparison_table(view: View, frame: pd.DataFrame, name: str) -> Table:
    """Return rows of the comparisons with everything that is known of them."""
    metric = view.metric
    columns = (
        Column("family", "family"),
        Column("label_a", "a", "name"),
        Column("label_b", "b", "name"),
        Column(
            "verdict",
            "verdict: a is",
            colours=("verdict", figures.VERDICT_COLOURS),
        ),
        Column("n_seeds", "seeds (n)", "count"),
        Column("mean_a", "mean of a", "score"),
        Column("mean_b", "mean of b", "score"),
        Column("difference", "a − b", "signed"),
        Column("ci_low", "95 % over seeds (t)", "interval", "ci_high"),
        Column(
            "both_low",
            f"95 % over seeds and {view.results.examples}",
            "interval",
            "both_high",
            more=True,
        ),
        Column("p_t", "p (t)", "p", more=True),
        Column("p_beyond_holm", "p (beyond the margin, Holm)", "p"),
        Column("p_wilcoxon", "p (Wilcoxon)", "p", more=True),
        Column("p_equivalence_holm", "p (equivalence, Holm)", "p"),
        Column("p_a_beats_b", "P(a beats b)", "share", more=True),
        Column("p_mcnemar_exact", "McNemar exact p, median", "p", more=True),
        Column("p_mcnemar_mid", "McNemar mid-p, median", "p", more=True),
        Column(
            "n_mcnemar_below_5_percent", "seeds with mid-p < 5 %", "count", more=True
        ),
        Column("n_seeds_needed", "seeds needed", "count"),
    )
    margin, n = confirm_spec(view.suite).margin, int(frame["n_seeds"].max())
    caption = (
        f"Differences in test {metric.label} on the same seeds. Better or worse: "
        f"Holm's p of a difference beyond the margin of {margin:g} is below 5 %; the "
        "interval over seeds, which is of one comparison alone, then lies beyond it "
        "too. Equivalent: Holm's p of two one-sided tests, which place the difference "
        "inside the margin, is below 5 %. Identical: the same score on every seed. "
        f"From fewer than {MIN_SEEDS} seeds there is no verdict. Holm's correction is "
        "within each family. Intervals end where the metric does. A rank test sees "
        f"only signs and order: with {count(n, 'seed')} Wilcoxon's p cannot be below "
        f"{smallest_rank_p(n):.3g}."
    )
    return Table(name, caption, frame, columns)


def head_blocks(view: View) -> tuple[Block, ...]:
    """Return the verdicts on heads, for the section on them; none without pairs."""
    frame = view.analysis.comparisons
    own = frame[frame["family"] == "pairs: head"]
    if own.empty:
        return ()
    return (comparison_table(view, own, "heads_confirmed"),)


def baselines(view: View) -> Section:
    """Show what an LSTM has to beat."""
    title, anchor = "Baselines", "baselines"
    frame = tables.baselines(view.results)
    if frame.empty:
        return Section(title, anchor, "No baseline was fitted.")
    metric = view.metric
    frame = frame.assign(key=[f"baseline:{name}" for name in frame["baseline"]])
    columns = (
        view.label("baseline", "key"),
        Column("fitted_on", "fitted on"),
        Column("n_splits", "splits (n)", "count"),
        Column("val_mean", f"validation {metric.label}", "score"),
        Column("test_mean", f"test {metric.label}", "score"),
        Column("test_low", "95 % over splits (t)", "interval", "test_high"),
        Column("n_features", "features", "whole"),
        Column(TRAIN_TIME, "fit (s)", "seconds"),
    )
    caption = (
        f"Fitted on exactly the training {view.results.examples} that the LSTMs saw; "
        "means over splits."
    )
    return Section(
        title,
        anchor,
        "Whoever trains an LSTM should first know what a bag of words gives. The "
        f"baselines read whole {view.results.examples} with every word; their "
        "settings were fixed "
        "beforehand.",
        (Table("baselines", caption, frame, columns),),
    )


def calibration(view: View) -> Section:
    """Say whether probabilities can be taken at their word."""
    title, anchor = "Calibration", "calibration"
    analysis = view.analysis
    if not analysis.contenders:
        return Section(
            title, anchor, "Calibration is measured in a confirmation round."
        )
    frame = tables.calibration(analysis)
    columns = (
        view.label(key="key"),
        Column("n_seeds", "seeds (n)", "count"),
        *(
            Column(name, m.label, "score", more=name not in SHOWN_METRICS)
            for name, m in METRICS.items()
        ),
        Column("log_loss_low", "95 % of log loss", "interval", "log_loss_high"),
        Column("ece", "ECE", "score"),
        Column("ece_low", "95 % of ECE", "interval", "ece_high"),
        Column("temperature", "temperature", "score"),
        Column(
            "temperature_low",
            "95 % of temperature",
            "interval",
            "temperature_high",
            more=True,
        ),
        Column("ece_scaled", "ECE, scaled", "score"),
        Column("log_loss_scaled", "log loss (nats), scaled", "score"),
    )
    n_test = len(first_test(analysis.contenders[0]).y_true)
    n_bins = bins_for(n_test)
    bins = (
        f"{count(n_bins, 'bin')} of equal mass ({MAX_BINS} where there are at least "
        f"{MIN_PER_BIN} examples for each, else fewer)"
    )
    caption = (
        f"Means over seeds on {n_test:,} test {view.results.examples}, intervals are "
        "95 % t "
        "intervals over seeds, cut at the lowest and highest value that the measure "
        "can have. "
        f"ECE: expected calibration error, {bins}. A temperature above 1 says that the "
        "model is too sure; it is fitted on validation, its mean and interval are on "
        "the log scale, and scaled columns have it applied. Brier score: as "
        "scikit-learn's brier_score_loss, from 0 to 1 for two classes (half of the sum "
        "over both) and from 0 to 2 for more."
    )
    blocks: list[Block] = [Table("calibration", caption, frame, columns)]
    heads = tables.calibration_of_heads(analysis)
    if len(heads):
        heads = heads.assign(measure=[MEASURES[m] for m in heads["measure"]])
        columns = (
            Column("measure", "measure"),
            Column("sigmoid", "sigmoid", "score"),
            Column("softmax", "softmax", "score"),
            Column("difference", "softmax − sigmoid", "signed"),
            Column("ci_low", "95 % over seeds (t)", "interval", "ci_high"),
            Column("n_seeds", "seeds (n)", "count"),
            Column("n_configurations", "configurations (n)", "count"),
        )
        caption = (
            "Sigmoid and softmax from the same formula on the same probabilities, all "
            "else equal; paired by seed."
        )
        blocks.append(Table("calibration_heads", caption, heads, columns, wide=False))
    shown = [c for c in analysis.contenders if not c.is_baseline][:N_RELIABILITY]
    if analysis.winner is not None and analysis.winner not in shown:
        shown = [analysis.winner, *shown[:-1]]
    if analysis.baseline is not None:
        shown.append(analysis.baseline)
    curves = [tables.reliability(c) for c in shown]
    blocks.append(
        Drawing(
            "reliability",
            f"Reliability on test: seeds pooled, {bins}, bands are 95 % "
            "Wilson intervals that take pooled predictions as independent. Below the "
            "dashed line the model is too sure.",
            figures.plot_reliability(curves, view.colours),
            pd.concat(curves, ignore_index=True),
        )
    )
    return Section(
        title,
        anchor,
        "A model is calibrated when it is right in 80 % of the cases it is 80 % sure "
        "of.",
        tuple(blocks),
    )


def first_test(contender: Contender) -> Prediction:
    """Return the test predictions of a contender's first seed."""
    return next(iter(contender.predictions.values()))["test"]


def budget(view: View) -> Section:
    """Show what more trials would have brought."""
    title, anchor = "Budget", "budget"
    suite = view.suite
    frame = tables.expected_best(view.results)
    if frame.empty:
        return Section(title, anchor, "It takes two complete trials to say anything.")
    n, paid = len(frame), int(frame.attrs["n_paid"])
    margin = confirm_spec(suite).margin
    columns = (
        Column("n_trials", "trials", "count"),
        Column("seconds", "seconds of training", "seconds"),
        Column("expected", f"expected best {suite.metric.label}", "score"),
        Column("ci_low", "95 % bootstrap", "interval", "ci_high"),
    )
    intro = (
        "The best validation score to expect from so many trials drawn at random from "
        f"the {n} complete ones (Dodge et al. 2019). "
        + (
            f"From {paid} trials on, the rest of the budget is expected to bring less "
            f"than the margin of {margin:g}."
            if paid < n
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
                figures.plot_expected_best(frame, suite.metric),
                frame,
            ),
            Table("expected_best", caption, frame, columns, wide=False),
        ),
    )


def slices(view: View) -> Section:
    """Say where the winner is right and where it is wrong."""
    title, anchor = "Slices", "slices"
    frame = tables.slices(view.analysis)
    if frame.empty:
        return Section(title, anchor, "Slices are measured in a confirmation round.")
    columns = (
        Column("slice", "slice"),
        Column("value", "value"),
        Column("n", f"{view.results.examples} (n)", "count"),
        view.label(key="key"),
        Column("accuracy", "accuracy", "score"),
        Column("ci_low", "95 % Wilson", "interval", "ci_high"),
    )
    caption = (
        "Test accuracy by slice, mean over seeds; the interval is over the slice's "
        f"{view.results.examples}."
    )
    return Section(
        title,
        anchor,
        "Where the best confirmed LSTM is right and where it is wrong, beside the best "
        "baseline.",
        (Table("slices", caption, frame, columns),),
    )


def anchors(view: View) -> Section:
    """Set own results among published ones."""
    title, anchor = "Published anchors", "anchors"
    frame = tables.anchors(view.analysis)
    columns = (
        Column("label", "model"),
        Column("accuracy", "test accuracy", "score"),
        Column("regime", "data"),
        Column("n_train", "labelled reviews (n)", "count"),
        Column("source", "source", "prose"),
        Column("note", "note", "prose"),
    )
    caption = (
        "Published accuracies on the same 25,000 test reviews. Data: labelled, only "
        "the labelled training reviews; unlabelled, the set's 50,000 unlabelled "
        "reviews too; external, models pretrained on other text."
    )
    return Section(
        title,
        anchor,
        "What others reached, and with what data. Only rows of the same regime and "
        "number of reviews compare with like.",
        (Table("anchors", caption, frame, columns),),
    )


def axes_confirmed(view: View) -> tuple[Block, ...]:
    """Return marginal means over the confirmed runs, for the section on axes."""
    metric, blocks = view.metric, []
    for name in view.suite.space.axes if view.analysis.contenders else ():
        frame = tables.confirmed_axis_effect(view.analysis, name)
        if len(frame) < 2:
            continue
        columns = (
            Column("value", name, "value"),
            Column("n_configurations", "configurations (n)", "count"),
            Column("n_runs", "runs (n)", "count"),
            Column("mean", f"mean test {metric.label}", "score"),
            Column("ci_low", "95 % over seeds (t)", "interval", "ci_high"),
        )
        caption = (
            f"{name} in the confirmed runs. They were chosen for their scores, so a "
            "value with few configurations says little about the axis."
        )
        blocks.append(
            Table(f"axis_{name}_confirmed", caption, frame, columns, wide=False)
        )
    return tuple(blocks)
