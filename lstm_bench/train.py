"""Train one configuration of a suite and log it, its model too."""

from __future__ import annotations

from lstm_bench.errors import TrialFailed
from lstm_bench.stores import store_errors
from lstm_bench.suites.config import TrialConfig
from lstm_bench.system.limits import Limits
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import TrialResult, metric_key
from lstm_bench.workers.progress import Progress, Training
from lstm_bench.workers.tracked_run import train_tracked


def train_one(
    prepared: Prepared,
    config: TrialConfig,
    tracker: Tracker,
    progress: Progress,
    *,
    score_test: bool,
    log_model: bool,
) -> tuple[str, TrialResult]:
    """Train one configuration as a run of its own; return its id and result.

    Parameters
    ----------
    score_test : bool
        Score the test set too; the run is tagged as having done so.

    Raises
    ------
    TrialFailed
        Non-finite loss or memory exhausted; the run is closed as FAILED.
    SuiteError
        The packed engine is wanted, and cannot run.
    """
    from lstm_bench.packed.choice import choose_engine

    suite = prepared.suite
    # Compiled before a limit of the training begins.
    choose_engine(suite.engine, progress.say)
    objective = metric_key("val", suite.metric.name)
    with store_errors():
        run_id = tracker.start_run(
            config,
            suite=suite,
            kind="train",
            parent_run_id=None,
            dataset=prepared.about_data,
            environment=prepared.about_machine,
            seeds=prepared.seeds,
        )
        training = Training("training", 1, 1, "", config.max_epochs)
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
            packages = prepared.about_machine["packages"]
            tracker.log_model(run_id, ended.model, packages)
    return run_id, ended.result
