"""Headers of every response: the id of its request, and what browsers and caches may do with it.

The id is in errors and in the log too.
"""

from collections.abc import Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

DOCUMENTATION = frozenset({"/docs", "/redoc", "/docs/oauth2-redirect"})
_KEY = "postroom.request_id"
# These pages load their scripts and styles from here, and have both inline too; ReDoc searches in a worker.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FOR_DOCUMENTATION = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


class RequestIds:
    """ASGI middleware that assigns each request an id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI defines it
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        assign_id(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_headers_of(scope, message)]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _headers_of(scope: Scope, message: Message) -> Iterator[tuple[bytes, bytes]]:
    yield b"x-request-id", scope[_KEY].encode()
    yield b"x-content-type-options", b"nosniff"
    given = dict(message["headers"])
    # Our JSON is about one client or one request. With an API key, which caches do not know as a credential, they
    # would keep it (RFC 9111 3.5).
    if b"cache-control" not in given and given.get(b"content-type") == b"application/json":
        yield b"cache-control", b"no-store"
    if scope["path"] in DOCUMENTATION:
        yield from _FOR_DOCUMENTATION


def request_id_of(scope: Scope) -> str:
    """Return the id of this request."""
    return str(scope[_KEY])


def assign_id(scope: Any) -> str:
    """Return the id of this request, which it gets now unless it has one."""
    return str(scope.setdefault(_KEY, str(uuid7())))
