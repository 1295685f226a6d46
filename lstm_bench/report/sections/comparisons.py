"""The comparisons section: paired differences on test, with tests and verdicts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from lstm_bench.analysis.bootstrap import MEAN_METRICS
from lstm_bench.analysis.contenders import confirm_spec
from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS, smallest_rank_p
from lstm_bench.analysis.intervals import level_of
from lstm_bench.analysis.tables.cost import simplest_key
from lstm_bench.report.blocks import Column, Drawing, Section, Table, count
from lstm_bench.report.figures.forest import plot_forest
from lstm_bench.report.view import View

UNEQUAL = (
    "Not every configuration has the same number of seeds: the confirmation is "
    "unfinished, or trainings failed. The winner is chosen over the seeds that all "
    "have; this table's means and order are over each one's own."
)
UNEQUAL_BY_LOOKS = (
    "Not every configuration has the same number of seeds: each got more until its "
    "comparisons were settled. The winner is chosen over the seeds of the first look; "
    "this table's means and order are over each one's own, and its intervals do not "
    "allow for the looks, as those of the comparisons do."
)
HOW = {"true": "scored", "validation": "used as validation data"}

COMPARISONS = (
    Column("family", "family", meaning="comparisons that share Holm's correction"),
    Column("label_a", "a", "name"),
    Column("label_b", "b", "name"),
    Column("verdict", "verdict on a", colour_by="verdict"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("mean_a", "mean of a", "score", meaning="test {metric} over the seeds"),
    Column("mean_b", "mean of b", "score", meaning="test {metric} over the seeds"),
    Column("difference", "a − b", "signed"),
    Column("ci_low", "95 % over seeds (t)", "interval", high="ci_high"),
    Column(
        "both_low",
        "95 % over seeds and {examples}",
        "interval",
        meaning="bootstrap over both",
        high="both_high",
        more=True,
    ),
    Column("p_t", "p (t)", "p", meaning="paired t test of no difference", more=True),
    Column(
        "p_beyond_holm",
        "p (beyond, Holm)",
        "p",
        meaning="of a difference beyond the margin; below 5 %: better or worse",
    ),
    Column("p_wilcoxon", "p (Wilcoxon)", "p", meaning="signed ranks", more=True),
    Column(
        "p_equivalence_holm",
        "p (equivalence, Holm)",
        "p",
        meaning="two one-sided tests; below 5 %: within the margin",
    ),
    Column(
        "p_a_beats_b",
        "P(a beats b)",
        "share",
        meaning="share of pairs of their runs in which a is better; ties: half",
        more=True,
    ),
    Column(
        "p_mcnemar_exact",
        "McNemar exact p, median",
        "p",
        meaning="of the numbers of errors, so of accuracy",
        more=True,
    ),
    Column(
        "p_mcnemar_mid",
        "McNemar mid-p, median",
        "p",
        meaning="of the numbers of errors, so of accuracy",
        more=True,
    ),
    Column("n_mcnemar_below_5_percent", "seeds with mid-p < 5 %", "count", more=True),
    Column(
        "n_seeds_needed",
        "seeds needed",
        "count",
        meaning="for a verdict, where there is none",
    ),
)


# Where seeds are added look by look, behind the seeds.
LOOK = Column("look", "after look", "count")


def comparisons_section(view: View) -> Section:
    """Show the paired differences with intervals and verdicts."""
    title, anchor = "Comparisons and verdicts", "comparisons"
    frame, metric = view.analysis.comparisons, view.metric
    if frame.empty:
        return Section(title, anchor, "No two configurations were confirmed together.")
    spec = confirm_spec(view.suite)
    margin, n_looks = spec.margin, count(len(spec.looks), "look")
    drawn = frame[frame["id_b"] != simplest_key(view.suite)]
    return Section(
        title,
        anchor,
        "The winner was chosen on validation. A difference smaller than the margin "
        "is negligible in practice, by the suite's choice. Where there is no verdict, "
        "the table has the number of seeds that one would need by the same rule. "
        f"Fewer than {MIN_SEEDS} seeds give no verdict: two are too few to estimate "
        "the spread."
        + (
            ""
            if spec.until is None
            else f" Seeds were added until a comparison was settled, in {n_looks} at "
            f"most (after {spec.looks_text} seeds). Intervals, corrected p-values and "
            "verdicts allow for all of them, so that false verdicts are no more "
            "frequent than with one look."
        ),
        (
            Drawing(
                "forest",
                f"Difference in test {metric.label}, a − b: thick bars are 95 % t "
                "intervals over seeds"
                + (", " if spec.until is None else f" (all {n_looks} together), ")
                + (
                    f"thin ones over seeds and {view.results.examples}; "
                    if metric.name in MEAN_METRICS
                    else f"without thin ones, since {metric.label} is no mean over "
                    f"{view.results.examples}; "
                )
                + f"the grey band is the margin of ±{margin:g}. The "
                f"{view.suite.task.simplest_label} is left out.",
                plot_forest(drawn, metric),
                drawn,
            ),
            comparison_table(view, frame, "comparisons"),
        ),
    )


def comparison_table(view: View, frame: pd.DataFrame, name: str) -> Table:
    """Return the table of comparisons, with differences, p-values and verdicts."""
    metric, is_numeric = view.metric, view.suite.task.is_numeric
    spec, n = confirm_spec(view.suite), int(frame["n_seeds"].max())
    margin = spec.margin
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
    columns = [c for c in COMPARISONS if not (is_numeric and "mcnemar" in c.name)]
    if "look" in frame:
        n_looks = count(len(spec.looks), "look")
        caption += (
            f" With {n_looks} a corrected p counts {len(spec.looks)} times, and an "
            f"interval has {level_of(len(spec.looks)):.2%}, so that those of all looks "
            "have 95 % together."
        )
        meaning = f"of {n_looks}; 0: the first is not complete"
        after = [c.name for c in columns].index("n_seeds") + 1
        columns.insert(after, replace(LOOK, meaning=meaning))
    return view.table(name, caption, frame, columns)
