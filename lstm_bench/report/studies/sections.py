"""Sections of a report on several studies: tables with a study column, and figures."""

from __future__ import annotations

import dataclasses

import pandas as pd

from lstm_bench.analysis.comparisons import Analysis, looks_of
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.analysis.tables.select import CI_HIGH, CI_LOW, validation_curves
from lstm_bench.analysis.tables.studies import (
    WITHHELD,
    StudyComparison,
    study_column,
)
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import (
    DASH,
    Answers,
    Block,
    Column,
    Drawing,
    Note,
    Section,
    Table,
    count,
    in_form,
    is_missing,
)
from lstm_bench.report.figures.curves import plot_curves
from lstm_bench.report.figures.forest import VERDICT_COLOURS, plot_forest
from lstm_bench.report.figures.style import configuration_colours
from lstm_bench.report.heading import made_by
from lstm_bench.report.html import Page
from lstm_bench.report.sections.comparisons import COMPARISONS, comparison_table
from lstm_bench.report.sections.confirmation import (
    board_columns,
    confirmed_board,
    plot_confirmed,
)
from lstm_bench.report.sections.curves import curves_over_seeds, mean_curves
from lstm_bench.report.sections.provenance import origin, suite_text
from lstm_bench.report.studies.answers import study_answers, warnings
from lstm_bench.report.view import make_view
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME


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
        shared(compared),
        curves(compared),
        what_differs(compared),
        provenance(compared),
    ]


def answer(compared: StudyComparison) -> Section:
    """Show the verdicts on the winners, and warnings where studies differ."""
    items = tuple((a.question, a.text) for a in study_answers(compared))
    notes = (Note(text, True) for text in warnings(compared))
    return Section("The answer", "answer", "", (*notes, Answers(items)))


def _table(
    compared: StudyComparison,
    name: str,
    caption: str,
    frame: pd.DataFrame,
    columns: tuple[Column, ...],
) -> Table:
    """Return a table without its empty columns."""

    def filled(text: str) -> str:
        text = text.replace("{metric}", _score(compared))
        return text.replace("{examples}", compared.examples)

    shown = tuple(
        dataclasses.replace(
            in_form(c, compared.metric),
            heading=filled(c.heading),
            meaning=filled(c.meaning),
        )
        for c in columns
        if not all(map(is_missing, frame[c.name].tolist()))
    )
    colours = {**VERDICT_COLOURS, **_colours(compared)}
    return Table(name, caption, frame, shown, n_shown=300, colours=colours)


def _study() -> Column:
    """Return the column with the study's label and colour."""
    return Column("study", "study", colour_by="study")


def _colours(compared: StudyComparison) -> dict[str, str]:
    return configuration_colours(compared.labels)


def _score(compared: StudyComparison) -> str:
    return "score" if compared.metric is None else compared.metric.label


def side_by_side(compared: StudyComparison) -> Section:
    """Show every study's search, and its winner and best baseline on test."""
    score, examples = _score(compared), compared.examples
    columns = (
        _study(),
        Column("dataset", "data"),
        Column("n_used_train", "{examples} trained on", "whole"),
        Column("n_used_val", "validated on", "whole"),
        Column("n_trials", "complete trials", "count"),
        Column("metric", "metric", more=True),
        Column("search_label", "search's best"),
        Column("search_score", "validation {metric}", "score"),
        Column("search_low", "accuracy, 95 % Wilson", "interval", high="search_high"),
        Column("last_work", "last worked on (UTC)", "time"),
        Column("processor", "machine"),
        Column("n_cores", "cores", "count"),
    )
    caption = (
        "One row per study. The search's best has one seed; its interval is over the "
        f"validation {examples}."
    )
    blocks: list[Block] = [
        _table(compared, "studies", caption, compared.board, columns)
    ]
    winners = _winners(compared)
    if winners.empty:
        blocks.append(Note("No study was confirmed, so no LSTM was scored on test."))
        return Section("Side by side", "side-by-side", "", tuple(blocks))
    caption = (
        f"Each confirmed study's winner and best baseline, both the best on "
        f"validation: means of test {score} over n fresh seeds. Training times are of "
        "each study's own machine."
    )
    # Ranks and commands hold within one study only.
    tasks = [analysis.results.suite.task for analysis in compared.analyses]
    scores = list(dict.fromkeys(name for task in tasks for name in task.beside))
    columns_of = board_columns((), scores)
    own = [c for c in columns_of if c.name not in ("rank", "command")]
    table = _table(compared, "winners", caption, winners, (_study(), *own))
    blocks.append(table)
    if compared.metric is None:
        blocks.append(Note("The studies have no common metric to draw on one axis."))
        return Section("Side by side", "side-by-side", "", tuple(blocks))
    names = winners["label"] + " in " + winners["study"]
    figure = plot_confirmed(
        winners.assign(label=names, key=names),
        compared.metric,
        dict(zip(names, winners["study"].map(_colours(compared)), strict=True)),
        {
            f"{contender.label} in {label}": contender.test
            for label, analysis in compared.named
            for contender in analysis.contenders
        },
    )
    caption = (
        f"Test {score}: thick bars are 95 % t intervals over seeds, thin ones 95 % "
        f"intervals over seeds and {examples}, ticks the single seeds. Squares are "
        "baselines; each study has a colour."
    )
    blocks.append(Drawing("winners", caption, figure, winners))
    return Section("Side by side", "side-by-side", "", tuple(blocks))


def _winners(compared: StudyComparison) -> pd.DataFrame:
    """Return the rows of `confirmed_board` of every winner and best baseline."""
    boards = []
    for label, analysis in compared.named:
        chosen = tuple(c for c in (analysis.winner, analysis.baseline) if c is not None)
        if analysis.winner is not None:
            board = confirmed_board(dataclasses.replace(analysis, contenders=chosen))
            boards.append(board.assign(study=label).sort_values("kind"))
    return pd.concat(boards, ignore_index=True) if boards else pd.DataFrame()


def differences(compared: StudyComparison) -> Section:
    """Show differences between winners, baselines and shared configurations."""
    title, anchor, frame = "Differences", "differences", compared.differences
    if frame.empty:
        return Section(title, anchor, "No two confirmed scores can be compared.")
    score, drawn = _score(compared), frame[frame["verdict"] != WITHHELD]
    blocks: list[Block] = []
    if compared.metric is not None and len(drawn):
        blocks.append(
            Drawing(
                "differences",
                f"Difference in test {score}, a − b: thick bars are 95 % intervals "
                "over seeds (paired t, or Welch's), thin ones over seeds and "
                f"{compared.examples} where the seeds are paired; the grey band is the "
                "margin.",
                plot_forest(drawn, compared.metric),
                drawn,
            )
        )
    # The first study's margin is used between studies.
    first = comparison_table(make_view(compared.analyses[0]), frame, "differences")
    caption = (
        f"{first.caption} Seeds are paired where both studies have the same data, data "
        "settings and study seed. Otherwise they are independent samples, the interval "
        "is Welch's, and the split may make the difference as well as the model. "
        "Between studies the margin is the first one's, within a study its own"
        + (", and so is the metric." if compared.metric is None else ".")
    )
    if any(looks_of(one.results.suite) > 1 for one in compared.analyses):
        caption += (
            " Where a study added seeds until its comparisons were settled, corrected "
            "p-values and intervals of its family allow for all looks."
        )
    columns = (
        *COMPARISONS,
        Column("paired", "paired", "yes"),
        Column("margin", "margin", "number"),
        Column("why", "why not compared", "prose"),
    )
    blocks.append(_table(compared, "differences", caption, frame, columns))
    return Section(title, anchor, "", tuple(blocks))


def shared(compared: StudyComparison) -> Section:
    """Show every configuration that several searches share."""
    title, anchor, frame = "Shared configurations", "shared", compared.shared
    if frame.empty:
        return Section(title, anchor, "No configuration is in two of the searches.")
    columns = (
        Column("label", "configuration"),
        _study(),
        Column(OBJECTIVE, "validation {metric}", "score"),
        Column(CI_LOW, "accuracy, 95 % Wilson", "interval", high=CI_HIGH),
        Column("n_runs", "runs (n)", "count"),
        Column(TRAIN_TIME, "training", "seconds", "s"),
        Column("config_id", "configuration id"),
    )
    caption = (
        f"The {count(frame['config_id'].nunique(), 'configuration')} of several "
        "searches, a row for each study; intervals are over the validation "
        f"{compared.examples}, times are of each study's own machine. Test scores of "
        "those that two studies confirmed are in the table of differences."
    )
    table = _table(compared, "shared_configurations", caption, frame, columns)
    return Section(title, anchor, "", (table,))


def curves(compared: StudyComparison) -> Section:
    """Show the winners' learning curves in one figure."""
    title, anchor = "Learning curves", "curves"
    name = "accuracy" if compared.metric is None else compared.metric.name
    found = [_winner_curve(label, a, name) for label, a in compared.named]
    found = [frame for frame in found if len(frame)]
    if not found:
        return Section(title, anchor, "No winner has a learning curve.")
    frame = pd.concat(found, ignore_index=True)
    drawing = Drawing(
        "curves",
        f"Validation {METRICS[name].label} of each study's winner by epoch: means over "
        "the seeds of the confirmation, with 95 % t intervals, up to the epoch that "
        "all of them reached; of a study that was not confirmed, the one seed of the "
        "search's best.",
        plot_curves(
            mean_curves(frame.assign(config_id=frame["study"]), _colours(compared)),
            f"validation {METRICS[name].label}",
        ),
        frame,
    )
    notes = [
        Note(f"{label}: the winner has no learning curve.")
        for label in compared.labels
        if label not in set(frame["study"])
    ]
    return Section(title, anchor, "", (drawing, *notes))


def _winner_curve(study: str, analysis: Analysis, metric: str) -> pd.DataFrame:
    """Return the winner's mean curve, or the curve of the search's best run."""
    frame = curves_over_seeds(analysis, metric)
    winner = analysis.winner
    frame = frame[frame["config_id"] == (None if winner is None else winner.key)]
    board = leaderboard(analysis.results)
    if frame.empty and len(board):
        best = board.iloc[0]
        curve = validation_curves(analysis.results, metric).get(best["run_id"], ())
        frame = pd.DataFrame(
            {
                "config_id": best["config_id"],
                "label": best["label"],
                "epoch": range(1, len(curve) + 1),
                "n_seeds": 1,
                "mean": curve,
                "ci_low": float("nan"),
                "ci_high": float("nan"),
            }
        )
    names = [f"{label} in {study}" for label in frame["label"]]
    return frame.assign(label=names, study=study)


def what_differs(compared: StudyComparison) -> Section:
    """Show every field that differs between the studies."""
    title, anchor, frame = "What differs", "what-differs", compared.differs
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
        f"differ; {DASH} where a study has no such field or it was not recorded. "
        "Machine and code are those of the last command on each study."
    )
    return Section(
        title, anchor, "", (_table(compared, "what_differs", caption, frame, columns),)
    )


def provenance(compared: StudyComparison) -> Section:
    """Show each study's machine, versions, commit, data and suite."""
    blocks: list[Block] = []
    for label, analysis in compared.named:
        blocks.append(Note(f"{label}:"))
        blocks += origin(analysis.results)
        blocks.append(suite_text(analysis.results))
    return Section(
        "Provenance",
        "provenance",
        "What it takes to run each study again.",
        tuple(blocks),
    )
