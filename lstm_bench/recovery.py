"""What a killed process left behind, put in order before work goes on.

Optuna and MLflow are two stores, and a process can be killed between any two writes.
The order of writes decides what the next start finds: a run's files come before its
state, its state before Optuna hears of it. So a run that has a final state is whole,
and a trial that is still running is closed as its run says, or taken up again.
"""

from __future__ import annotations

import json

from mlflow.entities import RunData

from lstm_bench import records as rec
from lstm_bench.owner import is_gone
from lstm_bench.study import StudyStore
from lstm_bench.tracking import Tracker

REASON = "its process was gone"


def close_orphaned_runs(tracker: Tracker, study: str) -> int:
    """Close the runs of `study` whose process on this host is gone.

    Trainings and baselines become interrupted, unless they had their final state
    already; runs of commands become KILLED.

    Returns
    -------
    int
        How many were closed.
    """
    n_closed = 0
    for run in tracker.runs_of(study):
        tags, run_id = run.data.tags, run.info.run_id
        owner = tags.get(rec.TAG_OWNER)
        if run.info.status != "RUNNING" or owner is None:
            continue
        if not is_gone(json.loads(owner)):
            continue
        state = tags.get(rec.TAG_STATE)
        if state is None:
            tracker.end_session(run_id, "KILLED")
        elif state in rec.MLFLOW_STATUS:
            tracker.end_session(run_id, rec.MLFLOW_STATUS[state])
        else:
            tracker.close_run(run_id, "interrupted", REASON)
        n_closed += 1
    return n_closed


def settle_orphaned_trials(store: StudyStore, tracker: Tracker) -> int:
    """Close the trials whose process is gone as their runs ended, or queue them again.

    Call `close_orphaned_runs` before, so that every run has its final state; before
    both, what waits for the store must have been written (`sync`).

    Returns
    -------
    int
        How many there were.
    """
    orphans = store.orphans()
    runs: dict[str | None, RunData] = {}
    for run in tracker.runs_of(store.suite.study_name) if orphans else ():
        # A trial begun while the server was away knows its run's provisional id.
        for run_id in rec.ids_of(run.info.run_id, run.data.tags):
            runs[run_id] = run.data
    for orphan in orphans:
        data = runs.get(orphan.run_id)
        if data is None:
            store.settle(orphan, None, None)
        else:
            state, value = data.tags[rec.TAG_STATE], data.metrics.get(rec.OBJECTIVE)
            store.settle(orphan, state, value)
    return len(orphans)
