"""A pipe in front of a server that a test can freeze, let flow again, or cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 65536


class Valve:
    """Forwards every connection to a unix socket, while it flows."""

    def __init__(self, server: str, port: int = 0) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._is_flowing = threading.Event()
        self._is_flowing.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def freeze(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self._is_flowing.clear()

    def let_flow(self) -> None:
        """Pass everything on again."""
        self._is_flowing.set()

    def close(self) -> None:
        """Cut every connection and take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._is_flowing.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _begin(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="valve", daemon=True)  # type: ignore[arg-type] # our own methods
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                self._sockets += [near, far]
                far.connect(self._server)
                self._begin(self._forward, near, far)
                self._begin(self._forward, far, near)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                self._is_flowing.wait()
                target.sendall(chunk)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def valve_before(server: str, port: int = 0) -> Iterator[Valve]:
    """Put a valve before this unix socket until the block ends, at this port or at a free one."""
    valve = Valve(server, port)
    try:
        yield valve
    finally:
        valve.close()
