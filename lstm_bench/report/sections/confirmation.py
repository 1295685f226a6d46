"""The confirmation section: test scores over fresh seeds, with intervals."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis import bootstrap
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender, confirm_spec
from lstm_bench.analysis.formatting import data_option, train_command
from lstm_bench.analysis.tables.confirmed import contender_runs
from lstm_bench.analysis.tables.cost import simplest_key
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.report.blocks import (
    COMMAND,
    Block,
    Column,
    Drawing,
    Note,
    Section,
    Table,
    column_names,
    count,
    field_columns,
)
from lstm_bench.report.figures.style import (
    NARROW,
    OTHERS,
    house_style,
    name_rows,
    new_figure,
    plain_text,
    point_name,
)
from lstm_bench.report.sections.comparisons import (
    HOW,
    UNEQUAL,
    UNEQUAL_BY_LOOKS,
)
from lstm_bench.report.view import View
from lstm_bench.seeding import derive_rng
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import TRAIN_TIME, metric_key

OPTIMISM = (
    Column("label", "configuration", colour_by="config_id"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("search", "search score", "score", meaning="validation, one seed"),
    Column("val_mean", "validation mean", "score", meaning="over the fresh seeds"),
    Column("test_mean", "test mean", "score", meaning="over the fresh seeds"),
    Column("search_minus_val", "search − validation", "signed"),
    Column("val_minus_test", "validation − test", "signed"),
    Column(
        "ci_low",
        "95 % over seeds (t)",
        "interval",
        meaning="of validation − test",
        high="ci_high",
    ),
)
TEST_LOOKS = (
    Column("kind", "by"),
    Column("study", "study"),
    Column("how", "how"),
    Column("n", "times (n)", "count"),
)


def board_columns(
    fields: Sequence[str], scores: Sequence[str], beside: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Return the columns of `confirmed_board`.

    Parameters
    ----------
    scores : sequence of str
        The task's metrics that the table has.
    beside : sequence of str
        Metrics that the page shows at first, beside the study's.
    """
    return (
        Column("rank", "#", "count", meaning="by mean validation score"),
        Column("label", "configuration", colour_by="key"),
        Column("key"),
        Column("test_mean", "test {metric}", "score", meaning="mean over the seeds"),
        Column(
            "seeds_low",
            "95 % over seeds (t)",
            "interval",
            meaning="t interval of the test mean over seeds",
            high="seeds_high",
        ),
        Column("n_seeds", "seeds (n)", "count"),
        Column("val_mean", "validation {metric}", "score", meaning="mean over seeds"),
        *(
            Column(
                metric_key("test", name),
                f"test {METRICS[name].label}",
                "score",
                meaning="mean over the seeds",
                more=name not in beside,
            )
            for name in scores
        ),
        Column("kind", "kind", meaning="cell or baseline", more=True),
        *field_columns(fields),
        Column(
            "examples_low",
            "95 % over {examples} (bootstrap)",
            "interval",
            meaning="over test {examples}, these seeds as given: stratified bootstrap, "
            "or of windows in blocks of origins",
            high="examples_high",
            more=True,
        ),
        Column(
            "both_low",
            "95 % over seeds and {examples}",
            "interval",
            meaning="bootstrap over both",
            high="both_high",
        ),
        Column("n_failed", "failed", "count", meaning="seeds that failed", more=True),
        Column(TRAIN_TIME, "training", "seconds", "s", "mean over the seeds"),
        COMMAND,
    )


def confirmation_section(view: View) -> Section:
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
        text = f"No confirmation was completed, so test scores are unknown. {again}"
        return Section(title, anchor, text, _looks(view))
    metric, board = suite.metric, confirmed_board(analysis)
    drawn = board[board["key"] != simplest_key(suite)]
    examples = view.results.examples
    over_examples = (
        f"Over {examples}: what these models would give on others."
        if metric.name in bootstrap.MEAN_METRICS
        else f"{metric.label} is no mean over {examples}, so there is no interval over "
        "them."
    )
    caption = (
        f"Mean {metric.label} over n fresh seeds; ranked by validation, not by "
        f"test. Over seeds: what another seed would give on these {examples}. "
        f"{over_examples} Intervals end at "
        "the lowest and highest value that the metric can have."
    )
    columns = [
        column
        for column in board_columns(
            confirmed_fields(analysis), suite.task.beside, view.beside
        )
        if column.name != metric_key("test", metric.name)
    ]
    blocks: list[Block] = []
    if board["n_seeds"].nunique() > 1:
        by_looks = confirm_spec(suite).until is not None
        blocks.append(Note(UNEQUAL_BY_LOOKS if by_looks else UNEQUAL, not by_looks))
    blocks += [
        view.table("confirmed", caption, board, columns),
        Drawing(
            "confirmed",
            f"Test {metric.label}: thick bars are 95 % t intervals over seeds, "
            + (
                f"thin ones 95 % intervals over seeds and {examples}, "
                if metric.name in bootstrap.MEAN_METRICS
                else ""
            )
            + "ticks the single seeds. "
            f"Squares are baselines; the {suite.task.simplest_label} is "
            "left out.",
            plot_confirmed(
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
        f"Each configuration was trained again on fresh seeds. {_one_split(view)}"
        f"one stream of initial weights and one order of {examples} for all of them, "
        "so they are compared pair by pair. Test was scored once for each training."
    )
    return Section(title, anchor, intro, tuple(blocks))


def _one_split(view: View) -> str:
    """Return the beginning of a sentence on what the trainings of a seed share."""
    data, spec = view.results.dataset, view.suite.dataset
    if data.get("given_validation") or spec.options.get("time"):
        return "All seeds have the same split. A seed has "
    return "A seed has one split, "


def _optimism(view: View) -> Table:
    caption = (
        "Selection optimism. Search − validation: how much of the search's score was "
        "due to its one seed. Validation − test: how much early stopping on "
        f"validation, and a test set of other {view.results.examples}, take off. "
        "Positive means optimistic."
    )
    return view.table("optimism", caption, view.analysis.optimism, OPTIMISM)


def _looks(view: View) -> tuple[Block, ...]:
    frame = view.results.test_looks
    n = int(frame["n"].sum())
    if not n:
        return (
            Note("The test set of this data has not been looked at in this store."),
        )
    frame = frame.assign(how=[HOW[how] for how in frame["how"].tolist()])
    caption = (
        f"The test set was looked at {count(n, 'time')} in this tracking store. Every "
        "look that steers a decision makes the next score more optimistic."
    )
    return (view.table("test_looks", caption, frame, TEST_LOOKS),)


def confirmed_fields(analysis: Analysis) -> list[str]:
    """Return the hyperparameters in which the confirmed configurations differ."""
    configs = [c.config.model_dump() for c in analysis.contenders if c.config]
    if not configs:
        return []
    return [f for f in configs[0] if len({c[f] for c in configs}) > 1]


def confirmed_board(analysis: Analysis) -> pd.DataFrame:
    """Return every contender's scores with intervals, best on validation first.

    Returns
    -------
    DataFrame with the columns of `board_columns` for `confirmed_fields`
    """
    results, fields = analysis.results, confirmed_fields(analysis)
    metric, scores = results.suite.metric, results.suite.task.beside
    rows = []
    for contender in analysis.contenders:
        config = contender.config.model_dump() if contender.config else {}
        # NA for a baseline, which lacks the field; None is a possible value.
        test = contender.test_interval
        examples, both = _example_intervals(contender, results)
        own = contender_runs(results, contender)
        rows.append(
            {
                "label": contender.label,
                "kind": contender.kind,
                "key": contender.key,
                **{field: config.get(field, pd.NA) for field in fields},
                "n_seeds": test.n,
                "n_failed": _n_failed(results, contender.key),
                "val_mean": contender.mean_val,
                **{
                    key: float(own[key].mean())
                    for key in (metric_key("test", name) for name in scores)
                },
                "test_mean": test.estimate,
                "seeds_low": test.low,
                "seeds_high": test.high,
                "examples_low": examples[0],
                "examples_high": examples[1],
                "both_low": both[0],
                "both_high": both[1],
                TRAIN_TIME: float(own[TRAIN_TIME].mean()),
                "command": train_command(results, contender.config)
                if contender.config
                else None,
            }
        )
    columns = column_names(board_columns(fields, scores))
    table = pd.DataFrame(rows, columns=columns[1:])
    for column in (*fields, "command"):
        # A missing value must not turn integers into floats.
        table[column] = pd.Series([row[column] for row in rows], dtype=object)
    order = metric.order(table["val_mean"].to_numpy(dtype=float))
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def _example_intervals(
    contender: Contender, results: Results
) -> tuple[tuple[float, float], tuple[float, float]]:
    name = results.suite.metric.name
    if name not in bootstrap.MEAN_METRICS:
        return (math.nan, math.nan), (math.nan, math.nan)
    tests = [parts["test"] for _, parts in sorted(contender.predictions.items())]
    scores = np.array(
        [bootstrap.example_scores(name, t.y_true, t.y_proba, t.scale) for t in tests]
    )
    rng = derive_rng(results.suite.study.seed, "bootstrap", contender.key)
    examples = bootstrap.examples_interval(scores.mean(axis=0), tests[0], rng)
    both = bootstrap.seeds_and_examples_interval(scores, tests[0], rng).within(
        *results.suite.metric.bounds
    )
    return (examples.low, examples.high), (both.low, both.high)


def _n_failed(results: Results, config_id: str) -> int:
    runs = results.confirmed
    return int(((runs["config_id"] == config_id) & (runs["state"] == "failed")).sum())


@house_style()
def plot_confirmed(
    board: pd.DataFrame,
    metric: Metric,
    colours: Mapping[str, str],
    seeds: Mapping[str, Mapping[int, float]],
) -> Figure:
    """Draw each contender's mean on test, both its intervals and every seed.

    Parameters
    ----------
    board : DataFrame
        From `confirmed_board`.
    seeds : mapping of str to mapping of int to float
        Test scores by contender's key, then replicate.
    """
    n = len(board)
    fig, ax = new_figure(NARROW, 0.9 + 0.46 * n)
    for i, row in enumerate(board.to_dict("records")):
        colour = colours.get(row["key"], OTHERS)
        ax.hlines(i, row["both_low"], row["both_high"], color=colour, lw=1.2)
        ax.hlines(i, row["seeds_low"], row["seeds_high"], color=colour, lw=4, alpha=0.5)
        marker = "s" if row["kind"] == "baseline" else "o"
        (mean,) = ax.plot(row["test_mean"], i, marker, color=colour, ms=6, zorder=3)
        mean.set_url(point_name(row["label"], f"mean {row['test_mean']:{metric.form}}"))
        values = seeds.get(row["key"], {})
        ax.plot(
            list(values.values()), [i + 0.22] * len(values), "|", color=colour, ms=6
        )
    names = [
        f"{plain_text(row['label'])} (n = {row['n_seeds']})"
        for row in board.to_dict("records")
    ]
    name_rows(ax, names)
    ax.set_xlabel(f"test {metric.label}, mean over n seeds")
    return fig
