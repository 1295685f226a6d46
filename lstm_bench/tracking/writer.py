"""Write to MLflow, or to a journal while its server is unreachable.

When a server does not answer, the operation and all later ones are stored on this
machine, in order. From time to time a write tries the server again and then sends
waiting operations, for a limited time so that trainings are not delayed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException

from lstm_bench.errors import TrackingError
from lstm_bench.masking import known_secrets, mask_text
from lstm_bench.system.command_line import command_line
from lstm_bench.text import count, first_line
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.journal import Journal, Operation
from lstm_bench.tracking.operations import Operations
from lstm_bench.tracking.server import (
    address,
    describe,
    is_away,
    is_server,
    is_unwell,
    own_timeout_s,
    patience,
)

PROBE_TIMEOUT_S = 1
EPOCH_TIMEOUT_S = 2
WRITE_TIMEOUT_S = 10
# Between trainings and in `lstm-bench sync` no training is delayed.
PATIENT_S = 60
PROBE_EVERY_S = 5.0
# Slow probes, for example where name resolution fails, are made less often.
PROBE_SHARE = 0.05
PROBE_WITHIN_S = 60.0
DRAIN_BUDGET_S = 2.0


@dataclass(frozen=True)
class Waiting:
    """Operations that one command could not write yet, and the reason."""

    n_operations: int
    n_runs: int
    folder: Path
    reason: str

    def describe(self, tracking_uri: str) -> str:
        """Return how many operations wait, and the command that writes them."""
        return (
            f"waiting: {operations_text(self.n_operations, self.n_runs)} in "
            f"{self.folder}, since the tracking server is away ({self.reason}). When "
            "it is back: " + command_line("sync", tracking_uri=tracking_uri)
        )


class Writer:
    """Writes to one store, or to a journal while the server is unreachable.

    Parameters
    ----------
    tracking_uri : str
        Only operations for a server may wait; a local database that cannot be written
        is an error at once.
    study : str
        Study of the journal.
    say : callable
        Called with a message when the server becomes unreachable or answers again.
    journal : Journal or None
        Left by an earlier command, to be written.
    """

    def __init__(
        self,
        client: MlflowClient,
        tracking_uri: str,
        study: str,
        say: Callable[[str], None],
        journal: Journal | None = None,
    ) -> None:
        self.client = client
        self.operations = Operations(client, tracking_uri)
        self.tracking_uri = tracking_uri
        self.study = study
        self.say = say
        self.journal = journal
        self.secrets = known_secrets(tracking_uri)
        self.reason = ""
        self.n_written = 0
        self.written_runs: set[str] = set()
        self._next_try = 0.0

    # Operations

    def create_run(self, experiment_id: str, tags: Mapping[str, str], name: str) -> str:
        """Create a run; return its id, provisional while the server is unreachable."""
        local = f"{rec.LOCAL_PREFIX}{uuid.uuid4().hex}"
        more = {rec.TAG_JOURNAL: local} if is_server(self.tracking_uri) else {}
        self.write(
            {
                "op": "create_run",
                "run": local,
                "experiment": experiment_id,
                "tags": {**tags, **more},
                "name": name,
                "time": _now(),
            }
        )
        return self.operations.real_ids.get(local, local)

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics of one step, parameters and tags in one request."""
        now = _now()
        self.write(
            {
                "op": "log_batch",
                "run": run_id,
                "metrics": [
                    [key, float(value), now, step]
                    for key, value in (metrics or {}).items()
                ],
                "params": {key: str(value) for key, value in (params or {}).items()},
                "tags": dict(tags or {}),
            }
        )

    def log_input(self, run_id: str, name: str, digest: str, source: str) -> None:
        """Log the dataset of a training."""
        dataset = {"name": name, "digest": digest, "source": source}
        self.write({"op": "log_input", "run": run_id, **dataset})

    def log_artifacts(self, run_id: str, folder: Path, path: str | None = None) -> None:
        """Attach the files in `folder`, below `path`."""
        self.write({"op": "log_artifacts", "run": run_id, "path": path}, folder)

    def log_model(self, run_id: str, folder: Path, packages: Mapping[str, str]) -> None:
        """Log the model in `folder`, unless the run has one."""
        self.write({"op": "log_model", "run": run_id, "packages": {**packages}}, folder)

    def name_run(self, run_id: str, name: str) -> None:
        """Rename a run."""
        self.write({"op": "name_run", "run": run_id, "name": name})

    def end_run(self, run_id: str, status: str) -> None:
        """Close a run, with the current time as its end."""
        self.write({"op": "end_run", "run": run_id, "status": status, "time": _now()})

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an experiment."""
        tag = {"experiment": experiment_id, "key": key, "value": value}
        self.write({"op": "tag_experiment", **tag})

    # Writing and waiting

    def write(self, operation: Operation, files: Path | None = None) -> None:
        """Write one operation or store it; raise an error if the server refuses it."""
        operation = self._masked(operation)
        if not is_server(self.tracking_uri):
            self.operations.carry_out(operation, files)
            return
        if self.journal is None and self._write_now(operation, files):
            return
        if self.journal is None:
            self.journal = Journal.create(address(self.tracking_uri), self.study)
            self.n_written, self.written_runs = 0, set()
            self.say(
                "the tracking server does not answer; training goes on, and what is "
                f"to be written waits in {self.journal.folder}"
            )
        self.journal.append(operation, files)
        if time.monotonic() >= self._next_try:
            self._drain(DRAIN_BUDGET_S, None)

    def _masked(self, operation: Operation) -> Operation:
        """Return the operation without passwords: a tag may contain an address."""
        tags = operation.get("tags")
        if not tags:
            return operation
        # A name may contain a password's letters by chance.
        masked = {
            key: mask_text(value, self.secrets if key == rec.TAG_FAILURE else ())
            for key, value in tags.items()
        }
        return {**operation, "tags": masked}

    def _write_now(self, operation: Operation, files: Path | None) -> bool:
        """Whether the operation was written; False if no server answered."""
        start = time.monotonic()
        try:
            with patience(_timeout_s(operation)):
                self.operations.carry_out(operation, files)
        except Exception as error:
            if is_away(error):
                self._put_off(error, start)
                return False
            if not is_unwell(error):
                raise
        else:
            return True
        try:
            # As often as MLflow would retry; a run that the first try created is found.
            self.operations.carry_out(operation, files, again=True)
        except Exception as error:
            if not is_away(error):
                raise
            self._put_off(error, start)
            return False
        return True

    def catch_up(self, skip: Callable[[Operation, str], None] | None = None) -> bool:
        """Write all waiting operations, without a time limit; return if none are left.

        Parameters
        ----------
        skip : callable or None
            Called with each refused operation and the reason; the operation is then
            skipped.

        Raises
        ------
        TrackingError
            The server refuses an operation, and `skip` is None.
        """
        if self.journal is not None:
            self._drain(None, skip)
        return self.journal is None

    @property
    def waiting(self) -> Waiting | None:
        """The waiting operations; None if there are none."""
        if self.journal is None:
            return None
        operations = self.journal.waiting
        runs = {operation["run"] for operation in operations if "run" in operation}
        return Waiting(len(operations), len(runs), self.journal.folder, self.reason)

    def _put_off(self, error: BaseException, start: float) -> None:
        self.reason = mask_text(describe(error), self.secrets)
        now = time.monotonic()
        rest_s = max(PROBE_EVERY_S, (now - start) / PROBE_SHARE)
        self._next_try = now + min(rest_s, PROBE_WITHIN_S)

    def _drain(
        self, budget_s: float | None, skip: Callable[[Operation, str], None] | None
    ) -> None:
        """Write waiting operations in order, for `budget_s` seconds or until done."""
        journal, start = self.journal, time.monotonic()
        if journal is None:
            return
        patient = budget_s is None
        try:
            with patience(own_timeout_s(PATIENT_S) if patient else PROBE_TIMEOUT_S):
                self.client.search_experiments(max_results=1)
            while journal.waiting:
                if budget_s is not None and time.monotonic() - start > budget_s:
                    return
                self._write_first(journal, patient, skip)
            self.operations.remove_twins()
        except Exception as error:
            if not (is_away(error) or is_unwell(error)):
                raise
            self._put_off(error, start)
            return
        self.close()
        self.say(
            "the tracking server answers; written is what waited: "
            + operations_text(self.n_written, len(self.written_runs))
        )

    def _write_first(
        self,
        journal: Journal,
        patient: bool,
        skip: Callable[[Operation, str], None] | None,
    ) -> None:
        operation = journal.waiting[0]
        files = journal.files_of(operation["n"])
        timeout_s = _timeout_s(operation)
        try:
            with patience(
                own_timeout_s(PATIENT_S) if patient else timeout_s, quiet=True
            ):
                self.operations.carry_out(operation, files, again=True)
        except (MlflowException, RequestException, TrackingError) as error:
            if is_away(error) or is_unwell(error):
                raise
            why = mask_text(first_line(error), self.secrets)
            if skip is None:
                raise TrackingError(
                    f"the tracking server refuses {operation['op']} of "
                    f"{operation.get('run', 'the experiment')}, which waits in "
                    f"{journal.folder}: {why}; `lstm-bench sync --skip-refused` "
                    "leaves out what is refused and writes the rest"
                ) from error
            skip(operation, why)
        else:
            self.n_written += 1
            if "run" in operation:
                self.written_runs.add(operation["run"])
        journal.mark_written()

    def close(self) -> None:
        """Release the journal; waiting operations remain for a later command."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None


def operations_text(n_operations: int, n_runs: int) -> str:
    """Return ``1 operation of 1 run``."""
    return f"{count(n_operations, 'operation')} of {count(n_runs, 'run')}"


def _timeout_s(operation: Operation) -> int:
    if operation["op"] == "log_batch":
        return EPOCH_TIMEOUT_S
    if operation["op"] == "log_model":
        return own_timeout_s(PATIENT_S)
    return WRITE_TIMEOUT_S


def _now() -> int:
    return int(time.time() * 1000)
