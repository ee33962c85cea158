"""Each request has an id: in the response's `X-Request-Id`, in errors and in the log."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

_KEY = "postroom.request_id"


class RequestIds:
    """ASGI middleware that assigns each request an id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI defines it
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_KEY] = str(uuid7())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = scope[_KEY]
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id_of(scope: Scope) -> str:
    """Return the id of this request."""
    return str(scope[_KEY])
