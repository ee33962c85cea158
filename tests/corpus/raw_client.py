"""A client that sends exactly the given bytes and reads the answers strictly."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

_TIMEOUT_S = 5
_WITHOUT_BODY = {204, 304}


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer as received, with header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object in the body."""
        content: dict[str, Any] = json.loads(self.body)
        return content


def exchange(port: int, request: bytes, *, answers: int, ends: bool = False) -> list[RawAnswer]:
    """Send a request on a new connection, read this many answers, stop sending, and read whatever else comes."""
    is_head = request.startswith(b"HEAD ")
    received: list[RawAnswer] = []
    with (
        suppress(ConnectionResetError),
        socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as connection,
        connection.makefile("rb") as lines,
    ):
        with suppress(BrokenPipeError):  # After an early refusal the server may have closed the connection.
            connection.sendall(request)
        if ends:
            _stop_sending(connection)
        while answer := _read(lines, is_head=is_head):
            received.append(answer)
            if len(received) == answers:
                _stop_sending(connection)
    return received


def _stop_sending(connection: socket.socket) -> None:
    with suppress(OSError):  # The server may have closed already.
        connection.shutdown(socket.SHUT_WR)


def _read(lines: BufferedReader, *, is_head: bool) -> RawAnswer | None:
    """Return the next answer, without interim ones, or None at the end."""
    while line := lines.readline():
        status = int(line.split()[1])
        headers = _read_headers(lines)
        if status >= 200:
            has_no_body = is_head or status in _WITHOUT_BODY
            return RawAnswer(status, headers, b"" if has_no_body else lines.read(int(headers["content-length"])))
    return None


def _read_headers(lines: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := lines.readline().rstrip(b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        assert name.lower() not in headers, f"the header {name} occurs twice"
        headers[name.lower()] = value.strip()
    return headers
