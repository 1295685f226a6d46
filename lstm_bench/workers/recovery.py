"""At the start of a command: close what a killed one has left.

The command has the study's lease, so nothing of the study is running.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlflow.entities import Run

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
    n_runs = close_left_runs(tracker, tracker.runs_of(store.suite.study_name))
    left = store.running()
    if not left:
        return n_runs
    # Trials of another storage have the same numbers.
    ended = {
        (run.trial, run.config_id): run
        for run in parse_runs(tracker.runs_of(store.suite.study_name))[0]
        if isinstance(run, StoredTraining) and run.kind == "trial"
    }
    for trial in left:
        run = ended.get((trial.number, str(trial.user_attrs.get(CONFIG_ID))))
        if run is None or run.state not in ("complete", "pruned", "failed"):
            store.requeue(trial)
        else:
            value = run.metrics.get(OBJECTIVE)
            store.tell(trial.number, run.state, value, run.failure)
    return n_runs + len(left)


def close_left_runs(tracker: Tracker, runs: Sequence[Run]) -> int:
    """Close the runs of a study that are open and that no command works on."""
    left = left_runs(runs)
    for run in left:
        tags, run_id = run.data.tags, run.info.run_id
        owner = parse_owner(tags[rec.TAG_OWNER])
        if is_here(owner) and not is_gone(owner) and owner != this_process():
            raise TrackingError(
                f"another command, process {owner[1]}, works on this study with "
                "another --storage; wait for it or stop it"
            )
        state = tags.get(rec.TAG_STATE)
        if state is None:
            tracker.client.set_terminated(run_id, "KILLED")
        elif state in rec.MLFLOW_STATUS:
            tracker.client.set_terminated(run_id, rec.MLFLOW_STATUS[state])
        else:
            tracker.close_left_run(run_id, "interrupted", REASON)
    return len(left)


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
