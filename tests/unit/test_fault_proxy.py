"""The fault proxy: each fault does to a connection what its name says, and is counted."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos.fault_proxy import COMMIT, FaultProxy, ProxyMode, open_fault_proxy

_TIMEOUT_S = 5.0
_MOMENT_S = 0.05


class EchoServer:
    """Record what is received and send `answer` after each chunk."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.has_received = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="server")
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        try:
            while chunk := connection.recv(1000):
                self.received += chunk
                self.has_received.set()
                connection.sendall(b"answer")
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[EchoServer]:
    server = EchoServer()
    yield server
    server.close()


@contextmanager
def client_of(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), _TIMEOUT_S) as client:
        yield client


def test_without_a_fault_data_arrives_both_ways(server: EchoServer) -> None:
    with open_fault_proxy(server.port) as proxy, client_of(proxy) as client:
        client.sendall(b"question")

        assert b"answer" == client.recv(100)
        assert 0 == proxy.touched


def test_a_cut_ends_every_open_connection_and_lets_new_ones_in(server: EchoServer) -> None:
    with open_fault_proxy(server.port) as proxy:
        with client_of(proxy) as client:
            client.sendall(b"question")
            client.recv(100)
            proxy.cut()

            assert b"" == client.recv(100)
        with client_of(proxy) as client:
            client.sendall(b"question")

            assert b"answer" == client.recv(100)
            assert proxy.touched > 0


def test_after_a_commit_the_server_acts_and_its_answer_is_lost(server: EchoServer) -> None:
    with open_fault_proxy(server.port) as proxy, client_of(proxy) as client:
        proxy.cut_after(COMMIT)

        client.sendall(b"Q\0\0\0\x0bCOMMIT\0")

        assert b"" == client.recv(100)
        assert server.has_received.wait(_TIMEOUT_S)
        assert bytes(server.received).endswith(COMMIT)


def test_a_swallowed_direction_is_silent(server: EchoServer) -> None:
    with open_fault_proxy(server.port) as proxy, client_of(proxy) as client:
        proxy.swallow(ProxyMode.TO_CLIENT)
        client.sendall(b"question")
        server.has_received.wait(_TIMEOUT_S)
        client.settimeout(_MOMENT_S)

        with pytest.raises(TimeoutError):
            client.recv(100)


def test_slices_and_delays_change_no_data(server: EchoServer) -> None:
    with open_fault_proxy(server.port) as proxy, client_of(proxy) as client:
        proxy.slice(2)
        proxy.delay(_MOMENT_S)
        client.sendall(b"question")
        answer = b""
        while len(answer) < len(b"answer"):
            answer += client.recv(100)

        assert answer.startswith(b"answer")
        assert proxy.touched > 0


def test_a_server_that_is_down_is_down_behind_a_proxy_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]

    with open_fault_proxy(port) as proxy, client_of(proxy) as client:
        assert b"" == client.recv(100)
