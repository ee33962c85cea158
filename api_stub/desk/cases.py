"""The queue and the page of a case."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Visit, desk_of, visitor
from api_stub.desk.case_view import read_case
from api_stub.desk.shell import DeskRoute, not_here, page
from api_stub.requests.etags import respond_unless_unchanged
from api_stub.requests.pagination import read_page, write_cursor
from api_stub.requests.query import Parameters
from api_stub.services import services_of
from delivery.intake.timestamps import read_instant
from delivery.intake.uuids import read_uuid
from delivery.records.database import transaction
from delivery.records.identities import staff
from delivery.records.pipeline import vetting_cases
from delivery.records.vetting import case_work
from delivery.records.views.desk import queue
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.rules.case_decisions import Actor, ActorKind
from delivery.vocabulary import CaseState, StaffRole
from tasks.steps.case_work import claim_case

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Reader = Annotated[Visit, Depends(visitor())]
Poller = Annotated[Visit, Depends(visitor(is_use=False))]


@router.get("/desk")
def show_queue(request: Request, visit: Reader) -> Response:
    """Show the cases that wait, and the case that was decided last."""
    del visit
    return queue_page(request)


@router.get("/desk/cases/{case}")
def show_case(request: Request, visit: Reader, case: str) -> Response:
    """Show one case beside the cases that wait, and claim it for a person who can decide."""
    case_id = read_case_id(case)
    others = _claim(request, visit, case_id)
    shown = queue_page(request, case_id, others=others)
    desk_of(request).read_audit.add(AuditEntry(AuditKind.BODY_READ, str(visit.member.staff_id), (str(case_id),)))
    return shown


@router.get("/desk/waiting")
def poll(request: Request, visit: Poller) -> Response:
    """Return what changed for a list of cases: how many are new, and which were decided."""
    watched = read_uuid(request.query_params.get("watched", ""))
    others = [] if watched is None else _claim(request, visit, watched)
    listed = [found for each in request.query_params.get("ids", "").split(",") if (found := read_uuid(each))]
    since = read_instant(request.query_params.get("since", "")) or datetime.now(UTC)
    with transaction(desk_of(request).database) as db:
        newer = queue.count_newer(db, since)
        closed = queue.closed_among(db, listed[: queue.PAGE])
    changes = {
        "newer": newer,
        "closed": {str(each): f"{state} by {by}" for each, (state, by) in closed.items()},
        "others": others,
    }
    return respond_unless_unchanged(request, json.dumps(changes, sort_keys=True))


def queue_page(
    request: Request,
    case_id: UUID | None = None,
    *,
    conflict: str = "",
    status: HTTPStatus = HTTPStatus.OK,
    others: Sequence[str] = (),
) -> Response:
    """Return the queue, with one case beside it, who else looks at it, and what went wrong with a decision."""
    visit: Visit = request.state.visit
    wanted = request.query_params.get("find", "").strip()[:100]
    with transaction(desk_of(request).database) as db:
        skipped = case_work.skipped_by(db, str(visit.member.staff_id))
        listed = queue.waiting(db, wanted=wanted, after=_after(request), limit=queue.PAGE + 1 + len(skipped))
        listed = [each for each in listed if each.case_id not in set(skipped) or each.case_id == case_id]
        found = None if case_id is None else read_case(db, case_id)
        if case_id is not None and found is None:
            raise not_here("case")
        done_id = read_uuid(request.query_params.get("done", ""))
        values = {
            "listed": listed[: queue.PAGE],
            "cursor": _cursor(listed),
            "figures": queue.figures(db),
            "case": found,
            "done": None if done_id is None else read_case(db, done_id),
            "skipped_count": len(skipped),
            "colleagues": staff.everyone(db) if found else [],
            "questions": case_work.questions_for(db, str(visit.member.staff_id)),
        }
    values["following"] = _following([each.case_id for each in listed], case_id)
    values["reasons"] = services_of(request).settings.reasons
    return page(request, "queue.html", status=status, wanted=wanted, conflict=conflict, others=others, **values)


def _claim(request: Request, visit: Visit, case_id: UUID) -> list[str]:
    """Claim a case for a person who can decide it, and return the names of the others who look at it."""
    with transaction(desk_of(request).database) as db:
        claims = case_work.claims(db, [case_id])
        found = vetting_cases.find(db, case_id)
    own = str(visit.member.staff_id)
    others = sorted({each.actor_name for each in claims if each.actor_id != own})
    if found is None or found.state is not CaseState.OPEN or not visit.has_role(StaffRole.VETTER):
        return others
    actor = Actor(ActorKind.STAFF, own, visit.member.name)
    claim_case(desk_of(request).context, case_id, actor, is_renewal=any(each.actor_id == own for each in claims))
    return others


def _after(request: Request) -> tuple[datetime, UUID] | None:
    return read_page(Parameters(request), read_uuid).before


def _cursor(listed: list[queue.WaitingCase]) -> str:
    if len(listed) <= queue.PAGE:
        return ""
    last = listed[queue.PAGE - 1]
    return write_cursor(last.opened_at, last.case_id)


def _following(listed: list[UUID], case_id: UUID | None) -> UUID | None:
    """Return the case after this one in the list, or the first other one."""
    if case_id in listed and listed.index(case_id) + 1 < len(listed):
        return listed[listed.index(case_id) + 1]
    return next((each for each in listed if each != case_id), None)


def read_case_id(text: str) -> UUID:
    """Return the id in an address of the desk. Raises `DeskRefusal` for what is none."""
    found = read_uuid(text)
    if found is None:
        raise not_here("case")
    return found
