"""What is no HTTP request is refused below the application: with a line in the log, and at the cost of its address."""

import json
import socket
from collections.abc import Iterator

import httpx2
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from api_stub.server.protocol import Timeouts
from delivery.settings import Settings
from tests.support.api_server import open_door

pytestmark = pytest.mark.usefixtures("broker", "fixtures")

GARBAGE = b"\x16\x03\x01 no HTTP\r\n\r\n"
TWO_HOSTS = b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
LONG_HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n"
FROM_PROXY = b"GET /healthz HTTP/1.1\r\nX-Forwarded-For: 192.0.2.%d\r\nHost: a\r\nHost: b\r\n\r\n"


def exchange(http: httpx2.Client, sent: bytes) -> tuple[dict[str, str], dict[str, object]]:
    """Send bytes on a connection of their own; return the headers and the body of the response."""
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=10) as connection:
        connection.sendall(sent)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return {"status": first.split()[1], **headers}, json.loads(body)


def refusals(events: list[EventDict]) -> Iterator[tuple[int, str, str]]:
    """Yield status, reason and id of each refusal in the log."""
    for each in events:
        if each["event"] == "request_refused":
            yield each["status"], each["reason"], each["request_id"]


@pytest.mark.parametrize("sent", [GARBAGE, TWO_HOSTS, LONG_HEAD])
def test_a_malformed_request_has_a_line_with_the_id_of_its_response(settings: Settings, sent: bytes) -> None:
    with capture_logs() as events, open_door(settings) as http:
        headers, body = exchange(http, sent)

    assert ("400", "bad_request", body["request_id"]) == (headers["status"], body["error"], headers["x-request-id"])
    assert [(400, "bad_request", body["request_id"])] == list(refusals(events))
    assert "127.0.0.1" not in str(events)
    assert ["request_malformed"] == [each["event"] for each in events if each.get("logger") == "postroom.security"]


def test_a_malformed_body_is_logged_by_the_id_of_its_response_alone(settings: Settings) -> None:
    head = b"POST /messages HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    with capture_logs() as events, open_door(settings) as http:
        _, body = exchange(http, head + b"no size\r\n")

    assert {body["request_id"]} == {request_id for _, _, request_id in refusals(events)}


def test_too_many_malformed_requests_use_up_the_refusals_of_their_address(settings: Settings) -> None:
    few = settings.model_copy(update={"refused_credentials_per_minute": 3})

    with capture_logs() as events, open_door(few) as http:
        answers = [exchange(http, GARBAGE) for _ in range(5)]
        guess = http.get("/messages", headers={"X-API-Key": "wrong"})
        health = http.get("/healthz")

    assert ["400"] * 3 + ["429"] * 2 == [headers["status"] for headers, _ in answers]
    last_headers, last = answers[-1]
    assert ("rate_limited", True) == (last["error"], int(last_headers["retry-after"]) > 0)
    assert (429, 200) == (guess.status_code, health.status_code)
    assert {400, 429} == {status for status, _, _ in refusals(events)}


def test_a_malformed_request_counts_for_the_client_that_the_proxy_names(settings: Settings) -> None:
    few = settings.model_copy(update={"refused_credentials_per_minute": 1})

    with open_door(few) as http:
        statuses = [exchange(http, FROM_PROXY % each)[0]["status"] for each in (1, 1, 2, 2)]

    assert ["400", "429", "400", "429"] == statuses


def test_many_malformed_requests_have_few_lines(settings: Settings) -> None:
    with capture_logs() as events, open_door(settings) as http:
        for _ in range(30):
            exchange(http, GARBAGE)

    assert 10 == len(list(refusals(events)))


@pytest.mark.parametrize(("sent", "expected"), [(b"", []), (b"GET /healthz HTTP/1.1\r\nHost", [408])])
def test_a_request_that_does_not_arrive_in_time_has_a_line_and_an_idle_connection_has_none(
    settings: Settings, sent: bytes, expected: list[int]
) -> None:
    with (
        capture_logs() as events,
        open_door(settings, Timeouts(stop_s=12, request_s=0.3)) as http,
        socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=10) as connection,
    ):
        connection.sendall(sent)
        received = connection.recv(1)

    assert b"" == received

    assert expected == [status for status, _, _ in refusals(events)]
