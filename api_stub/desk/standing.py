"""Standing decisions: make one from a decision about a case, list them, and revoke one."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Form, Visit, acting, desk_of, visitor
from api_stub.desk.cases import queue_page, read_case_id
from api_stub.desk.decisions import actor_of
from api_stub.desk.shell import DeskRefusal, DeskRoute, go, not_here, page
from delivery.intake.uuids import read_uuid
from delivery.records.database import transaction
from delivery.records.vetting import decisions, standing
from delivery.rules.case_decisions import CaseVerdict, DecisionRefused, StandingDecision
from delivery.vocabulary import StaffRole
from tasks.steps.standing_decisions import make_standing, revoke_standing

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Reader = Annotated[Visit, Depends(visitor())]
Decider = Annotated[Visit, Depends(acting(StaffRole.VETTER))]
_LIMIT = 200
_NO_DECISION = "That decision was taken back or replaced meanwhile, so no standing decision was made."


@router.get("/desk/standing")
def show_standing(request: Request, visit: Reader) -> Response:
    """Show the standing decisions in force."""
    del visit
    with transaction(desk_of(request).database) as db:
        found = standing.standing_decisions(db, limit=_LIMIT)
    return page(request, "standing.html", found=found, limit=_LIMIT)


@router.post("/desk/cases/{case}/stand")
def stand(request: Request, visit: Decider, form: Form, case: str) -> Response:
    """Repeat a decision about a case for the same text of the same sender, for 7 days."""
    case_id, decision_id = read_case_id(case), read_uuid(form.get("decision", ""))
    with transaction(desk_of(request).database) as db:
        made = [each for each in decisions.of_case(db, case_id) if each.decision_id == decision_id]
    if not made or made[0].undone_at is not None or made[0].verdict is CaseVerdict.EXPIRE:
        return queue_page(request, case_id, conflict=_NO_DECISION, status=HTTPStatus.CONFLICT)
    (last,) = made
    try:
        wanted = StandingDecision(case_id, last.verdict, actor_of(visit), reason=last.reason, sentence=last.sentence)
        make_standing(desk_of(request).context, wanted)
    except DecisionRefused as refused:
        return queue_page(request, case_id, conflict=str(refused), status=HTTPStatus.CONFLICT)
    return go("/desk/standing")


@router.post("/desk/standing/{standing_decision}/revoke")
def revoke(request: Request, visit: Decider, standing_decision: str) -> Response:
    """End a standing decision. What it has decided stays."""
    standing_id = read_uuid(standing_decision)
    if standing_id is None:
        raise not_here("standing decision")
    try:
        revoke_standing(desk_of(request).context, standing_id, actor_of(visit))
    except DecisionRefused as refused:
        raise DeskRefusal(HTTPStatus.CONFLICT, "Nothing was changed", str(refused)) from refused
    return go("/desk/standing")
