"""The shell of every page of the desk: templates, headers, and pages instead of errors."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from api_stub.server.errors import ApiError
from api_stub.server.refusal_log import log_refusal
from api_stub.server.request_ids import request_id_of
from delivery.explain import ago, count, span
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, LockTimeout, is_lock_timeout
from delivery.rulebook.documents import InvalidRuleSet

_FOLDER = Path(__file__).parent
STATIC = {
    "desk.css": "text/css; charset=utf-8",
    "desk.js": "text/javascript; charset=utf-8",
    "htmx-2.0.11.min.js": "text/javascript; charset=utf-8",
    "tinykeys-3.1.0.umd.js": "text/javascript; charset=utf-8",
}
"""The files that pages load, with their types."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    # With `no-referrer`, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ENTITY = "The request was not understood, so nothing was changed. Go back, and try again."
_NO_ANSWER = "The database does not answer right now. Nothing is lost. Try again in a minute."
_LOCKED = "Another request is changing the same thing. Nothing was changed. Try again."


class DeskRefusal(Exception):  # noqa: N818 - a response, not a defect
    """The request gets a page with this sentence instead, or is sent on to `location`."""

    def __init__(self, status: HTTPStatus, title: str, sentence: str, *, location: str = "") -> None:
        self.status = status
        self.title = title
        self.sentence = sentence
        self.location = location
        super().__init__(title)


class LoginEnded(Exception):  # noqa: N818 - a response, not a defect
    """There is no login. `kept` is what the person had typed, to be shown again."""

    def __init__(self, path: str, kept: Mapping[str, str]) -> None:
        self.path = path
        self.kept = dict(kept)
        super().__init__(path)


class DeskRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with a page for each error that a person can meet."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except DeskRefusal as refusal:
                return _refused(request, refusal)
            except LoginEnded as ended:
                return login_ended(request, ended)
            except ApiError as error:
                return _refused(request, DeskRefusal(error.status, "That did not work", _ENTITY))
            except InvalidRuleSet as unreadable:
                return _refused(request, _unreadable(unreadable))
            except (*DATABASE_UNAVAILABLE, TimeoutError, LockTimeout) as error:
                return _try_later(request, error)

        return answer


def page(request: Request, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: object) -> HTMLResponse:
    """Return a page made from a template. Everything in `values` is shown as text."""
    shared = {"now": datetime.now(UTC), "path": request.url.path, "version": asset_version()}
    visit = getattr(request.state, "visit", None)
    content = _templates().get_template(template).render({**shared, "visit": visit, **values})
    return HTMLResponse(content, status, HEADERS)


def go(path: str) -> RedirectResponse:
    """Send the browser to a path of the desk after a form."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)


def not_here(what: str) -> DeskRefusal:
    """Return the refusal for a page that does not exist."""
    return DeskRefusal(HTTPStatus.NOT_FOUND, "Not found", f"There is no {what} at this address.")


@cache
def asset(name: str) -> bytes:
    """Return the content of one of the files in `STATIC`."""
    return (_FOLDER / "static" / name).read_bytes()


@cache
def asset_version() -> str:
    """Return a digest of all files that pages load, for their addresses: browsers keep them until they change."""
    return sha256(b"".join(asset(name) for name in STATIC)).hexdigest()[:12]


def login_ended(request: Request, ended: LoginEnded) -> Response:
    """Return the page that asks for a login again and shows what was typed, or lead there when nothing was."""
    log_refusal(request.scope, HTTPStatus.UNAUTHORIZED, "desk_login_missing")
    if not ended.kept and "hx-request" not in request.headers:
        return go(f"/desk/login?next={ended.path}")
    return page(request, "ended.html", status=HTTPStatus.UNAUTHORIZED, path=ended.path, kept=ended.kept)


def _refused(request: Request, refusal: DeskRefusal) -> Response:
    log_refusal(request.scope, refusal.status, "desk")
    if refusal.location:
        return go(refusal.location)
    return page(request, "refusal.html", status=refusal.status, title=refusal.title, sentence=refusal.sentence)


def _unreadable(error: InvalidRuleSet) -> DeskRefusal:
    """Return the refusal for a stored rule set that this version cannot read, with the first of its faults."""
    sentence = (
        "This version of Postroom cannot read the rule set in force, so nothing was changed."
        f" The first fault: {error.faults[0]} Import a rule set without it: postroom rules import FILE."
    )
    return DeskRefusal(HTTPStatus.INTERNAL_SERVER_ERROR, "The rules cannot be read", sentence)


def _try_later(request: Request, error: Exception) -> Response:
    log_outage(error, request_id=request_id_of(request.scope))
    sentence = _LOCKED if is_lock_timeout(error) or isinstance(error, LockTimeout) else _NO_ANSWER
    found = page(
        request, "refusal.html", status=HTTPStatus.SERVICE_UNAVAILABLE, title="Please try again", sentence=sentence
    )
    found.headers["Retry-After"] = "60"
    return found


@cache
def _templates() -> Environment:
    """Make the templates: everything is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ago": ago, "span": span, "instant": _instant, "words": _words}
    environment.globals |= {"count": count}
    return environment


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _words(word: object) -> str:
    """Return a word of the vocabulary for people: without underscores."""
    return str(word).replace("_", " ")
