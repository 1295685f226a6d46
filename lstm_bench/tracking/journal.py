"""A journal: MLflow operations that wait, in order, for an unreachable server.

``operations.jsonl`` has one numbered operation per line, ``written.txt`` the numbers of
the operations written since, and ``files/<number>/`` the files that an operation
uploads. Each line is flushed to the disk before the command continues: a killed process
loses at most the line that it was writing. One process at a time holds a journal; its
lock is released when the process ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any, Self

from lstm_bench.errors import TrackingError
from lstm_bench.system.folders import cache_folder

Operation = dict[str, Any]

OPERATIONS, WRITTEN, FILES, LOCK = "operations.jsonl", "written.txt", "files", "lock"
STORE = "store.json"


def store_folder(address: str) -> Path:
    """Return the folder of the journals for the server at `address`."""
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    return cache_folder("journal", digest)


def journal_folders(address: str, study: str | None = None) -> list[Path]:
    """Return the journals for a server, of one study or of all, oldest first."""
    pattern = f"{study or '*'}/*/"
    found = store_folder(address).glob(pattern)
    return sorted((f for f in found if f.is_dir()), key=lambda folder: folder.name)


def known_addresses() -> list[str]:
    """Return the addresses of the servers that have journals."""
    files = sorted(cache_folder("journal").glob(f"*/{STORE}"))
    addresses = [_address_in(file) for file in files]
    return [address for address in addresses if journal_folders(address)]


def _address_in(file: Path) -> str:
    try:
        return str(json.loads(file.read_bytes())["address"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise TrackingError(
            f"{file}: expected the address of a server as JSON; the journal is "
            'damaged: write {"address": "http://HOST:PORT"} there, or remove its '
            "folder to give up what waits in it"
        ) from error


class Journal:
    """Waiting operations, in a folder that this process has locked.

    Attributes
    ----------
    waiting : deque of dict
        Operations not written yet, oldest first; ``n`` is an operation's number.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock
        self._operations = _Lines(folder / OPERATIONS)
        self._written = _Lines(folder / WRITTEN)
        lines = enumerate(self._operations.read(), 1)
        operations = [self._parse(line, line_number) for line_number, line in lines]
        written = {self._parse_number(line) for line in self._written.read()}
        self._n = operations[-1]["n"] if operations else 0
        self.waiting: deque[Operation] = deque(
            operation for operation in operations if operation["n"] not in written
        )

    @classmethod
    def create(cls, address: str, study: str) -> Self:
        """Create a journal for a server and a study."""
        store = store_folder(address)
        while True:
            name = f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:8]}"
            folder = store / study / name
            folder.mkdir(parents=True)
            (store / STORE).write_text(
                json.dumps({"address": address}), encoding="utf-8"
            )
            opened = cls.open(folder)
            # None: a concurrent sync is about to remove the empty folder.
            if opened is not None:
                _sync(folder.parent)
                return opened

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """Open a journal; return None if another process holds it, or it is gone.

        Raises
        ------
        TrackingError
            A line that is not the last cannot be read.
        """
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        if not _lock(lock):
            os.close(lock)
            return None
        try:
            return cls(folder, lock)
        except FileNotFoundError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise

    def _parse(self, line: str, line_number: int) -> Operation:
        try:
            operation: Operation = json.loads(line)
            if operation["n"] < 1 or not isinstance(operation["op"], str):
                raise ValueError
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise TrackingError(
                f"{self.folder / OPERATIONS}:{line_number}: expected a numbered "
                f"operation as JSON, got {line[:40]!r}; the journal is damaged: mend "
                "the line, or remove the folder to give up what waits in it"
            ) from error
        return operation

    def _parse_number(self, line: str) -> int:
        try:
            return int(line)
        except ValueError as error:
            raise TrackingError(
                f"{self.folder / WRITTEN}: expected an operation's number a line, got "
                f"{line[:40]!r}; the journal is damaged: remove the line, or the "
                "folder to give up what waits in it"
            ) from error

    def append(self, operation: Operation, files: Path | None = None) -> None:
        """Append an operation, and a copy of the folder that it uploads."""
        # Never reused: a signal may interrupt this anywhere; numbers must be unique.
        self._n = number = self._n + 1
        if files is not None:
            kept = self.files_of(number)
            # Left by an append that was interrupted before it wrote its line.
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(files, kept)
            for path in [*kept.rglob("*"), kept, kept.parent, self.folder]:
                _sync(path)
        self._operations.append(json.dumps({"n": number, **operation}))
        if number == 1:
            _sync(self.folder)
        self.waiting.append({"n": number, **operation})

    def files_of(self, number: int) -> Path:
        """Return the folder with the files that operation `number` uploads."""
        return self.folder / FILES / str(number)

    def mark_written(self) -> None:
        """Mark the oldest operation as written, and delete its files."""
        number = self.waiting[0]["n"]
        self._written.append(str(number))
        self.waiting.popleft()
        shutil.rmtree(self.files_of(number), ignore_errors=True)

    def close(self) -> None:
        """Release the journal; remove it if it is empty."""
        if not self.waiting:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._operations.close()
        self._written.close()
        os.close(self._lock)


class _Lines:
    """An append-only file of lines, each flushed to the disk.

    Text after the last complete line was left by an interrupted append; it is ignored,
    and the next line overwrites it.
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        self._end = 0

    def read(self) -> list[str]:
        """Return the complete lines; call it once, before the first append."""
        size = os.fstat(self._descriptor).st_size
        content = os.pread(self._descriptor, size, 0)
        self._end = content.rfind(b"\n") + 1
        return content[: self._end].decode(errors="replace").split("\n")[:-1]

    def append(self, line: str) -> None:
        """Append a line and flush it to the disk."""
        content, offset = f"{line}\n".encode(), self._end
        os.ftruncate(self._descriptor, self._end)
        while content:
            n = os.pwrite(self._descriptor, content, offset)
            content, offset = content[n:], offset + n
        os.fsync(self._descriptor)
        self._end = offset

    def close(self) -> None:
        os.close(self._descriptor)


def _sync(path: Path) -> None:
    """Flush a file, or a folder's list of files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
