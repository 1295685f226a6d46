"""The commands as functions, for a script or a notebook.

They print nothing unless asked, and raise `lstm_bench.errors.LstmBenchError`. Stores
default to ``mlflow.db`` and ``optuna.db`` in the working directory, as for the
commands, so a function can resume a command's study and the reverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from lstm_bench import confirm, sweep
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.formatting import config_of_row
from lstm_bench.analysis.verdicts import Answer, answers
from lstm_bench.classify import open_model, predict_table
from lstm_bench.compare_by_name import Comparison, compare_by_name
from lstm_bench.errors import LstmBenchError, TrackingError
from lstm_bench.explain_by_name import (
    Given,
    check_out,
    explain_by_name,
    write_explanation,
)
from lstm_bench.explaining.explanation import N_POINTS, Explanation
from lstm_bench.open_study import report_folder
from lstm_bench.report.render import FORMATS, MAIN_FILES
from lstm_bench.report.write import report_studies
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.schema import ConfirmSpec, StudySpec, validate
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.find import load_studies
from lstm_bench.tracking.results import Results
from lstm_bench.workers.progress import LoggedProgress

__all__ = [
    "Comparison",
    "Explanation",
    "StudyResult",
    "compare",
    "explain",
    "load_results",
    "load_suite",
    "predict",
    "run_confirmation",
    "run_sweep",
    "write_report",
]


@dataclass(frozen=True)
class StudyResult:
    """The result of a sweep or a confirmation.

    Attributes
    ----------
    study : str
        The study's name in the stores: the suite's name and a hash of every setting
        that changes results.
    best_name : str or None
        Name of the best configuration on validation, such as ``16 units, sigmoid (trial
        7)``; None where no training was completed.
    best_config : TrialConfig or None
    best_score : float or None
        In the suite's metric: on validation after a sweep; the mean over fresh seeds
        on test after a confirmation.
    answers : tuple of Answer
        The report's answers, each with a `question` and a `text`.
    results : Results
        Every run and epoch as tables, and predictions as arrays.
    report : Path
        The report's main page.
    """

    study: str
    best_name: str | None
    best_config: TrialConfig | None
    best_score: float | None
    answers: tuple[Answer, ...]
    results: Results
    report: Path


def run_sweep(
    suite: str | Path | Suite,
    *,
    n_trials: int | None = None,
    timeout_s: float | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    data_dir: str | Path | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> StudyResult:
    """Search the suite's space and write the report, as ``lstm-bench sweep`` does.

    The same call resumes a study that was stopped.

    Parameters
    ----------
    suite : str, Path or Suite
        A file, the name of a suite, or a suite from `load_suite`.
    n_trials : int or None
        Finished trials to reach in total; None is the suite's number.
    timeout_s : float or None
        Seconds after which no trial starts; None is the suite's limit.
    n_workers : int or None
        Processes that train in parallel; None is one for each core.
    scheduler : str or None
        Address of a Dask cluster to train on.
    data_dir : str, Path or None
        Folder with the raw data; None is ``$LSTM_BENCH_DATA``.
    tracking_uri, storage : str or None
        Addresses of the MLflow store and the Optuna database; None is the
        environment's, or ``mlflow.db`` and ``optuna.db`` in the working directory.
    out : str, Path or None
        Folder of the report; None is ``reports/SUITE``.
    progress : bool
        Whether to print messages and a line for each training.

    Raises
    ------
    LstmBenchError
        The suite is not valid, or the data, a store or a worker cannot be used.
    KeyboardInterrupt
        The sweep was stopped; finished trainings are saved.

    Examples
    --------
    >>> import lstm_bench
    >>> sweep = lstm_bench.run_sweep("quick", n_trials=2)
    >>> sweep.best_config.units in (8, 16, 32)
    True
    >>> sweep.results.runs["state"].tolist()
    ['complete', 'complete']
    >>> print(sweep.report)
    reports/quick/index.html
    """
    loaded = _suite(suite)
    given = {"n_trials": n_trials, "timeout_s": timeout_s}
    spec = validate(StudySpec, _replaced(loaded.study, given), "run_sweep")
    done = sweep.run_sweep(
        loaded,
        n_trials=spec.n_trials,
        timeout_s=spec.timeout_s,
        **_shared(n_workers, scheduler, data_dir, tracking_uri, storage, out, progress),
    )
    analysis = _tracked(done.analysis, loaded)
    best = None
    if done.best is not None:
        runs = analysis.results.runs
        row = runs[runs["config_id"] == done.best.config_id].iloc[0]
        best = done.best.label, config_of_row(row), done.best.value
    return _result(analysis, best, out)


def run_confirmation(
    suite: str | Path | Suite,
    *,
    n_best: int | None = None,
    n_replicates: int | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    data_dir: str | Path | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> StudyResult:
    """Retrain the best on fresh seeds and compare, as ``lstm-bench confirm`` does.

    The same call resumes a confirmation that was stopped.

    Parameters
    ----------
    suite : str, Path or Suite
        The suite of a finished sweep, with a ``confirm:`` section.
    n_best : int or None
        Configurations to take from the search; None is the suite's number.
    n_replicates : int or None
        Fresh seeds to reach in total; None is the suite's number. With the suite's
        ``until: settled`` none may be given.
    n_workers, scheduler, data_dir, tracking_uri, storage, out, progress
        As in `run_sweep`.

    Raises
    ------
    LstmBenchError
        The suite has no confirmation, there is nothing to confirm, or the data, a
        store or a worker cannot be used.
    KeyboardInterrupt
        The confirmation was stopped; finished trainings are saved.

    Examples
    --------
    >>> import lstm_bench
    >>> confirmed = lstm_bench.run_confirmation("quick", n_replicates=2)
    >>> confirmed.answers[0].question
    'best LSTM'
    >>> confirmed.results.confirmed["replicate"].unique().tolist()
    [1, 2]
    """
    loaded = _suite(suite)
    if loaded.confirm is not None:
        given = {"n_best": n_best, "n_replicates": n_replicates}
        validate(ConfirmSpec, _replaced(loaded.confirm, given), "run_confirmation")
    done = confirm.run_confirmation(
        loaded,
        n_best=n_best,
        n_replicates=n_replicates,
        **_shared(n_workers, scheduler, data_dir, tracking_uri, storage, out, progress),
    )
    analysis = _tracked(done, loaded)
    winner, best = analysis.winner, None
    if winner is not None:
        best = winner.label, winner.config, winner.mean_test
    return _result(analysis, best, out)


def load_results(
    study: str | Path | Suite, *, tracking_uri: str | None = None
) -> Results:
    """Read a study from MLflow; Optuna's database is not needed.

    Parameters
    ----------
    study : str, Path or Suite
        A suite, or a study's name in the store, which is read with its logged suite.
        A name followed by ``@STORE`` is read from that tracking store.
    tracking_uri : str or None
        Address of the MLflow store; None is the environment's or ``mlflow.db`` in the
        working directory.

    Raises
    ------
    LstmBenchError
        The suite, store or study does not exist.

    Examples
    --------
    >>> import lstm_bench
    >>> results = lstm_bench.load_results("quick")
    >>> results.runs[["trial", "units", "head", "val_accuracy"]].shape
    (2, 4)
    >>> sorted(set(results.curves["split"]))
    ['train', 'val']
    """
    with store_errors():
        return load_studies(tracking_uri, [_name(study)])[0]


def compare(a: str, b: str, *, tracking_uri: str | None = None) -> Comparison:
    """Return the verdict on two confirmed configurations, or two suites' winners.

    Parameters
    ----------
    a, b : str
        A suite, ``SUITE:CONFIGURATION`` (a name such as ``trial 7``, a reference, a
        baseline, or the first digits of a configuration's id), or such digits alone.
    tracking_uri : str or None
        As in `load_results`.

    Raises
    ------
    LstmBenchError
        A suite or configuration does not exist, was not confirmed, or the two cannot
        be compared.

    Examples
    --------
    >>> import lstm_bench
    >>> comparison = lstm_bench.compare("quick", "quick:majority")
    >>> comparison.n_seeds
    2
    >>> comparison.verdict  # two seeds are too few
    'undecided'
    """
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        return compare_by_name(uri, a, b)


def predict(
    name: str,
    inputs: Sequence[Any],
    *,
    refit: bool = False,
    ensemble: bool = False,
    data_dir: str | Path | None = None,
    tracking_uri: str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Classify texts or series with a study's model, as ``lstm-bench predict`` does.

    A model that is not logged yet is trained once more, and logged.

    Parameters
    ----------
    name : str
        A suite, which means the winner of its confirmation, or
        ``SUITE:CONFIGURATION``, as in `compare`.
    inputs : sequence
        Texts; lists of categories; series of shape (length, n_channels); or of a model
        of forecasts the last values of series, as in `Forecaster` of
        `lstm_bench.inference`.
    refit : bool
        Whether the model is trained on train and validation together; otherwise it is
        that of the seed with the median validation score.
    ensemble : bool
        Whether to predict the mean of several seeds' models, as many as the suite's
        ``ensemble`` says.
    data_dir, tracking_uri, progress
        As in `run_sweep`; data are needed only to train.

    Returns
    -------
    pandas.DataFrame
        One row per input: ``label``, and the probability ``p_<class>`` of each class;
        or ``prediction``, of a model of numbers; or ``prediction_1`` and so on, the
        next values of a series.

    Raises
    ------
    LstmBenchError
        The suite or configuration does not exist or was not confirmed, or an input is
        not of the kind that the model reads.

    Examples
    --------
    >>> import lstm_bench
    >>> table = lstm_bench.predict("quick", ["stop it and start", "off"])
    >>> list(table)
    ['label', 'p_off', 'p_on']
    >>> len(table)
    2
    """
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri, create=False)
        named = open_model(
            uri,
            name,
            _progress(progress),
            refit=refit,
            ensemble=ensemble,
            data_dir=_path(data_dir),
        )
    return predict_table(named.model, inputs)


def explain(
    name: str,
    text: str | None = None,
    *,
    file: str | Path | None = None,
    example: int | None = None,
    n_seeds: int | None = None,
    n_points: int = N_POINTS,
    step: int | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    tracking_uri: str | None = None,
    progress: bool = False,
) -> Explanation:
    """Explain one text or series, as ``lstm-bench explain`` does.

    Parameters
    ----------
    name : str
        As in `predict`.
    text, file, example : str, Path, int or None
        What to explain, exactly one: a text (or the JSON list of a series), a file with
        one text (or one series), or the index of an example in the test set,
        from 0.
    n_seeds : int or None
        Compare the models of this many seeds, trained once more where they are not
        logged; None: of those that are logged.
    n_points : int
        Points at which integrated gradients take the gradient.
    step : int or None
        Of forecasts, the step ahead to explain, from 1; None: the mean of all.
    out : str, Path or None
        Page to write, with a JSON beside it; None writes nothing.
    data_dir, tracking_uri, progress
        As in `run_sweep`.

    Raises
    ------
    LstmBenchError
        There is no such model or example, or the input cannot be read.

    Examples
    --------
    >>> import lstm_bench
    >>> found = lstm_bench.explain("quick", "stop it and start")
    >>> found.steps[0], len(found.steps) == len(found.attribution)
    ('(start)', True)
    """
    given = Given(text, _path(file), example)
    if sum(each is not None for each in (text, file, example)) != 1:
        raise LstmBenchError("explain: expected one of text, file and example")
    check_out(_path(out))
    with store_errors():
        found = explain_by_name(
            resolve_tracking_uri(tracking_uri, create=False),
            name,
            given,
            _progress(progress),
            n_seeds=n_seeds,
            n_points=n_points,
            step=step,
            data_dir=_path(data_dir),
        )
    if out is not None:
        write_explanation(found, Path(out))
    return found


def write_report(
    *studies: str | Path | Suite,
    out: str | Path | None = None,
    formats: Sequence[str] = FORMATS,
    tracking_uri: str | None = None,
    progress: bool = False,
) -> Path:
    """Write the report on a study, or on several side by side; return its page.

    Parameters
    ----------
    *studies : str, Path or Suite
        As in `load_results`.
    out : str, Path or None
        Folder; None is ``reports/SUITE`` or ``reports/A_vs_B``.
    formats : sequence of {"html", "csv", "md", "latex"}
    tracking_uri : str or None
        As in `load_results`.
    progress : bool
        Whether to print answers and warnings.

    Raises
    ------
    LstmBenchError
        A study cannot be read, files of its runs are lost, or the folder cannot be
        written.
    ValueError
        A format does not exist.

    Examples
    --------
    >>> import lstm_bench
    >>> print(lstm_bench.write_report("quick", out="mine", formats=["html"]))
    mine/index.html
    """
    return report_studies(
        [_name(study) for study in studies],
        tracking_uri=tracking_uri,
        out=_path(out),
        formats=formats,
        say=_progress(progress).say,
    )


def _suite(suite: str | Path | Suite) -> Suite:
    return suite if isinstance(suite, Suite) else load_suite(suite)


def _replaced(spec: BaseModel, given: Mapping[str, Any]) -> dict[str, Any]:
    return spec.model_dump() | {k: v for k, v in given.items() if v is not None}


def _name(study: str | Path | Suite) -> str:
    return study.path if isinstance(study, Suite) else str(study)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _progress(is_shown: bool) -> LoggedProgress:
    return LoggedProgress(print if is_shown else lambda line: None)


def _shared(
    n_workers: int | None,
    scheduler: str | None,
    data_dir: str | Path | None,
    tracking_uri: str | None,
    storage: str | None,
    out: str | Path | None,
    progress: bool,
) -> dict[str, Any]:
    return {
        "n_workers": n_workers,
        "scheduler": scheduler,
        "data_dir": _path(data_dir),
        "tracking_uri": tracking_uri,
        "storage": storage,
        "out": _path(out),
        "progress": _progress(progress),
    }


def _tracked(analysis: Analysis | None, suite: Suite) -> Analysis:
    """Return the analysis; raise where results are not yet written to the server."""
    if analysis is None:
        raise TrackingError(
            f"study {suite.study_name}: the tracking server does not answer, and some "
            "results wait for it on this machine; when it answers, run `lstm-bench "
            "sync` and load the results"
        )
    return analysis


def _result(
    analysis: Analysis,
    best: tuple[str, TrialConfig | None, float] | None,
    out: str | Path | None,
) -> StudyResult:
    results = analysis.results
    name, config, score = best or (None, None, None)
    return StudyResult(
        study=results.study,
        best_name=name,
        best_config=config,
        best_score=score,
        answers=tuple(answers(analysis)),
        results=results,
        report=report_folder(results.suite, _path(out)) / MAIN_FILES[0],
    )
