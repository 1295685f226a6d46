"""A training or a baseline as an MLflow run, which is closed however it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstm_bench.errors import TrialFailed, TrialPruned, TrialTaken
from lstm_bench.metrics import METRICS
from lstm_bench.report.figures.training import training_figures
from lstm_bench.stores import is_store_error
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.engines import join_engines
from lstm_bench.system.signals import stopping_after_the_epoch
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.stored_runs import (
    LeftOut,
    StoredBaseline,
    StoredRun,
    describe_left_out,
    left_out_frame,
    parse_runs,
)
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.baselines import baselines_of, run_baseline, why_not_run
from lstm_bench.training.checkpoint import Checkpoint
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import TrialResult
from lstm_bench.workers.progress import Progress

if TYPE_CHECKING:
    from lstm_bench.models.backend import keras


@dataclass(frozen=True)
class Tracked:
    """How a training ended.

    Attributes
    ----------
    state : {"complete", "pruned", "failed", "interrupted"}
        "interrupted" where another process has taken over the trial.
    reason : str or None
        Why it is not complete.
    result, model
        None unless it is complete.
    is_stop_asked : bool
        Whether a stop was requested meanwhile, so that no training may follow.
    """

    state: str
    reason: str | None = None
    result: TrialResult | None = None
    model: keras.Model | None = None
    is_stop_asked: bool = False


def train_tracked(
    prepared: Prepared,
    config: TrialConfig,
    tracker: Tracker,
    run_id: str,
    *,
    score_test: bool = False,
    on_epoch: Callable[[dict[str, float]], None],
    on_step: Callable[[], None] = lambda: None,
    say: Callable[[str], None],
) -> Tracked:
    """Train `config` on `prepared`'s replicate and write run `run_id`.

    Parameters
    ----------
    score_test : bool
        Score the test set too.
    on_epoch : callable
        Called with each epoch's entry after it is logged; may raise TrialPruned or
        TrialTaken.
    on_step : callable
        Called after every step; may raise TrialFailed.
    say : callable
        Called with messages, such as the one that a stop waits for the epoch's end.

    Raises
    ------
    BaseException
        Any error that is neither a failure nor a pruning of this training; the run
        is closed first, as interrupted or failed.
    """
    from lstm_bench.packed.choice import choose_engine
    from lstm_bench.training.trial import run_trial

    suite = prepared.suite
    checkpoint = (
        Checkpoint.of(suite.study_name, config.config_id, prepared.replicate)
        if suite.checkpoint
        else None
    )
    epochs: list[dict[str, float]] = []

    def log(entry: dict[str, float]) -> None:
        epochs.append(entry)
        tracker.log_epoch(run_id, entry)
        on_epoch(entry)
        stop.epoch_has_ended()

    try:
        engine = choose_engine(suite.engine, say)
        saved = checkpoint.load() if checkpoint is not None else None
        begun = saved.engines if saved is not None else []
        tracker.log_engine(run_id, join_engines([*begun, engine]))
        with stopping_after_the_epoch(say) as stop:
            result, model = run_trial(
                config,
                prepared.dataset,
                prepared.splits,
                metric=suite.metric,
                root_seed=suite.study.seed,
                replicate=prepared.replicate,
                score_test=score_test,
                on_epoch=log,
                on_step=on_step,
                checkpoint=checkpoint,
                engine=engine,
            )
            tracker.finish_run(
                run_id, result, training_figures(result, suite.metric.name)
            )
        ended = Tracked("complete", None, result, model, stop.is_asked)
    except (TrialPruned, TrialFailed) as error:
        state = "pruned" if isinstance(error, TrialPruned) else "failed"
        tracker.abandon_run(run_id, config, epochs, state, str(error))
        ended = Tracked(state, str(error), is_stop_asked=stop.is_asked)
    except TrialTaken as error:
        tracker.abandon_run(run_id, config, epochs, "interrupted", str(error))
        return Tracked("interrupted", str(error), is_stop_asked=stop.is_asked)
    except (KeyboardInterrupt, SystemExit):
        reason = "stopped by the user"
        tracker.abandon_run(run_id, config, epochs, "interrupted", reason)
        raise
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        # A store's error is not the training's failure; the trial is requeued.
        state = "interrupted" if is_store_error(error) else "failed"
        tracker.abandon_run(run_id, config, epochs, state, reason)
        raise
    if checkpoint is not None:
        checkpoint.discard()
    return ended


def say_left_out(left_out: Sequence[LeftOut], progress: Progress) -> None:
    """Warn of the study's runs that could not be read and are therefore ignored."""
    if text := describe_left_out(left_out_frame(left_out)):
        progress.say(f"warning: {text}")


def track_baselines(
    prepared: Prepared,
    tracker: Tracker,
    parent_run_id: str,
    progress: Progress,
    known: Sequence[StoredRun],
    *,
    score_test: bool = False,
) -> None:
    """Fit every baseline of the data's kind on the training examples, a run each.

    Parameters
    ----------
    known : sequence of StoredRun
        The study's runs when the command began; a baseline that is already complete
        for the same replicate is not fitted again.
    """
    suite, metric = prepared.suite, METRICS["accuracy"]
    described: dict[str, Any] = {
        "suite": suite,
        "parent_run_id": parent_run_id,
        "dataset": prepared.about_data,
        "environment": prepared.about_machine,
        "seeds": prepared.seeds,
    }

    def logged(runs: Sequence[StoredRun]) -> set[str]:
        return {
            run.baseline
            for run in runs
            if isinstance(run, StoredBaseline)
            and run.state == "complete"
            and run.replicate == prepared.replicate
            and (not score_test or run.test_scored == "true")
        }

    skipped = {
        (run.baseline, run.failure)
        for run in known
        if isinstance(run, StoredBaseline)
        and run.state == rec.SKIPPED
        and run.replicate == prepared.replicate
    }
    seed = f", seed {prepared.replicate}" if prepared.replicate else ""
    done = logged(known)
    for name, baseline in baselines_of(prepared.dataset.kind).items():
        if name in done:
            continue
        reason = why_not_run(name, prepared.splits, score_test=score_test)
        if reason is not None:
            progress.say(f"baseline {baseline.label}{seed} is not fitted: {reason}")
            if (name, reason) not in skipped:
                tracker.log_skipped_baseline(name, reason, **described)
            continue
        progress.doing(f"fitting the baseline {baseline.label}")
        result = run_baseline(
            name, prepared.dataset, prepared.splits, score_test=score_test
        )
        # Another command may have fitted the same baseline meanwhile.
        now = tracker.if_there(lambda: tracker.baselines_of(suite.study_name))
        if name in logged(parse_runs(now or ())[0]):
            continue
        tracker.log_baseline(
            result, class_names=prepared.dataset.class_names, **described
        )
        for note in result.notes:
            progress.say(note)
        val = result.predictions[0]
        progress.say(
            f"baseline {baseline.label}{seed}: validation {metric.label} "
            f"{metric.fn(val.y_true, val.y_proba):.4f}, fitted in "
            f"{result.train_time_s:.1f} s"
            + (" (from the cache)" if result.cached else "")
        )
