"""What a killed process left behind, put in order before work goes on.

Optuna and MLflow are two stores, and a process can be killed between any two writes.
The order of writes decides what the next start finds: a run's files come before its
state, its state before Optuna hears of it. So a run that has a final state is whole,
and a trial that is still running is closed as its run says, or taken up again.
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
    """What a process died of, where somebody saw it die.

    Attributes
    ----------
    is_final : bool
        Whether its training is failed at once, and not tried again.
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
    """Put both stores in order; return how many trials and runs it concerned.

    What waits for the tracking store must have been written before (`sync`): it says
    how runs have ended.

    Parameters
    ----------
    deaths : mapping of int to Death
        By process id on this host. A training whose processes died `MAX_DEATHS`
        times is failed.
    unseen : Death or None
        What a process is taken to have died of that nobody saw; None where it may
        have been stopped together with the command, which is not the training's
        fault.
    watched : collection of int
        Process ids on this host whose deaths somebody will tell of: what they leave
        waits until then, so that it is known what they died of.
    """
    n_runs = close_orphaned_runs(tracker, store.suite.study_name)
    return n_runs + settle_orphaned_trials(store, tracker, deaths, unseen, watched)


def close_orphaned_runs(tracker: Tracker, study: str) -> int:
    """Close the runs of `study` whose process on this host is gone.

    Trainings and baselines become interrupted, unless they had their final state
    already; runs of commands become KILLED. A run whose process cannot be read from
    its tag is left as it is, as one without; `doctor` names it.

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
    """Close the trials whose process is gone as their runs ended, or queue them again.

    Call `close_orphaned_runs` before, so that every run of this host has its final
    state. Returns how many trials there were.
    """
    orphans = [
        orphan for orphan in store.orphans() if not _is_of(orphan, watched, deaths)
    ]
    runs: dict[str | None, Run] = {}
    for run in tracker.runs_of(store.suite.study_name) if orphans else ():
        # A trial begun while the server was away knows its run's provisional id.
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
    """Whether it is what a watched process leaves, of whose death nobody told yet."""
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
        # Also one whose state or score somebody has changed: it is trained again.
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
