"""A study's model under its name: find it, or train it once more and log it.

No training of a confirmation saves its model: which configuration wins is known only at
the end, and any worker may have trained it. A model is therefore trained once more with
the seeds of its replicate, and logged with that replicate's run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender
from lstm_bench.compare_by_name import Side, find_side
from lstm_bench.data.dataset import how_different, short_identity
from lstm_bench.errors import SuiteError, TrackingError, TrialFailed
from lstm_bench.open_study import load_data, open_tracker, say_start
from lstm_bench.suites.suite import Suite
from lstm_bench.system.command_line import command_line
from lstm_bench.text import count, listed, score_text
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.models import (
    files_of,
    has_model,
    model_address,
    model_folder,
    read_about,
    write_ensemble,
)
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.tracker import OpenRun, Tracker
from lstm_bench.training.model_folder import Origin
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import KEPT_EPOCH, TrialResult
from lstm_bench.workers.driver import Done, Driver, Task, open_driver
from lstm_bench.workers.job import Outcome
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Progress

# Tolerance for probabilities of two trainings with the same seeds, which are equal on
# one machine.
SAME_PROBABILITIES = 1e-4

OF_THE_PROCEDURE = (
    "the study's test figures are those of the procedure, not of this model"
)


@dataclass(frozen=True)
class Choice:
    """The model of a configuration or baseline, among those of all its replicates.

    Attributes
    ----------
    trained : str
        MLflow run of the replicate's training in the confirmation.
    why : str
        Why it is this replicate's.
    """

    contender: Contender
    replicate: int
    trained: str
    why: str

    @property
    def what(self) -> str:
        """The model's name."""
        return f"{self.contender.label}, seed {self.replicate}"


def choose(analysis: Analysis, contender: Contender) -> Choice:
    """Choose the replicate with the median score on validation."""
    by_score = sorted((score, replicate) for replicate, score in contender.val.items())
    _, replicate = by_score[(len(by_score) - 1) // 2]
    why = (
        f"the one of {count(len(by_score), 'seed')} with the median validation "
        f"{contender.metric.label}"
    )
    return _choice(analysis, contender, replicate, why)


def _choice(
    analysis: Analysis, contender: Contender, replicate: int, why: str
) -> Choice:
    runs = _runs_of(analysis, contender)
    trained = runs.loc[runs["replicate"] == replicate, "run_id"].iloc[0]
    return Choice(contender, replicate, str(trained), why)


def _runs_of(analysis: Analysis, contender: Contender) -> pd.DataFrame:
    """Return the contender's complete runs of the confirmation."""
    results = analysis.results
    if contender.is_baseline:
        runs = results.baselines
        return runs[runs["baseline"] == _baseline(contender)]
    runs = results.confirmed
    is_complete = runs["state"] == "complete"
    return runs[(runs["config_id"] == contender.key) & is_complete]


def _baseline(contender: Contender) -> str:
    return contender.key.removeprefix("baseline:")


def find_model(
    tracking_uri: str,
    name: str,
    progress: Progress,
    *,
    refit: bool = False,
    data_dir: Path | None = None,
) -> Path:
    """Return a local folder with the model called `name`, for `inference.load`.

    A model that is not logged yet is trained once more, or fitted, and logged.

    Parameters
    ----------
    tracking_uri : str
        From `resolve_tracking_uri`.
    name : str
        A suite (the winner of its confirmation), or ``SUITE:CONFIGURATION``, as in
        `find_side`.
    refit : bool
        Whether to train on train and validation together, for the median of the epochs
        that the confirmation kept; the vocabulary or the scaling are then fitted on
        both. Otherwise it is the model of the replicate with the median validation
        score.
    data_dir : Path or None
        Folder with the raw data; None is ``$LSTM_BENCH_DATA``.

    Raises
    ------
    SuiteError, TrackingError
        The suite or configuration does not exist or was not confirmed.
    DatasetError
        Data that is needed to train is missing, or is not the study's.
    TrialFailed
        The training failed.
    """
    found = find_logged_model(
        tracking_uri, name, progress, refit=refit, data_dir=data_dir
    )
    return files_of(found.folder)


@dataclass(frozen=True)
class Found:
    """A logged model.

    Attributes
    ----------
    side : Side
        The configuration or baseline, with its study.
    run_id : str
        The run that has the model.
    folder : Path
        Local folder of the MLflow model.
    """

    side: Side
    run_id: str
    folder: Path


def find_logged_model(
    tracking_uri: str,
    name: str,
    progress: Progress,
    *,
    refit: bool = False,
    data_dir: Path | None = None,
) -> Found:
    """Return the logged model called `name`, see `find_model`."""
    side = find_side(tracking_uri, name)
    choice = choose(side.analysis, side.contender)
    client = MlflowClient(tracking_uri)
    n_epochs = _n_epochs(side) if refit else None
    if refit:
        run_id = _refitted(client, side, choice, n_epochs)
    else:
        run_id = _run_with_model(client, choice)
    if run_id is None:
        with _opened(tracking_uri, side, progress, data_dir) as (driver, tracker):
            if refit:
                run_id = _log_refit(driver, tracker, choice, n_epochs)
            else:
                run_id = log_model(driver, tracker, choice)
    return _found(client, side, name, run_id)


def find_seeds(
    tracking_uri: str,
    side: Side,
    n: int | None,
    progress: Progress,
    *,
    data_dir: Path | None = None,
) -> list[Found]:
    """Return a configuration's logged models of several seeds, the chosen one first.

    Parameters
    ----------
    n : int or None
        How many: those that are missing are trained once more, and logged. None: those
        that are logged, and the chosen one in any case.

    Raises
    ------
    As `find_model`; and TrackingError where the confirmation has fewer seeds.
    """
    n_seeds = len(side.contender.val)
    if n is not None and n > n_seeds:
        raise TrackingError(
            f"--seeds: expected at most {n_seeds}, the seeds on which "
            f"{side.contender.label} was confirmed, got {n}; confirm on more with "
            + command_line("confirm", side.suite.name, "--replicates", str(n))
        )
    client = MlflowClient(tracking_uri)
    chosen = _seeds_of(client, side.analysis, side.contender)
    if n is None:
        chosen = chosen[:1] + [each for each in chosen[1:] if each[1] is not None]
    chosen = chosen[:n]
    if any(run_id is None for _, run_id in chosen):
        with _opened(tracking_uri, side, progress, data_dir) as (driver, tracker):
            chosen = [
                (choice, run_id or log_model(driver, tracker, choice))
                for choice, run_id in chosen
            ]
    return [_found(client, side, choice.what, run_id) for choice, run_id in chosen]


def _seeds_of(
    client: MlflowClient, analysis: Analysis, contender: Contender
) -> list[tuple[Choice, str | None]]:
    """Return a configuration's seeds, each with the run that has its model, if any.

    The chosen one first, then those that have a model: they cost no training.
    """
    first = choose(analysis, contender)
    others = [
        _choice(analysis, contender, replicate, "a further seed")
        for replicate in sorted(contender.val)
        if replicate != first.replicate
    ]
    found = [(choice, _run_with_model(client, choice)) for choice in (first, *others)]
    return found[:1] + sorted(found[1:], key=lambda each: each[1] is None)


def find_ensemble(
    tracking_uri: str,
    name: str,
    folder: Path,
    progress: Progress,
    *,
    data_dir: Path | None = None,
) -> Found:
    """Write the MLflow model that predicts the mean of a configuration's seeds.

    The seeds' models that are not logged yet are trained once more, and logged.

    Parameters
    ----------
    name : str
        As in `find_model`; the suite's ``ensemble`` has the number of seeds.
    folder : Path
        An empty folder to write to.

    Raises
    ------
    As `find_model`; and SuiteError where the suite has no ensembles, TrackingError
    where the confirmation has fewer seeds.
    """
    side = find_side(tracking_uri, name)
    spec, contender = side.suite.ensemble, side.contender
    if spec is None:
        raise SuiteError(
            f"{side.suite.path}: --ensemble: expected a suite that declares the number "
            "of an ensemble's members, got none; add ensemble: {n: 5}"
        )
    if spec.n > len(contender.val):
        raise TrackingError(
            f"{side.suite.path}: ensemble.n: expected at most {len(contender.val)}, "
            f"the seeds on which {contender.label} was confirmed, got {spec.n}; "
            "confirm on more with "
            + command_line("confirm", side.suite.name, "--replicates", str(spec.n))
        )
    members = find_seeds(tracking_uri, side, spec.n, progress, data_dir=data_dir)
    seeds = sorted(read_about(member.folder)["replicate"] for member in members)
    why = (
        f"{contender.label}: the mean of what the models of {spec.n} seeds of the "
        f"confirmation predict ({listed(map(str, seeds))})."
    )
    written = folder / rec.MODEL
    write_ensemble(written, [member.folder for member in members], why)
    return Found(side, members[0].run_id, written)


def _found(client: MlflowClient, side: Side, name: str, run_id: str | None) -> Found:
    folder = None if run_id is None else model_folder(client, run_id)
    if run_id is None or folder is None:
        raise TrackingError(
            f"{name}: the model of run {run_id} is not in the tracking store yet; "
            "`lstm-bench sync` writes what waits"
        )
    return Found(side, run_id, folder)


def _run_with_model(client: MlflowClient, choice: Choice) -> str | None:
    """Return the run that has the model, or None."""
    address = client.get_run(choice.trained).data.tags.get(rec.TAG_MODEL)
    if address is None:
        return None
    run_id = address.split("/")[1]
    return run_id if has_model(client, run_id) else None


def _n_epochs(side: Side) -> int | None:
    """Return the median of the epochs that the confirmation kept; None: a baseline."""
    if side.contender.is_baseline:
        return None
    kept = _runs_of(side.analysis, side.contender)[KEPT_EPOCH].to_numpy(float)
    return max(1, round(float(np.median(kept))))


def _refitted(
    client: MlflowClient, side: Side, choice: Choice, n_epochs: int | None
) -> str | None:
    """Return the run of an earlier refit for as many epochs, or None."""
    study = side.analysis.results.study
    runs = find_runs(
        client,
        f"tags.`{rec.TAG_STUDY}` = '{study}' and tags.`{rec.TAG_KIND}` = 'refit' and "
        f"tags.`{rec.TAG_REFIT_OF}` = '{choice.contender.key}'",
    )
    for run in reversed(runs):
        is_same = run.data.params.get("max_epochs") in (None, str(n_epochs))
        is_same &= run.data.tags[rec.TAG_REPLICATE] == str(choice.replicate)
        if is_same and has_model(client, run.info.run_id):
            return str(run.info.run_id)
    return None


@contextmanager
def _opened(
    tracking_uri: str, side: Side, progress: Progress, data_dir: Path | None
) -> Iterator[tuple[Driver, Tracker]]:
    """Open what trains a study's configuration once more, on the study's data."""
    suite, results = side.suite, side.analysis.results
    prepared = load_data(suite, data_dir, progress)
    data, now = results.dataset, short_identity(prepared.dataset.identity)
    digests = (data.get("digest"), (data.get("embedding") or {}).get("digest"))
    expected = short_identity("+".join(filter(None, digests)))
    if expected and now != expected:
        raise TrackingError(
            f"{suite.path}: study {results.study} was trained on "
            f"{how_different(expected, now)}, so its model cannot be trained again; "
            "give the same"
        )
    say_start(progress)
    with (
        open_tracker(tracking_uri, suite, progress) as tracker,
        open_driver(Workers(1), prepared, tracker, progress) as driver,
    ):
        yield driver, tracker


def log_winners_model(
    driver: Driver, tracker: Tracker, analysis: Analysis, session: str
) -> bool:
    """Log the model of a confirmation's winner, unless it is logged.

    Parameters
    ----------
    session : str
        MLflow run of the confirmation.

    Returns
    -------
    bool
        Whether it was logged now.

    Raises
    ------
    TrialFailed
        The repeated training failed.
    """
    if analysis.winner is None:
        return False
    choice = choose(analysis, analysis.winner)
    run_id = _run_with_model(tracker.client, choice)
    is_new = run_id is None
    if run_id is None:
        run_id = log_model(driver, tracker, choice, session)
    driver.progress.say(
        f"the winner's model: {model_address(run_id)} ({choice.what}, {choice.why}); "
        f"to use it: {command_line('predict', driver.suite.name)}, or serve, register "
        "or export"
    )
    return is_new


def log_ensemble_models(driver: Driver, tracker: Tracker, analysis: Analysis) -> None:
    """Log the models of the winner's seeds that the suite's ensemble has.

    Raises
    ------
    TrialFailed
        A repeated training failed.
    """
    spec, winner, suite = driver.suite.ensemble, analysis.winner, driver.suite
    if spec is None or winner is None or spec.n > len(winner.val):
        return
    for choice, run_id in _seeds_of(tracker.client, analysis, winner)[: spec.n]:
        if run_id is None:
            log_model(driver, tracker, choice)
    driver.progress.say(
        f"the models of {spec.n} seeds of the winner are logged; to use their mean: "
        f"{command_line('predict', suite.name, '--ensemble')}, or serve"
    )


def log_model(
    driver: Driver, tracker: Tracker, choice: Choice, session: str | None = None
) -> str:
    """Train a confirmed configuration once more and log its model.

    Where the probabilities then differ from those of its run (another machine, a GPU),
    the model and its scores are logged as a run of their own.

    Parameters
    ----------
    session : str or None
        MLflow run of the confirmation whose winner it is.

    Returns
    -------
    str
        The run that has the model.
    """
    suite, contender, what = driver.suite, choice.contender, choice.what
    is_baseline = contender.is_baseline
    verb = "fitting" if is_baseline else "training"
    driver.progress.say(f"{verb} {what}, once more for its model ({choice.why})")
    job = driver.job(
        choice.replicate,
        config=contender.config,
        baseline=_baseline(contender) if is_baseline else "",
        origin=_origin(suite, choice, f"{what}: {choice.why}."),
    )
    outcome = _trained(driver, Task(job, what, None)).outcome
    run_id = choice.trained
    if isinstance(outcome.result, TrialResult):
        run_id = _run_of(driver, tracker, choice, outcome.result, outcome, session)
    driver.progress.doing("logging the model")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in outcome.model.items():
            (Path(folder) / name).write_bytes(content)
        packages = driver.prepared.about_machine["packages"]
        tracker.log_model(run_id, Path(folder), packages)
    if outcome.explained:
        tracker.log_explained(choice.trained, outcome.explained)
    whose = "; the winner's model, " if session is not None else "; its model, "
    note = f"{suite.name}: {what}{whose}{choice.why}"
    tracker.tag_model(choice.trained, run_id, note, session)
    return run_id


def _run_of(
    driver: Driver,
    tracker: Tracker,
    choice: Choice,
    result: TrialResult,
    outcome: Outcome,
    session: str | None,
) -> str:
    """Return the run of the repeated training: the first one's if it is the same."""
    contender, suite = choice.contender, driver.suite
    here = result.predictions[0]
    there = contender.predictions[choice.replicate]["val"].y_proba
    # Numbers have units: their spread takes the place of a probability's range.
    unit = here.y_true.std(axis=0) if suite.task.is_numeric else 1.0
    if (np.abs(here.y_proba - there) <= SAME_PROBABILITIES * unit).all():
        return choice.trained
    driver.progress.say(
        f"it ended with validation {suite.metric.label} "
        f"{score_text(result.objective)} and not "
        f"{score_text(contender.val[choice.replicate])}, as on another machine or on "
        "a GPU: the model is logged with a run of its own"
    )
    run = tracker.start_run(
        result.config,
        driver.prepared.at(choice.replicate),
        kind="train",
        parent_run_id=session,
        engine=outcome.engine,
    )
    for entry in result.history.epochs:
        run.log_epoch(entry)
    run.finish_training(result, suite.metric.name)
    return _written(tracker, run)


def _trained(driver: Driver, task: Task) -> Done:
    """Run a task; raise TrialFailed unless it is complete."""
    done = driver.run_one(task)
    if done.state != "complete":
        raise TrialFailed(done.reason or done.state)
    return done


def _written(tracker: Tracker, run: OpenRun | None) -> str:
    """Return the id of a run that has ended, when MLflow has it."""
    if not tracker.catch_up() or run is None or run.run_id is None:
        raise TrackingError(
            "the tracking server does not answer, and the model waits for it on this "
            "machine; when it answers, run `lstm-bench sync` and the same command"
        )
    return run.run_id


def _origin(suite: Suite, choice: Choice, why: str) -> Origin:
    return Origin(
        suite.name, suite.study_name, choice.contender.label, choice.replicate, why
    )


# Train on train and validation together


def _log_refit(
    driver: Driver, tracker: Tracker, choice: Choice, n_epochs: int | None
) -> str:
    suite, prepared, contender = driver.suite, driver.prepared, choice.contender
    splits = prepared.at(choice.replicate).splits
    if splits.validates_on_test:
        raise TrackingError(
            f"{suite.path}: the suite validates on the test set, which no model may "
            "be trained on; leave out --refit"
        )
    n_examples = len(splits.train) + len(splits.val)
    why = (
        f"{contender.label}: trained once more on the {n_examples:,} "
        f"{prepared.dataset.examples} of train and validation together"
    )
    config, is_baseline = contender.config, contender.is_baseline
    if config is not None and n_epochs is not None:
        why += (
            f" for {count(n_epochs, 'epoch')}, the median of what "
            f"{count(len(contender.val), 'seed')} kept in the confirmation"
        )
        # The epochs are fixed: there is nothing left to stop early on.
        config = config.model_copy(update={"max_epochs": n_epochs, "patience": None})
    why += f"; {OF_THE_PROCEDURE}."
    verb = "fitting" if is_baseline else "training"
    driver.progress.say(f"{verb} {contender.label}, on train and validation together")
    baseline = _baseline(contender) if is_baseline else ""
    params = {"baseline": baseline} if config is None else config.model_dump()

    def open_run(prepared: Prepared, engine: str) -> OpenRun:
        return tracker.start_refit(
            contender.key, contender.label, params, prepared, engine
        )

    job = driver.job(
        choice.replicate,
        config=config,
        baseline=baseline,
        is_refit=True,
        origin=_origin(suite, choice, why),
    )
    task = Task(job, "on train and validation", open_run)
    return _written(tracker, _trained(driver, task).run)
