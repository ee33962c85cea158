"""Check path and method before anything else: 404, 405 with `Allow`, `OPTIONS`, and `HEAD` as `GET`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_stub.server.errors import ApiError, not_found, respond

RouteMethods = tuple[re.Pattern[str], frozenset[str]]
"""A path, and the methods that it accepts."""


class RouteGuard:
    """ASGI middleware that passes on only requests whose path and method have a route."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[RouteMethods], pages: str) -> None:
        """Guard these routes. Below the path `pages` are pages for people, whose links may arrive with escapes."""
        self._app = app
        self._routes = routes
        self._pages = f"{pages}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI defines it
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = self._refuse(scope)
        if response is not None:
            await response(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        # Paths are exact. None of ours needs an escape, so one with an escape is another path. Links in e-mails pass
        # through programs that escape them.
        is_escaped = b"%" in scope.get("raw_path", b"") and not scope["path"].startswith(self._pages)
        allowed = set() if is_escaped else self._allowed(scope["path"])
        if not allowed:
            return respond(scope, not_found())
        if scope["method"] in allowed - {"OPTIONS"}:
            return None
        headers = {"Allow": ", ".join(sorted(allowed))}
        if scope["method"] == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
        description = f"This address does not take that method, but {headers['Allow']}."
        error = ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", description, headers=headers)
        return respond(scope, error)

    def _allowed(self, path: str) -> set[str]:
        """Return the methods of all routes with this path; an empty set for an unknown path."""
        return {method for pattern, methods in self._routes if pattern.match(path) for method in methods}


def methods_of(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[RouteMethods]:
    """Yield the path and methods of each of these routes, included below `prefix`."""
    for route in routes:
        if isinstance(route, Route):
            methods = frozenset(route.methods or ())
            implied = {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
            yield compile_path(prefix + route.path)[0], methods | implied
        elif isinstance(route, Mount):  # The scripts of the documentation pages.
            yield route.path_regex, frozenset({"GET", "HEAD", "OPTIONS"})


def _without_body(send: Send) -> Send:
    """Drop the body; its length stays in the header, as RFC 9110 9.3.2 allows."""

    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers
