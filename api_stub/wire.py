"""HTTP on the wire: uvicorn's protocol, with malformed requests answered in our form and slow ones not waited for."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uuid_utils.compat import uuid7
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_BYTES = 64 * 1024
REQUEST_TIMEOUT_S = 30.0

_DESCRIPTION = "This is not a well-formed HTTP/1.1 request."


class MalformedRequest(Exception):  # noqa: N818 - the parser turns whatever its callbacks raise into an error of its own
    """A request that the parser lets through and RFC 9112 does not."""


class Wire(HttpToolsProtocol):
    """One connection. A request must arrive whole within 30 s, its head within 64 KiB."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn itself has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse a head that has no end."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self.send_400_response(_DESCRIPTION)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 0
        self._be_patient()

    def on_headers_complete(self) -> None:
        """Hand the request on, unless its host is missing or named twice (RFC 9112 3.2)."""
        self._head_bytes = None
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise MalformedRequest("Host")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        super().on_message_complete()
        self._head_bytes = 0
        self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the form of every other error, and close."""
        del msg
        request_id = str(uuid7())
        content = {
            "success": 0,
            "error": "bad_request",
            "error_description": _DESCRIPTION,
            "error_messages": [_DESCRIPTION],
            "request_id": request_id,
        }
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {HTTPStatus.BAD_REQUEST.value} {HTTPStatus.BAD_REQUEST.phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _be_patient(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
