"""Addresses of stores, checks of their databases, and messages when one fails.

A database is recognised as MLflow's or Optuna's before either of them opens it: both
create and migrate their tables in any database that they open.
"""

from __future__ import annotations

import errno
import glob
import os
import shlex
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

import mlflow
import optuna
import psutil
import sqlalchemy.exc
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from optuna.exceptions import OptunaError, StorageInternalError

from lstm_bench.errors import TrackingError
from lstm_bench.masking import login_password, mask_url, passwords_in
from lstm_bench.text import first_line

DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)
DATABASE_ERRORS = (MlflowException, StorageInternalError, sqlalchemy.exc.DBAPIError)
# Characters that end a password for some parsers of addresses but not for others.
AMBIGUOUS = frozenset("@/?#[] ")
# Characters with a meaning in an address: options, a fragment, and the braces that
# Optuna replaces.
RESERVED = frozenset("?#{}")

Owner = Literal["MLflow", "Optuna"]
# Tables that exist in all versions of each.
TABLES: dict[Owner, frozenset[str]] = {
    "MLflow": frozenset(("experiments", "runs", "metrics", "params")),
    "Optuna": frozenset(("studies", "trials", "trial_params")),
}
OPTIONS: dict[Owner, str] = {"MLflow": "--tracking-uri", "Optuna": "--storage"}
HOLDS: dict[Owner, str] = {"MLflow": "runs", "Optuna": "trials"}
MAX_NAMED = 5
ADVICE = "what was finished is kept; repair this and start the same command again"


def cause(error: BaseException) -> str:
    """Return the database's own message if there is one, else the error's first line.

    MLflow and Optuna wrap the database's message in several messages.
    """
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, sqlalchemy.exc.DBAPIError) and current.orig is not None:
            return first_line(current.orig)
        current = current.__cause__ or current.__context__
    return first_line(error)


def check_address(url: str, option: str) -> None:
    """Raise TrackingError for an address that is ambiguous.

    One parser's password is another's host or port, which it would print in its error.
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
    """Return a PostgreSQL address with the driver that the `postgres` extra installs.

    For SQLAlchemy a plain ``postgresql://`` means psycopg2; if only psycopg is
    installed, psycopg is used.
    """
    scheme, sign, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return url
    if find_spec("psycopg2") is not None or find_spec("psycopg") is None:
        return f"postgresql{sign}{rest}"
    return f"postgresql+psycopg{sign}{rest}"


def sqlite_url(file: Path) -> str:
    """Return the address of a sqlite file.

    The path is quoted only if its meaning would otherwise be ambiguous.

    Raises
    ------
    TrackingError
        The path is not text, so that no address can name it.
    """
    path = str(file)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise TrackingError(
            f"{path!r}: expected a path in UTF-8; rename the folder, or name another"
        ) from None
    if RESERVED.isdisjoint(path) and unquote(path) == path:
        return f"sqlite:///{path}"
    # With an explicit driver: MLflow does not unquote the path of a plain sqlite:///
    # and would create a folder called why%3F beside why?.
    return f"sqlite+pysqlite:///{quote(path)}"


def sqlite_file(url: str) -> Path | None:
    """Return the file of a sqlite address; None for any other database or server."""
    if not url.startswith(("sqlite:///", "sqlite+pysqlite:///")):
        return None
    return Path(unquote(url.partition("?")[0].partition(":///")[2]))


def absolute_url(url: str, option: str) -> str:
    """Return the address of a database, with a sqlite file's path made absolute.

    A relative path would mean another file when the working directory changes.

    Raises
    ------
    TrackingError
        The address of a sqlite database has no file, or has options.
    """
    file = sqlite_file(url)
    if file is None:
        if urlsplit(url).scheme.startswith("sqlite"):
            raise TrackingError(
                f"{option}: expected sqlite:///FILE.db, got {mask_url(url)!r}"
            )
        return with_driver(url)
    if "?" in url:
        raise TrackingError(
            f"{option}: {mask_url(url)}: what follows a ? is no part of the file's "
            "name; write a ? in a name as %3F (and a % as %25), and leave options out"
        )
    if file.name in ("", ":memory:"):
        raise TrackingError(
            f"{option}: expected sqlite:///FILE.db, got {mask_url(url)!r}, which "
            "names no file"
        )
    return sqlite_url(file.absolute())


def check_database(url: str, owner: Owner, option: str, *, create: bool) -> None:
    """Raise TrackingError unless a database is `owner`'s, in the installed version.

    Nothing is written, whatever the database is.

    Parameters
    ----------
    url : str
        From `absolute_url`.
    create : bool
        Whether the caller creates a missing store, or one in an empty database.
    """
    file = sqlite_file(url)
    if file is not None and not _is_file(file, option, create):
        if create:
            return
        raise TrackingError(
            f"{option}: expected a store, got no file {file}; run `lstm-bench sweep` "
            f"first, or name another with {option}"
        )
    with opening_store(url, option):
        if file is None:
            engine = sqlalchemy.create_engine(url)
        else:
            engine = sqlalchemy.create_engine(
                "sqlite://",
                creator=lambda: _open_unchanged(file),
                poolclass=sqlalchemy.pool.NullPool,
            )
        try:
            with engine.connect() as connection:
                problem = _problem(connection, url, owner, create)
        finally:
            engine.dispose()
    if problem is not None:
        raise TrackingError(f"{option}: {mask_url(url)}: {problem}")


def _is_file(file: Path, option: str, create: bool) -> bool:
    """Whether the file exists; raise TrackingError if it cannot be opened."""
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        if not file.parent.is_dir():
            raise TrackingError(
                f"{option}: {file.parent} is not a folder; make it, or name another "
                "file"
            ) from None
        if create:
            _check_writable(file.parent, option)
        return False
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise TrackingError(
            f"{option}: {str(file)[:200]!r} cannot be opened ({why}); name another file"
        ) from error
    if not stat.S_ISREG(mode):
        raise TrackingError(
            f"{option}: expected a sqlite file, got {file}, which is "
            f"{'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; name a file"
        )
    if create:
        _check_writable(file, option)
    return True


def _check_writable(target: Path, option: str) -> None:
    if not os.access(target, os.W_OK):
        raise TrackingError(
            f"{option}: {target} cannot be written; run in a folder of your own, or "
            f"give {option} sqlite:///FILE.db"
        )


def _open_unchanged(file: Path) -> sqlite3.Connection:
    """Open a sqlite file without ever writing to it."""
    uri = file.as_uri()
    with file.open("rb") as opened:
        logs_ahead = opened.read(20)[18:] == b"\2\2"
    if logs_ahead and not Path(f"{file}-wal").exists():
        # No process uses it; opened otherwise, sqlite creates two files beside it.
        return sqlite3.connect(f"{uri}?immutable=1", uri=True)
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        # A killed process left a write that only a writer can roll back; the tables
        # are visible without that.
        connection.close()
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True)
    return connection


def _problem(
    connection: sqlalchemy.Connection, url: str, owner: Owner, create: bool
) -> str | None:
    """Return why a database is not `owner`'s in the installed version, or None."""
    tables = set(sqlalchemy.inspect(connection).get_table_names())
    expected = f"expected {owner}'s store of {HOLDS[owner]}"
    if not tables:
        return None if create else f"{expected}, got an empty database; name another"
    if not tables >= TABLES[owner]:
        for other, names in TABLES.items():
            if tables >= names:
                return (
                    f"{expected}, got {other}'s of {HOLDS[other]}; are "
                    f"{OPTIONS['MLflow']} and {OPTIONS['Optuna']} swapped?"
                )
        named = ", ".join(f"{name[:40]!r}" for name in sorted(tables)[:MAX_NAMED])
        more = ", ..." if len(tables) > MAX_NAMED else ""
        return (
            f"{expected}, got a database of another program (its tables: {named}"
            f"{more}); it was not changed, name another"
        )
    if problem := _version_problem(connection, url, owner, "alembic_version" in tables):
        return problem
    first = sqlalchemy.text("SELECT 1 FROM experiments LIMIT 1")
    if owner == "MLflow" and not create and not connection.execute(first).all():
        # MLflow would write its default experiment on the first read.
        return f"{expected}, got one without any; run `lstm-bench sweep` first"
    return None


def _version_problem(
    connection: sqlalchemy.Connection, url: str, owner: Owner, has_version: bool
) -> str | None:
    query = sqlalchemy.text("SELECT version_num FROM alembic_version")
    found = list(connection.execute(query).scalars()) if has_version else []
    scripts = _migrations(owner)
    if found == [scripts.get_current_head()]:
        return None
    shown = ", ".join(map(str, found)) or "none"
    known = {script.revision for script in scripts.walk_revisions()}
    if not known.issuperset(found):
        return (
            f"its tables' version ({shown}) is unknown to the {owner} installed here; "
            f"update {owner} to the one that wrote them"
        )
    command = {
        "MLflow": "mlflow db upgrade",
        "Optuna": "optuna storage upgrade --storage",
    }[owner]
    return (
        f"its tables (version {shown}) are of an older {owner} than the one installed; "
        f"keep a copy, then migrate them: {command} {shlex.quote(mask_url(url))}"
    )


def _migrations(owner: Owner) -> ScriptDirectory:
    """Return all versions of `owner`'s tables that the installed package knows."""
    folder = {
        "MLflow": Path(mlflow.__file__).parent / "store" / "db_migrations",
        "Optuna": Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic",
    }[owner]
    return ScriptDirectory(str(folder))


def create_whole(url: str, create: Callable[[str], object]) -> None:
    """Create a sqlite store under another name first, if there is none at `url`.

    Its tables are created one by one; if the process is killed meanwhile, an
    incomplete store that cannot be opened would remain.

    Parameters
    ----------
    create : callable
        Creates the store at the given URL.
    """
    file = sqlite_file(url)
    if file is None or _holds_something(file):
        return
    for left in file.parent.glob(f".{glob.escape(file.name)}.*.new"):
        # Another program's file may have such a name; only ours has a process id in it.
        pid = left.name.split(".")[-2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            left.unlink(missing_ok=True)
    begun = file.with_name(f".{file.name}.{os.getpid()}.new")
    create(sqlite_url(begun))
    if _holds_something(file):
        # Another process was faster and uses its own store already.
        begun.unlink()
    else:
        begun.replace(file)


def _holds_something(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


@contextmanager
def opening_store(url: str, option: str) -> Iterator[None]:
    """Turn errors of opening the database or server `url` into a TrackingError."""
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
        advice = "check the address"
        if sqlite_file(url):
            advice += ", or move the file away to begin anew"
        elif url.startswith("postgresql"):
            advice += ", and the password in the environment or in ~/.pgpass"
        raise TrackingError(
            f"{option}: {mask_url(url)}: cannot be opened ({cause(error)}); {advice}"
        ) from error


def is_store_error(error: BaseException) -> bool:
    """Whether a database, server or disk failed, which is not a defect of the code."""
    if isinstance(error, OSError):
        return error.errno in DISK_ERRORS
    return isinstance(error, DATABASE_ERRORS)


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn errors of MLflow, Optuna, SQLAlchemy or a disk into a TrackingError.

    Other errors are defects; they are not caught and keep their traceback.
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
