"""Sections about the search, each a function of `Results`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lstm_bench.figures import search as figures
from lstm_bench.metrics import METRICS
from lstm_bench.records import (
    BEST_EPOCH,
    EPOCH_TIME,
    N_EPOCHS,
    OBJECTIVE,
    TRAIN_TIME,
    Results,
)
from lstm_bench.records import N_PARAMETERS as N_PARAMS
from lstm_bench.report.blocks import (
    DASH,
    Block,
    Column,
    Drawing,
    Facts,
    Listing,
    Note,
    Section,
    Table,
    as_sentence,
    count,
    is_missing,
    when,
    with_unit,
)
from lstm_bench.report.colours import shown_colours
from lstm_bench.space import CategoricalAxis
from lstm_bench.tables import search as tables

SAMPLES_PER_RUN = 5


def published(results: Results) -> Section:
    """Set published figures beside what was measured."""
    title, anchor = "Published and measured", "published"
    if not results.suite.published:
        return Section(title, anchor, "The suite names no published figures.")
    frame = tables.published_comparison(results)
    notes: list[Block] = [
        Note(f"{entry.label}: {entry.source}. {entry.note}".strip())
        for entry in results.suite.published
    ]
    frame = frame.assign(
        what=[
            {
                "val_accuracy": "validation accuracy",
                "epoch_time_s": "time per epoch (s)",
                "test_accuracy": "test accuracy",
            }[figure]
            + (f", epoch {epoch}" if not is_missing(epoch) else "")
            + (", mean" if figure == "epoch_time_s" and is_missing(epoch) else "")
            for figure, epoch in zip(frame["figure"], frame["epoch"], strict=True)
        ]
    )
    columns = (
        Column("label", "published by"),
        Column("reference", "reference"),
        Column("what", "figure"),
        Column("published", "published", "number"),
        Column("measured", "measured", "number"),
        Column("difference", "measured − published", "number"),
        Column("n_runs", "runs (n)", "count"),
    )
    caption = (
        "Published figures and those measured here; times belong to two different "
        "machines."
    )
    table = Table("published", caption, frame, columns)
    return Section(
        title,
        anchor,
        "Figures somebody published for a configuration, beside the same "
        "configuration trained here.",
        (*notes, table),
    )


def leaderboard(results: Results) -> Section:
    """Every completed configuration, best first."""
    title, anchor = "Leaderboard", "leaderboard"
    board = tables.leaderboard(results)
    if board.empty:
        return Section(title, anchor, "The search has no complete training to rank.")
    metric = results.suite.metric
    key = f"val_{metric.name}"
    scores = [Column(key, f"{metric.label} (objective)", "score")]
    interval = Column(
        tables.CI_LOW, "accuracy, 95 % Wilson", "interval", tables.CI_HIGH
    )
    if metric.name == "accuracy":
        scores.append(interval)
    for name, other in METRICS.items():
        if name != metric.name:
            scores.append(Column(f"val_{name}", other.label, "score"))
            if name == "accuracy":
                scores.append(interval)
    columns = (
        Column("rank", "#", "count"),
        Column("label", "configuration", url="url"),
        *(Column(f, f, "value") for f in tables.shown_fields(results)),
        *scores,
        Column("n_runs", "runs (n)", "count"),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column(EPOCH_TIME, "per epoch (s)", "seconds"),
        Column(N_EPOCHS, "epochs", "count"),
        Column(BEST_EPOCH, "best epoch", "count"),
        Column(N_PARAMS, "parameters", "count"),
        Column("command", "command that trains it again", "command"),
    )
    n_val = results.dataset.get("n_used_val", 0)
    direction = "higher" if metric.higher_is_better else "lower"
    caption = (
        f"Scores of the kept weights on {n_val:,} validation reviews, means over the "
        f"configuration's runs (n); ranked by {metric.label}, {direction} is better."
    )
    blocks: list[Block] = [Table("leaderboard", caption, board, columns)]
    trials = tables.trial_runs(results)
    if len(trials) > 1:
        blocks.append(
            Drawing(
                "objective_history",
                f"Validation {metric.label} of the {len(trials)} complete trials in "
                "the order the search tried them.",
                figures.plot_objective_history(trials, metric, shown_colours(results)),
                trials[["trial", "config_id", OBJECTIVE]],
            )
        )
    return Section(
        title,
        anchor,
        "The interval is about the validation reviews alone: another seed moves the "
        "score too.",
        tuple(blocks),
    )


def heads(results: Results) -> Section:
    """Sigmoid against softmax."""
    title, anchor = "Heads: sigmoid and softmax", "heads"
    frame = tables.compare_heads(results)
    if frame.empty:
        return Section(
            title, anchor, "The search has no complete training to compare heads."
        )
    metric = results.suite.metric
    columns = (
        Column("head", "head"),
        Column("n_runs", "runs (n)", "count"),
        Column("objective_mean", f"mean {metric.label}", "score"),
        Column("objective_sd", "sd", "score"),
        Column("objective_min", "min", "score"),
        Column("objective_max", "max", "score"),
        Column("objective_best", "best", "score"),
        Column("val_log_loss_mean", "mean log loss (nats)", "score"),
        Column("val_log_loss_best", "best log loss (nats)", "score"),
        Column("train_time_s_mean", "mean training (s)", "seconds"),
        Column("epoch_time_s_mean", "mean per epoch (s)", "seconds"),
    )
    caption = "Validation scores and times of all complete runs, by head."
    blocks: list[Block] = [Table("heads", caption, frame, columns)]
    if len(frame) == 1:
        return Section(
            title,
            anchor,
            f"Every complete run has the {frame.iloc[0]['head']} head: there is "
            "nothing to compare it with.",
            tuple(blocks),
        )
    blocks.append(
        Drawing(
            "heads",
            f"Validation {metric.label} of every complete run by head.",
            figures.plot_heads(
                tables.complete_runs(results), metric, shown_colours(results)
            ),
            tables.complete_runs(results)[["run_id", "config_id", "head", OBJECTIVE]],
        )
    )
    paired = tables.compare_heads_paired(results)
    if paired.empty:
        blocks.append(
            Note(
                "No two complete configurations differ in the head alone, so there is "
                "no paired comparison."
            )
        )
    else:
        blocks += _paired_blocks(results, paired)
    return Section(
        title,
        anchor,
        "Both heads are scored by the same formula, from class probabilities. A search "
        "does not pair its heads: each was tried with other settings, so the means of "
        "this first table do not say which head is better.",
        tuple(blocks),
    )


def _paired_blocks(results: Results, paired: pd.DataFrame) -> Iterator[Block]:
    fields = [f for f in tables.shown_fields(results) if f != "head"]
    metric = results.suite.metric
    columns = (
        *(Column(f, f, "value") for f in fields),
        Column("head_a", "a"),
        Column("head_b", "b"),
        Column("objective_a", f"{metric.label} of a", "score"),
        Column("objective_b", f"{metric.label} of b", "score"),
        Column("difference", "b − a", "signed"),
        Column("n_runs_a", "runs of a (n)", "count"),
        Column("n_runs_b", "runs of b (n)", "count"),
    )
    mean = paired["difference"].mean()
    wins = int((paired["difference"] > 0).sum())
    yield Table(
        "heads_paired",
        f"{count(len(paired), 'pair')} of configurations that differ in the head "
        "alone.",
        paired,
        columns,
    )
    yield Note(
        f"Mean difference over {count(len(paired), 'pair')}: {mean:+.4f}; b scores "
        f"higher in {wins} of {len(paired)}. With few pairs and one seed this may well "
        "be chance."
    )


def axes(results: Results, more: tuple[Block, ...] = ()) -> Section:
    """One table and one figure per swept axis; `more` blocks stand at the end."""
    title, anchor = "Axes", "axes"
    if not len(results.suite.space):
        return Section(
            title, anchor, "The suite sweeps no axis: it trains fixed configurations."
        )
    trials = tables.trial_runs(results)
    if trials.empty:
        return Section(title, anchor, "No trial was completed: no axis to show.")
    metric = results.suite.metric
    colours = shown_colours(results)
    blocks: list[Block] = []
    for name, axis in results.suite.space:
        effect = tables.axis_effect(results, name)
        columns = (
            Column("value", name),
            Column("n", "trials (n)", "count"),
            Column("mean", f"mean {metric.label}", "score"),
            Column(tables.MEAN_LOW, "95 % (t)", "interval", tables.MEAN_HIGH),
            Column("sd", "sd", "score"),
            Column("min", "min", "score"),
            Column("max", "max", "score"),
            Column("best", "best", "score"),
        )
        caption = (
            f"{name} ({axis.describe()}): validation {metric.label} of "
            f"{count(len(trials), 'complete trial')} by value."
        )
        blocks.append(Table(f"axis_{name}", caption, effect, columns))
        uneven = tables.explored_unevenly(effect)
        if uneven is not None:
            blocks.append(Note(f"{name}: {uneven}", True))
        log = not isinstance(axis, CategoricalAxis) and axis.log
        blocks.append(
            Drawing(
                f"axis_{name}",
                f"Each point is a trial, each diamond the mean of a value of {name}.",
                figures.plot_axis_effect(trials, effect, name, metric, colours, log),
                trials[["trial", "config_id", name, OBJECTIVE]],
            )
        )
    return Section(
        title,
        anchor,
        "The other axes vary along, and a sampler that learns tries good regions more "
        "often: these are means over what was tried, not the effect of one axis alone.",
        (*blocks, *more),
    )


def curves(results: Results) -> Section:
    """Learning curves."""
    title, anchor = "Learning curves", "curves"
    board = tables.leaderboard(results)
    if board.empty or results.curves.empty:
        return Section(title, anchor, "No completed training has left a curve.")
    blocks: list[Block] = []
    known = set(results.curves["metric"].tolist())
    wanted = dict.fromkeys((results.suite.metric.name, "accuracy", "log_loss"))
    n = min(5, len(board))
    for name in wanted:
        if name in known:
            figure = figures.plot_learning_curves(
                results.curves, board, name, shown_colours(results)
            )
            caption = (
                f"Validation {METRICS[name].label} by epoch: the best {n} of "
                f"{count(len(board), 'configuration')} in colour, one run each."
            )
            drawn = results.curves[
                (results.curves["split"] == "val") & (results.curves["metric"] == name)
            ]
            blocks.append(Drawing(f"curves_{name}", caption, figure, drawn))
    if not blocks:
        return Section(title, anchor, "No completed training has left a curve.")
    return Section(
        title,
        anchor,
        "Scores after each epoch, on the validation reviews. Where training stops "
        "early, the weights of the best epoch are kept.",
        tuple(blocks),
    )


def importance(results: Results) -> Section:
    """Which axes separate the best trials."""
    title, anchor = "Importance", "importance"
    frame = tables.importance(results)
    if frame.empty:
        return Section(title, anchor, str(frame.attrs["reason"]))
    n = int(frame["n_trials"].iloc[0])
    columns = (
        Column("axis", "axis"),
        Column("importance", "share", "share"),
        Column("n_trials", "trials (n)", "count"),
    )
    caption = f"Share of each axis in what separates the best of {n} complete trials."
    return Section(
        title,
        anchor,
        "PED-ANOVA asks where the best tenth of the trials lies in the space. With few "
        f"trials ({n} here) the shares are rough.",
        (
            Table("importance", caption, frame, columns),
            Drawing("importance", caption, figures.plot_importance(frame), frame),
        ),
    )


def cost(results: Results) -> Section:
    """Score against training time."""
    title, anchor = "Cost", "cost"
    frame = tables.pareto(results)
    if frame.empty:
        return Section(title, anchor, "No completed training has a training time.")
    metric = results.suite.metric
    columns = (
        Column("label", "configuration"),
        Column(TRAIN_TIME, "training (s)", "seconds"),
        Column(OBJECTIVE, f"validation {metric.label}", "score"),
        Column("on_front", "on the front", "yes"),
        Column("n_runs", "runs (n)", "count"),
    )
    return Section(
        title,
        anchor,
        "A configuration is on the front when no other is both faster to train and at "
        "least as good. Trainings that ran side by side share the machine, so times "
        "are comparable within a study only.",
        (
            Table(
                "pareto",
                f"Validation {metric.label} and training time; "
                f"{frame['on_front'].sum()} of {count(len(frame), 'configuration')} "
                "are on the Pareto front.",
                frame,
                columns,
            ),
            Drawing(
                "pareto",
                f"Validation {metric.label} against training time of "
                f"{count(len(frame), 'configuration')}.",
                figures.plot_pareto(frame, metric, shown_colours(results)),
                frame,
            ),
        ),
    )


def failures(results: Results) -> Section:
    """List the runs that gave no score."""
    title, anchor = "Pruned and failed", "failures"
    frame = tables.failures(results)
    if frame.empty:
        return Section(title, anchor, "No run was pruned, failed or interrupted.")
    columns = (
        Column("label", "run", url="url"),
        Column("state", "state"),
        Column("failure_reason", "reason", "prose"),
        Column(N_EPOCHS, "epochs", "count"),
        *(Column(f, f, "value") for f in tables.shown_fields(results)),
        Column("command", "command that trains it again", "command"),
    )
    caption = f"The {count(len(frame), 'run')} without a final score, and why."
    return Section(
        title,
        anchor,
        "Pruned runs were stopped because their curves did not look promising.",
        (Table("failures", caption, frame, columns),),
    )


def samples(results: Results) -> Section:
    """Show what the best run and the references make of a few reviews."""
    title, anchor = "Samples", "samples"
    board = tables.leaderboard(results)
    rows = board[(board["rank"] == 1) | board["reference"].notna()]
    names = list(results.dataset.get("class_names", ()))
    columns = (
        Column("text", "review", "prose"),
        Column("y_true", "true class"),
        Column("y_pred", "predicted"),
        *(Column(f"p_{name}", f"p({name})", "score") for name in names),
    )
    blocks: list[Block] = []
    for number, row in enumerate(rows.to_dict("records"), start=1):
        frame = tables.samples(results, [row["run_id"]]).head(SAMPLES_PER_RUN)
        if len(frame):
            caption = f"{row['label']}: {len(frame)} fixed validation reviews."
            blocks.append(Table(f"samples_{number}", caption, frame, columns))
    if not blocks:
        return Section(title, anchor, "No completed training has left samples.")
    return Section(
        title,
        anchor,
        "The same few validation reviews for every run, not chosen by the outcome: "
        "enough to see what the numbers are about, too few to judge by.",
        tuple(blocks),
    )


def provenance(results: Results) -> Section:
    """Where, when, with what and from what."""
    env, data = results.environment, results.dataset
    facts = tables.study_summary(results)
    commit = env.get("git_commit")
    dirty = {True: " with uncommitted changes", False: "", None: ""}
    seeds = facts["seeds"]
    items = [
        ("study", results.study),
        ("lstm-bench", str(env.get("lstm_bench", DASH))),
        ("Python", str(env.get("python", DASH))),
        (
            "packages",
            ", ".join(f"{k} {v}" for k, v in (env.get("packages") or {}).items()),
        ),
        ("operating system", str(env.get("os", DASH))),
        (
            "processor",
            f"{env.get('cpu_model', DASH)}, {env.get('n_cores', DASH)} cores",
        ),
        ("memory", with_unit(env.get("memory_gib"), "GiB")),
        (
            "git commit",
            f"{commit}{dirty[env.get('git_dirty')]}" if commit else "not in a checkout",
        ),
        ("study seed", str(results.suite.study.seed)),
        (
            "training seeds",
            ", ".join(map(str, seeds[:10])) + (" ..." if len(seeds) > 10 else ""),
        ),
        ("first training began", when(facts["first_start"])),
        ("last training began", when(facts["last_start"])),
        ("dataset", str(data.get("source", DASH))),
        ("dataset digest (SHA-256)", str(data.get("digest", DASH))),
        (
            "test reviews that also stand in train",
            f"{data.get('n_test_in_train', DASH)} of "
            f"{(data.get('test') or {}).get('n', DASH)}",
        ),
    ]
    blocks: list[Block] = [Facts(tuple((k, v or DASH) for k, v in items))]
    blocks += [Note(as_sentence(str(note))) for note in data.get("notes", ())]
    if len(results.sessions):
        blocks.append(
            Table(
                "sessions",
                f"The {count(len(results.sessions), 'command')} that worked on this "
                "study (times in UTC).",
                results.sessions,
                (
                    Column("run_id", "MLflow run"),
                    Column("start_time", "start", "time"),
                    Column("end_time", "end", "time"),
                    Column("status", "status"),
                ),
            )
        )
    blocks.append(Listing(f"{results.suite.name}.yaml", results.suite.text))
    return Section(
        "Provenance", "provenance", "What it takes to run this again.", tuple(blocks)
    )
