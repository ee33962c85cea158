"""uvicorn's HTTP protocol, stricter: malformed requests get errors in our form, and slow ones are closed."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from starlette.types import ASGIApp
from uuid_utils.compat import uuid7
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_BYTES = 64 * 1024
REQUEST_TIMEOUT_S = 30.0
PIPELINE_LIMIT = 64
"""Requests that wait for the response to one before them. With as many, the rest is not parsed yet."""

_PIECE_BYTES = 16 * 1024

_VERSIONS = {"1.0", "1.1"}
_DESCRIPTION = "This is not a well-formed HTTP/1.1 request."


def serving(app: ASGIApp, *, host: str, port: int, proxies: str, stop_timeout_s: int) -> uvicorn.Config:
    """Make uvicorn's configuration: our protocol, no web sockets, no logs of uvicorn's own.

    `proxies` are those whose header about the client's address is trusted (setting `trusted_proxies`).
    `stop_timeout_s` is how long requests under way have to finish after SIGTERM.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=StrictHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=stop_timeout_s,
    )


class MalformedRequest(Exception):  # noqa: N818 - the parser turns what its callbacks raise into its own error
    """A request that the parser accepts and RFC 9112 forbids."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One connection. A request must arrive whole within 30 s, its head within 64 KiB."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = 0
        self._trailer_bytes = 0
        self._unparsed = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Start the time limit of the first request."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what was received, piece by piece. What is behind a long pipeline waits.

        One read may bring 9,000 requests: 200 ms of CPU.
        """
        self._unset_keepalive_if_required()
        data = self._unparsed + data
        self._unparsed = b""
        for start in range(0, len(data), _PIECE_BYTES):
            if len(self.pipeline) >= PIPELINE_LIMIT:
                self._unparsed = data[start:]
                self.flow.pause_reading()
                return
            if not self._parse(data[start : start + _PIECE_BYTES]):
                return

    def on_response_complete(self) -> None:
        """Go on with the pipeline, and with what waits behind it."""
        super().on_response_complete()
        if self._unparsed and not self.transport.is_closing():
            self.data_received(b"")

    def _parse(self, data: bytes) -> bool:
        """Feed the parser, and refuse a head that is too long. Return whether the connection goes on."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response(_DESCRIPTION)
            return False
        if self._head_bytes is not None and self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self.send_400_response(_DESCRIPTION)
        return not self.transport.is_closing()

    def on_message_begin(self) -> None:
        """Start the time limit of a request."""
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 0
        self._trailer_bytes = 0
        self._start_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header without trailing blanks (RFC 9110 5.5), and ignore trailers.

        A trailer must not count as a header (RFC 9110 6.5.1): no proxy before the API has checked it.
        """
        if self._head_bytes is not None:
            super().on_header(name, value.rstrip(b" \t"))
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > HEAD_LIMIT_BYTES:
            raise MalformedRequest("trailers")

    def on_headers_complete(self) -> None:
        """Pass the request on, unless its version, size or host (RFC 9112 3.2) is invalid."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # It is parsed again, without the upgrade.
        self._head_bytes = None
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        size_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if version not in _VERSIONS or self.parser.should_upgrade() or size_bytes > HEAD_LIMIT_BYTES:
            raise MalformedRequest("head")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            raise MalformedRequest("Host")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the time limit: the request is complete."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
        self._head_bytes = 0
        self._stop_timer()

    def send_400_response(self, msg: str) -> None:
        """Send the error for what is not HTTP in our form, and close the connection.

        It never takes the place of another request's response. Complete requests before it are answered first. When
        this request has its response already, or waits behind another, the connection closes without an error.
        """
        del msg
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if cycle is None or not cycle.more_body or not (cycle.response_started or self.pipeline):
            self.transport.write(_malformed())
        self.transport.close()

    def _feed(self, data: bytes) -> bytes:
        """Feed the parser; return what to feed again, when a request asks for another protocol.

        RFC 9110 7.8 allows a server to ignore that, but the parser takes such a request for one without a body.
        Java's HttpClient asks for h2c wherever there is no TLS.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        else:
            return b""
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As in uvicorn.
        return b"\r\n".join([*head, b"", rest])

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


def _malformed() -> bytes:
    """Return the response to what is not HTTP."""
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
    return head.encode() + body
