"""What a person may change about the own login, and what administrators may change about those of others."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Form, Visit, acting, desk_of, visitor
from api_stub.desk.shell import DeskRefusal, DeskRoute, go, not_here, page
from api_stub.desk.trail import append_entry
from delivery.intake.uuids import read_uuid
from delivery.logs.security import write_line
from delivery.records.database import Transaction, transaction
from delivery.records.identities import staff
from delivery.records.identities.staff import NewStaff
from delivery.rules.audit_chain import AuditKind
from delivery.staff_secrets import SHORTEST_PASSWORD, digest_password, generate_password, is_password
from delivery.vocabulary import StaffRole

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Reader = Annotated[Visit, Depends(visitor())]
Person = Annotated[Visit, Depends(acting(StaffRole.VIEWER))]
AdminReader = Annotated[Visit, Depends(visitor(StaffRole.ADMIN))]
Admin = Annotated[Visit, Depends(acting(StaffRole.ADMIN))]
_NAME_LIMIT = 80
_OWN = "An administrator cannot do this to the own login: another one has to."


@router.get("/desk/me")
def show_me(request: Request, visit: Reader) -> Response:
    """Show what a person may change about the own login."""
    del visit
    return page(request, "me.html", error="", has_changed=False)


@router.post("/desk/me/keys")
def switch_keys(request: Request, visit: Person, form: Form) -> Response:
    """Turn single keys on or off."""
    with transaction(desk_of(request).database) as db:
        staff.set_single_keys(db, visit.member.staff_id, wanted=form.get("keys") == "on")
    return go("/desk/me")


@router.post("/desk/me/password")
def change_password(request: Request, visit: Person, form: Form) -> Response:
    """Replace the own password, and end all logins."""
    wanted = form.get("new", "")
    if not is_password(form.get("password", ""), visit.member.password_digest):
        return page(request, "me.html", status=HTTPStatus.FORBIDDEN, error="The password is wrong.", has_changed=False)
    if len(wanted) < SHORTEST_PASSWORD or wanted.lower() == visit.member.name.lower():
        error = f"A password has at least {SHORTEST_PASSWORD} characters, and is not your name."
        return page(request, "me.html", status=HTTPStatus.BAD_REQUEST, error=error, has_changed=False)
    with transaction(desk_of(request).database) as db:
        staff.set_password(db, visit.member.staff_id, digest_password(wanted))
        _note(request, db, "staff_password_changed", visit.member.staff_id)
    return go("/desk/login")


@router.get("/desk/staff")
def show_staff(request: Request, visit: AdminReader) -> Response:
    """Show all people at the desk."""
    del visit
    return _staff_page(request)


@router.post("/desk/staff")
def add_person(request: Request, visit: Admin, form: Form) -> Response:
    """Add a person, and show the password once."""
    _need_confirmation(visit)
    name, password = form.get("name", "").strip(), generate_password()
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        return _staff_page(request, error=f"A name has 1 to {_NAME_LIMIT} visible characters.")
    account = form.get("account", "").strip()
    account_id = read_uuid(account)
    if account and account_id is None:
        return _staff_page(request, error="That is not the id of an account.")
    email = form.get("email", "").strip() or None
    new = NewStaff(name, _role(form), digest_password(password), email, account_id)
    with transaction(desk_of(request).database) as db:
        added = staff.add(db, new)
        if added is not None:
            _note(request, db, "staff_added", added)
    if added is None:
        return _staff_page(request, error="Another person has this name.")
    return _staff_page(request, fresh=(name, password))


@router.post("/desk/staff/{person}/role")
def change_role(request: Request, visit: Admin, form: Form, person: str) -> Response:
    """Change what a person may do. It counts from the next request."""
    _need_confirmation(visit)
    staff_id = _other(visit, person)
    with transaction(desk_of(request).database) as db:
        staff.set_role(db, staff_id, _role(form))
        _note(request, db, f"role_{_role(form)}", staff_id)
    return go("/desk/staff")


@router.post("/desk/staff/{person}/disable")
def disable(request: Request, visit: Admin, form: Form, person: str) -> Response:
    """End all logins of a person and refuse new ones, or let the person log in again."""
    _need_confirmation(visit)
    staff_id = _other(visit, person)
    with transaction(desk_of(request).database) as db:
        staff.set_disabled(db, staff_id, is_disabled=form.get("disabled") == "yes")
        _note(request, db, "staff_disabled" if form.get("disabled") == "yes" else "staff_enabled", staff_id)
    return go("/desk/staff")


@router.post("/desk/staff/{person}/reset")
def reset(request: Request, visit: Admin, person: str) -> Response:
    """Replace the password of a person by one that is shown once, and end all logins."""
    _need_confirmation(visit)
    staff_id, password = _other(visit, person), generate_password()
    with transaction(desk_of(request).database) as db:
        member = staff.by_id(db, staff_id)
        if member is None:
            raise not_here("person")
        staff.set_password(db, staff_id, digest_password(password))
        staff.set_totp(db, staff_id, None)
        _note(request, db, "staff_reset", staff_id)
    return _staff_page(request, fresh=(member.name, password))


def _staff_page(request: Request, *, error: str = "", fresh: tuple[str, str] | None = None) -> Response:
    with transaction(desk_of(request).database) as db:
        people = staff.everyone(db)
    status = HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK
    return page(request, "staff.html", status=status, people=people, roles=list(StaffRole), error=error, fresh=fresh)


def _need_confirmation(visit: Visit) -> None:
    if not visit.is_confirmed:
        raise DeskRefusal(HTTPStatus.FORBIDDEN, "Your password again", "", location="/desk/confirm?next=/desk/staff")


def _other(visit: Visit, person: str) -> UUID:
    staff_id = read_uuid(person)
    if staff_id is None:
        raise not_here("person")
    if staff_id == visit.member.staff_id:
        raise DeskRefusal(HTTPStatus.CONFLICT, "Nothing was changed", _OWN)
    return staff_id


def _role(form: dict[str, str]) -> StaffRole:
    role = form.get("role", "")
    if role not in set(StaffRole):
        raise DeskRefusal(HTTPStatus.BAD_REQUEST, "Nothing was changed", "Choose one of the roles.")
    return StaffRole(role)


def _note(request: Request, db: Transaction, event: str, staff_id: UUID) -> None:
    """Record what an administrator did about a person, in the transaction that does it."""
    actor_id = str(request.state.visit.member.staff_id)
    append_entry(request, db, AuditKind.STAFF_CHANGED, actor_id, (str(staff_id),), change=event)
    write_line(event, staff_id=str(staff_id), actor=f"staff {actor_id}")
