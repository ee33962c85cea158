"""The forms that decide a case, and the one that takes a decision back."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Form, Visit, acting, desk_of
from api_stub.desk.cases import queue_page, read_case_id
from api_stub.desk.shell import DeskRoute, go
from api_stub.services import services_of
from delivery.intake.uuids import read_uuid
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict, DecisionRefused, InvalidDecision
from delivery.vocabulary import StaffRole
from tasks.steps.review import decide_case
from tasks.steps.undo import undo_decision

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Decider = Annotated[Visit, Depends(acting(StaffRole.VETTER))]
_CHOSEN = "only-"
_VERDICTS = {"approve": CaseVerdict.APPROVE, "reject": CaseVerdict.REJECT}


@router.post("/desk/cases/{case}/approve")
def approve(request: Request, visit: Decider, form: Form, case: str) -> Response:
    """Let a held message go to those recipients whose preferences still allow it."""
    return _decide(request, visit, form, case, CaseVerdict.APPROVE)


@router.post("/desk/cases/{case}/reject")
def reject(request: Request, visit: Decider, form: Form, case: str) -> Response:
    """Refuse a held message for all its recipients."""
    return _decide(request, visit, form, case, CaseVerdict.REJECT)


@router.post("/desk/cases/{case}/some")
def decide_for_some(request: Request, visit: Decider, form: Form, case: str) -> Response:
    """Decide for the recipients that are ticked. The others stay held."""
    chosen = tuple(found for name in form if name.startswith(_CHOSEN) and (found := read_uuid(name[len(_CHOSEN) :])))
    verdict = _VERDICTS.get(form.get("verdict", ""))
    if not chosen or verdict is None:
        sentence = "Tick at least one recipient, then approve or reject."
        return queue_page(request, read_case_id(case), conflict=sentence, status=HTTPStatus.BAD_REQUEST)
    return _decide(request, visit, form, case, verdict, only=chosen)


@router.post("/desk/cases/{case}/undo")
def undo(request: Request, visit: Decider, form: Form, case: str) -> Response:
    """Take back a decision whose pause is not over."""
    case_id = read_case_id(case)
    try:
        undo_decision(
            desk_of(request).context, case_id, actor_of(visit), decision_id=read_uuid(form.get("decision", ""))
        )
    except DecisionRefused as refused:
        return queue_page(request, case_id, conflict=str(refused), status=HTTPStatus.CONFLICT)
    return go(f"/desk/cases/{case_id}?done={case_id}")


def actor_of(visit: Visit) -> Actor:
    """Return the person of this visit as who decides."""
    member = visit.member
    return Actor(ActorKind.STAFF, str(member.staff_id), member.name, member.account_id, member.email)


def _decide(  # noqa: PLR0913, PLR0917 - what a form says
    request: Request,
    visit: Visit,
    form: dict[str, str],
    case: str,
    verdict: CaseVerdict,
    only: tuple[UUID, ...] | None = None,
) -> Response:
    case_id = read_case_id(case)
    pause = timedelta(seconds=services_of(request).settings.undo_pause_s)
    words = _words(form, verdict)
    try:
        decision = CaseDecision(
            verdict,
            actor_of(visit),
            version=_version(form),
            pause=pause,
            only=only,
            reason=words.get("reason"),
            sentence=words.get("sentence"),
            note=words.get("note"),
        )
        decide_case(desk_of(request).context, case_id, decision)
        desk_of(request).pause_timer.ring_in(pause.total_seconds())
    except InvalidDecision as refused:
        return queue_page(request, case_id, conflict=str(refused), status=HTTPStatus.BAD_REQUEST)
    except DecisionRefused as refused:
        return queue_page(request, case_id, conflict=str(refused), status=HTTPStatus.CONFLICT)
    return _go_on(form, case_id)


def _words(form: dict[str, str], verdict: CaseVerdict) -> dict[str, str | None]:
    """Return what the person wrote. Only a rejection has a reason, and a sentence for the sender."""
    names = ("note", "reason", "sentence") if verdict is CaseVerdict.REJECT else ("note",)
    return {name: form.get(name, "").strip() or None for name in names}


def _version(form: dict[str, str]) -> int | None:
    text = form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _go_on(form: dict[str, str], case_id: UUID) -> Response:
    """Lead to the case that the page named as the next one, with a notice about the one that was decided."""
    following = read_uuid(form.get("next", ""))
    return go(f"/desk/cases/{following}?done={case_id}" if following else f"/desk?done={case_id}")
