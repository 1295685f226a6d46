"""Write the operations in earlier commands' journals to a tracking server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from lstm_bench.errors import TrackingError
from lstm_bench.stores import check_address
from lstm_bench.tracking.journal import (
    Journal,
    Operation,
    journal_folders,
    known_addresses,
)
from lstm_bench.tracking.server import address, is_server
from lstm_bench.tracking.writer import Writer, operations_text


@dataclass(frozen=True)
class Kept:
    """Operations that wait for a server in journals that no running command holds."""

    n_operations: int
    n_runs: int
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Synced:
    """What was written, and how many journals running commands hold."""

    n_operations: int
    n_runs: int
    n_in_use: int


def store_to_sync(tracking_uri: str | None) -> str | None:
    """Return the store to write to; None if no operation waits for any server.

    Order: `tracking_uri`, the environment's ``MLFLOW_TRACKING_URI``, the only server
    that operations wait for.

    Raises
    ------
    TrackingError
        Not an address, or operations wait for several servers and none is named.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    if uri is not None:
        check_address(uri, "--tracking-uri")
    known = known_addresses()
    if uri is not None:
        return uri
    if len(known) > 1:
        raise TrackingError(
            f"--tracking-uri: something waits for {len(known)} servers; name one of "
            f"{', '.join(known)}"
        )
    return known[0] if known else None


def servers_beside(tracking_uri: str) -> list[str]:
    """Return the other servers that operations wait for."""
    return [known for known in known_addresses() if known != address(tracking_uri)]


def what_waits(tracking_uri: str) -> Kept:
    """Return what `sync` would write now to a server, without contacting it.

    Raises
    ------
    TrackingError
        A journal is damaged.
    """
    n_operations, runs, kept = 0, set[str](), []
    for folder in _journals(tracking_uri):
        journal = Journal.open(folder)
        if journal is None:
            continue
        waiting = list(journal.waiting)
        journal.close()
        if waiting:
            n_operations += len(waiting)
            runs |= {operation["run"] for operation in waiting if "run" in operation}
            kept.append(folder)
    return Kept(n_operations, len(runs), tuple(kept))


def _journals(tracking_uri: str, study: str | None = None) -> list[Path]:
    if not is_server(tracking_uri):
        return []
    return journal_folders(address(tracking_uri), study)


def sync(
    tracking_uri: str,
    study: str | None = None,
    skip: Callable[[Operation, str], None] | None = None,
) -> Synced:
    """Write the operations that wait for a server, of one study or all, oldest first.

    Parameters
    ----------
    skip : callable or None
        Called with each refused operation and the reason; the operation is skipped.

    Raises
    ------
    TrackingError
        The server does not answer, or refuses an operation and `skip` is None.
    """
    n_operations, n_in_use, runs = 0, 0, set[str]()
    folders = _journals(tracking_uri, study)
    for i, folder in enumerate(folders):
        journal = Journal.open(folder)
        if journal is None:
            n_in_use += folder.exists()
            continue
        client = MlflowClient(tracking_uri)
        writer = Writer(client, tracking_uri, "", lambda line: None, journal)
        try:
            done = writer.catch_up(skip)
            waiting = writer.waiting
        finally:
            writer.close()
        n_operations += writer.n_written
        runs |= writer.written_runs
        if not done and waiting is not None:
            more = (
                f" and {len(folders) - i - 1} further" if i + 1 < len(folders) else ""
            )
            raise TrackingError(
                f"the tracking server at {address(tracking_uri)} does not take what "
                f"waits for it ({waiting.reason}): "
                f"{operations_text(n_operations, len(runs))} were written, "
                f"{waiting.n_operations} of {waiting.n_runs} are left in "
                f"{folder}{more}; give the same command when it is back"
            )
    return Synced(n_operations, len(runs), n_in_use)
