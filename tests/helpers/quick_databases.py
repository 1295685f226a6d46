"""Databases that are new in a moment and wait for no disk.

MLflow's migrations take two seconds for each new file, so its tables are made once.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import tempfile
import warnings
from pathlib import Path

import mlflow.store.db.utils as mlflow_db
import sqlalchemy

_migrate = mlflow_db._initialize_tables


@functools.cache
def _made() -> sqlite3.Connection:
    """Return MLflow's tables without a row, in memory."""
    made = sqlite3.connect(":memory:", check_same_thread=False)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # SQLAlchemy's about MLflow's classes.
        warnings.simplefilter("ignore", DeprecationWarning)
        file = Path(folder) / "mlflow.db"
        engine = sqlalchemy.create_engine(f"sqlite:///{file}")
        _migrate(engine)
        engine.dispose()
        with contextlib.closing(sqlite3.connect(file)) as source:
            source.backup(made)
    return made


def write_tables(file: Path) -> None:
    """Write MLflow's tables to a new file, for a process that will use it."""
    with contextlib.closing(sqlite3.connect(file)) as target:
        _made().backup(target)


def copy_tables(engine: sqlalchemy.Engine) -> None:
    """Stand in for MLflow's function that makes its tables in an empty database."""
    if engine.dialect.name != "sqlite" or sqlalchemy.inspect(engine).get_table_names():
        _migrate(engine)
        return
    with engine.connect() as connection:
        _made().backup(connection.connection.driver_connection)


def wait_for_no_disk(connection: object, record: object) -> None:
    """Do without sqlite's waits for the disk, which only a power failure would miss."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
