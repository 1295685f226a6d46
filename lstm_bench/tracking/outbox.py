"""The outbox: whole runs that wait on this machine until MLflow has taken them.

A training that has ended is one folder: ``run.json`` with its parameters, metrics by
step, tags, times and status, its artifacts in ``artifacts/`` and, where it has one, its
model in ``model/``. It is written before anything else learns that the training has
ended, and removed when MLflow has everything: a killed command, or a server that is
away, loses no result. Uploading a folder twice changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

from lstm_bench.errors import TrackingError
from lstm_bench.masking import known_secrets, mask_text, without_password
from lstm_bench.system.command_line import command_line
from lstm_bench.system.file_lock import lock_within
from lstm_bench.system.files import new_folder
from lstm_bench.system.folders import cache_folder
from lstm_bench.text import count, first_line
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.models import has_model, log_model, remove_others
from lstm_bench.tracking.server import address, is_away, is_server

RUN, ARTIFACTS, MODEL, STORE = "run.json", "artifacts", "model", "store"
# MLflow's limit for one request.
MAX_POINTS = 1000

Point = tuple[str, float, int, int]
"""A metric's name, value, time in ms and step."""

Draw = Callable[[Path, str], None]
"""Draws the figures of a training with a metric into the folder of its artifacts."""


@dataclass
class Record:
    """A run as MLflow is to have it.

    Attributes
    ----------
    run_id : str or None
        The run in MLflow; None: it is to be created.
    experiment : str
    dataset : dict of str to str, or None
        Its ``name``, ``digest`` and ``source``.
    start, end : int
        In ms since 1970.
    packages : dict of str to str
        Installed versions, for the model.
    metric : str
        Given: the figures of a training with that metric are drawn before the upload.
    key : str
        The folder's name, by which a run that was created is found again.
    """

    run_id: str | None
    experiment: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Point] = field(default_factory=list)
    dataset: dict[str, str] | None = None
    status: str = "FINISHED"
    start: int = 0
    end: int = 0
    packages: dict[str, str] = field(default_factory=dict)
    metric: str = ""
    key: str = ""


def now_ms() -> int:
    """Return the time in ms since 1970."""
    return int(time.time() * 1000)


def create_run(client: MlflowClient, record: Record) -> str:
    """Create the run of a record, with its tags and parameters; return its id."""
    tags = {**record.tags, rec.TAG_RECORD: record.key}
    run = client.create_run(record.experiment, record.start, tags, record.name)
    run_id = str(run.info.run_id)
    _describe(client, run_id, record)
    return run_id


def _describe(client: MlflowClient, run_id: str, record: Record) -> None:
    params = [Param(key, value) for key, value in record.params.items()]
    client.log_batch(run_id, params=params)
    if (dataset := record.dataset) is not None:
        client.log_inputs(run_id, [_dataset_input(dataset)])


def upload(
    client: MlflowClient, record: Record, folder: Path, has_metrics: bool = False
) -> str:
    """Write a record and its files to MLflow; return the run's id.

    Parameters
    ----------
    has_metrics : bool
        Whether the run has the record's metrics already.
    """
    run_id = record.run_id or _created_earlier(client, record)
    if run_id is None:
        run_id = create_run(client, record)
    points = [] if has_metrics else record.metrics
    for start in range(0, len(points), MAX_POINTS):
        part = points[start : start + MAX_POINTS]
        client.log_batch(run_id, metrics=[Metric(*point) for point in part])
    if (folder / ARTIFACTS).is_dir():
        client.log_artifacts(run_id, str(folder / ARTIFACTS))
    if (folder / MODEL).is_dir() and not has_model(client, run_id):
        remove_others(client, run_id)
        # Logging a model restarts and ends the run.
        log_model(client.tracking_uri, run_id, folder / MODEL, record.packages)
    if record.tags:
        # Last: a run whose state is complete has its files.
        tags = [RunTag(key, value) for key, value in record.tags.items()]
        client.log_batch(run_id, tags=tags)
    client.set_terminated(run_id, record.status, record.end)
    return run_id


def _created_earlier(client: MlflowClient, record: Record) -> str | None:
    found = client.search_runs(
        [record.experiment], f"tags.`{rec.TAG_RECORD}` = '{record.key}'"
    )
    if not found:
        return None
    run_id = str(found[0].info.run_id)
    # The server may have gone, or the process, while it was created.
    _describe(client, run_id, record)
    return run_id


def _dataset_input(about: dict[str, str]) -> DatasetInput:
    dataset = MlflowDataset(
        name=about["name"],
        digest=about["digest"],
        source_type="lstm_bench",
        source=about["source"],
    )
    return DatasetInput(
        dataset, [InputTag("mlflow.data.context", "training and validation")]
    )


def put(
    tracking_uri: str,
    study: str,
    record: Record,
    write_files: Callable[[Path], None],
) -> Path:
    """Keep a record and its files, all or nothing; return their folder.

    Parameters
    ----------
    write_files : callable
        Writes ``artifacts/`` and ``model/`` into the folder that it gets.
    """
    outbox = outbox_folder(tracking_uri, study)
    folder = outbox / record.key
    with new_folder(folder) as partial:
        (outbox.parent / STORE).write_text(_name(tracking_uri), encoding="utf-8")
        write_files(partial)
        text = json.dumps(asdict(record))
        (partial / RUN).write_text(text, encoding="utf-8")
    return folder


def outbox_folder(tracking_uri: str, study: str) -> Path:
    """Return the folder in which a study's runs wait for a store."""
    digest = hashlib.sha256(_name(tracking_uri).encode()).hexdigest()[:12]
    return cache_folder("outbox", digest, study)


def waiting(tracking_uri: str, study: str | None = None) -> list[Path]:
    """Return the runs that wait for a store, of one study or all, oldest first."""
    files = outbox_folder(tracking_uri, "").glob(f"*/[!.]*/{RUN}")
    runs = [file.parent for file in files if study in (None, file.parts[-3])]
    return sorted(runs, key=lambda folder: folder.name)


def waiting_text(tracking_uri: str, reason: str = "") -> str:
    """Return how many runs wait for a store and why, and the command to write them."""
    why = f" ({reason})" if reason else ""
    return (
        f"waiting: {count(len(waiting(tracking_uri)), 'run')} for "
        f"{_name(tracking_uri)} in {outbox_folder(tracking_uri, '')}, since it did not "
        f"answer{why}; when it does: " + command_line("sync", tracking_uri=tracking_uri)
    )


def known_stores() -> list[str]:
    """Return the addresses of the stores for which runs wait here."""
    files = sorted(cache_folder("outbox").glob(f"*/{STORE}"))
    names = [file.read_text(encoding="utf-8") for file in files]
    return [name for name in names if waiting(name)]


def new_key() -> str:
    """Return a name for a record; later ones are sorted behind."""
    return f"{now_ms()}-{uuid.uuid4().hex[:12]}"


def read_record(folder: Path) -> Record:
    """Return the record in a folder.

    Raises
    ------
    TrackingError
        It is damaged.
    """
    try:
        content: dict[str, Any] = json.loads((folder / RUN).read_bytes())
        content["metrics"] = [tuple(point) for point in content["metrics"]]
        return Record(**content)
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise TrackingError(
            f"{folder / RUN}: expected a run that waits for MLflow, got something else "
            f"({first_line(error)}); remove the folder to give it up"
        ) from error


def _name(tracking_uri: str) -> str:
    is_http = is_server(tracking_uri)
    return address(tracking_uri) if is_http else without_password(tracking_uri)


def sync(
    tracking_uri: str,
    draw: Draw,
    study: str | None = None,
    skip: Callable[[Record, str], None] | None = None,
) -> int:
    """Write the runs that wait for a store; return how many there were.

    Parameters
    ----------
    study : str or None
        None: of all studies.
    skip : callable or None
        Called with each refused run and the reason; the run is given up.

    Raises
    ------
    TrackingError
        The server does not answer, or refuses a run and `skip` is None.
    """
    client, folders = MlflowClient(tracking_uri), waiting(tracking_uri, study)
    for n_written, folder in enumerate(folders):
        try:
            send(client, folder, draw, skip)
        except Exception as error:
            if not is_away(error):
                raise
            raise TrackingError(
                f"the tracking server at {_name(tracking_uri)} does not answer "
                f"({first_line(error)}): {count(n_written, 'run')} written, "
                f"{len(folders) - n_written} left in {folder.parent}; give the same "
                "command when it is back"
            ) from error
    return len(folders)


def send(
    client: MlflowClient,
    folder: Path,
    draw: Draw,
    skip: Callable[[Record, str], None] | None = None,
    has_metrics: bool = False,
) -> str | None:
    """Upload a waiting run and remove its folder; return the run's id.

    Returns
    -------
    str or None
        None: another process writes it, or the store refused it and it was given up.

    Raises
    ------
    TrackingError
        The server refuses the run, and `skip` is None.
    """
    with _locked(folder) as is_locked:
        if not is_locked:
            return None
        record, run_id = read_record(folder), None
        artifacts = folder / ARTIFACTS
        if record.metric and not (artifacts / rec.FIGURES).exists():
            draw(artifacts, record.metric)
        try:
            run_id = upload(client, record, folder, has_metrics)
        except (MlflowException, RequestException) as error:
            if is_away(error) or not is_server(client.tracking_uri):
                raise
            why = mask_text(first_line(error), known_secrets(client.tracking_uri))
            if skip is None:
                raise TrackingError(
                    f"the tracking server refuses the run {record.name!r}, which waits "
                    f"in {folder}: {why}; `lstm-bench sync --skip-refused` gives up "
                    "what is refused and writes the rest"
                ) from error
            skip(record, why)
        shutil.rmtree(folder)
        return run_id


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a waiting run; yield False where another process has it, or had it."""
    try:
        file = os.open(folder / RUN, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        yield lock_within(file, 0.0) and (folder / RUN).exists()
    finally:
        os.close(file)
