"""The answers about vetting cases and standing decisions, for clients that decide them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from api_stub.requests.pagination import Page, write_cursor
from delivery.records.pipeline.vetting_cases import CaseView
from delivery.records.vetting.case_work import ClaimView, NoteView
from delivery.records.vetting.decisions import DecisionView
from delivery.records.vetting.standing import StandingView
from delivery.records.views.case_list import ListedCase
from delivery.records.views.desk.case_page import CaseRecipient
from delivery.rules.case_decisions import ActorKind, CaseVerdict, NoteKind
from delivery.rules.vetting import Finding
from delivery.vocabulary import CaseState, MessageType, State


class FindingData(BaseModel):
    """What was found in a message: which phrase, or the reason of a rule, and in which field."""

    field: str
    phrase: str


class CaseFields(BaseModel):
    """What a case in a list and a case alone both show. Staff should decide until `due_at`."""

    uuid: UUID
    message_uuid: UUID
    state: CaseState
    version: int
    findings: list[FindingData]
    opened_at: datetime
    due_at: datetime
    expires_at: datetime
    escalated_at: datetime | None
    sender_name: str
    sender_email: str | None
    subject: str


class CaseSummary(CaseFields):
    """A case in a list, without the text of its message. Staff should decide until `due_at`."""

    type: MessageType
    recipient_count: int


class CaseListMeta(BaseModel):
    """`next_cursor` reads the next page; null on the last one."""

    next_cursor: str | None


class CaseList(BaseModel):
    """The answer about the cases that wait."""

    success: Literal[1] = 1
    meta: CaseListMeta
    data: list[CaseSummary]


class CaseRecipientData(BaseModel):
    """A recipient of the message of a case."""

    uuid: UUID
    name: str
    state: State


class DecisionData(BaseModel):
    """A decision. It can be undone while `applied_at` and `undone_at` are null."""

    uuid: UUID
    verdict: CaseVerdict
    recipient_uuids: list[UUID] | None
    reason: str | None
    sentence: str | None
    note: str | None
    made_by_kind: ActorKind
    made_by: str
    decided_at: datetime
    effective_at: datetime
    applied_at: datetime | None
    undone_at: datetime | None
    undone_by: str | None


class NoteData(BaseModel):
    """A note about a case."""

    uuid: UUID
    kind: NoteKind
    content: str
    made_by: str
    made_at: datetime


class CaseData(CaseFields):
    """A case with the text of its message, its recipients, decisions and notes."""

    body: str
    type: MessageType
    recipients: list[CaseRecipientData]
    decisions: list[DecisionData]
    notes: list[NoteData]


class CaseDetail(BaseModel):
    """The answer about one case."""

    success: Literal[1] = 1
    data: CaseData


class CaseOutcomeData(BaseModel):
    """Where a case stands after a request. `decision_uuid` is null unless the request decided."""

    uuid: UUID
    state: CaseState
    version: int
    decision_uuid: UUID | None


class CaseOutcome(BaseModel):
    """The answer to a decision, an undo, a note, an escalation or a skip."""

    success: Literal[1] = 1
    data: CaseOutcomeData


class ClaimData(BaseModel):
    """Another person who looks at a case."""

    name: str
    ends_at: datetime


class ClaimList(BaseModel):
    """The answer to a claim: who else looks at the case."""

    success: Literal[1] = 1
    data: list[ClaimData]


class StandingData(BaseModel):
    """A standing decision in force, and how often it was used."""

    uuid: UUID
    case_uuid: UUID
    verdict: CaseVerdict
    reason: str | None
    sentence: str | None
    made_by: str
    made_at: datetime
    ends_at: datetime
    uses: int


class StandingList(BaseModel):
    """The answer about the standing decisions in force, newest first."""

    success: Literal[1] = 1
    data: list[StandingData]


class StandingMadeData(BaseModel):
    """The id of a standing decision."""

    uuid: UUID


class StandingMade(BaseModel):
    """The answer to a standing decision that was made or revoked."""

    success: Literal[1] = 1
    data: StandingMadeData


def build_cases(found: Sequence[ListedCase], page: Page[UUID]) -> CaseList:
    """Return a page of cases as clients see it."""
    listed = found[: page.limit]
    last = listed[-1] if len(found) > page.limit else None
    cursor = None if last is None else write_cursor(last.opened_at, last.case_id)
    return CaseList(meta=CaseListMeta(next_cursor=cursor), data=[_summary(each) for each in listed])


def build_case(
    case: CaseView, recipients: Sequence[CaseRecipient], made: Sequence[DecisionView], notes: Sequence[NoteView]
) -> CaseDetail:
    """Return a case as clients see it."""
    data = CaseData(
        uuid=case.case_id,
        message_uuid=case.message_id,
        state=case.state,
        version=case.version,
        findings=_findings(case.findings),
        opened_at=case.opened_at,
        due_at=case.due_at or case.expires_at,
        expires_at=case.expires_at,
        escalated_at=case.escalated_at,
        sender_name=case.sender_name,
        sender_email=case.sender_email,
        subject=case.subject,
        body=case.body,
        type=case.type,
        recipients=[CaseRecipientData(uuid=each.account_id, name=each.name, state=each.state) for each in recipients],
        decisions=[_decision(each) for each in made],
        notes=[_note(each) for each in notes],
    )
    return CaseDetail(data=data)


def build_outcome(case: CaseView, decision_id: UUID | None) -> CaseOutcome:
    """Return where a case stands, as clients see it."""
    data = CaseOutcomeData(uuid=case.case_id, state=case.state, version=case.version, decision_uuid=decision_id)
    return CaseOutcome(data=data)


def build_claims(claims: Sequence[ClaimView]) -> ClaimList:
    """Return who else looks at a case, as clients see it."""
    return ClaimList(data=[ClaimData(name=each.actor_name, ends_at=each.ends_at) for each in claims])


def build_standing(found: Sequence[StandingView]) -> StandingList:
    """Return standing decisions as clients see them."""
    return StandingList(data=[_lasting(each) for each in found])


def _summary(case: ListedCase) -> CaseSummary:
    return CaseSummary(
        uuid=case.case_id,
        message_uuid=case.message_id,
        state=case.state,
        version=case.version,
        findings=_findings(case.found),
        opened_at=case.opened_at,
        due_at=case.due_at,
        expires_at=case.expires_at,
        escalated_at=case.escalated_at,
        sender_name=case.sender_name,
        sender_email=case.sender_email,
        subject=case.subject,
        type=case.type,
        recipient_count=case.recipient_count,
    )


def _findings(found: Sequence[Finding]) -> list[FindingData]:
    return [FindingData(field=each.field, phrase=each.phrase) for each in found]


def _decision(made: DecisionView) -> DecisionData:
    return DecisionData(
        uuid=made.decision_id,
        verdict=made.verdict,
        recipient_uuids=None if made.only is None else list(made.only),
        reason=made.reason,
        sentence=made.sentence,
        note=made.note,
        made_by_kind=made.actor_kind,
        made_by=made.actor_name,
        decided_at=made.decided_at,
        effective_at=made.effective_at,
        applied_at=made.applied_at,
        undone_at=made.undone_at,
        undone_by=made.undone_by,
    )


def _note(note: NoteView) -> NoteData:
    return NoteData(
        uuid=note.note_id, kind=note.kind, content=note.content, made_by=note.actor_name, made_at=note.made_at
    )


def _lasting(found: StandingView) -> StandingData:
    return StandingData(
        uuid=found.standing_id,
        case_uuid=found.case_id,
        verdict=found.verdict,
        reason=found.reason,
        sentence=found.sentence,
        made_by=found.actor_name,
        made_at=found.made_at,
        ends_at=found.ends_at,
        uses=found.uses,
    )
