"""The unsubscribe page, and the one-click POST of mail programs (RFC 8058). For people: HTML, no login, no scripts.

GET changes nothing, because mail scanners open every link.
"""

import base64
import hashlib
from collections.abc import Awaitable
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api_stub.pages.unsubscribe_request import BUTTON, STOP, UNDO, Wish, read_wish
from api_stub.ratelimit.refusals import count_refusal
from api_stub.requests.body import ANONYMOUS_LIMIT_BYTES, read_body
from api_stub.server.errors import ApiError
from api_stub.server.refusal_log import log_refusal
from api_stub.server.request_ids import request_id_of
from api_stub.services import Services, services_of
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, LockTimeout
from delivery.records.identities.unsubscriptions import Subscription, find_subscription, stop_emails, undo_stop
from delivery.unsubscribe_tokens import PATH, digest_address, read_token
from delivery.vocabulary import Channel

router = APIRouter(include_in_schema=False)

_log = structlog.get_logger()
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # The address of the page is the permission: it must not leak to other sites.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}


class _OtherPage(Exception):  # noqa: N818 - a response, not a defect
    """The request gets this page instead of the requested one."""

    def __init__(self, page: HTMLResponse) -> None:
        self.page = page
        super().__init__(page.status_code)


@router.get(PATH + "/{token:path}")
async def show(request: Request, token: str) -> HTMLResponse:
    """Show what the button will do."""
    return await _answer(request, _show(services_of(request), token))


@router.post(PATH + "/{token:path}")
async def change(request: Request, token: str) -> HTMLResponse:
    """Stop e-mails, or undo that. A repetition changes nothing."""
    return await _answer(request, _change(services_of(request), token, request))


async def _answer(request: Request, page: Awaitable[HTMLResponse]) -> HTMLResponse:
    """Return this page, or the one that is raised instead."""
    try:
        return await page
    except _OtherPage as other:
        return await _count(request, other.page)
    except (*DATABASE_UNAVAILABLE, TimeoutError, LockTimeout) as error:
        return _try_later(request, error)


async def _count(request: Request, page: HTMLResponse) -> HTMLResponse:
    """Log and count a refusal, and return its page, or another one after too many."""
    log_refusal(request.scope, page.status_code, "unsubscribe")
    try:
        await count_refusal(services_of(request).limiter, request, page.status_code)
    except ApiError as error:
        return _too_often(error.headers["Retry-After"])
    return page


async def _show(services: Services, token: str) -> HTMLResponse:
    _, found = await _find(services, token)
    if found.channel is Channel.EMAIL:
        return _offer_stop()
    return _offer_undo() if found.can_undo else _choose_on_platform()


async def _change(services: Services, token: str, request: Request) -> HTMLResponse:
    account_id, _ = await _find(services, token)
    wish = await _read_wish(request)
    change = undo_stop if wish is Wish.UNDO else stop_emails
    await services.databases.changing.run_in_turn(account_id, change, account_id)
    _, found = await _find(services, token)
    _log.info("account_moved", account_id=str(account_id), channel=found.channel)
    if wish is Wish.UNDO:
        return _undone() if found.channel is Channel.EMAIL else _choose_on_platform(HTTPStatus.CONFLICT)
    return _stopped() if found.can_undo else _stopped_before()


async def _find(services: Services, token: str) -> tuple[UUID, Subscription]:
    """Return the account that this token permits to change. Raises `_OtherPage` when it permits none any more."""
    pepper = services.settings.pepper
    permit = read_token(token, pepper)
    if permit is None:
        raise _OtherPage(_wrong_link())
    if permit.expires_at <= datetime.now(UTC):
        text = "This link worked for a year and has expired. Use the link in a newer e-mail."
        raise _OtherPage(_page("This link has expired", text, status=HTTPStatus.GONE))
    account_id = permit.account_id
    found = await services.databases.reading.run_in_turn(account_id, find_subscription, account_id)
    if found is None:
        raise _OtherPage(_wrong_link())
    if permit.address_digest not in {None, digest_address(found.address, pepper)}:
        raise _OtherPage(_other_address())
    return permit.account_id, found


async def _read_wish(request: Request) -> Wish:
    """Return what the button or the mail program asks for. Raises `_OtherPage` when that is unclear."""
    try:
        body = await read_body(request, ANONYMOUS_LIMIT_BYTES)
    except ApiError as error:
        raise _OtherPage(_unclear(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)) from error
    wish = read_wish(body, request.headers.get("content-type", ""))
    if wish is Wish.UNCLEAR:
        raise _OtherPage(_unclear())
    return wish


def _offer_stop() -> HTMLResponse:
    text = (
        "Press the button, and messages for you will no longer come by e-mail. They will wait in your inbox on the "
        "platform instead. Nothing has been changed yet, and you can undo it later on this page."
    )
    return _page("Stop e-mails?", text, button=(STOP, "Stop e-mails"))


def _offer_undo() -> HTMLResponse:
    text = (
        "Messages for you do not come by e-mail; they wait in your inbox on the platform. "
        "Press the button to get them by e-mail."
    )
    return _page("You get no e-mails", text, button=(UNDO, "Get e-mails again"))


def _stopped() -> HTMLResponse:
    text = (
        "Messages for you will no longer come by e-mail. They will wait in your inbox on the platform instead. "
        "An e-mail that is on its way may still arrive. To undo this, press the button, now or any time within a year "
        "of the e-mail that brought you here."
    )
    return _page("E-mails are stopped", text, button=(UNDO, "Undo: get e-mails again"))


def _stopped_before() -> HTMLResponse:
    text = (
        "Messages for you do not come by e-mail; they wait in your inbox on the platform. "
        "An e-mail that is on its way may still arrive."
    )
    return _page("E-mails are stopped", text)


def _choose_on_platform(status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    text = (
        "Messages for you do not come by e-mail; they wait in your inbox on the platform. That is what your settings "
        "on the platform say, and this page does not change them. To get e-mails, change your settings there."
    )
    return _page("You get no e-mails", text, status=status)


def _undone() -> HTMLResponse:
    text = "Messages for you will come by e-mail again."
    return _page("E-mails are back", text, button=(STOP, "Stop e-mails"))


def _unclear(status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> HTMLResponse:
    text = "That request did not say what to do, so nothing was changed. Press the button to stop e-mails."
    return _page("Nothing was changed", text, button=(STOP, "Stop e-mails"), status=status)


def _wrong_link() -> HTMLResponse:
    text = "Nothing was changed. Copy the whole link from the e-mail, or use the link in another e-mail."
    return _page("This link does not work", text, status=HTTPStatus.BAD_REQUEST)


def _other_address() -> HTMLResponse:
    text = (
        "Nothing was changed. Your e-mail address on the platform has changed since that e-mail was sent. Use the link "
        "in a newer e-mail, or change your settings on the platform."
    )
    return _page("This link has expired", text, status=HTTPStatus.GONE)


def _too_often(retry_after: str) -> HTMLResponse:
    text = "Too many links that do not work were opened from your network. Links that work still do. Try again later."
    page = _page("Please try again", text, status=HTTPStatus.TOO_MANY_REQUESTS)
    page.headers["Retry-After"] = retry_after
    return page


def _try_later(request: Request, error: Exception) -> HTMLResponse:
    log_outage(error, request_id=request_id_of(request.scope))
    text = "Something on our side does not answer right now. Please try again in a minute."
    return _page("Please try again", text, status=HTTPStatus.SERVICE_UNAVAILABLE)


def _page(
    title: str, text: str, *, button: tuple[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK
) -> HTMLResponse:
    """Return a page with our own text only; nothing from the request is in it."""
    form = ""
    if button:
        action, label = button
        # Without an action, the browser sends a form to the address of the page.
        form = f'<form method="post"><button name="{BUTTON}" value="{action}">{label}</button></form>'
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1><p>{text}</p>{form}</main></body></html>\n"
    )
    retry = {"Retry-After": "60"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return HTMLResponse(content, status, {**_HEADERS, **retry})
