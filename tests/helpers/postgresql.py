"""A real PostgreSQL server of Debian's binaries, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from mlflow_server import free_port

USER, PASSWORD = "bench", "geheim-Wort-4711"
START_TIMEOUT_S = 60


def binaries() -> Path | None:
    """Return the folder of the newest server's programs, None if there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda program: int(program.parts[4]),
    )
    if found:
        return found[-1].parent
    program = shutil.which("initdb")
    return None if program is None else Path(program).parent


class PostgresqlServer:
    """Asks for a password on loopback; started by root, it runs as nobody."""

    def __init__(self) -> None:
        programs = binaries()
        assert programs is not None
        self.programs = programs
        # Not below pytest's folder, which nobody but root may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="lstm-bench-postgresql-"))
        self.port = free_port()
        self.log = self.folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid}
            self._as["extra_groups"] = []
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, **self._as
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        data = self.folder / "data"
        self._run(
            *(self.programs / "initdb", "--pgdata", data, "--username", USER),
            *("--auth", "scram-sha-256", "--pwfile", secret),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
        secret.unlink()
        self.launch()

    def launch(self) -> None:
        """Start the server with the data that it has."""
        data = self.folder / "data"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(self.programs / "postgres", "-D", data, "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1"),
                    *("-c", f"unix_socket_directories={self.folder}"),
                    *("-c", "fsync=off", "-c", "max_connections=200"),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            ready = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1"]
            if subprocess.run([*ready, "-p", str(self.port)]).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text()[-2000:])

    def create(self, database: str) -> str:
        """Create a database and return its address, with the password."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """End the server, and all its connections, as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=30)
            self.process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)
