"""Only one command at a time works on a study: the lease in the study's attributes."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import optuna

from lstm_bench.errors import TrackingError
from lstm_bench.stores import is_store_error
from lstm_bench.system.process import is_gone, is_here, this_process

LEASE = "lease"
RENEW_S = 30.0
# Without a sign of life, after which another host's command counts as gone.
STALE_S = 90.0
# Two commands that start at once both write; the later one has it.
SETTLE_S = 0.3


class Lease:
    """The right of one command to work on a study.

    Raises
    ------
    TrackingError
        Another command has it; from `renew`, another has taken it over.
    """

    def __init__(self, study: optuna.Study, command: str) -> None:
        self.study = study
        self._about = {
            "owner": this_process(),
            "host": socket.gethostname(),
            "command": command,
            "began": time.time(),
        }
        self._error: Exception | None = None
        holder = study.user_attrs.get(LEASE)
        if holder is not None and not is_over(holder):
            raise TrackingError(_refusal(study.study_name, holder))
        self._write()
        if not self._is_own(holder):
            time.sleep(SETTLE_S)
        self._check_holder()

    def renew(self) -> None:
        """Show that the command still runs."""
        self._check_holder()
        self._write()

    def release(self) -> None:
        """Release the study, unless another command has taken it over."""
        if self._is_own(self.study.user_attrs.get(LEASE)):
            self.study.set_user_attr(LEASE, None)

    def keep(self, over: threading.Event) -> None:
        """Renew the lease every 30 s until `over` is set or that fails."""
        while self._error is None and not over.wait(RENEW_S):
            try:
                self.renew()
            except Exception as error:
                self._error = error

    def check(self) -> None:
        """Raise the error that `keep` met, if any: call it often."""
        if self._error is not None:
            raise self._error

    def _is_own(self, holder: dict[str, Any] | None) -> bool:
        return holder is not None and holder["owner"] == self._about["owner"]

    def _write(self) -> None:
        self.study.set_user_attr(LEASE, {**self._about, "renewed": time.time()})

    def _check_holder(self) -> None:
        holder = self.study.user_attrs.get(LEASE)
        if not self._is_own(holder):
            raise TrackingError(
                _refusal(self.study.study_name, holder or self._about)
                + "; this one stops, and what it finished is kept"
            )


@contextmanager
def leased(study: optuna.Study, command: str) -> Iterator[Lease]:
    """Let only this command work on a study; `command` is its name.

    Raises
    ------
    TrackingError
        Another command works on it.
    """
    lease, over = Lease(study, command), threading.Event()
    # A thread of its own: no report that is written holds it up.
    thread = threading.Thread(target=lease.keep, args=(over,), daemon=True)
    thread.start()
    is_store_away = False
    try:
        yield lease
    except BaseException as error:
        # Then the next start sees that the process is gone.
        is_store_away = is_store_error(error)
        raise
    finally:
        over.set()
        thread.join()
        if not is_store_away:
            lease.release()


def at_work(study: optuna.Study) -> str | None:
    """Return the other command that works on a study now, if there is one."""
    holder = study.user_attrs.get(LEASE)
    return None if holder is None or is_over(holder) else describe(holder)


def is_over(holder: dict[str, Any]) -> bool:
    """Whether the command that holds a lease has ended."""
    owner = holder["owner"]
    if is_here(owner):
        return is_gone(owner) or owner[1] == os.getpid()
    return bool(time.time() - holder["renewed"] > STALE_S)


def describe(holder: dict[str, Any]) -> str:
    """Return the command that holds a lease, with its host, process and start."""
    began = datetime.fromtimestamp(holder["began"]).strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"{holder['command']} on {holder['host']}, process {holder['owner'][1]}, "
        f"since {began}"
    )


def _refusal(study: str, holder: dict[str, Any]) -> str:
    return (
        f"study {study}: another command works on it: {describe(holder)}; wait for it "
        f"or stop it (if that machine is gone, {STALE_S:g} s are enough)"
    )
