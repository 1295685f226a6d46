"""The ``summary.json`` beside a published report, from which the index is made."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from lstm_bench.analysis import hypothesis_tests
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender, confirm_spec
from lstm_bench.analysis.formatting import config_of_row, data_option, plain
from lstm_bench.analysis.tables.confirmed import baselines
from lstm_bench.analysis.tables.published import published_comparison
from lstm_bench.analysis.tables.search import leaderboard, study_summary
from lstm_bench.analysis.tables.select import CI_HIGH, CI_LOW, complete_runs
from lstm_bench.analysis.verdicts import answers
from lstm_bench.metrics import METRICS
from lstm_bench.report.heading import last_work, machine
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE, TOTAL_TIME


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Score(_Part):
    """A mean of the study's metric, with its 95 % interval.

    Attributes
    ----------
    split : str
        "test": mean over `n` fresh seeds, with the t interval over them.
        "validation": mean over `n` runs of a search that was not confirmed, with
        Wilson's interval of the accuracy over the validation examples.
    ci95_low, ci95_high : float or None
        None for one seed, or for a metric without an interval.
    """

    split: Literal["test", "validation"]
    mean: float
    ci95_low: float | None = None
    ci95_high: float | None = None
    n: int = 1


class Entrant(_Part):
    """An LSTM or a baseline; `settings` are hyperparameters not in the LSTM's label."""

    label: str
    settings: str
    score: Score


class Verdict(_Part):
    """The best LSTM against the best baseline on test, paired by seed."""

    verdict: hypothesis_tests.Verdict
    difference: float
    ci95_low: float | None
    ci95_high: float | None
    n_seeds: int
    margin: float


class PublishedFigure(_Part):
    """A published value, and the same value measured here.

    `epoch` is None where there is one value for the run.
    """

    label: str
    source: str
    reference: str
    figure: str
    epoch: int | None
    published: float
    measured: float | None


class QuestionAnswered(_Part):
    """A short question, and its answer in a sentence."""

    question: str
    text: str


class Summary(_Part):
    """A published study.

    Attributes
    ----------
    question : str
        The suite's description, on one line.
    validation : str
        The validation set: "holdout" or "test".
    confirmed : bool
        Whether test was scored on fresh seeds; if not, `winner` is the search's best
        and `against_baseline` is None.
    n_trainings : int
        Trainings of the search and the confirmation; `total_time_s` is the sum of
        their times.
    date : str
        Day of the last work on the study, UTC.
    commit, version : str or None
        Git commit and version of the code; None where unknown.
    commands : tuple of str
        The commands that reproduce the study.
    """

    suite: str
    question: str
    study: str
    dataset: str
    synthetic: bool
    validation: Literal["holdout", "test"]
    n_train: int
    n_val: int
    n_test: int | None
    metric: str
    confirmed: bool
    winner: Entrant
    baseline: Entrant | None
    against_baseline: Verdict | None
    published: tuple[PublishedFigure, ...]
    answers: tuple[QuestionAnswered, ...]
    n_trainings: int
    total_time_s: float
    machine: str
    date: str
    commit: str | None
    commit_dirty: bool | None
    version: str | None
    commands: tuple[str, ...]

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in METRICS:
            raise ValueError(f"expected one of {', '.join(METRICS)}")
        return name

    @property
    def metric_label(self) -> str:
        """The metric's name as shown in text."""
        return METRICS[self.metric].label

    @property
    def published_tests(self) -> list[PublishedFigure]:
        """The published test accuracies to compare the study with."""
        return [f for f in self.published if f.figure == "test_accuracy"]


def summarise(analysis: Analysis) -> Summary | None:
    """Return a study's summary; None where no training was completed."""
    results = analysis.results
    winner = _winner(analysis)
    if winner is None:
        return None
    suite, data, environment = results.suite, results.dataset, results.environment
    row, curve = analysis.against_baseline, analysis.learning_curve
    return Summary(
        suite=suite.name,
        question=" ".join(suite.description.split()),
        study=results.study,
        dataset=results.own_file or str(data.get("name", suite.dataset.name)),
        synthetic=bool(data.get("synthetic")),
        validation=data.get("validation", suite.dataset.validation),
        n_train=data.get("n_used_train", 0),
        n_val=data.get("n_used_val", 0),
        n_test=data.get("test", {}).get("n"),
        metric=suite.metric.name,
        confirmed=analysis.winner is not None,
        winner=winner,
        baseline=_baseline(analysis),
        against_baseline=row
        and Verdict(
            verdict=row["verdict"],
            difference=row["difference"],
            ci95_low=plain(row["ci_low"]),
            ci95_high=plain(row["ci_high"]),
            n_seeds=row["n_seeds"],
            margin=row["margin"],
        ),
        published=_published(results),
        answers=tuple(
            QuestionAnswered(**dataclasses.asdict(a)) for a in answers(analysis)
        ),
        n_trainings=analysis.n_trainings,
        total_time_s=float(
            study_summary(results)["total_time_s"]
            + results.confirmed[TOTAL_TIME].sum()
            + (0.0 if curve is None else curve.time_s)
        ),
        machine=machine(results),
        date=last_work(results),
        commit=environment.get("git_commit"),
        commit_dirty=environment.get("git_dirty"),
        version=environment.get("lstm_bench"),
        commands=commands(results),
    )


def _winner(analysis: Analysis) -> Entrant | None:
    """Return the confirmed winner, or the search's best."""
    results, suite = analysis.results, analysis.results.suite
    if analysis.winner is not None and analysis.winner.config is not None:
        return _tested(analysis.winner, suite)
    board = leaderboard(results)
    if board.empty:
        return None
    best = board.iloc[0]
    runs = complete_runs(results)
    config = config_of_row(runs[runs["run_id"] == best["run_id"]].iloc[0])
    # Wilson's interval is for the accuracy only.
    is_accuracy = suite.metric.name == "accuracy"
    score = Score(
        split="validation",
        mean=float(best[OBJECTIVE]),
        ci95_low=plain(best[CI_LOW]) if is_accuracy else None,
        ci95_high=plain(best[CI_HIGH]) if is_accuracy else None,
        n=int(best["n_runs"]),
    )
    label = str(best["label"])
    return Entrant(label=label, settings=_settings(suite, label, config), score=score)


def _tested(contender: Contender, suite: Suite) -> Entrant:
    test = contender.test_interval
    score = Score(
        split="test",
        mean=test.estimate,
        ci95_low=plain(test.low),
        ci95_high=plain(test.high),
        n=test.n,
    )
    settings = _settings(suite, contender.label, contender.config)
    return Entrant(label=contender.label, settings=settings, score=score)


def _settings(suite: Suite, label: str, config: TrialConfig | None) -> str:
    text = "" if config is None else suite.settings_text(config)
    return "" if text in label else text


def _baseline(analysis: Analysis) -> Entrant | None:
    """Return the best baseline on validation, scored on the winner's split."""
    suite = analysis.results.suite
    if analysis.winner is not None:
        return _tested(analysis.baseline, suite) if analysis.baseline else None
    table = baselines(analysis.results)
    table = table[table["fitted_on"] == "the search's split"]
    table = table[table["val_mean"].notna()]
    if table.empty:
        return None
    scores = table["val_mean"].to_numpy(dtype=float)
    best = table.iloc[int(suite.metric.order(scores)[0])]
    score = Score(
        split="validation", mean=float(best["val_mean"]), n=int(best["n_splits"])
    )
    return Entrant(label=str(best["label"]), settings="", score=score)


def _published(results: Results) -> tuple[PublishedFigure, ...]:
    if not results.suite.published:
        return ()
    names = list(PublishedFigure.model_fields)
    return tuple(
        PublishedFigure(**{name: plain(row[name]) for name in names})
        for row in published_comparison(results).to_dict("records")
    )


def commands(results: Results) -> tuple[str, ...]:
    """Return the shell commands that reproduce a study up to its present state.

    ``DIR`` is the folder with the raw data.
    """
    suite, searched = results.suite, results.suite.space.axes
    begin = [suite.path, *data_option(results)]
    found = []
    if len(results.runs):
        words = ["lstm-bench", "sweep", *begin]
        runs = results.runs[results.runs["kind"] == "trial"]
        n_trials = int(runs["state"].isin(rec.ENDED).sum())
        if searched and n_trials != suite.study.n_trials:
            words += ["--trials", str(n_trials)]
        found.append(shlex.join(words))
    if len(results.confirmed):
        words = ["lstm-bench", "confirm", *begin]
        spec = confirm_spec(suite)
        taken = results.confirmed[results.confirmed["origin"] == "search"]
        n_best = int(taken["config_id"].nunique())
        if searched and n_best != spec.n_best:
            words += ["--best", str(n_best)]
        n_replicates = int(results.confirmed["replicate"].nunique())
        if spec.until is None and n_replicates != spec.n_replicates:
            words += ["--replicates", str(n_replicates)]
        found.append(shlex.join(words))
    return tuple(found)
