"""The section on what a score costs."""

from __future__ import annotations

from lstm_bench.figures.confirmed import plot_confirmed_cost
from lstm_bench.figures.search import plot_pareto
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
from lstm_bench.tables.runs import confirmed_cost
from lstm_bench.tables.search import CI_HIGH, CI_LOW, complete_runs, engines_of, pareto
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME


def cost(view: View) -> Section:
    """Score against training time: the round with error bars, then the search."""
    title, anchor = "Cost", "cost"
    blocks = [*_confirmed(view), *_searched(view)]
    if not blocks:
        return Section(title, anchor, "No completed training has a training time.")
    return Section(
        title,
        anchor,
        "A configuration is on the front when no other is both faster to train and at "
        "least as good. Trainings that ran side by side share the machine, so times "
        "are comparable within a study only.",
        tuple(blocks),
    )


def _confirmed(view: View) -> list[Block]:
    frame = confirmed_cost(view.analysis)
    if frame.empty:
        return []
    engines = engines_of(view.results.confirmed)
    if len(engines) > 1:
        return [_withheld("round", engines)]
    metric = view.metric
    columns = (
        Column("label", "configuration", colours=("key", view.colours)),
        Column("n_seeds", "seeds (n)", "count"),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column("time_low", "95 % over seeds (s)", "interval_s", "time_high"),
        Column("test_mean", f"test {metric.label}", "score"),
        Column("test_low", "95 % over seeds (t)", "interval", "test_high"),
        Column("on_front", "on the front", "yes"),
    )
    return [
        Drawing(
            "confirmed_cost",
            f"Test {metric.label} against training time: means over seeds, bars are "
            "95 % t intervals over seeds. Squares are baselines.",
            plot_confirmed_cost(frame, metric, view.colours),
            frame,
        ),
        Table(
            "confirmed_cost",
            f"Training time and test {metric.label} of what was confirmed, means over "
            "seeds.",
            frame,
            columns,
            wide=False,
        ),
    ]


def _searched(view: View) -> list[Block]:
    frame, metric = pareto(view.results), view.metric
    if frame.empty:
        return []
    engines = engines_of(complete_runs(view.results))
    if len(engines) > 1:
        return [_withheld("search", engines)]
    columns = (
        view.label(),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column(OBJECTIVE, f"validation {metric.label}", "score"),
        Column("on_front", "on the front", "yes"),
        Column("n_runs", "runs (n)", "count"),
    )
    # Points are called by their settings, and accuracies have Wilson's interval.
    wanted = ["config_id", *(f for f in view.fields if f not in frame), CI_LOW, CI_HIGH]
    full = frame.merge(view.board[wanted], on="config_id", how="left")
    bars = ""
    if metric.name == "accuracy":
        full = full.rename(columns={CI_LOW: "low", CI_HIGH: "high"})
        examples = view.results.examples
        bars = f"; bars are 95 % Wilson intervals over the validation {examples}"
    named = view.named(full)
    rest, note = view.sample(named[~named["on_front"]], "other configurations")
    drawn = named.loc[[*named.index[named["on_front"]], *rest.index]].sort_index()
    data = drawn.drop(columns=["name", CI_LOW, CI_HIGH], errors="ignore")
    return [
        Drawing(
            "pareto",
            f"Validation {metric.label} against training time of "
            f"{count(len(frame), 'configuration')} of the search{bars}." + note,
            plot_pareto(drawn, metric, view.colours),
            data,
        ),
        Table(
            "pareto",
            f"Validation {metric.label} and training time in the search; "
            f"{frame['on_front'].sum()} of {count(len(frame), 'configuration')} are on "
            "the Pareto front.",
            frame,
            columns,
            wide=False,
        ),
    ]


def _withheld(part: str, engines: list[str]) -> Note:
    return Note(
        f"No front of the {part}: its LSTMs were computed by {len(engines)} engines "
        f"({', '.join(engines)}), whose times do not compare. The table of all "
        "trainings has the seconds and the engine of each."
    )
