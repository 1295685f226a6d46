"""Find artifacts on this machine, also after the store's folder was moved.

MLflow writes absolute paths into its database, and has no way to change them
(https://github.com/mlflow/mlflow/issues/3144). Paths are therefore resolved relative to
the database's folder, so that a folder with a store in it can be moved as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from mlflow.utils.file_utils import local_file_uri_to_path

from lstm_bench.masking import bare_url
from lstm_bench.stores import sqlite_file

# Columns of MLflow's tables that hold addresses of artifacts.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)


@dataclass(frozen=True)
class Move:
    """An experiment whose artifacts are no longer at the recorded address.

    Attributes
    ----------
    recorded : str
        The address in the database.
    old, new : Path
        The folder of that address, and the one beside the database.
    """

    experiment_id: str
    recorded: str
    old: Path
    new: Path


def local_folder(uri: str) -> Path | None:
    """Return the folder of an artifact address; None for one on a server."""
    if not uri.startswith(("file:", "/")):
        return None
    return Path(local_file_uri_to_path(uri))  # type: ignore[no-untyped-call]


def run_folder(tracking_uri: str, artifact_uri: str) -> Path | None:
    """Return the folder with a run's artifacts; None if a server stores them."""
    folder = local_folder(artifact_uri)
    store = sqlite_file(tracking_uri)
    if folder is None or store is None or folder.is_relative_to(store.parent):
        return folder
    # At least ID/artifacts: no other folder is called so.
    return _beside(store.parent, folder, 2) or folder


def places(tracking_uri: str, artifact_uri: str) -> str:
    """Return the folder that is searched for a run's artifacts, for a message."""
    folder, store = run_folder(tracking_uri, artifact_uri), sqlite_file(tracking_uri)
    if folder is None:
        return bare_url(artifact_uri)
    if store is None or folder.is_relative_to(store.parent):
        return str(folder)
    return f"{folder} and beside the store, in {store.parent}"


def _beside(place: Path, folder: Path, n_parts: int) -> Path | None:
    """Return the folder below `place` whose path ends as `folder`'s does, or None.

    Parameters
    ----------
    n_parts : int
        Least number of path components that must match.
    """
    if ".." in folder.parts:
        return None
    for start in range(1, len(folder.parts) - n_parts + 1):
        found = place.joinpath(*folder.parts[start:])
        if found.is_dir():
            return found
    return None


def find_moves(tracking_uri: str) -> list[Move]:
    """Return the experiments of a sqlite store that was moved with its artifacts."""
    store = sqlite_file(tracking_uri)
    if store is None:
        return []
    engine = sqlalchemy.create_engine(tracking_uri)
    try:
        with engine.connect() as connection:
            experiments, runs = (
                connection.execute(
                    sqlalchemy.text(f"SELECT experiment_id, {column} FROM {table}")
                ).all()
                for table, column in ADDRESSES[:2]
            )
    finally:
        engine.dispose()
    moves, others = [], []
    for experiment_id, recorded in experiments:
        old = local_folder(str(recorded))
        if old is None or old.is_relative_to(store.parent):
            continue
        uris = [str(uri) for owner, uri in runs if owner == experiment_id]
        new = _moved_to(store.parent, old, uris)
        if new is None:
            others.append((experiment_id, recorded, old))
        elif not (old.exists() and old.samefile(new)):
            moves.append(Move(str(experiment_id), str(recorded), old, new))
    # Experiments without artifacts were moved with the others.
    roots = {_root(move, store.parent) for move in moves}
    moves += [
        Move(str(experiment_id), str(recorded), old, store.parent / below)
        for experiment_id, recorded, old in others
        for below in (old.relative_to(r) for r in roots if old.is_relative_to(r))
        if not old.exists()
    ]
    return moves


def _moved_to(place: Path, old: Path, run_uris: list[str]) -> Path | None:
    """Return the folder of an experiment by the first run that is found in `place`."""
    for uri in run_uris:
        folder = local_folder(uri)
        if folder is None or not folder.is_relative_to(old):
            continue
        found = _beside(place, folder, 2)
        below = folder.relative_to(old).parts
        if found is not None and found.parts[-len(below) :] == below:
            return found.parents[len(below) - 1]
    return None


def _root(move: Move, place: Path) -> Path:
    """Return where the store's folder was before the move."""
    return move.old.parents[len(move.new.relative_to(place).parts) - 1]


def record_moves(tracking_uri: str, moves: list[Move]) -> None:
    """Write the new folders into the database, so that MLflow uses and shows them."""
    if not moves:
        return  # A server's address, not a database's.
    engine = sqlalchemy.create_engine(tracking_uri)
    try:
        with engine.begin() as connection:
            for move in moves:
                values = {
                    "experiment": move.experiment_id,
                    "old": move.recorded,
                    "new": move.new.as_uri(),
                }
                for table, column in ADDRESSES:
                    connection.execute(
                        sqlalchemy.text(
                            f"UPDATE {table} SET {column} = "
                            f":new || substr({column}, length(:old) + 1) "
                            "WHERE experiment_id = :experiment AND "
                            f"(substr({column}, 1, length(:old) + 1) = :old || '/' "
                            f"OR {column} = :old)"
                        ),
                        values,
                    )
    finally:
        engine.dispose()
