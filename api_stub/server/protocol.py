"""HTTP on the wire: uvicorn's protocol, with malformed requests answered in our form and slow ones not waited for."""

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
_VERSIONS = {"1.0", "1.1"}
_DESCRIPTION = "This is not a well-formed HTTP/1.1 request."


def serving(app: ASGIApp, *, host: str, port: int, proxies: str, stop_timeout_s: int) -> uvicorn.Config:
    """Say how this application is served: by our protocol, without web sockets, without logs of its own.

    `proxies` are those whose word about the client's address is taken (setting `trusted_proxies`).
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


class MalformedRequest(Exception):  # noqa: N818 - the parser turns whatever its callbacks raise into an error of its own
    """A request that the parser lets through and RFC 9112 does not."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One connection. A request must arrive whole within 30 s, its head within 64 KiB."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = 0
        self._trailer_bytes = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn itself has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse a head that has no end."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response(_DESCRIPTION)
        if self._head_bytes is not None and self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self.send_400_response(_DESCRIPTION)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 0
        self._trailer_bytes = 0
        self._expect_request()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header without the blanks behind it (RFC 9110 5.5), and leave trailers alone.

        A trailer must not pass for a header (RFC 9110 6.5.1): no proxy in front of us has looked at it.
        """
        if self._head_bytes is not None:
            super().on_header(name, value.rstrip(b" \t"))
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > HEAD_LIMIT_BYTES:
            raise MalformedRequest("trailers")

    def on_headers_complete(self) -> None:
        """Hand the request on, unless its version, its size or its host (RFC 9112 3.2) is wrong."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # It begins again, without.
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
        """Note that the request is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
        self._head_bytes = 0
        self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the form of every other error, and close.

        No answer goes out in the place of another request's: what came whole before it is answered first, and whatever
        is answered already, or stands behind another, closes the connection without a word.
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
        """Feed the parser; give what is to be fed again, of a request that wished for another protocol.

        RFC 9110 7.8 lets us ignore that wish, but the parser takes such a request for one without a body. Java's
        HttpClient wishes for h2c wherever there is no TLS.
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
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn has it.
        return b"\r\n".join([*head, b"", rest])

    def _expect_request(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


def _malformed() -> bytes:
    """Write the answer to what is no HTTP."""
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
