"""A TCP proxy in front of a server: it can freeze, delay, slice, swallow or cut what passes, even after a COMMIT."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum

_CHUNK_BYTES = 65536
# How a COMMIT of psycopg looks on PostgreSQL's wire: a simple query, or a parsed statement.
COMMIT = b"COMMIT\0"


class ProxyMode(Enum):
    """The direction in which bytes pass."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class FaultProxy:
    """Forwards every connection to a server: a unix socket by its path, or a TCP port of this machine by its number.

    `touched` counts the chunks and connections that faults have changed; a fault that touched nothing did not happen.
    """

    def __init__(self, server: str | int, port: int = 0) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.touched = 0
        self._is_closed = threading.Event()
        self._is_flowing = threading.Event()
        self._is_flowing.set()
        self._delay_s = 0.0
        self._slice_bytes = 0
        self._swallowed: ProxyMode | None = None
        self._cut_after: bytes | None = None
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def freeze(self) -> None:
        """Accept connections and bytes, and forward nothing."""
        self._is_flowing.clear()

    def let_flow(self) -> None:
        """Forward everything again: at once, whole and both ways."""
        self._delay_s, self._slice_bytes, self._swallowed, self._cut_after = 0.0, 0, None, None
        self._is_flowing.set()

    def delay(self, delay_s: float) -> None:
        """Forward every chunk so much later."""
        self._delay_s = delay_s

    def slice(self, size_bytes: int) -> None:
        """Forward everything in pieces of this size."""
        self._slice_bytes = size_bytes

    def swallow(self, way: ProxyMode) -> None:
        """Accept what passes in this direction, and forward none of it."""
        self._swallowed = way

    def cut_after(self, what: bytes = COMMIT) -> None:
        """Cut a connection once these bytes went to the server: it acts on them, and its client gets no answer."""
        self._cut_after = what

    def cut(self) -> None:
        """Cut every connection that is open now."""
        for each in list(self._sockets):
            self._hang_up(each)
            self.touched += 1

    def close(self) -> None:
        """Cut every connection and accept no more."""
        self._is_closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.let_flow()
        for each in list(self._sockets):
            self._hang_up(each)
        for thread in self._threads:
            thread.join()

    def _begin(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="fault proxy", daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET)
        try:
            server.connect(self._server if isinstance(self._server, str) else ("127.0.0.1", self._server))
        except OSError:  # The server is down, so this connection is refused as well.
            client.close()
            server.close()
            return
        self._sockets |= {client, server}
        self._begin(self._carry, client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(
            target=self._forward, args=(server, client, ProxyMode.TO_CLIENT), name="fault proxy, back", daemon=True
        )
        back.start()
        self._forward(client, server, ProxyMode.TO_SERVER)
        with suppress(OSError):  # The server may still finish what it has received.
            server.shutdown(socket.SHUT_WR)
        back.join()
        self._sockets -= {client, server}
        client.close()
        server.close()

    def _forward(self, source: socket.socket, target: socket.socket, way: ProxyMode) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                self._is_flowing.wait()
                self._pass_on(chunk, source, target, way)
        if way is ProxyMode.TO_CLIENT:
            self._hang_up(target)

    def _pass_on(self, chunk: bytes, source: socket.socket, target: socket.socket, way: ProxyMode) -> None:
        if self._swallowed is way:
            self.touched += 1
            return
        if self._delay_s:
            self.touched += 1
            self._is_closed.wait(self._delay_s)
        if way is ProxyMode.TO_SERVER and self._cut_after is not None and self._cut_after in chunk:
            self.touched += 1
            self._hang_up(source)
        self._send(chunk, target)

    def _send(self, chunk: bytes, target: socket.socket) -> None:
        size_bytes = self._slice_bytes or len(chunk)
        if size_bytes < len(chunk):
            self.touched += 1
        for start in range(0, len(chunk), size_bytes):
            target.sendall(chunk[start : start + size_bytes])

    def _hang_up(self, each: socket.socket) -> None:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def open_fault_proxy(server: str | int, port: int = 0) -> Iterator[FaultProxy]:
    """Run a proxy in front of this server until the block ends, at this port or at a free one."""
    proxy = FaultProxy(server, port)
    try:
        yield proxy
    finally:
        proxy.close()
