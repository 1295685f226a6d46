"""The trials' database: resolve its address, open it, find a study's suite in it."""

from __future__ import annotations

import os
import warnings

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning

from lstm_bench.errors import StoredError, TrackingError
from lstm_bench.masking import hide_login
from lstm_bench.search.trials import heartbeat_and_grace_s
from lstm_bench.stores import (
    absolute_url,
    check_address,
    check_database,
    create_whole,
    opening_store,
)
from lstm_bench.suites.suite import Suite, suite_from_text
from lstm_bench.text import first_line, listed
from lstm_bench.tracking.stored_runs import parse_logged_suite

DIGEST, SUITE = "dataset_digest", "suite"


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
    heartbeat_s, grace_s = heartbeat_and_grace_s()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.storages.RDBStorage(
            url, heartbeat_interval=heartbeat_s, grace_period=grace_s
        )


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Close the connections of a storage."""
    storage.remove_session()
    storage.engine.dispose()


def find_suite(storage_url: str, name: str) -> Suite:
    """Return the suite that a study's sweep stored with it.

    Parameters
    ----------
    name : str
        A study's name, such as ``imdb-1a2b3c4d``, or that of a suite with one study.

    Raises
    ------
    TrackingError
        There is no such study, or there are several of that suite.
    """
    with opening_store(storage_url, "--storage"):
        storage = open_storage(storage_url)
        known, damaged = {}, {}
        for study in study_names(storage):
            try:
                found = optuna.load_study(study_name=study, storage=storage)
                if SUITE in found.user_attrs:
                    known[study] = parse_logged_suite(found.user_attrs[SUITE])
            except (StoredError, ValueError) as error:
                damaged[study] = first_line(error)
        close_storage(storage)
    if name in damaged:
        raise TrackingError(
            f"{name}: the attributes of this Optuna study cannot be read "
            f"({damaged[name]}); restore the --storage from a copy, or sweep again "
            "with another"
        )
    chosen = [study for study, (suite, _) in known.items() if name in (study, suite)]
    if len(chosen) != 1:
        several = listed(sorted(chosen or known), " and ") or "none"
        raise TrackingError(
            f"{name}: expected one study of that name in the --storage, got "
            + (
                f"{several}; name one of them"
                if chosen
                else f"none (it has {several}); "
                "start the sweep first, with the same --storage"
            )
        )
    return suite_from_text(*known[chosen[0]])


def study_names(storage: optuna.storages.RDBStorage) -> list[str]:
    """Return the names of all studies, without decoding their attributes."""
    with storage.engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT study_name FROM studies"))
        return [str(name) for (name,) in rows]
