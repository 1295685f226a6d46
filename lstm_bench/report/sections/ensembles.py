"""The ensembles section: means of the confirmed trainings' predictions, on test."""

from __future__ import annotations

from lstm_bench.analysis.bootstrap import MEAN_METRICS
from lstm_bench.analysis.contenders import confirm_spec
from lstm_bench.analysis.ensembles import EXAMPLES, SEEDS, Ensembles
from lstm_bench.report.blocks import Column, Drawing, Section, count
from lstm_bench.report.figures.forest import plot_forest
from lstm_bench.report.view import View
from lstm_bench.system.command_line import command_line

OVER_SEEDS = Column("seeds_low", "95 % over seeds (t)", "interval", high="seeds_high")
ENSEMBLES = (
    Column("kind"),
    Column("label", "what is scored"),
    Column("n_members", "trainings averaged (n)", "count"),
    Column(
        "weight",
        "baseline's weight",
        "score",
        meaning="chosen on validation; mean over the ensembles",
    ),
    Column("n_seeds", "seeds (n)", "count"),
    Column(
        "n_ensembles",
        "ensembles (n)",
        "count",
        meaning="that have no training in common",
    ),
    Column("test_mean", "test {metric}", "score", meaning="mean over the ensembles"),
    OVER_SEEDS,
    Column(
        "examples_low",
        "95 % over {examples} (bootstrap)",
        "interval",
        meaning="over test {examples}, these seeds as given",
        high="examples_high",
    ),
)
COMPARED = (
    Column(
        "family", "compared with", meaning="comparisons that share Holm's correction"
    ),
    Column("kind_a"),
    Column("label_a", "a", "name"),
    Column("label_b", "b", "name"),
    Column("verdict", "verdict on a", colour_by="verdict"),
    Column("verdict_over", "verdict over", meaning="what the p-values are over"),
    Column("n_ensembles", "ensembles (n)", "count"),
    Column("mean_a", "mean of a", "score", meaning="test {metric}"),
    Column("mean_b", "mean of b", "score", meaning="test {metric}"),
    Column("difference", "a − b", "signed"),
    OVER_SEEDS,
    Column(
        "examples_low",
        "95 % over {examples} (t)",
        "interval",
        meaning="over test {examples}, these seeds as given",
        high="examples_high",
    ),
    Column(
        "p_beyond_holm",
        "p (beyond, Holm)",
        "p",
        meaning="of a difference beyond the margin; below 5 %: better or worse",
    ),
    Column(
        "p_equivalence_holm",
        "p (equivalence, Holm)",
        "p",
        meaning="two one-sided tests; below 5 %: within the margin",
    ),
    Column("margin"),
)


def ensembles_section(view: View) -> Section:
    """Show the ensembles' scores with intervals, and what they are better than."""
    title, anchor, ensembles = "Ensembles", "ensembles", view.analysis.ensembles
    if ensembles is None:
        text = "The suite declares no ensembles, or nothing was confirmed."
        return Section(title, anchor, text)
    if ensembles.table.empty:
        more = command_line(
            "confirm", view.suite.path, "--replicates", str(ensembles.n)
        )
        return Section(
            title,
            anchor,
            f"An ensemble of {ensembles.n} takes as many seeds on which all of its "
            "configurations and the best baseline were scored, and the confirmation "
            f"has {ensembles.n_seeds}: {more}",
        )
    metric, examples = view.metric, view.results.examples
    words = {SEEDS: "seeds", EXAMPLES: examples}
    frame = ensembles.comparisons.assign(
        verdict_over=ensembles.comparisons["verdict_over"].map(words)
    )
    margin = confirm_spec(view.suite).margin
    over = (
        f"thin ones over {examples}"
        if metric.name in MEAN_METRICS
        else f"there are none over {examples}, of which {metric.label} is no mean"
    )
    drawn = frame.rename(
        columns={
            f"{name}_{end}": f"{to}_{end}"
            for name, to in ((SEEDS, "ci"), (EXAMPLES, "both"))
            for end in ("low", "high")
        }
    )
    return Section(
        title,
        anchor,
        f"An ensemble predicts the mean of {ensembles.n} trainings' predictions. "
        "Nothing is trained for it, and test chooses nothing: configurations are "
        "ranked on validation, and a baseline's weight is the best one for the single "
        "trainings, each on its own split's validation part, since an ensemble of "
        "several splits has seen nearly all of them.",
        (
            view.table(
                "ensembles",
                f"Test {metric.label}. {_seeds_text(ensembles, examples)}",
                ensembles.table,
                ENSEMBLES,
            ),
            Drawing(
                "ensembles",
                f"Difference in test {metric.label}, a − b: thick bars are 95 % t "
                f"intervals over seeds, {over}; the grey band is the margin of "
                f"±{margin:g}.",
                plot_forest(drawn, metric),
                frame,
            ),
            view.table(
                "ensemble_comparisons",
                "Each ensemble, and the mean of what it is compared with over the same "
                f"seeds. A verdict on a single ensemble is over test {examples} "
                "(paired t test): it holds for these trainings, and not for those of "
                "other seeds. Better or worse: "
                f"beyond the margin of {margin:g}; equivalent: inside it.",
                frame,
                COMPARED,
            ),
        ),
    )


def _seeds_text(ensembles: Ensembles, examples: str) -> str:
    """Return what the scores are means over, and where their intervals come from."""
    n, n_seeds = ensembles.n, ensembles.n_seeds
    of = f"Over {examples}: what these trainings would give on others."
    if n_seeds < 2 * n:
        ensemble = (
            f"There is one ensemble of all {n_seeds} seeds"
            if n_seeds == n
            else f"Any two ensembles of {n} of the {n_seeds} seeds have trainings in "
            "common, and scores are means over many of them"
        )
        return f"{ensemble}, so that no interval is over seeds but that of one. {of}"
    return (
        f"Means over many random divisions of {n_seeds} seeds into "
        f"{count(n_seeds // n, 'group')} of {n}. Over seeds: what ensembles of other "
        "seeds would give, from the variance between the groups of a division, which "
        f"have no training in common. {of}"
    )
