"""Which process works on something, so that a later one can tell that it is gone."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import Any

import psutil


def this_process() -> list[Any]:
    """Return host, process id and start time (seconds since 1970) of this process.

    The host is a digest of its name, which is nobody's business in a shared store.
    """
    process = psutil.Process()
    return [_host(), os.getpid(), process.create_time()]


def is_gone(owner: list[Any] | None) -> bool:
    """Whether `owner` was a process of this host that no longer runs.

    An unknown owner and those of other hosts are taken to be there.
    """
    if owner is None:
        return False
    host, pid, created = owner
    if host != _host():
        return False
    try:
        return bool(abs(psutil.Process(pid).create_time() - created) > 1.0)
    except psutil.NoSuchProcess:
        return True


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:12]
