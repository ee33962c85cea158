"""The vetting cases that wait, oldest first, for clients that decide them: filtered, page by page, without bodies."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.rules.rule_set import Mode
from delivery.rules.vetting import Finding
from delivery.vocabulary import CaseState, MessageType


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which open cases to list. None means any. `sender` is an address or the id of an attested account."""

    rule: str | None = None
    sender: str | None = None
    content: str | None = None
    """A text that the subject or the body has, in any case of letters."""
    is_overdue: bool | None = None


@dataclass(frozen=True, slots=True)
class ListedCase:
    """An open case in a list. `due_at` is until when staff should decide."""

    case_id: UUID
    message_id: UUID
    state: CaseState
    version: int
    found: tuple[Finding, ...]
    opened_at: datetime
    due_at: datetime
    expires_at: datetime
    escalated_at: datetime | None
    sender_name: str
    sender_email: str | None
    subject: str
    type: MessageType
    recipient_count: int


# The index of open cases has their order, so a page ends as soon as it is full.
_CASES = text(f"""
    SELECT vetting_case.id, vetting_case.message_id, vetting_case.state, vetting_case.version, vetting_case.findings,
           vetting_case.opened_at, coalesce(vetting_case.due_at, vetting_case.expires_at) AS due_at,
           vetting_case.expires_at, vetting_case.escalated_at, message.sender_name, message.sender_email,
           message.subject, message.type,
           (SELECT count(*) FROM recipient WHERE recipient.message_id = message.id) AS recipient_count
    FROM vetting_case JOIN message ON message.id = vetting_case.message_id
    WHERE vetting_case.state = '{CaseState.OPEN}'
      AND (CAST(:rule AS text) IS NULL OR EXISTS (
           SELECT FROM rule_hit WHERE rule_hit.message_id = message.id AND rule_hit.rule = :rule
             AND rule_hit.mode = '{Mode.LIVE}'))
      AND (CAST(:sender AS text) IS NULL OR lower(message.sender_email) = :sender
           OR CAST(message.sender_account_id AS text) = :sender)
      AND (CAST(:content AS text) IS NULL OR strpos(lower(message.subject), :content) > 0
           OR strpos(lower(message.body), :content) > 0)
      AND (CAST(:is_overdue AS boolean) IS NULL
           OR (coalesce(vetting_case.due_at, vetting_case.expires_at) <= clock_timestamp()) = :is_overdue)
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (vetting_case.opened_at, vetting_case.id) > (:after_at, CAST(:after_id AS uuid)))
    ORDER BY vetting_case.opened_at, vetting_case.id LIMIT :limit
""")


def open_cases(
    db: Connection, wanted: CaseFilter, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[ListedCase]:
    """Return at most `limit` open cases that the filter lets through, oldest first, beginning after this one."""
    after_at, after_id = after or (None, None)
    values = {
        "rule": wanted.rule,
        "sender": wanted.sender and wanted.sender.lower(),
        "content": wanted.content and wanted.content.lower(),
        "is_overdue": wanted.is_overdue,
        "after_at": after_at,
        "after_id": after_id,
        "limit": limit,
    }
    return [
        ListedCase(
            case_id=row.id,
            message_id=row.message_id,
            state=CaseState(row.state),
            version=row.version,
            found=tuple(Finding(**each) for each in row.findings),
            opened_at=row.opened_at,
            due_at=row.due_at,
            expires_at=row.expires_at,
            escalated_at=row.escalated_at,
            sender_name=row.sender_name,
            sender_email=row.sender_email,
            subject=row.subject,
            type=MessageType(row.type),
            recipient_count=row.recipient_count,
        )
        for row in db.execute(_CASES, values)
    ]
