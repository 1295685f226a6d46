"""An address at which a real server answers, or for a while nobody does."""

from __future__ import annotations

import contextlib
import socket
import threading

from mlflow_server import free_port


class Gateway:
    """Passes what comes on to the server at `target`, a port of this machine.

    To stop and start it takes no time, which a server of MLflow's takes five seconds
    of CPU for; a client sees the same: broken connections, then refused ones.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.target = target
        self.port = port or free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True
        ).start()

    def stop(self) -> None:
        """Break all connections, and take no more."""
        if self._listener is not None:
            for one in (self._listener, *self._open):
                self._close(one)
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._open |= {client, server}
                for pair in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass_on, args=pair, daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        self._close(source)
        self._close(target)

    def _close(self, one: socket.socket) -> None:
        self._open.discard(one)
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
