"""Repair the stores after a process was killed, before work resumes.

A process can be killed between any two writes to Optuna and MLflow. Writes have an
order: a run's files, then its state, then the state of its Optuna trial. So a run with
a final state is complete, and a trial of a dead process is closed with its run's state,
or requeued.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mlflow.entities import Run

from lstm_bench.errors import StoredError
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import MAX_DEATHS, Orphan
from lstm_bench.system.process import is_gone, is_here, parse_owner
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.stored_runs import MAX_METRIC
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.result import OBJECTIVE

REASON = "its process was gone"
SILENT = "its process, on another host, had not been heard of"


@dataclass(frozen=True)
class Death:
    """The cause of a worker process's death.

    Attributes
    ----------
    is_final : bool
        Whether its training fails at once and is not requeued.
    """

    reason: str
    is_final: bool = False


NO_DEATHS: Mapping[int, Death] = MappingProxyType({})


def recover(
    store: StudyStore,
    tracker: Tracker,
    deaths: Mapping[int, Death] = NO_DEATHS,
    unseen: Death | None = None,
    watched: Collection[int] = (),
) -> int:
    """Close or requeue what dead processes left; return the number of trials and runs.

    Call `sync` before: results that are not written yet may contain final states.

    Parameters
    ----------
    deaths : mapping of int to Death
        By process id on this host. A training whose processes died `MAX_DEATHS`
        times fails.
    unseen : Death or None
        Cause of death assumed where none is known. With None it is not counted as a
        death: the process may have been stopped together with the command.
    watched : collection of int
        Process ids on this host whose deaths the worker pool will report: their
        trainings are left until then, so that the cause is known.
    """
    n_runs = close_orphaned_runs(tracker, store.suite.study_name)
    return n_runs + settle_orphaned_trials(store, tracker, deaths, unseen, watched)


def close_orphaned_runs(tracker: Tracker, study: str) -> int:
    """Close the runs of `study` whose process on this host has ended.

    Trainings and baselines become interrupted, unless they already have a final state;
    runs of commands become KILLED. A run without a readable process tag is left open;
    `doctor` lists it.

    Returns
    -------
    int
        Number of runs closed.
    """
    n_closed = 0
    for run in tracker.runs_of(study):
        tags, run_id = run.data.tags, run.info.run_id
        owner = tags.get(rec.TAG_OWNER)
        if run.info.status != "RUNNING" or owner is None:
            continue
        try:
            if not is_gone(parse_owner(owner)):
                continue
        except StoredError:
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


def settle_orphaned_trials(
    store: StudyStore,
    tracker: Tracker,
    deaths: Mapping[int, Death] = NO_DEATHS,
    unseen: Death | None = None,
    watched: Collection[int] = (),
) -> int:
    """Close the trials of ended processes with their runs' states, or requeue them.

    Call `close_orphaned_runs` before, so that every run of this host has its final
    state. Returns the number of trials.
    """
    orphans = [
        orphan for orphan in store.orphans() if not _is_of(orphan, watched, deaths)
    ]
    runs: dict[str | None, Run] = {}
    for run in tracker.runs_of(store.suite.study_name) if orphans else ():
        # A trial started while the server was unreachable has its run's provisional id.
        for run_id in rec.ids_of(run.info.run_id, run.data.tags):
            runs[run_id] = run
    for orphan in orphans:
        owner = orphan.owner
        death = unseen
        if owner is not None and is_here(owner):
            death = deaths.get(owner[1], unseen)
        run_of_it = runs.get(orphan.run_id)
        if run_of_it is None:
            orphan.settle(None, is_death=death is not None)
        else:
            _settle(orphan, run_of_it, tracker, death)
    return len(orphans)


def _is_of(
    orphan: Orphan, watched: Collection[int], deaths: Mapping[int, Death]
) -> bool:
    """Whether a watched process left the trial and its death is not reported yet."""
    owner = orphan.owner
    if owner is None or not is_here(owner):
        return False
    return owner[1] in watched and owner[1] not in deaths


def _settle(orphan: Orphan, run: Run, tracker: Tracker, death: Death | None) -> None:
    data, run_id = run.data, run.info.run_id
    state, reason = data.tags.get(rec.TAG_STATE), data.tags.get(rec.TAG_FAILURE)
    value = data.metrics.get(OBJECTIVE)
    is_whole = state != "complete" or (value is not None and abs(value) <= MAX_METRIC)
    if state not in rec.MLFLOW_STATUS or not is_whole:
        # A run whose state or score was edited is trained again, too.
        state, reason = "interrupted", SILENT
        tracker.close_run(run_id, state, reason)
    if state == "interrupted" and death is not None:
        n_deaths = orphan.n_deaths + 1
        if death.is_final or n_deaths >= MAX_DEATHS:
            state = "failed"
            reason = death.reason + (f", {n_deaths} times" if n_deaths > 1 else "")
            tracker.close_run(run_id, state, reason)
    orphan.settle(
        state,
        value,
        reason if state == "failed" else None,
        is_death=death is not None,
    )
