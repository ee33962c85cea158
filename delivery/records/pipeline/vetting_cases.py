"""Vetting cases: open one for each held message, list them, and find those whose time is over."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.detection.fingerprints import text_fingerprint
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
        INSERT INTO vetting_case (id, message_id, findings, expires_at, due_at, text_fingerprint)
        VALUES (:vetting_id, :message_id, CAST(:findings AS jsonb), clock_timestamp() + :hold,
                clock_timestamp() + :review, :fingerprint)
        ON CONFLICT (message_id) DO NOTHING
        RETURNING message_id, expires_at
    )
    UPDATE recipient SET due_at = opened.expires_at FROM opened
    WHERE recipient.message_id = opened.message_id AND {STATE_APART} = '{State.HELD}'
""")


def open_case(
    db: Connection, held: HeldMessage, findings: Iterable[Finding], *, hold: timedelta, review: timedelta
) -> None:
    """Open the case of a held message. Staff should decide within `review`; after `hold` the case expires."""
    values = {
        "vetting_id": held.vetting_id,
        "message_id": held.message_id,
        "findings": json.dumps([asdict(finding) for finding in findings]),
        "hold": hold,
        "review": review,
        "fingerprint": text_fingerprint(held.texts["subject"], held.texts["body"]),
    }
    db.execute(_OPEN, values)


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
    version: int
    due_at: datetime | None
    escalated_at: datetime | None
    text_fingerprint: int | None
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
        version=row.version,
        due_at=row.due_at,
        escalated_at=row.escalated_at,
        text_fingerprint=row.text_fingerprint,
        sender_name=row.sender_name,
        sender_email=row.sender_email,
        subject=row.subject,
        body=row.body,
        type=MessageType(row.type),
        recipient_count=row.recipient_count,
    )


# Not the plain column: with it PostgreSQL may read the index of all open cases (see STATE_APART).
_OVERDUE = text(f"""
    SELECT id FROM vetting_case
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND state || '' = '{CaseState.OPEN}'
      AND expires_at <= clock_timestamp()
    ORDER BY id
""")


def overdue(db: Connection, message_ids: Sequence[UUID]) -> list[UUID]:
    """Return the open cases of these messages whose time has run out."""
    return list(db.scalars(_OVERDUE, {"message_ids": list(message_ids)}))


_EXTEND = text(f"""
    WITH kept AS (
        UPDATE vetting_case
        SET expires_at = clock_timestamp() + :hold, escalated_at = coalesce(escalated_at, clock_timestamp()),
            version = version + 1
        WHERE id = :case_id AND state = '{CaseState.OPEN}' AND expires_at <= clock_timestamp()
        RETURNING message_id, expires_at
    ), due AS (
        UPDATE recipient SET due_at = kept.expires_at FROM kept
        WHERE recipient.message_id = kept.message_id AND {STATE_APART} = '{State.HELD}'
    )
    SELECT message_id FROM kept
""")


def extend(db: Connection, case_id: UUID, hold: timedelta) -> bool:
    """Keep an open case whose time is over for this long, and escalate it. Return whether it was one.

    The caller has locked its message.
    """
    return db.scalar(_EXTEND, {"case_id": case_id, "hold": hold}) is not None
