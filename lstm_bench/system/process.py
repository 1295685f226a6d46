"""Identify the process that owns a run or trial, to detect later that it has ended."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import Annotated, Any

import psutil
from pydantic import Field, TypeAdapter, ValidationError

from lstm_bench.errors import StoredError

PID_NAMESPACE = "/proc/self/ns/pid"


_OWNER = TypeAdapter(
    tuple[
        str,
        Annotated[int, Field(gt=0, lt=2**31)],
        Annotated[float, Field(allow_inf_nan=False)],
    ]
)


def this_process() -> list[Any]:
    """Return host, process id and start time (seconds since 1970) of this process.

    The host is a digest of its name, so that a shared store does not reveal it.
    """
    process = psutil.Process()
    return [_host(), os.getpid(), process.create_time()]


def parse_owner(stored: object) -> list[Any]:
    """Return a stored process as `this_process` returned it.

    Parameters
    ----------
    stored : object
        JSON text, or the object parsed from it.

    Raises
    ------
    StoredError
        It is not a process.
    """
    try:
        if isinstance(stored, str):
            return list(_OWNER.validate_json(stored))
        return list(_OWNER.validate_python(stored))
    except ValidationError as error:
        raise StoredError(
            f"expected a process as [host, id, start time], got {repr(stored)[:60]}"
        ) from error


def is_here(owner: list[Any] | None) -> bool:
    """Whether `owner` is or was a process of this host."""
    return owner is not None and owner[0] == _host()


def is_gone(owner: list[Any] | None) -> bool:
    """Whether `owner` was a process of this host that no longer runs.

    Unknown owners and processes of other hosts count as running.
    """
    if owner is None or not is_here(owner):
        return False
    _, pid, created = owner
    try:
        process = psutil.Process(pid)
        # A zombie has ended, but its parent has not waited for it.
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return bool(abs(process.create_time() - created) > 1.0)
    except psutil.NoSuchProcess:
        return True


def _host() -> str:
    name = socket.gethostname()
    if os.path.lexists(PID_NAMESPACE):
        # Containers may share a host's name without seeing each other's processes.
        name += os.readlink(PID_NAMESPACE)
    return hashlib.sha256(name.encode()).hexdigest()[:12]
