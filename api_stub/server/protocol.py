"""uvicorn's HTTP protocol, stricter: malformed requests get errors in our form, and slow ones are closed."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api_stub.server.connection_refusals import MALFORMED, crowded_response, note_timeout, refuse_malformed
from api_stub.server.connections import ConnectionLimits
from api_stub.server.peers import FORWARDED_HEADER, TrustedProxies
from api_stub.server.request_ids import assign_id
from delivery.settings import Settings

HEAD_LIMIT_BYTES = 64 * 1024
REQUEST_TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 30.0
PIPELINE_LIMIT = 64
"""Requests that wait for the response to one before them. With as many, the rest is not parsed yet."""

_PIECE_BYTES = 8 * 1024
_LOOKS = 6  # Within the time limit of writing.

_VERSIONS = {"1.0", "1.1"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long requests may take to finish after SIGTERM, clients to take any of a response, and requests to arrive."""

    stop_s: int
    write_s: float = WRITE_TIMEOUT_S
    request_s: float = REQUEST_TIMEOUT_S


def serving(app: ASGIApp, settings: Settings, *, host: str, port: int, timeouts: Timeouts) -> uvicorn.Config:
    """Make uvicorn's configuration: our protocol, no web sockets, no logs of uvicorn's own."""
    proxies = TrustedProxies(settings.trusted_proxies)
    limits = ConnectionLimits(
        in_all=settings.connections, per_address=settings.connections_per_address, proxies=proxies
    )
    protocol = partial(StrictHttpProtocol, limits=limits, proxies=proxies, timeouts=timeouts)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,  # type: ignore[arg-type] # uvicorn only calls it, as it would call the class
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # The protocol reads them itself.
        timeout_graceful_shutdown=timeouts.stop_s,
    )


class MalformedRequest(Exception):  # noqa: N818 - the parser turns what its callbacks raise into its own error
    """A request that the parser accepts and RFC 9112 forbids."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One connection. A request must arrive whole within 30 s, its head within 64 KiB.

    A client that takes nothing of its response for 30 s is disconnected.
    """

    def __init__(
        self,
        *args: Any,
        limits: ConnectionLimits,
        proxies: TrustedProxies,
        timeouts: Timeouts,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._write_timeout_s, self._request_timeout_s = timeouts.write_s, timeouts.request_s
        self._limits = limits
        self._proxies = proxies
        self._peer = self._address = ""
        self._is_behind_proxy = self._is_admitted = False
        self._head_bytes: int | None = 0
        self._trailer_bytes = 0
        self._unparsed = b""
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Admit the connection, and start the time limit of its first request."""
        super().connection_made(transport)
        self._peer = self._address = self.client[0] if self.client else ""
        self._is_admitted = self._limits.admit(self._peer)
        if not self._is_admitted:
            transport.write(crowded_response())
            transport.close()
            return
        self._is_behind_proxy = self._proxies.trust(self._peer)
        # Then `pause_writing` is called as soon as a response waits for its client.
        transport.set_write_buffer_limits(high=0)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limits."""
        self._stop_timer()
        self._stop_write_timer()
        if self._is_admitted:
            self._limits.release(self._peer)
        # uvicorn marks the latest request, and the one that is being answered may be before it.
        if self._answered is not None:
            self._answered.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start to watch whether the client takes what waits for it."""
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size(), self._write_timeout_s)

    def resume_writing(self) -> None:
        """Stop that: everything was taken."""
        self._stop_write_timer()
        super().resume_writing()

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self, data: bytes) -> bool:
        """Feed the parser, and refuse a head that is too long. Return whether the connection goes on."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response(MALFORMED)
            return False
        if self._head_bytes is not None and self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self.send_400_response(MALFORMED)
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
        if self._is_behind_proxy:
            self._read_forwarded()
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
        self._address = self._peer
        self._stop_timer()

    def send_400_response(self, msg: str) -> None:
        """Send the error for what is not HTTP in our form, and close the connection.

        It never takes the place of another request's response. Complete requests before it are answered first. When
        this request has its response already, or waits behind another, the connection closes without an error.
        """
        del msg
        cycle = self.cycle
        is_begun = cycle is not None and cycle.more_body
        response = refuse_malformed(self.app_state, self._address, assign_id(cycle.scope) if is_begun else None)
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if cycle is None or not cycle.more_body or not (cycle.response_started or self.pipeline):
            self.transport.write(response)
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

    def _read_forwarded(self) -> None:
        forwarded = [value for name, value in self.headers if name == FORWARDED_HEADER]
        if forwarded:
            self._address = self._proxies.client_of(self._peer, forwarded)
            self.scope["client"] = (self._address, 0)

    def _watch_writing(self, waiting_bytes: int, left_s: float) -> None:
        self._stop_write_timer()
        pause_s = self._write_timeout_s / _LOOKS
        self._write_timer = self.loop.call_later(pause_s, self._check_writing, waiting_bytes, left_s - pause_s)

    def _check_writing(self, before_bytes: int, left_s: float) -> None:
        """Disconnect a client that took nothing for too long. Nothing is added while writing is paused."""
        waiting_bytes = self.transport.get_write_buffer_size()
        if waiting_bytes < before_bytes:
            self._watch_writing(waiting_bytes, self._write_timeout_s)
        elif left_s > self._write_timeout_s / _LOOKS / 2:  # A rounding error is no time left.
            self._watch_writing(waiting_bytes, left_s)
        else:
            self._limits.note_unread(waiting_bytes)
            self.transport.abort()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._request_timeout_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Close a connection whose request is not whole in time. One that has sent nothing of it was only idle."""
        if self.transport is not None and not self.transport.is_closing():
            if self._head_bytes != 0:
                note_timeout(self.app_state, self._address)
            self.transport.close()
