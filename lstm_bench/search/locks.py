"""Lock a store while something is read from it and written depending on that.

Optuna assigns trial numbers one by one, but the next request depends on the other
workers' trials: two workers that read at the same moment would both train the last
configuration, take the same waiting trial (sqlite does not lock rows that are read) or
request one trial too many.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from lstm_bench.errors import TrackingError
from lstm_bench.system.file_lock import lock_within

WAIT_S = 60.0


class StoreLock:
    """A lock on one name in one database, released when its process dies.

    It is a lock on a file beside the database for sqlite, the server's advisory lock
    for PostgreSQL. It is not reentrant.

    Parameters
    ----------
    engine : sqlalchemy.Engine or None
        Of the database; None for a store in this process's memory, which is not
        shared.
    """

    def __init__(self, engine: sqlalchemy.Engine | None, name: str) -> None:
        self.engine = engine
        self.name = name

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises
        ------
        TrackingError
            Another process has held it for `WAIT_S` seconds.
        """
        if self.engine is None:
            yield
            return
        is_file = self.engine.dialect.name == "sqlite"
        with self._file() if is_file else self._postgresql(self.engine):
            yield

    @contextmanager
    def _file(self) -> Iterator[None]:
        database = self.engine.url.database if self.engine is not None else None
        file = Path(database or "")
        # Not the database itself: closing it again would release sqlite's own locks.
        descriptor = os.open(
            file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666
        )
        try:
            if not lock_within(descriptor, WAIT_S):
                raise self._stuck()
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _postgresql(self, engine: sqlalchemy.Engine) -> Iterator[None]:
        digest = hashlib.sha256(self.name.encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text(f"SET LOCAL lock_timeout = '{WAIT_S:g}s'")
            )
            try:
                connection.execute(
                    sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key}
                )
            except sqlalchemy.exc.OperationalError as error:
                if "lock timeout" not in str(error):
                    raise
                raise self._stuck() from error
            yield

    def _stuck(self) -> TrackingError:
        return TrackingError(
            f"--storage: another process has held the lock of {self.name} for "
            f"{WAIT_S:g} s; is one of the workers stopped (SIGSTOP, a debugger)?"
        )
