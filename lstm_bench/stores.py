"""When a store or a disk gives out: say so in one message instead of a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import sqlalchemy.exc
from mlflow.exceptions import MlflowException
from optuna.exceptions import OptunaError, StorageInternalError

from lstm_bench.errors import TrackingError
from lstm_bench.masking import login_password, mask_text, mask_url, passwords_in

DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)
DATABASE_ERRORS = (MlflowException, StorageInternalError, sqlalchemy.exc.DBAPIError)
# What ends a password for some reader of addresses and not for another.
AMBIGUOUS = frozenset("@/?#[] ")
ADVICE = "what was finished is kept; mend this and start the same command again"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, passwords masked."""
    return mask_text((str(error).strip().splitlines() or [type(error).__name__])[0])


def cause(error: BaseException) -> str:
    """Return what the database said where it was the one, else the first line.

    MLflow and Optuna wrap the database's message in several of their own.
    """
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, sqlalchemy.exc.DBAPIError) and current.orig is not None:
            return first_line(current.orig)
        current = current.__cause__ or current.__context__
    return first_line(error)


def check_address(url: str, option: str) -> None:
    """Raise TrackingError for an address that every reader would read differently.

    What one takes for the password, another takes for host or port, and names it in
    its error.
    """
    if url.startswith("sqlite:") and passwords_in(url):
        raise TrackingError(
            f"{option}: {mask_url(url)}: sqlite knows no password; leave it out, and "
            "keep others off the file by its permissions"
        )
    if not AMBIGUOUS.isdisjoint(login_password(url) or ""):
        raise TrackingError(
            f"{option}: {mask_url(url)}: characters of the password would be read as "
            "parts of the address; write @ as %40, / as %2F, # as %23, ? as %3F and "
            "so on, or leave the password to the environment or ~/.pgpass"
        )
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise TrackingError(
            f"{option}: {mask_url(url)}: expected HOST or HOST:PORT with a number"
        ) from None


def with_driver(url: str) -> str:
    """Return a PostgreSQL address with the driver that the `postgres` extra brings.

    SQLAlchemy takes a plain ``postgresql://`` for psycopg2's; where that is not
    installed and psycopg is, the address is meant for psycopg.
    """
    scheme, sign, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return url
    if find_spec("psycopg2") is not None or find_spec("psycopg") is None:
        return f"postgresql{sign}{rest}"
    return f"postgresql+psycopg{sign}{rest}"


def check_writable_database(file: Path, option: str) -> None:
    """Raise TrackingError unless sqlite can write `file`."""
    if not file.parent.is_dir():
        raise TrackingError(
            f"{option}: {file.parent} is not a folder; make it, or name another file"
        )
    target = file if file.exists() else file.parent
    if not os.access(target, os.W_OK):
        raise TrackingError(
            f"{option}: {target} cannot be written; run in a folder of your own, or "
            f"give {option} sqlite:///FILE.db"
        )


def sqlite_file(url: str) -> Path | None:
    """Return the file of a sqlite address; None for any other database or server."""
    if not url.startswith("sqlite:///"):
        return None
    return Path(url.partition("?")[0].removeprefix("sqlite:///"))


def check_is_there(url: str, option: str) -> None:
    """Raise TrackingError if `url` is a sqlite file that does not exist."""
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise TrackingError(
            f"{option}: expected a store, got no file {file}; run `lstm-bench sweep` "
            f"first, or name another with {option}"
        )


def create_whole(url: str, create: Callable[[str], object]) -> None:
    """Create a sqlite store under another name first, if there is none at `url`.

    Its tables are made one by one; of a process that is killed meanwhile, half a
    store would be left that opens nowhere.

    Parameters
    ----------
    create : callable
        Makes the store at the URL that it is given.
    """
    file = sqlite_file(url)
    if file is None or file.exists():
        return
    for left in file.parent.glob(f".{file.name}.*.new"):
        if not psutil.pid_exists(int(left.name.split(".")[-2])):
            left.unlink(missing_ok=True)
    begun = file.with_name(f".{file.name}.{os.getpid()}.new")
    create(f"sqlite:///{begun}")
    if file.exists():
        # Another process was faster, and has begun to write into its own.
        begun.unlink()
    else:
        begun.replace(file)


@contextmanager
def opening_store(url: str, option: str) -> Iterator[None]:
    """Turn what comes of opening the database or server `url` into a TrackingError."""
    try:
        yield
    except ImportError as error:
        raise TrackingError(
            f"{option}: {mask_url(url)}: the driver of this database is missing "
            f"({first_line(error)}); install it, for PostgreSQL with "
            "pip install 'lstm-bench[postgres]'"
        ) from error
    except (
        MlflowException,
        OptunaError,
        sqlalchemy.exc.SQLAlchemyError,
    ) as error:
        raise TrackingError(
            f"{option}: {mask_url(url)}: cannot be opened ({cause(error)}); check the "
            "address"
            + (", or move the file away to begin anew" if sqlite_file(url) else "")
        ) from error


def is_store_error(error: BaseException) -> bool:
    """Whether a database, a server or a disk gave out: no fault of what was done."""
    if isinstance(error, OSError):
        return error.errno in DISK_ERRORS
    return isinstance(error, DATABASE_ERRORS)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what MLflow, Optuna, SQLAlchemy or a disk says into a TrackingError.

    Other errors pass: they are defects, and keep their traceback.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise TrackingError(
            f"a store could not be read or written: {cause(error)}\n{ADVICE}"
        ) from error
    except OSError as error:
        if not is_store_error(error):
            raise
        raise TrackingError(
            f"{error.filename or 'the disk'} cannot be written: {error.strerror}\n"
            f"{ADVICE}"
        ) from error
