"""Train one configuration of a suite, and log the run and its model."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.errors import TrialFailed
from lstm_bench.open_study import load_data, open_tracker, say_start
from lstm_bench.packed.choice import choose_engine
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.system.limits import Limits
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.model_folder import Origin, write_network
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import TrialResult, metric_key
from lstm_bench.workers.progress import Progress, Training
from lstm_bench.workers.tracked_run import train_tracked


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
) -> tuple[str, TrialResult]:
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
    str
        The MLflow run's id.
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
        prepared = load_data(suite, data_dir, progress, config=config).at(replicate)
        say_start(progress)
        with open_tracker(uri, suite, progress) as tracker:
            run_id, result = _train(
                prepared,
                config,
                tracker,
                progress,
                score_test=score_test,
                log_model=log_model,
            )
            if tracker.catch_up():
                run_id = tracker.writer.operations.real_id(run_id)
            return run_id, result


def _train(
    prepared: Prepared,
    config: TrialConfig,
    tracker: Tracker,
    progress: Progress,
    *,
    score_test: bool,
    log_model: bool,
) -> tuple[str, TrialResult]:
    suite = prepared.suite
    # Compiled before the training's time limit starts.
    choose_engine(suite.engine, progress.say)
    objective = metric_key("val", suite.metric.name)
    run_id = tracker.start_run(
        config,
        suite=suite,
        kind="train",
        parent_run_id=None,
        dataset=prepared.about_data,
        environment=prepared.about_machine,
        seeds=prepared.seeds,
    )
    training = Training("training", 1, 1, config.max_epochs)
    progress.begin(1, 0)
    progress.training(training)
    try:
        ended = train_tracked(
            prepared,
            config,
            tracker,
            run_id,
            score_test=score_test,
            on_epoch=lambda entry: progress.epoch(training, entry, objective),
            on_step=Limits(
                suite.study.trial_timeout_s, suite.study.trial_memory_gib
            ).check,
            say=progress.say,
        )
    finally:
        progress.close()
    if ended.result is None:
        raise TrialFailed(ended.reason or ended.state)
    if log_model:
        name = suite.name_of(config)
        why = f"{name}: one training, with the split and seeds of replicate "
        why += f"{prepared.replicate}{'' if prepared.replicate else ' (the search)'}."
        origin = Origin(suite.name, suite.study_name, name, prepared.replicate, why)
        tracker.log_model(
            run_id,
            lambda folder: write_network(
                folder,
                ended.model,
                config,
                prepared.dataset,
                prepared.splits.train,
                origin,
            ),
            prepared.about_machine["packages"],
        )
    return run_id, ended.result
