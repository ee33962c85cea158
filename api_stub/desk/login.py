"""Log in to the desk and out of it: password, one-time code, and the password again where much is at stake."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk import access
from api_stub.desk.access import Form, Visit, acting, desk_of, visitor
from api_stub.desk.shell import STATIC, DeskRefusal, DeskRoute, asset, go, not_here, page
from api_stub.desk.trail import append_entry
from api_stub.ratelimit.limiter import hide_address
from api_stub.ratelimit.refusals import address_of
from api_stub.services import services_of
from delivery.logs.security import write_line
from delivery.records.database import Transaction, transaction
from delivery.records.identities import staff, staff_sessions
from delivery.records.identities.staff import StaffMember
from delivery.rules.audit_chain import AuditKind
from delivery.sealing import SealBroken, open_sealed
from delivery.settings import Settings
from delivery.staff_secrets import digest_token, generate_token, hide_name, is_password, totp_name, totp_step
from delivery.vocabulary import StaffRole

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

_WRONG = "The name or the password is wrong, or this login is disabled."
_WRONG_CODE = "That code is wrong or was used before. Wait for the next one."
_TOO_MANY = "There were too many refused logins. Wait 15 minutes, or ask an administrator."


@router.get("/desk/static/{name}")
def static_file(name: str) -> Response:
    """Return a style sheet or script. Its address changes with its content, so browsers keep it."""
    if name not in STATIC:
        raise not_here("file")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset(name), media_type=STATIC[name], headers=headers)


@router.get("/desk/login")
def show_login(request: Request) -> Response:
    """Show the form for name and password."""
    return _login_page(request, request.query_params.get("next", ""))


@router.post("/desk/login")
def log_in(request: Request, form: Form) -> Response:
    """Check name and password, and begin a login under a new token."""
    settings = services_of(request).settings
    name = form.get("name", "").strip()
    network = hide_address(address_of(request), settings.pepper)
    with transaction(desk_of(request).database) as db:
        counts = staff_sessions.attempt(db, hide_name(name, settings.pepper), network)
        member = staff.by_name(db, name)
    if counts.by_name > settings.desk_logins_per_account or counts.by_network > settings.desk_logins_per_address:
        write_line("staff_login_throttled", network=network)
        return _login_page(request, form.get("next", ""), _TOO_MANY, status=HTTPStatus.TOO_MANY_REQUESTS, name=name)
    is_right = is_password(form.get("password", ""), member.password_digest if member else None)
    if member is None or not is_right or member.disabled_at is not None:
        _note_refusal(request, network, member)
        return _login_page(request, form.get("next", ""), _WRONG, status=HTTPStatus.UNAUTHORIZED, name=name)
    with transaction(desk_of(request).database) as db:
        staff_sessions.forget_attempt(db, counts.attempt_id)
        return _begin(request, db, member, form.get("next", ""), is_partial=member.totp_sealed is not None)


@router.get("/desk/login/code")
def show_code(request: Request) -> Response:
    """Show the form for the one-time code."""
    return page(request, "code.html", next=access.own_path(request.query_params.get("next", "")), error="")


@router.post("/desk/login/code")
def check_code(request: Request, form: Form) -> Response:
    """Check a one-time code. The login goes on under a new token, so that a planted one is worth nothing."""
    settings = services_of(request).settings
    token = access.cookie_of(request)
    digest = digest_token(token or "", settings.pepper)
    with transaction(desk_of(request).database) as db:
        found = staff_sessions.find(db, digest, access.limits_of(settings))
        if found is None or not found.is_partial:
            return go("/desk/login")
        counts = staff_sessions.attempt(db, f"code {found.member.staff_id}", "")
    if counts.by_name > settings.desk_logins_per_account:
        return _code_page(request, form, _TOO_MANY, HTTPStatus.TOO_MANY_REQUESTS)
    with transaction(desk_of(request).database) as db:
        if not _is_code(db, found.member, form.get("code", ""), settings):
            append_entry(request, db, AuditKind.LOGIN_REFUSED, str(found.member.staff_id), step="code")
            write_line("staff_code_refused", staff_id=str(found.member.staff_id))
            return _code_page(request, form, _WRONG_CODE, HTTPStatus.UNAUTHORIZED)
        staff_sessions.forget_attempt(db, counts.attempt_id)
        staff_sessions.end(db, digest)
        return _begin(request, db, found.member, form.get("next", ""))


@router.post("/desk/logout")
def log_out(request: Request, visit: Annotated[Visit, Depends(acting(StaffRole.VIEWER))]) -> Response:
    """End the login."""
    with transaction(desk_of(request).database) as db:
        staff_sessions.end(db, visit.digest)
    write_line("staff_logged_out", staff_id=str(visit.member.staff_id))
    found = go("/desk/login")
    access.delete_cookie(found, services_of(request).settings)
    return found


@router.get("/desk/confirm")
def show_confirmation(request: Request, visit: Annotated[Visit, Depends(visitor())]) -> Response:
    """Ask for the password again."""
    del visit
    return page(request, "confirm.html", next=access.own_path(request.query_params.get("next", "")), error="")


@router.post("/desk/confirm")
def confirm(request: Request, form: Form, visit: Annotated[Visit, Depends(acting(StaffRole.VIEWER))]) -> Response:
    """Check the password again, and store that it was given."""
    settings = services_of(request).settings
    goal = access.own_path(form.get("next", ""))
    with transaction(desk_of(request).database) as db:
        counts = staff_sessions.attempt(db, hide_name(visit.member.name, settings.pepper), "")
    if counts.by_name > settings.desk_logins_per_account:
        raise DeskRefusal(HTTPStatus.TOO_MANY_REQUESTS, "Please wait", _TOO_MANY)
    if not is_password(form.get("password", ""), visit.member.password_digest):
        return page(request, "confirm.html", status=HTTPStatus.UNAUTHORIZED, next=goal, error="Wrong password.")
    with transaction(desk_of(request).database) as db:
        staff_sessions.forget_attempt(db, counts.attempt_id)
        staff_sessions.confirm(db, visit.digest)
    return go(goal)


def _begin(request: Request, db: Transaction, member: StaffMember, goal: str, *, is_partial: bool = False) -> Response:
    settings = services_of(request).settings
    token = generate_token()
    digest = digest_token(token, settings.pepper)
    staff_sessions.begin(db, member.staff_id, digest, access.limits_of(settings), is_partial=is_partial)
    goal = access.own_path(goal)
    found = go(f"/desk/login/code?next={goal}" if is_partial else goal)
    access.set_cookie(found, token, settings)
    if not is_partial:
        append_entry(request, db, AuditKind.LOGIN, str(member.staff_id))
        write_line("staff_logged_in", staff_id=str(member.staff_id))
    return found


def _note_refusal(request: Request, network: str, member: StaffMember | None) -> None:
    """Record a refused login. Only logins of people are in the audit, so that no other can fill it."""
    staff_id = str(member.staff_id) if member else None
    write_line("staff_login_refused", network=network, staff_id=staff_id)
    if staff_id is not None:
        with transaction(desk_of(request).database) as db:
            append_entry(request, db, AuditKind.LOGIN_REFUSED, staff_id, step="password")


def _is_code(db: Transaction, member: StaffMember, code: str, settings: Settings) -> bool:
    if member.totp_sealed is None:
        return False
    try:
        secret = open_sealed(member.totp_sealed, totp_name(member.staff_id), *settings.sealing_keys)
    except SealBroken:
        return False
    step = totp_step(secret, code)
    return step is not None and staff.use_totp_step(db, member.staff_id, step)


def _login_page(
    request: Request, goal: str, error: str = "", *, status: HTTPStatus = HTTPStatus.OK, name: str = ""
) -> Response:
    return page(request, "login.html", status=status, next=access.own_path(goal), error=error, name=name)


def _code_page(request: Request, form: dict[str, str], error: str, status: HTTPStatus) -> Response:
    return page(request, "code.html", status=status, next=access.own_path(form.get("next", "")), error=error)
