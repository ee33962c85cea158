"""Methods and paths, before anything else is looked at: 404, 405 with `Allow`, `OPTIONS`, and `HEAD` as `GET`."""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_stub.errors import Refusal, not_found, respond


class Paths:
    """ASGI middleware that lets only requests through whose path and method have a route."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._methods = list(_gather(routes))
        self._exact = {pattern.pattern: methods for pattern, methods in self._methods}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI says what it does
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refuse(scope)
        if answer is not None:
            await answer(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        allowed = self._allowed(scope["path"])
        if not allowed:
            return respond(scope, not_found())
        if scope["method"] in allowed - {"OPTIONS"}:
            return None
        headers = {"Allow": ", ".join(sorted(allowed))}
        if scope["method"] == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
        description = f"This address does not take that method, but {headers['Allow']}."
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", description, headers=headers)
        return respond(scope, refusal)

    def _allowed(self, path: str) -> set[str]:
        """Give every method that some route takes at this path; none at all for an unknown path."""
        return {method for pattern, methods in self._methods if pattern.fullmatch(path) for method in methods}


def _gather(routes: Iterable[BaseRoute]) -> Iterable[tuple[re.Pattern[str], set[str]]]:
    for route in routes:
        if isinstance(route, Route):
            methods = set(route.methods or ())
            yield route.path_regex, methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


def _without_body(send: Send) -> Send:
    """Keep back the body; its length stays in the header, as RFC 9110 9.3.2 allows."""

    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers
