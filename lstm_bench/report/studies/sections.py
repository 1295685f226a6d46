"""A report on several studies side by side, each section of a `StudyComparison`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pandas as pd

from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS
from lstm_bench.analysis.tables.studies import (
    OWN,
    WITHHELD,
    StudyComparison,
    same_machine,
    study_column,
)
from lstm_bench.report.blocks import (
    DASH,
    Answers,
    Block,
    Card,
    Cards,
    Column,
    Drawing,
    Note,
    Section,
    Table,
    count,
    is_missing,
)
from lstm_bench.report.figures.style import configuration_colours
from lstm_bench.report.heading import made_by
from lstm_bench.report.html import Page
from lstm_bench.report.sections.provenance import origin, suite_text
from lstm_bench.report.studies.answers import study_answers, warnings
from lstm_bench.report.studies.figures import (
    plot_differences,
    plot_scores,
    plot_winner_curves,
)
from lstm_bench.training.result import TRAIN_TIME

# More lines than this make a figure nobody reads; the table has them all.
MAX_LINES = 20


def studies_page(compared: StudyComparison) -> Page:
    """Return the heading of a report on several studies."""
    studies = [analysis.results.study for analysis in compared.analyses]
    return Page(
        kind="lstm-bench report on several studies",
        title=" and ".join((", ".join(compared.labels[:-1]), compared.labels[-1])),
        question="Which study's best LSTM is better, by how much, and are they "
        "compared like with like?",
        meta=" · ".join(f"study {study}" for study in studies),
        footer=made_by(),
    )


def build_study_sections(compared: StudyComparison) -> list[Section]:
    """Return the sections of a report on several studies, in order."""
    return [
        answer(compared),
        side_by_side(compared),
        differences(compared),
        curves(compared),
        what_differs(compared),
        provenance(compared),
    ]


def answer(compared: StudyComparison) -> Section:
    """Say whose winner is better, and what stands in the way of saying it."""
    items = tuple((a.question, a.text) for a in study_answers(compared))
    blocks: list[Block] = [Note(text, True) for text in warnings(compared)]
    blocks.append(Answers(items))
    if compared.metric is not None:
        blocks.append(Cards(tuple(_cards(compared))))
    return Section("Answer", "answer", "", tuple(blocks))


def _cards(compared: StudyComparison) -> Iterator[Card]:
    for row in compared.board.to_dict("records"):
        if row["n_seeds"]:
            seeds = count(row["n_seeds"], "seed")
            interval = _interval(row["test_low"], row["test_high"])
            yield Card(
                f"{row['label']}: test {row['metric']}",
                f"{row['test_mean']:.4f}",
                f"{row['winner']}, {interval or 'no interval'} over {seeds}",
            )
        elif not is_missing(row["search_score"]):
            yield Card(
                f"{row['label']}: validation {row['metric']}",
                f"{row['search_score']:.4f}",
                f"{row['search_label']}, best of {row['n_search']} with one seed, not "
                "confirmed",
            )


def _interval(low: float, high: float) -> str:
    return "" if is_missing(low) else f"95 % {low:.4f} to {high:.4f}"


def _filled(columns: tuple[Column, ...], frame: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns in which a row has something; the CSV has all of them."""
    return tuple(
        column
        for column in columns
        if not all(is_missing(value) for value in frame[column.key].tolist())
    )


def _colours(compared: StudyComparison) -> dict[str, str]:
    """Return one colour for each study."""
    return configuration_colours(compared.labels)


def _metric_text(compared: StudyComparison) -> str:
    return "score" if compared.metric is None else compared.metric.label


def side_by_side(compared: StudyComparison) -> Section:
    """Show every study in a row."""
    board, metric = compared.board, _metric_text(compared)
    colours = _colours(compared)
    columns = (
        Column("label", "study", colours=("label", colours)),
        Column("dataset", "data"),
        Column("n_used_train", f"{compared.examples} trained on", "whole"),
        Column("n_used_val", "validated on", "whole", more=True),
        Column("n_trials", "complete trials", "count"),
        *([Column("metric", "metric")] if compared.metric is None else []),
        Column("search_label", "search's best"),
        Column("search_settings", "its settings", "prose", more=True),
        Column("search_score", f"its validation {metric}", "score"),
        Column("search_low", "accuracy, 95 % Wilson", "interval", "search_high"),
        Column("winner", "confirmed winner"),
        Column("n_seeds", "seeds (n)", "count"),
        Column("test_mean", f"its test {metric}", "score"),
        Column("test_low", "95 % over seeds (t)", "interval", "test_high"),
        Column("baseline", "best baseline"),
        Column("baseline_test", f"its test {metric}", "score"),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column("last_work", "last worked on (UTC)", "time"),
        Column("processor", "machine"),
        Column("n_cores", "cores", "count"),
    )
    caption = (
        "One row per study. Validation score of the search's best: one seed, the best "
        "of all that were tried; its interval is over the validation "
        f"{compared.examples}. "
        "Test "
        "scores: means over n fresh seeds of the configuration that is best on "
        "validation. Training: the winner's mean seconds, or those of the search's "
        "best; of each study's own machine."
    )
    blocks: list[Block] = [Table("studies", caption, board, _filled(columns, board))]
    points = _points(compared)
    if len(points):
        on_test = bool(board["n_seeds"].max())
        what = "test" if on_test else "validation"
        meaning = (
            "Bars are 95 % t intervals over the seeds of each; baselines have bars too "
            "where their splits differ by seed. A study that was not confirmed has no "
            "test score."
            if on_test
            else "No study was confirmed, so this is the search's best with one seed; "
            f"bars are 95 % Wilson intervals over the validation {compared.examples}, "
            "for accuracy alone."
        )
        blocks.append(
            Drawing(
                "studies",
                f"Each study's {what} {metric}. {meaning}",
                plot_scores(points, f"{what} {metric}", colours),
                points,
            )
        )
    else:
        blocks.append(
            Note("The studies have no common score to draw on one axis.")
            if compared.metric is None
            else Note("No study has a score to draw.")
        )
    return Section("Side by side", "side-by-side", "", tuple(blocks))


def _points(compared: StudyComparison) -> pd.DataFrame:
    """Return what `plot_scores` draws: test where there is any, else validation."""
    columns = ["label", "what", "name", "value", "low", "high", "n"]
    rows = []
    board = compared.board.to_dict("records") if compared.metric is not None else []
    on_test = any(row["n_seeds"] for row in board)
    for row, analysis in zip(board, compared.analyses, strict=False):
        label = row["label"]
        if row["n_seeds"]:
            ends = (row["test_mean"], row["test_low"], row["test_high"], row["n_seeds"])
            rows.append((label, "winner", row["winner"], *ends))
        elif not on_test and not is_missing(row["search_score"]):
            is_accuracy = row["metric"] == "accuracy"
            low = row["search_low"] if is_accuracy else float("nan")
            high = row["search_high"] if is_accuracy else float("nan")
            name = row["search_label"]
            score = row["search_score"]
            rows.append((label, "search's best", name, score, low, high, 1))
        if analysis.baseline is not None:
            test = analysis.baseline.test_interval
            ends = (test.estimate, test.low, test.high, test.n)
            rows.append((label, "best baseline", row["baseline"], *ends))
    return pd.DataFrame(rows, columns=columns)


def differences(compared: StudyComparison) -> Section:
    """Show the differences between winners, baselines and shared configurations."""
    title, anchor = "Differences", "differences"
    metric, margin = _metric_text(compared), compared.margin
    blocks: list[Block] = []
    frame = compared.differences
    drawn = frame[frame["verdict"] != WITHHELD]
    if compared.metric is None and len(frame):
        blocks.append(
            Note(
                "The studies are judged by different metrics: a row within one study "
                "is in its own, and there is no common axis to draw on."
            )
        )
    elif len(drawn):
        points = drawn.assign(
            name=[
                f"{a}\n− {b}"
                for a, b in zip(drawn["label_a"], drawn["label_b"], strict=True)
            ],
            low=drawn["ci_low"],
            high=drawn["ci_high"],
            outer_low=drawn["both_low"],
            outer_high=drawn["both_high"],
        )
        blocks.append(
            Drawing(
                "differences",
                f"Difference in test {metric}, the first minus the second: thick bars "
                "are 95 % intervals over seeds (paired t or Welch), thin ones over "
                f"seeds and {compared.examples} where the seeds are paired; the grey "
                "band is the "
                f"first study's margin of ±{margin:g}. A single seed has no bar.",
                plot_differences(
                    points, f"difference in test {metric} (a − b)", margin
                ),
                points.drop(columns=["low", "high", "outer_low", "outer_high"]),
            )
        )
    if len(frame):
        blocks.append(_differences_table(compared))
    else:
        blocks.append(
            Note("No two studies were confirmed, so no two test scores are compared.")
        )
    blocks += _shared(compared)
    intro = (
        "Winner and best baseline of a study are the best on validation; test had no "
        "say. Seeds are paired where both studies have the same data, data settings "
        "and study seed; otherwise the seeds are two independent samples. Between "
        "studies the margin is the first one's, within a study its own."
    )
    return Section(title, anchor, intro, tuple(blocks))


def _differences_table(compared: StudyComparison) -> Table:
    metric = _metric_text(compared)
    columns = (
        Column("family", "what"),
        Column("label_a", "a"),
        Column("label_b", "b"),
        Column("verdict", "verdict: a is"),
        Column("mean_a", "mean of a", "score"),
        Column("mean_b", "mean of b", "score"),
        Column("difference", "a − b", "signed"),
        Column("ci_low", "95 % over seeds", "interval", "ci_high"),
        Column(
            "both_low",
            f"95 % over seeds and {compared.examples}",
            "interval",
            "both_high",
        ),
        Column("n_a", "seeds of a (n)", "count"),
        Column("n_b", "seeds of b (n)", "count"),
        Column("paired", "paired", "yes"),
        Column("margin", "margin", "number"),
        Column("p_t", "p (t)", "p", more=True),
        Column("p_beyond_holm", "p (beyond the margin, Holm)", "p", more=True),
        Column("p_equivalence_holm", "p (equivalence, Holm)", "p", more=True),
        Column("n_seeds_needed", "seeds needed", "count"),
        Column("why", "why not compared", "prose"),
    )
    n = len(compared.differences[compared.differences["family"] != OWN])
    caption = (
        f"Means of test {metric} and their differences: {count(n, 'comparison')} "
        "between studies, then each study's winner against its own best baseline. "
        "Interval over seeds: paired t, or Welch's where seeds are not paired. Better "
        "or worse: Holm's p of a difference beyond the margin is below 5 %; "
        "equivalent: Holm's p of two one-sided tests, which place the difference "
        "inside the margin, is below 5 %; identical: the same score on every seed. "
        f"From fewer than {MIN_SEEDS} seeds there is no verdict. A study's "
        "own report corrects for its own comparisons: its verdict may differ."
    )
    frame = compared.differences
    return Table("differences", caption, frame, _filled(columns, frame))


def _shared(compared: StudyComparison) -> Iterator[Block]:
    frame = compared.shared
    if frame.empty:
        yield Note("No configuration occurs in two of the studies.")
        return
    metric = _metric_text(compared)
    is_accuracy = compared.metric is not None and compared.metric.name == "accuracy"
    columns = (
        *(
            [Column("study_a", "study a"), Column("study_b", "study b")]
            if len(compared.labels) > 2
            else []
        ),
        Column("settings", "configuration", "prose"),
        Column("label_a", "called in a"),
        Column("label_b", "called in b"),
        Column("search_a", f"validation {metric}, a", "score"),
        Column("n_val_a", f"{compared.examples} of a (n)", "whole", more=True),
        Column("search_b", "b", "score"),
        Column("n_val_b", f"{compared.examples} of b (n)", "whole", more=True),
        Column("search_difference", "a − b", "signed"),
        Column("search_low", "95 % (Newcombe)", "interval", "search_high"),
        Column("test_a", f"test {metric}, a", "score"),
        Column("n_a", "seeds of a (n)", "count"),
        Column("test_b", "b", "score"),
        Column("n_b", "seeds of b (n)", "count"),
        Column("test_difference", "a − b", "signed"),
        Column("test_low", "95 % over seeds", "interval", "test_high"),
        Column("verdict", "verdict: a is"),
        Column("time_a", "training (s), a", "seconds"),
        Column("time_b", "b", "seconds"),
        Column("time_ratio", "a / b", "number"),
        Column("why", "why not compared", "prose"),
    )
    pairs = itertools.combinations(compared.analyses, 2)
    timed = all(same_machine(a.results, b.results) for a, b in pairs)
    caption = (
        f"The {count(frame['config_id'].nunique(), 'configuration')} that occur in two "
        f"studies, a and b{_a_and_b(compared)}. Validation scores are of one seed "
        "each; "
        + (
            "Newcombe's interval of the difference takes the two sets of "
            f"{compared.examples} "
            "as independent, so it is too wide where they are the same, and knows "
            "nothing "
            "of other seeds. "
            if is_accuracy
            else "without an interval, since the metric is no share of "
            f"{compared.examples}. "
        )
        + "Test: means over n fresh seeds where both studies confirmed the "
        "configuration, paired t or Welch interval, verdicts with Holm's correction "
        "over these configurations: that on the winners, above, may be another. "
        + (
            "Times are means of the search, or of the round where it has none."
            if timed
            else "The ratio of times is withheld where machines or engines differ."
        )
    )
    yield Table("shared_configurations", caption, frame, _filled(columns, frame))
    points = _shared_points(compared)
    if len(points):
        yield Drawing(
            "shared_configurations",
            f"Difference in validation {metric} of the searches, a minus b, for "
            f"{'the first ' if len(points) == MAX_LINES else ''}"
            f"{count(len(points), 'shared configuration')}, one seed each; bars are "
            f"95 % Newcombe intervals over the validation {compared.examples}.",
            plot_differences(points, f"difference in validation {metric} (a − b)"),
            points,
        )


def _a_and_b(compared: StudyComparison) -> str:
    if len(compared.labels) > 2:
        return ""
    return f" ({compared.labels[0]} and {compared.labels[1]})"


def _shared_points(compared: StudyComparison) -> pd.DataFrame:
    frame = compared.shared
    drawn = frame[frame["search_difference"].notna()].head(MAX_LINES)
    names = []
    for row in drawn.to_dict("records"):
        more = f"{row['study_a']} − {row['study_b']}"
        lines = [str(row["settings"]), more] if len(compared.labels) > 2 else []
        names.append("\n".join(lines or [str(row["settings"])]))
    return pd.DataFrame(
        {
            "name": names,
            "config_id": drawn["config_id"].tolist(),
            "difference": drawn["search_difference"].astype(float).tolist(),
            "low": drawn["search_low"].astype(float).tolist(),
            "high": drawn["search_high"].astype(float).tolist(),
            "outer_low": float("nan"),
            "outer_high": float("nan"),
            "verdict": "",
        }
    )


def curves(compared: StudyComparison) -> Section:
    """Lay the winners' learning curves over each other."""
    title, anchor = "Learning curves", "curves"
    frame = compared.curves
    if frame.empty:
        return Section(title, anchor, "No winner has a learning curve.")
    missing = [name for name in compared.labels if name not in set(frame["label"])]
    blocks: list[Block] = [
        Drawing(
            "curves",
            "Validation scores of the winners by epoch: means over the seeds of the "
            "confirmation, or the search's one seed. Bands are 95 % t intervals over "
            "seeds; dotted where some seeds had stopped already, so that the mean is "
            "over those that went on.",
            plot_winner_curves(frame, _colours(compared)),
            frame,
        )
    ]
    blocks += [Note(f"{name}: the winner has no learning curve.") for name in missing]
    intro = "" if compared.metric else "The studies share no metric; this is accuracy."
    return Section(title, anchor, intro, tuple(blocks))


def what_differs(compared: StudyComparison) -> Section:
    """List every field that is not the same in all studies."""
    title, anchor = "What differs", "what-differs"
    frame = compared.differs
    if frame.empty:
        return Section(
            title,
            anchor,
            "Nothing that was recorded: suites, data, machines and code are the same.",
        )
    columns = (
        Column("part", "part"),
        Column("field", "field"),
        *(Column(study_column(name), name, "prose") for name in compared.labels),
    )
    caption = (
        f"The {count(len(frame), 'field')} of suite, data, machine and code that "
        f"differ; {DASH} where a study has no such field or it was not recorded."
    )
    intro = (
        "Machine and code are those of the command that last worked on each study. "
        "All other fields are the same."
    )
    table = Table("what_differs", caption, frame, columns, n_shown=300)
    return Section(title, anchor, intro, (table,))


def provenance(compared: StudyComparison) -> Section:
    """Say of each study where it comes from and what its suite is."""
    blocks: list[Block] = []
    for label, analysis in zip(compared.labels, compared.analyses, strict=True):
        blocks.append(Note(f"{label}:"))
        blocks += origin(analysis.results)
        blocks.append(suite_text(analysis.results))
    return Section(
        "Provenance",
        "provenance",
        "What it takes to run each study again.",
        tuple(blocks),
    )
