"""At the start of a command: close what a killed one has left.

The command has the study's lease, so nothing of the study is running.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlflow.entities import Run, RunTag

from lstm_bench.errors import StoredError, TrackingError
from lstm_bench.search.study import CONFIG_ID, StudyStore
from lstm_bench.system.process import is_gone, is_here, parse_owner, this_process
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.stored_runs import StoredTraining, parse_runs
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.result import OBJECTIVE

REASON = "its command was gone"
# Commands of their own, which may run beside a sweep.
ALONE = ("train", "refit")


def recover(tracker: Tracker, store: StudyStore) -> int:
    """Close the runs and trials that killed commands left; return how many.

    Trials are told as their runs ended, or queued again. Call `sync` before: a run that
    waits in the outbox has ended.

    Raises
    ------
    TrackingError
        Another command of this machine works on the study, with another storage.
    """
    runs = tracker.runs_of(store.suite.study_name)
    left, trials = left_runs(runs), store.running()
    for run in left:
        _close(tracker, run)
    # Trials of another storage have the same numbers.
    ended = {
        (run.trial, run.config_id): run
        for run in (parse_runs(runs)[0] if trials else ())
        if isinstance(run, StoredTraining)
        and run.kind == "trial"
        and run.state in rec.ENDED
    }
    for trial in trials:
        run_of = ended.get((trial.number, str(trial.user_attrs.get(CONFIG_ID))))
        if run_of is None:
            store.requeue(trial)
        else:
            value = run_of.metrics.get(OBJECTIVE)
            store.tell(trial.number, run_of.state, value, run_of.failure)
    return len(left) + len(trials)


def _close(tracker: Tracker, run: Run) -> None:
    tags, run_id = run.data.tags, run.info.run_id
    owner = parse_owner(tags[rec.TAG_OWNER])
    if is_here(owner) and not is_gone(owner) and owner != this_process():
        raise TrackingError(
            f"another command, process {owner[1]}, works on this study with "
            "another --storage; wait for it or stop it"
        )
    # A command's own run has no state.
    state = tags.get(rec.TAG_STATE)
    if state == "running":
        closed = {rec.TAG_STATE: "interrupted", rec.TAG_FAILURE: REASON}
        items = [RunTag(key, value) for key, value in closed.items()]
        tracker.client.log_batch(run_id, tags=items)
    tracker.client.set_terminated(run_id, rec.MLFLOW_STATUS.get(str(state), "KILLED"))


def left_runs(runs: Iterable[Run]) -> list[Run]:
    """Return the open runs of a study on which no command works.

    Those of which this program did not write the owner are left out.
    """
    left = []
    for run in runs:
        tags = run.data.tags
        if run.info.status != "RUNNING" or tags.get(rec.TAG_OWNER) is None:
            continue
        try:
            owner = parse_owner(tags[rec.TAG_OWNER])
        except StoredError:
            continue
        if tags.get(rec.TAG_KIND) not in ALONE or is_gone(owner):
            left.append(run)
    return left


def lost_trials(store: StudyStore, runs: Iterable[Run]) -> list[int]:
    """Return the numbers of the finished trials that have no run among `runs`."""
    there = {
        (run.data.tags.get(rec.TAG_TRIAL), run.data.tags.get(rec.TAG_CONFIG_ID))
        for run in runs
    }
    return [
        trial.number
        for trial in store.finished()
        if (str(trial.number), trial.user_attrs[CONFIG_ID]) not in there
    ]
