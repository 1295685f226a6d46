"""A study's model under its name: find it, or train it once more and log it.

No training of a confirmation saves its model: which configuration wins is known only at
the end, and any worker may have trained it. A model is therefore trained once more with
the seeds of its replicate, and logged with that replicate's run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender
from lstm_bench.compare_by_name import Side, find_side
from lstm_bench.data.dataset import Sequences, joined
from lstm_bench.data.preprocessing import fit_preprocessing
from lstm_bench.errors import TrackingError
from lstm_bench.open_study import load_data, open_tracker, say_start
from lstm_bench.report.figures.training import training_figures
from lstm_bench.suites.config import TrialConfig
from lstm_bench.system.limits import Limits
from lstm_bench.text import count
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.models import files_of, has_model, model_address, model_folder
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.baselines import BASELINES
from lstm_bench.training.model_folder import Origin, write_baseline, write_network
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import KEPT_EPOCH, TrialResult, metric_key
from lstm_bench.workers.progress import Progress, Training
from lstm_bench.workers.worker import STARTING

if TYPE_CHECKING:
    from lstm_bench.models.backend import keras

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
    runs = _runs_of(analysis, contender)
    trained = runs.loc[runs["replicate"] == replicate, "run_id"].iloc[0]
    why = (
        f"the one of {count(len(by_score), 'seed')} with the median validation "
        f"{contender.metric.label}"
    )
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
        run_id = _train(tracking_uri, side, choice, progress, data_dir, refit, n_epochs)
    folder = model_folder(client, run_id)
    if folder is None:
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


def _train(
    tracking_uri: str,
    side: Side,
    choice: Choice,
    progress: Progress,
    data_dir: Path | None,
    refit: bool,
    n_epochs: int | None,
) -> str:
    suite, results = side.suite, side.analysis.results
    prepared = load_data(suite, data_dir, progress)
    digest, expected = prepared.dataset.digest, results.dataset.get("digest")
    if expected is not None and digest != expected:
        raise TrackingError(
            f"{suite.path}: study {results.study} was trained on other data (digest "
            f"{str(expected)[:12]}, now {digest[:12]}), so its model cannot be trained "
            "again; give the same data"
        )
    say_start(progress)
    with open_tracker(tracking_uri, suite, progress) as tracker:
        prepared = prepared.at(choice.replicate)
        if refit:
            run_id = _log_refit(prepared, tracker, progress, choice, n_epochs)
        else:
            run_id = log_model(prepared, tracker, progress, choice)
        if tracker.catch_up():
            run_id = tracker.writer.operations.real_id(run_id)
        return run_id


def log_winners_model(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    analysis: Analysis,
    session: str,
) -> None:
    """Log the model of a confirmation's winner, unless it is logged.

    Parameters
    ----------
    session : str
        MLflow run of the confirmation.

    Raises
    ------
    TrialFailed
        The repeated training failed.
    """
    if analysis.winner is None:
        return
    choice = choose(analysis, analysis.winner)
    run_id = _run_with_model(tracker.client, choice)
    if run_id is None:
        run_id = log_model(
            prepared.at(choice.replicate), tracker, progress, choice, session
        )
    progress.say(
        f"the winner's model: {model_address(run_id)} ({choice.what}, {choice.why})"
    )


def log_model(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    choice: Choice,
    session: str | None = None,
) -> str:
    """Train a confirmed configuration once more and log its model.

    Where the probabilities then differ from those of its run (another machine, a GPU),
    the model and its scores are logged as a run of their own.

    Parameters
    ----------
    prepared : Prepared
        The data, split as for the replicate.
    session : str or None
        MLflow run of the confirmation whose winner it is.

    Returns
    -------
    str
        The run that has the model.
    """
    suite, contender, what = prepared.suite, choice.contender, choice.what
    config = contender.config
    if config is None:
        progress.say(f"fitting {what}, once more for its model ({choice.why})")
        origin = _origin(prepared, choice, f"{what}: {choice.why}.")
        train = prepared.splits.train
        _log_baseline(
            prepared, tracker, progress, contender, train, choice.trained, origin
        )
        note = f"{suite.name}: {what}; its model, {choice.why}"
        tracker.tag_model(choice.trained, choice.trained, note)
        return choice.trained
    progress.say(f"training {what}, once more for its model ({choice.why})")
    progress.doing(STARTING)
    result, model, engine = _train_again(prepared, config, progress, what)
    here = result.predictions[0].y_proba
    there = contender.predictions[choice.replicate]["val"].y_proba
    if float(np.abs(here - there).max()) <= SAME_PROBABILITIES:
        run_id = choice.trained
    else:
        progress.say(
            f"it ended with validation {suite.metric.label} {result.objective:.4f} and "
            f"not {contender.val[choice.replicate]:.4f}, as on another machine or on "
            "a GPU: the model is logged with a run of its own"
        )
        run_id = tracker.start_run(
            config,
            suite=suite,
            kind="train",
            parent_run_id=session,
            dataset=prepared.about_data,
            environment=prepared.about_machine,
            seeds=prepared.seeds,
        )
        tracker.log_engine(run_id, engine)
        tracker.finish_run(run_id, result, training_figures(result, suite.metric.name))
    progress.doing("logging the model")
    origin = _origin(prepared, choice, f"{what}: {choice.why}.")
    tracker.log_model(
        run_id,
        lambda folder: write_network(
            folder, model, config, prepared.dataset, prepared.splits.train, origin
        ),
        prepared.about_machine["packages"],
    )
    whose = "; the winner's model, " if session is not None else "; its model, "
    note = f"{suite.name}: {what}{whose}{choice.why}"
    tracker.tag_model(choice.trained, run_id, note, session)
    return run_id


def _log_baseline(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    contender: Contender,
    train: Sequences,
    run_id: str,
    origin: Origin,
) -> None:
    """Fit a baseline on `train` and log it with the run `run_id`."""
    dataset, name = prepared.dataset, _baseline(contender)
    progress.doing(f"fitting {contender.label}")
    predictor = BASELINES[name].fit(train, dataset.n_classes)
    progress.doing("logging the model")
    tracker.log_model(
        run_id,
        lambda folder: write_baseline(
            folder, name, predictor.arrays(), dataset, train, origin
        ),
        prepared.about_machine["packages"],
    )


def _origin(prepared: Prepared, choice: Choice, why: str) -> Origin:
    suite = prepared.suite
    return Origin(
        suite.name, suite.study_name, choice.contender.label, choice.replicate, why
    )


def _train_again(
    prepared: Prepared, config: TrialConfig, progress: Progress, label: str
) -> tuple[TrialResult, keras.Model, str]:
    """Train a confirmed configuration again, without test; return the engine, too."""
    from lstm_bench.packed.choice import choose_engine
    from lstm_bench.training.trial import run_trial

    suite = prepared.suite
    objective = metric_key("val", suite.metric.name)
    training = Training(label, 1, 1, config.max_epochs)
    engine = choose_engine(suite.engine, progress.say)
    progress.begin(1, 0)
    progress.training(training)
    try:
        result, model = run_trial(
            config,
            prepared.dataset,
            prepared.splits,
            metric=suite.metric,
            root_seed=suite.study.seed,
            replicate=prepared.replicate,
            on_epoch=lambda entry: progress.epoch(training, entry, objective),
            on_step=_limits(prepared).check,
            engine=engine,
        )
    finally:
        progress.close()
    return result, model, engine


def _limits(prepared: Prepared) -> Limits:
    study = prepared.suite.study
    return Limits(study.trial_timeout_s, study.trial_memory_gib)


# Train on train and validation together


def _log_refit(
    prepared: Prepared,
    tracker: Tracker,
    progress: Progress,
    choice: Choice,
    n_epochs: int | None,
) -> str:
    suite, splits, dataset = prepared.suite, prepared.splits, prepared.dataset
    contender = choice.contender
    if splits.validates_on_test:
        raise TrackingError(
            f"{suite.path}: the suite validates on the test set, which no model may "
            "be trained on; leave out --refit"
        )
    train = joined(splits.train, splits.val)
    train = replace(train, fitted=fit_preprocessing(dataset, train))
    why = (
        f"{contender.label}: trained once more on the {len(train):,} {dataset.examples}"
        " of train and validation together"
    )
    config = contender.config
    if config is not None and n_epochs is not None:
        why += (
            f" for {count(n_epochs, 'epoch')}, the median of what "
            f"{count(len(contender.val), 'seed')} kept in the confirmation"
        )
        # The epochs are fixed: there is nothing left to stop early on.
        config = config.model_copy(update={"max_epochs": n_epochs, "patience": None})
    why += f"; {OF_THE_PROCEDURE}."
    verb = "fitting" if config is None else "training"
    progress.say(f"{verb} {contender.label}, on train and validation together")
    origin = _origin(prepared, choice, why)
    run_id = tracker.start_refit(
        contender.key,
        contender.label,
        {"baseline": _baseline(contender)} if config is None else config.model_dump(),
        suite=suite,
        dataset=prepared.about_data,
        environment=prepared.about_machine,
        seeds=prepared.seeds,
    )
    try:
        if config is None:
            _log_baseline(prepared, tracker, progress, contender, train, run_id, origin)
        else:
            _log_refitted(prepared, config, train, tracker, run_id, progress, origin)
    except BaseException as error:
        state = "failed" if isinstance(error, Exception) else "interrupted"
        tracker.close_run(run_id, state, str(error) or state)
        raise
    tracker.close_run(run_id, "complete")
    return run_id


def _log_refitted(
    prepared: Prepared,
    config: TrialConfig,
    train: Sequences,
    tracker: Tracker,
    run_id: str,
    progress: Progress,
    origin: Origin,
) -> None:
    """Train on `train` and log the model with the run `run_id`."""
    from lstm_bench.packed.choice import choose_engine
    from lstm_bench.training.trial import refit

    suite = prepared.suite
    engine = choose_engine(suite.engine, progress.say)
    tracker.log_engine(run_id, engine)
    training = Training("on train and validation", 1, 1, config.max_epochs)
    objective = metric_key("train", suite.metric.name)

    def log(entry: dict[str, float]) -> None:
        tracker.log_epoch(run_id, entry)
        progress.epoch(training, entry, objective)

    progress.begin(1, 0)
    progress.training(training)
    try:
        model = refit(
            config,
            prepared.dataset,
            train,
            root_seed=suite.study.seed,
            replicate=prepared.replicate,
            on_epoch=log,
            on_step=_limits(prepared).check,
            engine=engine,
        )
    finally:
        progress.close()
    progress.doing("logging the model")
    tracker.log_model(
        run_id,
        lambda folder: write_network(
            folder, model, config, prepared.dataset, train, origin
        ),
        prepared.about_machine["packages"],
    )
