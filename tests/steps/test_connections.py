"""Connections: how many there may be, and how long one may keep what is sent to it waiting."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import pytest
from structlog.testing import capture_logs

from api_stub.server.protocol import Timeouts
from delivery.settings import Settings
from tests.support.api_server import open_door
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("broker", "fixtures")

REQUEST = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"


@contextmanager
def connected(http: httpx2.Client) -> Iterator[socket.socket]:
    """Connect, with a small buffer for what is received."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect((http.base_url.host, http.base_url.port))
        yield connection


def answer_of(connection: socket.socket) -> tuple[int, str]:
    """Read a whole response until the connection closes; return its status and error."""
    received = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
def test_one_connection_too_many_gets_503_and_a_line_in_the_log(settings: Settings, limit: str) -> None:
    few = settings.model_copy(update={limit: 3, "trusted_proxies": ""})

    with capture_logs() as events, open_door(few) as http, ExitStack() as stack:
        others = [stack.enter_context(connected(http)) for _ in range(3)]
        wait_until(lambda: refused(http) == (503, "too_many_connections"))
        refusals = [refused(http) for _ in range(5)]
        others[0].close()
        wait_until(lambda: httpx2.get(http.base_url.join("/healthz")).status_code == 200)

    assert {(503, "too_many_connections")} == set(refusals)
    assert 1 == len([each for each in events if each["event"] == "connection_refused"])


def refused(http: httpx2.Client) -> tuple[int, str] | None:
    """Return the response to a connection that sends nothing; None when there is none soon."""
    with connected(http) as connection:
        connection.settimeout(0.2)
        try:
            return answer_of(connection)
        except TimeoutError:
            return None


def test_a_trusted_proxy_may_have_all_connections(settings: Settings) -> None:
    few = settings.model_copy(update={"connections_per_address": 3, "trusted_proxies": "127.0.0.0/8"})

    with open_door(few) as http, ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connected(http))

        assert 200 == http.get("/healthz").status_code


def test_a_client_that_reads_nothing_is_disconnected_and_one_that_reads_slowly_is_not(settings: Settings) -> None:
    with (
        capture_logs() as events,
        open_door(settings, Timeouts(stop_s=12, write_s=0.6)) as http,
        connected(http) as idle,
        connected(http) as slow,
    ):
        idle.sendall(REQUEST * 100)
        slow.sendall(REQUEST * 100)
        read = [len(slow.recv(2048))]

        def is_disconnected() -> bool:
            """Read a little of one connection, until the other one is logged as disconnected."""
            read.append(len(slow.recv(2048)))
            return any(each["event"] == "response_not_read" for each in events)

        wait_until(is_disconnected)
        for _ in range(200):
            is_disconnected()

        assert all(read)
        assert len(_read_all(idle)) < 5_000_000  # Of 5.2 MB; the kernel keeps some.
    assert 1 == len([each for each in events if each["event"] == "response_not_read"])


def _read_all(connection: socket.socket) -> bytes:
    pieces = []
    with suppress(ConnectionError):
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)
