"""Vetting cases: open one for each held message, list them, and close each once."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.records.pipeline.candidates import texts_of
from delivery.records.schema import STATE_APART
from delivery.rules.vetting import Finding
from delivery.rules.worker_deaths import DEATHS_LIMIT
from delivery.vocabulary import CaseState, MessageType, State


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A held message that has no case yet, with the texts that the rules check: field name to text."""

    message_id: UUID
    vetting_id: UUID
    texts: dict[str, str]


_UNOPENED = text(f"""
    SELECT id, vetting_id, sender_name, sender_email, subject, body FROM message
    WHERE id = ANY(CAST(:message_ids AS uuid[])) AND vetting_id IS NOT NULL AND deaths < {DEATHS_LIMIT}
      AND NOT EXISTS (SELECT FROM vetting_case WHERE vetting_case.message_id = message.id)
      AND EXISTS (SELECT FROM recipient WHERE recipient.message_id = message.id AND {STATE_APART} = '{State.HELD}')
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")


def lock_unopened(db: Connection, message_ids: Sequence[UUID]) -> list[HeldMessage]:
    """Lock and return those of these messages that are held and have no case, until the transaction ends.

    Messages that another transaction has locked are left out.
    """
    return [
        HeldMessage(row.id, row.vetting_id, texts_of(row))
        for row in db.execute(_UNOPENED, {"message_ids": list(message_ids)})
    ]


_OPEN = text(f"""
    WITH opened AS (
        INSERT INTO vetting_case (id, message_id, findings, expires_at)
        VALUES (:vetting_id, :message_id, CAST(:findings AS jsonb), clock_timestamp() + :hold)
        ON CONFLICT (message_id) DO NOTHING
        RETURNING message_id, expires_at
    )
    UPDATE recipient SET due_at = opened.expires_at FROM opened
    WHERE recipient.message_id = opened.message_id AND {STATE_APART} = '{State.HELD}'
""")


def open_case(db: Connection, held: HeldMessage, findings: Iterable[Finding], *, hold: timedelta) -> None:
    """Open the case of a held message. After `hold` it expires undecided."""
    found = json.dumps([asdict(finding) for finding in findings])
    db.execute(_OPEN, {"vetting_id": held.vetting_id, "message_id": held.message_id, "findings": found, "hold": hold})


@dataclass(frozen=True, slots=True)
class CaseView:
    """A vetting case with its message, as staff see it."""

    case_id: UUID
    message_id: UUID
    state: CaseState
    findings: tuple[Finding, ...]
    opened_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    note: str | None
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType
    recipient_count: int


_CASES = """
    SELECT vetting_case.*, message.sender_name, message.sender_email, message.subject, message.body, message.type,
           (SELECT count(*) FROM recipient WHERE recipient.message_id = message.id) AS recipient_count
    FROM vetting_case JOIN message ON message.id = vetting_case.message_id
"""
_OPEN_CASES = text(f"{_CASES} WHERE state = '{CaseState.OPEN}' ORDER BY opened_at LIMIT :limit")
_ONE_CASE = text(f"{_CASES} WHERE vetting_case.id = :case_id")


def open_cases(db: Connection, limit: int) -> list[CaseView]:
    """Return at most `limit` cases that wait for staff, oldest first."""
    return [_case(row) for row in db.execute(_OPEN_CASES, {"limit": limit})]


def find(db: Connection, case_id: UUID) -> CaseView | None:
    """Return one case in any state; None when there is no such case."""
    row = db.execute(_ONE_CASE, {"case_id": case_id}).one_or_none()
    return None if row is None else _case(row)


def _case(row: Row[tuple[object, ...]]) -> CaseView:
    return CaseView(
        case_id=row.id,
        message_id=row.message_id,
        state=CaseState(row.state),
        findings=tuple(Finding(**finding) for finding in row.findings),
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        note=row.note,
        sender_name=row.sender_name,
        sender_email=row.sender_email,
        subject=row.subject,
        body=row.body,
        type=MessageType(row.type),
        recipient_count=row.recipient_count,
    )


_DECIDE = text(f"""
    UPDATE vetting_case SET state = :state, decided_at = clock_timestamp(), decided_by = :actor, note = :note
    FROM message
    WHERE vetting_case.id = :case_id AND vetting_case.state = '{CaseState.OPEN}'
      AND message.id = vetting_case.message_id
    RETURNING message.id
""")
_LOCK_MESSAGE = text("""
    SELECT id FROM message WHERE id = (SELECT message_id FROM vetting_case WHERE id = :case_id) FOR NO KEY UPDATE
""")


@dataclass(frozen=True, slots=True)
class ClosedCase:
    """The message of a case that was just closed."""

    message_id: UUID


@dataclass(frozen=True, slots=True)
class CaseDecision:
    """The state to close a case with, who decided so, and an optional note.

    `actor` is what staff claim to be called. `operator` is who ran the command, as far as the operating system knows;
    it is empty when no person decided.
    """

    state: CaseState
    actor: str
    note: str | None = None
    operator: str = ""


def close(db: Connection, case_id: UUID, decision: CaseDecision) -> ClosedCase | None:
    """Close an open case with this decision; None when there is no such case or it is not open any more."""
    # Messages are locked before any other row (records/pipeline/transitions.py).
    db.execute(_LOCK_MESSAGE, {"case_id": case_id})
    values = {"case_id": case_id, "state": decision.state, "actor": decision.actor, "note": decision.note}
    row = db.execute(_DECIDE, values).one_or_none()
    return None if row is None else ClosedCase(row.id)


_OVERDUE = text(f"""
    SELECT id FROM vetting_case
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND state = '{CaseState.OPEN}'
      AND expires_at <= clock_timestamp()
    ORDER BY id
""")


def overdue(db: Connection, message_ids: Sequence[UUID]) -> list[UUID]:
    """Return the open cases of these messages whose time has run out."""
    return list(db.scalars(_OVERDUE, {"message_ids": list(message_ids)}))
