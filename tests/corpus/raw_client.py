"""A client that sends exactly these bytes, and reads the answers without being nice about them."""

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
    """One answer as it came; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object in its body."""
        content: dict[str, Any] = json.loads(self.body)
        return content


def exchange(port: int, request: bytes, *, answers: int, ends: bool = False) -> list[RawAnswer]:
    """Send this on a connection of its own, read so many answers, stop sending, and read what else comes."""
    is_head = request.startswith(b"HEAD ")
    heard: list[RawAnswer] = []
    with (
        suppress(ConnectionResetError),
        socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as connection,
        connection.makefile("rb") as lines,
    ):
        with suppress(BrokenPipeError):  # Whoever is refused early may find the line closed.
            connection.sendall(request)
        if ends:
            _stop_sending(connection)
        while answer := _read(lines, is_head=is_head):
            heard.append(answer)
            if len(heard) == answers:
                _stop_sending(connection)
    return heard


def _stop_sending(connection: socket.socket) -> None:
    with suppress(OSError):  # The other side may have closed already.
        connection.shutdown(socket.SHUT_WR)


def _read(lines: BufferedReader, *, is_head: bool) -> RawAnswer | None:
    """Read the next answer, past those that are only interim; None at the end."""
    while line := lines.readline():
        status = int(line.split()[1])
        headers = _read_headers(lines)
        if status >= 200:
            is_bare = is_head or status in _WITHOUT_BODY
            return RawAnswer(status, headers, b"" if is_bare else lines.read(int(headers["content-length"])))
    return None


def _read_headers(lines: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := lines.readline().rstrip(b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        assert name.lower() not in headers, f"the header {name} stands twice"
        headers[name.lower()] = value.strip()
    return headers
