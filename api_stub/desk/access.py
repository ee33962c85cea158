"""Who is at the desk: logins by cookie, roles, and forms that no other site can send."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from api_stub.desk.shell import DeskRefusal, LoginEnded
from api_stub.requests.body import read_form
from api_stub.services import DeskServices, services_of
from delivery.intake.errors import InvalidInput
from delivery.records.database import transaction
from delivery.records.identities import staff_sessions
from delivery.records.identities.staff import StaffMember
from delivery.records.identities.staff_sessions import SessionLimits
from delivery.settings import Settings
from delivery.staff_secrets import digest_token, form_token, is_form_token
from delivery.vocabulary import StaffRole

FORM_LIMIT_BYTES = 64 * 1024
CONFIRMED_FOR = timedelta(minutes=10)
"""How long a password that was given again opens what needs one."""

_COOKIE = "desk_login"
# Its prefix makes browsers refuse such a cookie from another host or path.
_SECURE_COOKIE = "__Host-desk_login"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_OWN_PATH = re.compile(r"/desk(?:/[A-Za-z0-9_/-]*)?", re.ASCII)
_FOREIGN = "This form was not sent from the desk, so nothing was changed. Open the desk, and try again."


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a person who has logged in."""

    member: StaffMember
    digest: bytes
    csrf: str
    confirmed_at: datetime

    def has_role(self, role: str) -> bool:
        """Check whether the person may do what members of a role may."""
        return self.member.has_role(StaffRole(role))

    @property
    def is_confirmed(self) -> bool:
        """Whether the person gave the password lately."""
        return datetime.now(UTC) - self.confirmed_at < CONFIRMED_FOR


def desk_of(request: Request) -> DeskServices:
    """Return the services of the desk."""
    return services_of(request).desk


async def read_desk_form(request: Request) -> dict[str, str]:
    """Read the fields of a form that was sent from the desk itself."""
    refuse_foreign(request)
    try:
        fields = await read_form(request, FORM_LIMIT_BYTES)
    except InvalidInput as error:
        sentence = "The form was not understood, so nothing was changed."
        raise DeskRefusal(HTTPStatus.BAD_REQUEST, "That did not work", sentence) from error
    return {name: value for name, value in fields.items() if isinstance(value, str)}


Form = Annotated[dict[str, str], Depends(read_desk_form)]


def refuse_foreign(request: Request) -> None:
    """Refuse a form that another site sent. Browsers name the site in `Origin` and in `Sec-Fetch-Site`."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if is_foreign or site not in {"same-origin", "none"}:
        raise DeskRefusal(HTTPStatus.FORBIDDEN, "Nothing was changed", _FOREIGN)


def visitor(role: StaffRole = StaffRole.VIEWER, *, is_use: bool = True) -> Callable[[Request], Visit]:
    """Make the dependency that finds the login of a request, and checks its role in the database at each request."""

    def find(request: Request) -> Visit:
        found = find_visit(request, is_use=is_use)
        if found is None:
            raise LoginEnded(own_path(request.url.path), {})
        request.state.visit = found
        if not found.member.has_role(role):
            raise DeskRefusal(HTTPStatus.FORBIDDEN, "Not for your role", _role_sentence(found.member, role))
        return found

    return find


def acting(role: StaffRole) -> Callable[[Request, dict[str, str]], Visit]:
    """Make the dependency of forms: a login with this role, and the form token of that login."""

    def find(request: Request, form: Form) -> Visit:
        try:
            found = visitor(role)(request)
        except LoginEnded:
            kept = {name: value for name, value in form.items() if name in {"note", "sentence", "comment"} and value}
            raise LoginEnded(_page_of(request.url.path), kept) from None
        token = cookie_of(request) or ""
        if not is_form_token(form.get("csrf", ""), token, services_of(request).settings.pepper):
            raise DeskRefusal(HTTPStatus.FORBIDDEN, "Nothing was changed", _FOREIGN)
        return found

    return find


def find_visit(request: Request, *, is_use: bool = True) -> Visit | None:
    """Return the login of a request; None without one, and while its one-time code is missing."""
    token = cookie_of(request)
    if token is None:
        return None
    settings = services_of(request).settings
    digest = digest_token(token, settings.pepper)
    with transaction(desk_of(request).database) as db:
        found = staff_sessions.find(db, digest, limits_of(settings), is_use=is_use)
    if found is None or found.is_partial:
        return None
    return Visit(found.member, digest, form_token(token, settings.pepper), found.confirmed_at)


def cookie_of(request: Request) -> str | None:
    """Return the token in the cookie of a request, if it has the form of one."""
    token = request.cookies.get(cookie_name(services_of(request).settings), "")
    return token if _TOKEN.fullmatch(token) else None


def set_cookie(response: Response, token: str, settings: Settings) -> None:
    """Store the token of a login in the browser. It ends with the browser, or as the settings say."""
    response.set_cookie(
        cookie_name(settings), token, path="/", httponly=True, secure=_is_secure(settings), samesite="lax"
    )


def delete_cookie(response: Response, settings: Settings) -> None:
    """Remove the token of a login from the browser."""
    response.delete_cookie(cookie_name(settings), path="/", httponly=True, secure=_is_secure(settings), samesite="lax")


def cookie_name(settings: Settings) -> str:
    """Return the name of the cookie. Over plain HTTP, as in a demo, browsers take no secure one."""
    return _SECURE_COOKIE if _is_secure(settings) else _COOKIE


def limits_of(settings: Settings) -> SessionLimits:
    """Return how long logins last."""
    return SessionLimits(timedelta(seconds=settings.desk_idle_s), timedelta(seconds=settings.desk_session_s))


def own_path(path: str) -> str:
    """Return this path if it is one of the desk, and the first page otherwise: a login leads to no other site."""
    return path if _OWN_PATH.fullmatch(path) and not path.startswith("/desk/log") else "/desk"


def _page_of(path: str) -> str:
    """Return the page that a form is on: forms of a case are sent to addresses below it."""
    parts = own_path(path).split("/")
    return "/".join(parts[:4])


def _is_secure(settings: Settings) -> bool:
    return settings.public_url.startswith("https://")


def _role_sentence(member: StaffMember, role: StaffRole) -> str:
    wanted, own = (str(each).replace("_", " ") for each in (role, member.role))
    return f"This needs the role {wanted}, and yours is {own}. Nothing was changed. An administrator can change roles."
