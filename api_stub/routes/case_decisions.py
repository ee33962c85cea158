"""Decide vetting cases and work on them: the client acts, and the person that it names is recorded as claimed."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Request

from api_stub import openapi
from api_stub.authentication import AuthenticatedClient, name_credential
from api_stub.requests.body import read_fields
from api_stub.routes.cases import GUARD, Decider, read_case_id, run_step
from api_stub.schemas.cases import (
    CaseOutcome,
    ClaimList,
    StandingMade,
    StandingMadeData,
    build_claims,
    build_outcome,
)
from api_stub.server.errors import ApiError, not_found
from delivery.intake.case_decisions import (
    APPROVAL,
    CASE_WORK,
    NOTE,
    REJECTION,
    STANDING,
    UNDO,
    ApprovalRequest,
    NoteRequest,
    RejectionRequest,
)
from delivery.intake.shapes import Shape
from delivery.records.database import transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.pipeline.vetting_cases import CaseView
from delivery.rules.case_decisions import (
    Actor,
    ActorKind,
    CaseChanged,
    CaseDecision,
    CaseNote,
    CaseNotOpen,
    CaseVerdict,
    DecisionRefused,
    InvalidDecision,
    NoteKind,
    NotUndone,
    OwnMessage,
    StandingDecision,
)
from tasks.context import StepContext
from tasks.steps import case_work, standing_decisions
from tasks.steps.review import decide_case
from tasks.steps.undo import undo_decision

router = APIRouter(tags=["vetting"])

_ERRORS = {
    **openapi.errors(
        *openapi.GUARDED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    **openapi.FINAL_CONFLICT,
}
_CODES = {
    CaseNotOpen: (HTTPStatus.CONFLICT, "case_not_open"),
    CaseChanged: (HTTPStatus.CONFLICT, "case_changed"),
    OwnMessage: (HTTPStatus.CONFLICT, "own_message"),
    NotUndone: (HTTPStatus.CONFLICT, "not_undone"),
    InvalidDecision: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_decision"),
}
_TAG = re.compile(r'"([1-9][0-9]{0,8})"', re.ASCII)
_IF_MATCH = openapi.header("If-Match", "The ETag of the case: another version is refused with 412.", type="string")
_DAYS = 7

Read = TypeVar("Read")
Result = TypeVar("Result")


def _takes(shape: Shape[Any], **others: Any) -> dict[str, Any]:
    return {**GUARD, "requestBody": openapi.body_of(shape, "application/json"), **others}


@router.post(
    "/vetting/cases/{case_uuid}/approve", responses=_ERRORS, openapi_extra=_takes(APPROVAL, parameters=[_IF_MATCH])
)
async def approve(request: Request, case_uuid: str, client: Decider) -> CaseOutcome:
    """Let a held message go to the recipients whose preferences still allow it: all, or those that are named."""
    sent = APPROVAL.read(await read_fields(request))
    return await _decide(request, client, case_uuid, CaseVerdict.APPROVE, sent)


@router.post(
    "/vetting/cases/{case_uuid}/reject", responses=_ERRORS, openapi_extra=_takes(REJECTION, parameters=[_IF_MATCH])
)
async def reject(request: Request, case_uuid: str, client: Decider) -> CaseOutcome:
    """Refuse a held message for all its recipients, or for those that are named."""
    sent = REJECTION.read(await read_fields(request))
    return await _decide(request, client, case_uuid, CaseVerdict.REJECT, sent)


@router.post("/vetting/cases/{case_uuid}/undo", responses=_ERRORS, openapi_extra=_takes(UNDO))
async def undo(request: Request, case_uuid: str, client: Decider) -> CaseOutcome:
    """Undo a decision whose pause is not over. The case is open again, and nothing has left."""
    sent = UNDO.read(await read_fields(request))
    actor = _actor(request, client, sent.claimed_name)
    step = partial(undo_decision, case_id=read_case_id(case_uuid), actor=actor, decision_id=sent.decision_id)
    return await _work(request, case_uuid, step)


@router.post("/vetting/cases/{case_uuid}/claim", responses=_ERRORS, openapi_extra=_takes(CASE_WORK))
async def claim(request: Request, case_uuid: str, client: Decider) -> ClaimList:
    """Claim a case for two minutes, and return who else looks at it. Others can decide it nevertheless."""
    sent = CASE_WORK.read(await read_fields(request))
    actor = _actor(request, client, sent.claimed_name)

    def claim_known(context: StepContext) -> ClaimList:
        case_id = _find(context, read_case_id(case_uuid)).case_id
        return build_claims(case_work.claim_case(context, case_id, actor))

    return await run_step(request, claim_known)


@router.post("/vetting/cases/{case_uuid}/notes", responses=_ERRORS, openapi_extra=_takes(NOTE))
async def add_note(request: Request, case_uuid: str, client: Decider) -> CaseOutcome:
    """Store a note about a case."""
    return await _note(request, client, case_uuid, NoteKind.NOTE)


@router.post("/vetting/cases/{case_uuid}/escalate", responses=_ERRORS, openapi_extra=_takes(NOTE))
async def escalate(request: Request, case_uuid: str, client: Decider) -> CaseOutcome:
    """Mark an open case, so that another person looks at it soon, and store why."""
    return await _note(request, client, case_uuid, NoteKind.ESCALATION)


@router.post("/vetting/cases/{case_uuid}/skip", responses=_ERRORS, openapi_extra=_takes(CASE_WORK))
async def skip(request: Request, case_uuid: str, client: Decider) -> CaseOutcome:
    """Record that this client leaves a case to others, and end its claim."""
    sent = CASE_WORK.read(await read_fields(request))
    actor = _actor(request, client, sent.claimed_name)
    return await _work(request, case_uuid, partial(case_work.skip_case, case_id=read_case_id(case_uuid), actor=actor))


@router.post("/vetting/standing-decisions", responses=_ERRORS, openapi_extra=_takes(STANDING))
async def make_standing(request: Request, client: Decider) -> StandingMade:
    """Let the text of a case from its sender pass, or refuse it, for some days. The case itself stays open."""
    sent = STANDING.read(await read_fields(request))
    actor, lasts = _actor(request, client, sent.claimed_name), timedelta(days=sent.days or _DAYS)

    def make(context: StepContext) -> UUID:
        _find(context, sent.case_id)
        made = StandingDecision(sent.case_id, sent.verdict, actor, lasts, sent.reason, sent.sentence)
        return standing_decisions.make_standing(context, made)

    return StandingMade(data=StandingMadeData(uuid=await run_step(request, partial(_refusing, make))))


@router.post("/vetting/standing-decisions/{standing_uuid}/revoke", responses=_ERRORS, openapi_extra=_takes(CASE_WORK))
async def revoke_standing(request: Request, standing_uuid: str, client: Decider) -> StandingMade:
    """Revoke a standing decision. What it has decided stays."""
    sent = CASE_WORK.read(await read_fields(request))
    standing_id, actor = read_case_id(standing_uuid), _actor(request, client, sent.claimed_name)

    def revoke(context: StepContext) -> None:
        try:
            standing_decisions.revoke_standing(context, standing_id, actor)
        except NotUndone as error:
            raise ApiError(HTTPStatus.NOT_FOUND, "not_found", str(error)) from error

    await run_step(request, revoke)
    return StandingMade(data=StandingMadeData(uuid=standing_id))


async def _decide(
    request: Request,
    client: AuthenticatedClient,
    case_uuid: str,
    verdict: CaseVerdict,
    sent: ApprovalRequest | RejectionRequest,
) -> CaseOutcome:
    case_id, actor = read_case_id(case_uuid), _actor(request, client, sent.claimed_name)
    tagged = _read_tag(request)
    if tagged is not None and sent.version not in {None, tagged}:
        raise _stale("If-Match and version name different versions of the case.")

    def decide(context: StepContext) -> UUID:
        decision = CaseDecision(
            verdict,
            actor,
            version=sent.version if tagged is None else tagged,
            pause=timedelta(seconds=sent.pause_s or 0),
            only=sent.only,
            reason=getattr(sent, "reason", None),
            sentence=getattr(sent, "sentence", None),
            note=sent.note,
        )
        try:
            return decide_case(context, case_id, decision)
        except CaseChanged as error:
            raise (error if tagged is None else _stale(str(error))) from error

    return await _work(request, case_uuid, decide)


async def _note(request: Request, client: AuthenticatedClient, case_uuid: str, kind: NoteKind) -> CaseOutcome:
    sent: NoteRequest = NOTE.read(await read_fields(request))
    actor = _actor(request, client, sent.claimed_name)

    def write(context: StepContext) -> None:
        case_work.note_case(context, read_case_id(case_uuid), CaseNote(actor, sent.content, kind))

    return await _work(request, case_uuid, write)


async def _work(request: Request, case_uuid: str, step: Callable[[StepContext], UUID | None]) -> CaseOutcome:
    """Run a step about a case, and return where the case stands. Raises `ApiError` for every refusal."""
    case_id = read_case_id(case_uuid)

    def work(context: StepContext) -> CaseOutcome:
        _find(context, case_id)
        decision_id = _refusing(step, context)
        return build_outcome(_find(context, case_id), decision_id)

    return await run_step(request, work)


def _refusing(step: Callable[[StepContext], Result], context: StepContext) -> Result:
    """Run a step. Raises `ApiError` with the sentence of its refusal."""
    try:
        return step(context)
    except DecisionRefused as refused:
        status, code = _CODES[type(refused)]
        raise ApiError(status, code, str(refused)) from refused


def _find(context: StepContext, case_id: UUID) -> CaseView:
    with transaction(context.database) as db:
        found = vetting_cases.find(db, case_id)
    if found is None:
        raise not_found()
    return found


def _actor(request: Request, client: AuthenticatedClient, claimed_name: str | None) -> Actor:
    """Return the client as who decides. Its name has the credential, and the person as claimed."""
    credential = name_credential(request, client)
    name = f"{claimed_name} (as claimed, {credential})" if claimed_name else credential
    return Actor(ActorKind.CLIENT, str(client.client_id), name)


def _read_tag(request: Request) -> int | None:
    """Return the version in If-Match. Raises `ApiError` (412) for what is no tag of a case."""
    text = request.headers.get("if-match", "*").strip()
    if text == "*":
        return None
    tag = _TAG.fullmatch(text)
    if tag is None:
        raise _stale("If-Match is no ETag of this case.")
    return int(tag[1])


def _stale(sentence: str) -> ApiError:
    return ApiError(HTTPStatus.PRECONDITION_FAILED, "precondition_failed", sentence)
