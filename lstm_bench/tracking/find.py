"""Find studies by name, in one tracking store or in several."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lstm_bench.errors import LstmBenchError, StoredError, SuiteError, TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.metrics import METRICS
from lstm_bench.suites.files import suite_file
from lstm_bench.suites.schema import did_you_mean
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.system.process import is_gone, parse_owner
from lstm_bench.text import first_line, listed, score_text
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.load import load_results, load_suite_of
from lstm_bench.tracking.queries import find_pages, find_runs
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import (
    LeftOut,
    StoredSession,
    StoredTraining,
    parse_runs,
)
from lstm_bench.training.result import OBJECTIVE

# Commands and their end states, as a list of studies shows them.
COMMANDS = {"sweep": "search", "confirm": "confirmation"}
ENDS = {"KILLED": "stopped"}
# A store's address may contain an @ of its own; it begins with a scheme.
AT_STORE = re.compile(r"(?P<name>.+?)@(?P<store>[A-Za-z][\w+.-]*:/.*|[^@]*)")


@dataclass(frozen=True)
class FoundStudy:
    """A study and its tracking store.

    Attributes
    ----------
    name : str
        As requested.
    tracking_uri : str
        Resolved.
    study : str
        Name in the store.
    """

    name: str
    tracking_uri: str
    study: str
    suite: Suite


@dataclass(frozen=True)
class StudyEntry:
    """One row of the list of studies.

    Attributes
    ----------
    last : float
        Start of its latest command, in seconds since 1970.
    n_trials : int
        Trainings of the search that have ended: complete, pruned or failed.
    state : str
        Of the latest command: ``search finished``, ``confirmation running``;
        ``killed`` where its process on this host is gone.
    best : float or None
        Best validation score of the search; None if no trial is complete.
    """

    study: str
    suite: str
    last: float
    n_trials: int
    state: str
    metric: str
    best: float | None
    best_label: str


def list_studies(tracking_uri: str) -> tuple[list[StudyEntry], list[LeftOut]]:
    """Return the studies of a store, latest first, and the runs that are invalid."""
    client = MlflowClient(tracking_uri)
    known, left_out = _parsed_sessions(client)
    sessions: dict[str, list[StoredSession]] = {}
    for run in known:
        sessions.setdefault(run.study, []).append(run)
    trainings: dict[str, list[_Training]] = {study: [] for study in sessions}
    for kind in ("trial", "reference"):
        for page in find_pages(client, f"tags.`{rec.TAG_KIND}` = '{kind}'"):
            parsed, more = parse_runs(page)
            left_out += more
            for training in parsed:
                if isinstance(training, StoredTraining) and training.study in trainings:
                    trainings[training.study].append(_Training.of(training))
    entries = [_entry(study, sessions[study], trainings[study]) for study in sessions]
    return sorted(entries, key=lambda entry: entry.last, reverse=True), left_out


def studies_table(entries: Sequence[StudyEntry]) -> list[str]:
    """Return a table of studies as lines of text; none where there are no studies."""
    if not entries:
        return []
    rows = [("study", "suite", "last run", "trials", "state", "best on validation")]
    for entry in entries:
        best = "none yet"
        if entry.best is not None:
            best = f"{entry.metric} {score_text(entry.best)}, {entry.best_label}"
        rows.append(
            (
                entry.study,
                entry.suite,
                _minute(entry.last),
                str(entry.n_trials),
                entry.state,
                best,
            )
        )
    # Others may write to the store: keep control characters from the terminal.
    shown = [
        ["".join(c if c.isprintable() else "?" for c in cell) for cell in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(
            f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in shown
    ]


def _minute(seconds: float) -> str:
    """Return a local time as text; a stored time may be out of range."""
    try:
        return datetime.fromtimestamp(seconds).isoformat(" ", "minutes")
    except (OverflowError, ValueError, OSError):
        return "unknown"


@dataclass(frozen=True)
class _Training:
    """The fields of a training's run that the list of studies needs."""

    label: str
    kind: str
    state: str
    objective: float

    @classmethod
    def of(cls, run: StoredTraining) -> Self:
        objective = run.metrics.get(OBJECTIVE, math.nan)
        return cls(run.run_name, run.kind, run.state, objective)


def _entry(
    study: str, sessions: list[StoredSession], trainings: list[_Training]
) -> StudyEntry:
    last = sessions[-1]
    metric = next(
        (METRICS[run.metric] for run in reversed(sessions) if run.metric in METRICS),
        None,
    )
    complete = [
        training
        for training in trainings
        if training.state == "complete" and math.isfinite(training.objective)
    ]
    best = None
    if metric is not None and complete:
        sign = 1 if metric.higher_is_better else -1
        best = max(complete, key=lambda training: sign * training.objective)
    return StudyEntry(
        study=study,
        suite=last.suite,
        last=last.start_time / 1000,
        n_trials=sum(
            training.kind == "trial" and training.state in rec.ENDED
            for training in trainings
        ),
        state=f"{COMMANDS[last.kind]} {_status(last)}",
        metric="" if metric is None else metric.name,
        best=None if best is None else best.objective,
        best_label="" if best is None else best.label,
    )


def _status(session: StoredSession) -> str:
    if session.status == "RUNNING" and session.owner is not None:
        try:
            if is_gone(parse_owner(session.owner)):
                return "killed"
        except StoredError:
            # The owner is invalid; `lstm-bench doctor` reports it.
            return "running"
    return ENDS.get(session.status, session.status.lower())


def load_studies(tracking_uri: str | None, names: Sequence[str]) -> list[Results]:
    """Read the studies called `names` from MLflow alone, in their order.

    Parameters
    ----------
    tracking_uri : str or None
        Store of the names without one of their own; None for the default one.
    names : sequence of str
        Suites (a file or a bare name: the study of the suite as it is now) or names
        of studies as they are in the store (with the suite as it was logged).
        ``@STORE`` after a name looks for it in another tracking store.

    Raises
    ------
    SuiteError, TrackingError
        A study or store is unknown, or a study is named twice.
    """
    found: list[FoundStudy] = []
    for name in names:
        one = find_study(tracking_uri, name)
        for other in found:
            if (one.study, one.tracking_uri) == (other.study, other.tracking_uri):
                raise TrackingError(
                    f"{other.name} and {name}: expected two studies, got study "
                    f"{one.study} of {bare_url(one.tracking_uri)} twice; "
                    + _studies_in(one.tracking_uri)
                )
        found.append(one)
    return [_load(one) for one in found]


def report_name(results: Sequence[Results], asked: Sequence[str]) -> str:
    """Return the name of a report's folder: ``imdb`` or ``imdb_vs_heads``.

    It is made of the suites' names; of the studies' names where these are not
    distinct or one study was requested by its own name; with a number where the same
    study comes from several stores.
    """
    names = [r.suite.name for r in results]
    by_study = len(results) == 1 and _split(asked[0])[0] == results[0].study
    if by_study or len(set(names)) < len(names):
        names = [r.study for r in results]
    if len(set(names)) < len(names):
        names = [f"{name}_{i}" for i, name in enumerate(names, start=1)]
    # Others may write to the store that the names come from.
    return "_vs_".join(re.sub(r"[^\w.-]+|^\.+", "_", name) for name in names)


def find_study(tracking_uri: str | None, name: str) -> FoundStudy:
    """Return the study that `name` means; see `load_studies`."""
    wanted, store = _split(name)
    if not wanted:
        raise SuiteError(
            f"{name}: expected STUDY@STORE, got no study; for example "
            "imdb_small@sqlite:///other/mlflow.db"
        )
    suite = unknown = None
    try:
        suite = load_suite(wanted)
    except SuiteError as error:
        # An existing file has an error in it; a bare name may be a study's.
        if Path(wanted).name != wanted or suite_file(wanted).is_file():
            raise
        unknown = error
    try:
        uri = _resolve_store(tracking_uri, store, name)
    except TrackingError:
        if unknown is not None and store is None and tracking_uri is None:
            raise unknown from None
        raise
    if suite is not None:
        return FoundStudy(name, uri, suite.study_name, suite)
    return _find_stored(uri, wanted, name, unknown)


def _split(name: str) -> tuple[str, str | None]:
    if Path(name).is_file() or "@" not in name:
        return name, None
    match = AT_STORE.fullmatch(name)
    return (match["name"], match["store"]) if match else (name.partition("@")[0], "")


def _resolve_store(tracking_uri: str | None, store: str | None, name: str) -> str:
    """Return the store's address; never create a store."""
    if store is not None and not store.strip():
        raise TrackingError(
            f"{name}: expected STUDY@STORE, got no store; for example "
            f"{name.partition('@')[0]}@sqlite:///other/mlflow.db"
        )
    try:
        return resolve_tracking_uri(store or tracking_uri, create=False).rstrip("/")
    except TrackingError as error:
        if store is None:
            raise
        said = str(error).removeprefix("--tracking-uri: ")
        raise TrackingError(f"{name}: {said}") from error


def _find_stored(
    uri: str, wanted: str, name: str, unknown: SuiteError | None
) -> FoundStudy:
    runs = _sessions(uri)
    own = [run for run in runs if run.study == wanted]
    studies = sorted({run.study for run in runs})
    if not own:
        # The suite's file is missing, but the store has exactly one study of it.
        of_suite = [run for run in runs if run.suite == wanted]
        if len({run.study for run in of_suite}) == 1:
            own = of_suite
    if not own:
        raise TrackingError(
            f"{name}: expected a suite's file or a study of {bare_url(uri)}, got "
            f"neither ({unknown}){did_you_mean(wanted, studies)}; {_listed(studies)}"
        ) from unknown
    # The latest run's suite: only fields that change no result can differ between runs.
    suite = load_suite_of(MlflowClient(uri), own[-1])
    return FoundStudy(name, uri, own[-1].study, suite)


def _load(found: FoundStudy) -> Results:
    try:
        return load_results(found.tracking_uri, found.suite, found.study)
    except LstmBenchError as error:
        raise type(error)(f"{found.name}: {error}") from error


def find_sessions(client: MlflowClient) -> list[StoredSession]:
    """Return the runs of every sweep and confirmation in a store, oldest first.

    Other runs with one of the tags are left out.
    """
    return _parsed_sessions(client)[0]


def _parsed_sessions(
    client: MlflowClient,
) -> tuple[list[StoredSession], list[LeftOut]]:
    runs = [
        run
        for kind in COMMANDS
        for run in find_runs(client, f"tags.`{rec.TAG_KIND}` = '{kind}'")
    ]
    known, left_out = parse_runs(runs)
    sessions = [run for run in known if isinstance(run, StoredSession)]
    return sorted(sessions, key=lambda run: run.start_time), left_out


def _sessions(uri: str) -> list[StoredSession]:
    try:
        return find_sessions(MlflowClient(uri))
    except MlflowException as error:
        raise TrackingError(f"{bare_url(uri)}: {first_line(error)}") from error


def _studies_in(uri: str) -> str:
    return _listed(sorted({run.study for run in _sessions(uri)}))


def _listed(studies: Sequence[str]) -> str:
    if not studies:
        return "the store holds no study; run `lstm-bench sweep` first"
    return f"studies in the store: {listed(studies)}"
