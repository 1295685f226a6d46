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
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

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

RUN, ARTIFACTS, MODEL, LOCK, STORE = "run.json", "artifacts", "model", "lock", "store"
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
    artifact_path : str or None
        Where the artifacts go in the run.
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
    artifact_path: str | None = None
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
        client.log_artifacts(run_id, str(folder / ARTIFACTS), record.artifact_path)
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


class Outbox:
    """The waiting runs of one command, in a folder that this process has locked."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def create(cls, tracking_uri: str, study: str) -> Self:
        """Create the outbox of a command."""
        store = _store_folder(tracking_uri)
        (store / study).mkdir(parents=True, exist_ok=True)
        (store / STORE).write_text(_name(tracking_uri), encoding="utf-8")
        folder = store / study / f"{now_ms()}-{uuid.uuid4().hex[:8]}"
        # Locked before `sync` sees it, which would remove it as empty.
        with new_folder(folder) as partial:
            opened = cls.open(partial)
        if opened is None:
            raise RuntimeError(f"{folder}: another process has locked a new folder")
        opened.folder = folder
        return opened

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """Open a command's outbox; None if that command still runs."""
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if not lock_within(lock, 0.0):
            os.close(lock)
            return None
        return cls(folder, lock)

    def put(self, record: Record, write_files: Callable[[Path], None]) -> Path:
        """Keep a record and its files, all or nothing; return their folder.

        Parameters
        ----------
        write_files : callable
            Writes ``artifacts/`` and ``model/`` into the folder that it gets.
        """
        folder = self.folder / record.key
        with new_folder(folder) as partial:
            write_files(partial)
            text = json.dumps(asdict(record))
            (partial / RUN).write_text(text, encoding="utf-8")
        return folder

    def waiting(self) -> list[Path]:
        """Return the folders of the waiting runs, oldest first."""
        files = self.folder.glob(f"*/{RUN}")
        return sorted(file.parent for file in files if file.parent.name[0] != ".")

    def close(self) -> None:
        """Unlock the outbox; remove it if nothing waits."""
        if not self.waiting():
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


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


def _store_folder(tracking_uri: str) -> Path:
    digest = hashlib.sha256(_name(tracking_uri).encode()).hexdigest()[:12]
    return cache_folder("outbox", digest)


def outbox_folders(tracking_uri: str, study: str | None = None) -> list[Path]:
    """Return the commands' outboxes for a store, of one study or all, oldest first."""
    found = _store_folder(tracking_uri).glob(f"{study or '*'}/*/")
    shown = (folder for folder in found if folder.name[0] != ".")
    return sorted(shown, key=lambda folder: folder.name)


def known_stores() -> list[str]:
    """Return the addresses of the stores for which runs wait here."""
    names = [
        file.read_text(encoding="utf-8")
        for file in sorted(cache_folder("outbox").glob(f"*/{STORE}"))
    ]
    return [name for name in names if what_waits(name).n_runs]


@dataclass(frozen=True)
class Waiting:
    """Runs that wait, in outboxes of commands that have ended."""

    n_runs: int
    folders: tuple[Path, ...]

    def describe(self, tracking_uri: str, reason: str = "") -> str:
        """Return how many runs wait and why, and the command that writes them."""
        why = f" ({reason})" if reason else ""
        return (
            f"waiting: {count(self.n_runs, 'run')} for {_name(tracking_uri)} in "
            f"{', '.join(map(str, self.folders))}, since it did not answer{why}; when "
            "it does: " + command_line("sync", tracking_uri=tracking_uri)
        )


def what_waits(tracking_uri: str) -> Waiting:
    """Return what `sync` would write now, without contacting the store."""
    folders = []
    n_runs = 0
    for outbox in _ended(outbox_folders(tracking_uri)):
        n = len(outbox.waiting())
        outbox.close()
        if n:
            n_runs += n
            folders.append(outbox.folder)
    return Waiting(n_runs, tuple(folders))


def _ended(folders: list[Path]) -> Iterator[Outbox]:
    for folder in folders:
        # Another command may remove an empty outbox meanwhile.
        with suppress(FileNotFoundError):
            if (outbox := Outbox.open(folder)) is not None:
                yield outbox


@dataclass(frozen=True)
class Synced:
    """How many runs were written, and how many commands that run have others."""

    n_runs: int
    n_in_use: int


def sync(
    tracking_uri: str,
    draw: Draw,
    study: str | None = None,
    skip: Callable[[Record, str], None] | None = None,
) -> Synced:
    """Write the runs that wait for a store, of one study or all, oldest first.

    Parameters
    ----------
    skip : callable or None
        Called with each refused run and the reason; the run is given up.

    Raises
    ------
    TrackingError
        The server does not answer, or refuses a run and `skip` is None.
    """
    client = MlflowClient(tracking_uri)
    folders = outbox_folders(tracking_uri, study)
    n_runs = n_ended = 0
    for outbox in _ended(folders):
        n_ended += 1
        try:
            for folder in outbox.waiting():
                send(client, folder, draw, skip)
                n_runs += 1
        except Exception as error:
            if not is_away(error):
                raise
            raise TrackingError(
                f"the tracking server at {_name(tracking_uri)} does not answer "
                f"({first_line(error)}): {count(n_runs, 'run')} written, "
                f"{len(outbox.waiting())} left in {outbox.folder}; give the same "
                "command when it is back"
            ) from error
        finally:
            outbox.close()
    return Synced(n_runs, len(folders) - n_ended)


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
        None: the store refused the run, and it was given up.

    Raises
    ------
    TrackingError
        The server refuses the run, and `skip` is None.
    """
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
                f"the tracking server refuses the run {record.name!r}, which waits in "
                f"{folder}: {why}; `lstm-bench sync --skip-refused` gives up what is "
                "refused and writes the rest"
            ) from error
        skip(record, why)
    shutil.rmtree(folder)
    return run_id
