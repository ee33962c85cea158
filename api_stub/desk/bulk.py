"""Decide many cases at once: those with one text, of one sender, or held by one rule alone, after a preview."""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api_stub.desk.access import Form, Visit, acting, desk_of, visitor
from api_stub.desk.decisions import actor_of
from api_stub.desk.shell import DeskRefusal, DeskRoute, go, not_here, page
from api_stub.services import services_of
from delivery.intake.uuids import read_uuid
from delivery.records.database import Transaction, transaction
from delivery.records.vetting import groups
from delivery.records.vetting.groups import CaseSelection
from delivery.records.views import messages
from delivery.records.views.desk import case_page
from delivery.rules.case_decisions import CaseDecision, CaseVerdict, DecisionRefused
from delivery.vocabulary import StaffRole
from tasks.steps.review import decide_batch
from tasks.steps.undo import undo_batch

router = APIRouter(include_in_schema=False, route_class=DeskRoute)

Reader = Annotated[Visit, Depends(visitor())]
Decider = Annotated[Visit, Depends(acting(StaffRole.VETTER))]
_TYPED_ABOVE = 50
_VERDICTS = {"approve": CaseVerdict.APPROVE, "reject": CaseVerdict.REJECT}


@dataclass(frozen=True, slots=True)
class Selected:
    """What a preview is about: a title, the selection, and the message whose sender it is, if it is about one."""

    title: str
    selection: CaseSelection
    message_id: UUID | None = None


@router.get("/desk/groups")
def show_groups(request: Request, visit: Reader) -> Response:
    """Show the groups of open cases with nearly the same text."""
    del visit
    with transaction(desk_of(request).database) as db:
        found = groups.text_groups(db)
    return page(request, "groups.html", groups=found)


@router.get("/desk/groups/{fingerprint}")
def show_group(request: Request, visit: Reader, fingerprint: str) -> Response:
    """Show a preview of a decision about all cases with this text."""
    del visit
    digits = fingerprint.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        raise not_here("group")
    return _preview(request, Selected("Cases with the same text", CaseSelection(fingerprint=int(fingerprint))))


@router.get("/desk/senders/{message}")
def show_sender(request: Request, visit: Reader, message: str) -> Response:
    """Show the past of the sender of a message, and a preview of a decision about all open cases of that sender."""
    del visit
    message_id = read_uuid(message)
    with transaction(desk_of(request).database) as db:
        sender = None if message_id is None else case_page.sender_of(db, message_id)
    if sender is None:
        raise not_here("sender")
    account_id, email = sender
    if account_id is None and email is None:
        raise DeskRefusal(HTTPStatus.NOT_FOUND, "No sender", "The client of this message does not say who sent it.")
    selection = CaseSelection(sender_account_id=account_id, sender_email=None if account_id else email)
    return _preview(request, Selected("All cases of this sender", selection, message_id))


@router.get("/desk/rules/{name}/held/{version}")
def show_held_by_rule(request: Request, visit: Reader, name: str, version: int) -> Response:
    """Show a preview of a decision about all cases that only this version of a rule held."""
    del visit
    title = f"Cases that only {name} version {version} held"
    return _preview(request, Selected(title, CaseSelection(rule=name, version=version)))


@router.post("/desk/bulk")
def decide_all(request: Request, visit: Decider, form: Form) -> Response:
    """Decide the cases of a preview alike, each only if it is as the preview showed it."""
    cases, verdict = _read_cases(form.get("cases", "")), _VERDICTS.get(form.get("verdict", ""))
    if not cases or verdict is None:
        raise DeskRefusal(HTTPStatus.BAD_REQUEST, "Nothing was changed", "No case was chosen.")
    if len(cases) > _TYPED_ABOVE and not visit.is_confirmed:
        location = f"/desk/confirm?next={form.get('page', '')}"
        raise DeskRefusal(HTTPStatus.FORBIDDEN, "Your password again", "", location=location)
    words = {name: form.get(name, "").strip() or None for name in ("reason", "sentence", "note")}
    if verdict is CaseVerdict.APPROVE:
        words |= {"reason": None, "sentence": None}
    pause = timedelta(seconds=services_of(request).settings.undo_pause_s)
    typed = form.get("typed", "").strip()
    try:
        decision = CaseDecision(
            verdict,
            actor_of(visit),
            pause=pause,
            reason=words["reason"],
            sentence=words["sentence"],
            note=words["note"],
        )
        typed_count = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 10 else None
        result = decide_batch(desk_of(request).context, cases, decision, typed_count=typed_count)
        desk_of(request).pause_timer.ring_in(pause.total_seconds())
    except DecisionRefused as refused:
        raise DeskRefusal(HTTPStatus.BAD_REQUEST, "Nothing was changed", str(refused)) from refused
    return go(f"/desk/batches/{result.batch_id}?of={len(cases)}")


@router.get("/desk/batches/{batch}")
def show_batch(request: Request, visit: Reader, batch: str) -> Response:
    """Show what became of a decision about many cases."""
    del visit
    batch_id = read_uuid(batch)
    if batch_id is None:
        raise not_here("bulk decision")
    with transaction(desk_of(request).database) as db:
        found = case_page.batch_figures(db, batch_id)
    if not found.decided:
        raise not_here("bulk decision")
    of = request.query_params.get("of", "")
    left_out = int(of) - found.decided if of.isascii() and of.isdecimal() and len(of) < 6 else 0
    return page(request, "batch.html", batch_id=batch_id, figures=found, left_out=max(0, left_out))


@router.post("/desk/batches/{batch}/undo")
def undo_all(request: Request, visit: Decider, batch: str) -> Response:
    """Take back those decisions of a batch whose pause is not over."""
    batch_id = read_uuid(batch)
    if batch_id is None:
        raise not_here("bulk decision")
    try:
        undo_batch(desk_of(request).context, batch_id, actor_of(visit))
    except DecisionRefused as refused:
        raise DeskRefusal(HTTPStatus.CONFLICT, "Nothing was changed", str(refused)) from refused
    return go(f"/desk/batches/{batch_id}")


def _preview(request: Request, selected: Selected) -> Response:
    with transaction(desk_of(request).database) as db:
        found = groups.preview(db, selected.selection)
        sender = None if selected.message_id is None else case_page.sender_card(db, selected.message_id)
        sample = _message_of_first(db, found)
    values = {"preview": found, "sender": sender, "sample": sample}
    cases = "_".join(f"{each.case_id.hex}.{each.version}" for each in found.cases)
    return page(
        request,
        "bulk.html",
        title=selected.title,
        cases=cases,
        typed_above=_TYPED_ABOVE,
        reasons=services_of(request).settings.reasons,
        values=values,
    )


def _message_of_first(db: Transaction, found: groups.BulkPreview) -> messages.MessageView | None:
    if not found.cases:
        return None
    message_id = case_page.message_of(db, found.cases[0].case_id)
    return None if message_id is None else messages.message(db, message_id)


def _read_cases(text: str) -> list[tuple[UUID, int]]:
    """Read the cases of a preview with their versions; what is malformed is left out."""
    pairs = [each.partition(".") for each in text.split("_")[: groups.MOST_CASES]]
    return [
        (UUID(hex=case), int(version))
        for case, _, version in pairs
        if len(case) == 32 and case.isalnum() and case.isascii() and read_uuid(str_of(case)) and version.isdecimal()
    ]


def str_of(digits: str) -> str:
    """Return 32 digits in the form of a UUID."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
