"""The trials' database: resolve its address and open it."""

from __future__ import annotations

import os

import optuna

from lstm_bench.errors import TrackingError
from lstm_bench.masking import hide_login
from lstm_bench.stores import (
    absolute_url,
    check_address,
    check_database,
    create_whole,
)

DEFAULT_STORAGE = "optuna.db"
STORAGE_VARIABLE = "LSTM_BENCH_STORAGE"


def resolve_storage(url: str | None, *, create: bool = True) -> str:
    """Return the absolute URL of an existing Optuna storage, or of one to create.

    Order: `url`, the environment's ``LSTM_BENCH_STORAGE``, ``optuna.db`` in the
    working directory.

    Parameters
    ----------
    create : bool
        Whether the caller creates a missing storage.

    Raises
    ------
    TrackingError
        The address is invalid; or the database cannot be opened, is not Optuna's, or
        has the schema of another version.
    """
    url = url or os.environ.get(STORAGE_VARIABLE) or f"sqlite:///{DEFAULT_STORAGE}"
    check_address(url, "--storage")
    dialect = url.partition("://")[0].partition("+")[0]
    if "://" not in url or dialect not in ("sqlite", "postgresql"):
        raise TrackingError(
            f"--storage: expected a database URL such as sqlite:///optuna.db or "
            f"postgresql://USER@HOST/DATABASE, got {hide_login(url)!r}"
        )
    url = absolute_url(url, "--storage")
    check_database(url, "Optuna", "--storage", create=create)
    return url


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Open the trials' database at `url`; create it if it is new."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    create_whole(url, optuna.storages.RDBStorage)
    return optuna.storages.RDBStorage(url)


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Close the connections of a storage."""
    storage.remove_session()
    storage.engine.dispose()
