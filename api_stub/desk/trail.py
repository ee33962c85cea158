"""Append what people do at the desk to the audit, and show it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Visit, desk_of, visitor
from api_stub.desk.shell import DeskRoute, page
from api_stub.services import services_of
from delivery.intake.uuids import read_uuid
from delivery.records.database import Transaction, transaction
from delivery.records.identities import staff
from delivery.records.vetting import audit
from delivery.records.vetting.audit import AuditFilter
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.vocabulary import StaffRole

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

_LIMIT = 100
_VERIFIED = 1000


@router.get("/desk/audit")
def show_audit(request: Request, visit: Annotated[Visit, Depends(visitor(StaffRole.ADMIN))]) -> Response:
    """Show the newest audit entries, those of a kind, a person or a case, and verify the newest part of the chain."""
    del visit
    kind = request.query_params.get("kind", "")
    about, before = read_uuid(request.query_params.get("about", "")), request.query_params.get("before", "")
    person = read_uuid(request.query_params.get("person", ""))
    wanted = AuditFilter(
        subject=None if about is None else str(about),
        actor_id=None if person is None else str(person),
        kind=kind if kind in set(AuditKind) else None,
        before_seq=int(before[:18]) if before.isascii() and before.isdecimal() else None,
    )
    desk_of(request).read_audit.flush()
    with transaction(desk_of(request).database) as db:
        found = audit.search(db, wanted, _LIMIT + 1)
        verdict = audit.verify(db, services_of(request).settings.audit_key, newest=_VERIFIED)
        people = {str(each.staff_id): each.name for each in staff.everyone(db)}
    values: dict[str, Any] = {
        "found": found[:_LIMIT],
        "has_more": len(found) > _LIMIT,
        "kinds": list(AuditKind),
        "people": people,
    }
    return page(request, "audit.html", wanted=wanted, verdict=verdict, **values)


def append_entry(
    request: Request,
    db: Transaction,
    kind: AuditKind,
    actor_id: str,
    subjects: tuple[str, ...] = (),
    **facts: object,
) -> None:
    """Append an entry about an actor and subjects in the transaction of what it is about."""
    entry = AuditEntry(kind, actor_id, subjects, facts)
    audit.append(db, services_of(request).settings.audit_key, entry)
