"""The forms of the work on a case that decides nothing: notes, questions, escalations and skips."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Form, Visit, acting, desk_of
from api_stub.desk.cases import queue_page, read_case_id
from api_stub.desk.decisions import actor_of
from api_stub.desk.shell import DeskRoute, go
from delivery.intake.uuids import read_uuid
from delivery.records.database import transaction
from delivery.records.vetting import case_work
from delivery.rules.case_decisions import CaseNote, DecisionRefused, NoteKind
from delivery.vocabulary import StaffRole
from tasks.steps.case_work import note_case, skip_case

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Worker = Annotated[Visit, Depends(acting(StaffRole.VETTER))]


@router.post("/desk/cases/{case}/note")
def write_note(request: Request, visit: Worker, form: Form, case: str) -> Response:
    """Store a note; a question when it names a colleague."""
    colleague = read_uuid(form.get("colleague", ""))
    kind = NoteKind.NOTE if colleague is None else NoteKind.QUESTION
    return _note(request, visit, form, case, kind, None if colleague is None else str(colleague))


@router.post("/desk/cases/{case}/escalate")
def escalate(request: Request, visit: Worker, form: Form, case: str) -> Response:
    """Mark a case, so that another person looks at it soon, and store why."""
    return _note(request, visit, form, case, NoteKind.ESCALATION)


@router.post("/desk/cases/{case}/skip")
def skip(request: Request, visit: Worker, form: Form, case: str) -> Response:
    """Leave a case out of the list of this person, and lead to the next one."""
    case_id = read_case_id(case)
    try:
        skip_case(desk_of(request).context, case_id, actor_of(visit))
    except DecisionRefused as refused:
        return queue_page(request, case_id, conflict=str(refused), status=HTTPStatus.CONFLICT)
    following = read_uuid(form.get("next", ""))
    return go(f"/desk/cases/{following}" if following else "/desk")


@router.post("/desk/skipped")
def show_skipped(request: Request, visit: Worker) -> Response:
    """Put the cases that this person skipped back into the list."""
    with transaction(desk_of(request).database) as db:
        case_work.end_skips(db, str(visit.member.staff_id))
    return go("/desk")


def _note(  # noqa: PLR0913, PLR0917 - what a form says
    request: Request, visit: Visit, form: dict[str, str], case: str, kind: NoteKind, asked_id: str | None = None
) -> Response:
    case_id = read_case_id(case)
    try:
        note = CaseNote(actor_of(visit), form.get("note", "").strip(), kind, asked_id)
        note_case(desk_of(request).context, case_id, note)
    except DecisionRefused as refused:
        return queue_page(request, case_id, conflict=str(refused), status=HTTPStatus.CONFLICT)
    return go(f"/desk/cases/{case_id}")
