"""No request holds the event loop, which serves all clients: every body at every route, and heads and pipelines."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import httpx2
import pytest
from uuid_utils.compat import uuid7

from delivery.settings import Settings
from tests.support import hostile_bodies
from tests.support.api_client import Headers
from tests.support.fixtures import Fixtures
from tests.support.measured_loop import MeasuringSelector, serve_measured
from tests.support.unsubscribe_links import path as link_of

# CPU time of one round of the loop. The longest that was measured is 3 ms for a body and 29 ms for a head.
BODY_LIMIT_S = 0.03
HEAD_LIMIT_S = 0.05
Measured = tuple[httpx2.Client, MeasuringSelector]


@pytest.fixture(scope="module")
def measured(base_settings: Settings) -> Iterator[Measured]:
    """Yield an API whose loop is measured, without limits."""
    free = {"refused_credentials_per_minute": 1_000_000, "requests_per_minute": 1_000_000}
    with serve_measured(base_settings.model_copy(update=free)) as served:
        yield served


def longest_s(measured: Measured, send: Callable[[httpx2.Client], object], *, limit_s: float) -> float:
    """Return the longest round while this is sent, in the best of several tries."""
    http, selector = measured
    rounds = []
    for _ in range(3):
        http.get("/healthz")
        selector.longest_s = 0.0
        send(http)
        http.get("/healthz")
        rounds.append(selector.longest_s)
        if rounds[-1] < limit_s:
            break
    return min(rounds)


ROUTES = ["POST /messages", "PUT /accounts/{id}", "PUT /accounts/{id}/preferences", "POST /oauth/token", "POST {link}"]


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("route", ROUTES)
def test_no_body_holds_the_event_loop(
    measured: Measured, fixtures: Fixtures, settings: Settings, key: Headers, route: str
) -> None:
    account_id = fixtures.account()
    method, _, template = route.partition(" ")
    path = template.format(id=account_id, link=link_of(account_id, settings))

    def send(http: httpx2.Client, *, body: bytes, media_type: str) -> None:
        headers = {"Content-Type": media_type, **({} if "token" in path else key)}
        assert http.request(method, path, content=body, headers=headers).status_code < 500

    held = {
        name: longest_s(measured, partial(send, body=body, media_type=kind), limit_s=BODY_LIMIT_S)
        for name, (kind, body) in hostile_bodies.BODIES.items()
    }

    assert {} == {name: spent_s for name, spent_s in held.items() if spent_s >= BODY_LIMIT_S}


def exchange(http: httpx2.Client, sent: bytes) -> None:
    """Send bytes on a connection of their own, and read until it closes."""
    with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=10) as connection:
        threading.Thread(target=_send, args=(connection, sent), daemon=True).start()
        with suppress(ConnectionError):
            while connection.recv(65_536):
                pass


def _send(connection: socket.socket, sent: bytes) -> None:
    with suppress(OSError):
        connection.sendall(sent)


HEAD = b"Host: a\r\nConnection: close\r\n"
REQUESTS = {
    "2,500 pipelined requests": b"GET /healthz HTTP/1.1\r\nHost:a\r\n\r\n" * 2500
    + b"GET /healthz HTTP/1.1\r\n%b\r\n" % HEAD,
    "chunks of one byte": b"POST /messages HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n" % HEAD
    + b"1\r\na\r\n" * 99_999,
    "12,000 headers": b"GET /messages HTTP/1.1\r\n%b" % HEAD + b"a:\r\n" * 12_000 + b"\r\n",
    "30,000 preferences": b"GET /messages HTTP/1.1\r\n%bPrefer: " % HEAD + b"a," * 30_000 + b"\r\n\r\n",
    "a query of escapes": b"GET /messages?a=" + b"%" * 60_000 + b" HTTP/1.1\r\n%b\r\n" % HEAD,
    "a query of 30,000 parameters": b"GET /messages?" + b"a&" * 30_000 + b" HTTP/1.1\r\n%b\r\n" % HEAD,
    "a link of escapes": b"GET /unsubscribe/" + b"%25" * 20_000 + b" HTTP/1.1\r\n%b\r\n" % HEAD,
}


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("name", REQUESTS)
def test_no_head_holds_the_event_loop(measured: Measured, key: Headers, name: str) -> None:
    credential = "".join(f"{header}: {value}\r\n" for header, value in key.items()).encode()
    request = REQUESTS[name].replace(b"Host: a\r\n", b"Host: a\r\n" + credential)

    assert longest_s(measured, lambda http: exchange(http, request), limit_s=HEAD_LIMIT_S) < HEAD_LIMIT_S


@pytest.mark.usefixtures("broker")
def test_a_bystander_is_served_while_large_bodies_are_read(measured: Measured, key: Headers) -> None:
    http, _ = measured
    kind, body = hostile_bodies.BODIES["JSON of floats"]
    is_over = threading.Event()

    def attack() -> None:
        with httpx2.Client(base_url=http.base_url, timeout=15) as other:
            while not is_over.is_set():
                other.post("/messages", content=body, headers={**key, "Content-Type": kind})

    attackers = [threading.Thread(target=attack) for _ in range(3)]
    for each in attackers:
        each.start()
    try:
        waits_s = [http.get(f"/messages/{uuid7()}", headers=key).elapsed.total_seconds() for _ in range(9)]
    finally:
        is_over.set()
        for each in attackers:
            each.join()

    # On a quiet machine 30 ms; the bound leaves an order of magnitude.
    assert min(waits_s) < 0.5
