"""Train one configuration of a suite, and log the run and its model."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.errors import TrialFailed
from lstm_bench.open_study import load_data, open_tracker, say_start
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.tasks import FORECAST
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.tracker import OpenRun, Tracker
from lstm_bench.training.model_folder import Origin
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import TrialResult
from lstm_bench.workers.driver import Done, Driver, Task, open_driver
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Progress


def run_training(
    suite: Suite,
    config: TrialConfig,
    progress: Progress,
    *,
    data_dir: Path | None = None,
    replicate: int = 0,
    score_test: bool = False,
    log_model: bool = True,
    tracking_uri: str | None = None,
) -> tuple[str | None, TrialResult]:
    """Train one configuration of a suite as a run of its own.

    Parameters
    ----------
    data_dir, tracking_uri
        As in `lstm_bench.run_sweep`.
    replicate : int
        Replicate of the confirmation whose split and seeds to use; 0 is the search's.
    score_test : bool
        Score the test set too; the run is tagged accordingly.

    Returns
    -------
    str or None
        The MLflow run's id; None while the run waits for the server.
    TrialResult

    Raises
    ------
    TrialFailed
        Non-finite loss or out of memory; the run is closed as FAILED.
    LstmBenchError
        The data, the engine or the store cannot be used.
    """
    with store_errors():
        uri = resolve_tracking_uri(tracking_uri)
        prepared = load_data(suite, data_dir, progress, config=config)
        # Its split is checked before anything starts.
        prepared.at(replicate)
        say_start(progress)
        with (
            open_tracker(uri, suite, progress) as tracker,
            open_driver(Workers(1), prepared, tracker, progress) as driver,
        ):
            done = _train(
                config,
                driver,
                tracker,
                replicate=replicate,
                score_test=score_test,
                log_model=log_model,
            )
            tracker.catch_up()
            result = done.outcome.result
            if not isinstance(result, TrialResult):
                raise TrialFailed(done.reason or done.state)
            return None if done.run is None else done.run.run_id, result


def _train(
    config: TrialConfig,
    driver: Driver,
    tracker: Tracker,
    *,
    replicate: int,
    score_test: bool,
    log_model: bool,
) -> Done:
    suite, origin = driver.suite, None
    if log_model and suite.task.name != FORECAST:
        name = suite.name_of(config)
        why = f"{name}: one training, with the split and seeds of replicate "
        why += f"{replicate}{'' if replicate else ' (the search)'}."
        origin = Origin(suite.name, suite.study_name, name, replicate, why)
    elif log_model:
        driver.progress.say("no model is logged: those of forecasts cannot be used yet")

    def open_run(prepared: Prepared, engine: str) -> OpenRun:
        return tracker.start_run(config, prepared, kind="train", engine=engine)

    job = driver.job(replicate, config=config, score_test=score_test, origin=origin)
    return driver.run_one(Task(job, "training", open_run))
