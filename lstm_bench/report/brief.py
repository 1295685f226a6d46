"""A study's analysis in brief, for the index of published studies."""

from __future__ import annotations

import dataclasses
import shlex

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender, confirm_spec
from lstm_bench.analysis.formatting import config_of_row, data_option, plain
from lstm_bench.analysis.verdicts import answers
from lstm_bench.briefs import Brief, Entrant, PublishedFigure, Said, Score, Verdict
from lstm_bench.report.heading import last_work, machine
from lstm_bench.tables import confirmed as confirmed_tables
from lstm_bench.tables import search as tables
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE, TOTAL_TIME

FINISHED = ("complete", "pruned", "failed")


def brief_of(analysis: Analysis) -> Brief | None:
    """Return what the index says of a study; None where no training was completed."""
    results = analysis.results
    winner = _winner(analysis)
    if winner is None:
        return None
    suite, data, environment = results.suite, results.dataset, results.environment
    return Brief(
        suite=suite.name,
        question=" ".join(suite.description.split()),
        study=results.study,
        dataset=str(data.get("name", suite.dataset.name)),
        synthetic=bool(data.get("synthetic")),
        validation=data.get("validation", suite.dataset.validation),
        n_train=data.get("n_used_train", 0),
        n_val=data.get("n_used_val", 0),
        n_test=data.get("test", {}).get("n"),
        metric=suite.metric.name,
        confirmed=analysis.winner is not None,
        winner=winner,
        baseline=_baseline(analysis),
        against_baseline=_against_baseline(analysis),
        published=_published(results),
        answers=tuple(Said(**dataclasses.asdict(a)) for a in answers(analysis)),
        n_trainings=len(results.runs) + len(results.confirmed),
        total_time_s=float(
            tables.study_summary(results)["total_time_s"]
            + results.confirmed[TOTAL_TIME].sum()
        ),
        machine=machine(results),
        date=last_work(results),
        commit=environment.get("git_commit"),
        commit_dirty=environment.get("git_dirty"),
        version=environment.get("lstm_bench"),
        commands=commands(results),
    )


def _winner(analysis: Analysis) -> Entrant | None:
    results, suite = analysis.results, analysis.results.suite
    if analysis.winner is not None and analysis.winner.config is not None:
        return _tested(analysis.winner, suite.settings_text(analysis.winner.config))
    board = tables.leaderboard(results)
    if board.empty:
        return None
    best = board.iloc[0]
    runs = tables.complete_runs(results)
    config = config_of_row(runs[runs["run_id"] == best["run_id"]].iloc[0])
    # Wilson's interval is about the accuracy and no other metric.
    is_accuracy = suite.metric.name == "accuracy"
    score = Score(
        split="validation",
        mean=float(best[OBJECTIVE]),
        ci95_low=plain(best[tables.CI_LOW]) if is_accuracy else None,
        ci95_high=plain(best[tables.CI_HIGH]) if is_accuracy else None,
        n=int(best["n_runs"]),
    )
    return Entrant(
        label=str(best["label"]), settings=suite.settings_text(config), score=score
    )


def _tested(contender: Contender, settings: str) -> Entrant:
    test = contender.test_interval
    score = Score(
        split="test",
        mean=test.estimate,
        ci95_low=plain(test.low),
        ci95_high=plain(test.high),
        n=test.n,
    )
    return Entrant(label=contender.label, settings=settings, score=score)


def _baseline(analysis: Analysis) -> Entrant | None:
    """Return the best baseline on validation, scored where the winner was."""
    if analysis.winner is not None:
        return _tested(analysis.baseline, "") if analysis.baseline else None
    table = confirmed_tables.baselines(analysis.results)
    table = table[table["fitted_on"] == "the search's split"]
    table = table[table["val_mean"].notna()]
    if table.empty:
        return None
    scores = table["val_mean"].to_numpy(dtype=float)
    best = table.iloc[int(analysis.results.suite.metric.order(scores)[0])]
    score = Score(
        split="validation",
        mean=float(best["val_mean"]),
        ci95_low=None,
        ci95_high=None,
        n=int(best["n_splits"]),
    )
    return Entrant(label=str(best["label"]), settings="", score=score)


def _against_baseline(analysis: Analysis) -> Verdict | None:
    row = analysis.against_baseline
    if row is None:
        return None
    return Verdict(
        verdict=row["verdict"],
        difference=float(row["difference"]),
        ci95_low=plain(row["ci_low"]),
        ci95_high=plain(row["ci_high"]),
        n_seeds=int(row["n_seeds"]),
        margin=float(row["margin"]),
    )


def _published(results: Results) -> tuple[PublishedFigure, ...]:
    if not results.suite.published:
        return ()
    table = tables.published_comparison(results)
    wanted = [name for name in PublishedFigure.model_fields if name in table]
    return tuple(
        PublishedFigure(**{name: plain(row[name]) for name in wanted})
        for row in table.to_dict("records")
    )


def commands(results: Results) -> tuple[str, ...]:
    """Return the shell commands that train a study again, as far as it has come.

    ``DIR`` stands for the folder with the raw data.
    """
    suite, searched = results.suite, results.suite.space.axes
    file = suite.path
    data = data_option(results)
    found = []
    if len(results.runs):
        words = ["lstm-bench", "sweep", file, *data]
        runs = results.runs[results.runs["kind"] == "trial"]
        n_trials = int(runs["state"].isin(FINISHED).sum())
        if searched and n_trials != suite.study.n_trials:
            words += ["--trials", str(n_trials)]
        found.append(shlex.join(words))
    if len(results.confirmed):
        words = ["lstm-bench", "confirm", file, *data]
        spec = confirm_spec(suite)
        taken = results.confirmed[results.confirmed["origin"] == "search"]
        n_best = int(taken["config_id"].nunique())
        if searched and n_best != spec.n_best:
            words += ["--best", str(n_best)]
        n_replicates = int(results.confirmed["replicate"].nunique())
        if n_replicates != spec.n_replicates:
            words += ["--replicates", str(n_replicates)]
        found.append(shlex.join(words))
    return tuple(found)
