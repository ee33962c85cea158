"""Stored messages as rules saw them, oldest first: for trying rules on the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.detection.text_facts import MessageText
from delivery.vocabulary import CaseState


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A stored message, what became of it, and the live rules that hit it then."""

    message_id: UUID
    created_at: datetime
    message: MessageText
    case_state: CaseState | None
    """How staff decided; None where no case was opened, or where it was released with many and not looked at."""
    was_held: bool


_PAGE = text("""
    SELECT message.id, message.created_at, message.sender_name, message.sender_email, message.subject, message.body,
           message.type, client.trust, message.vetting_id IS NOT NULL AS was_held,
           CASE WHEN vetting_case.released_with IS NULL THEN vetting_case.state END AS state,
           (SELECT count(*) FROM recipient WHERE recipient.message_id = message.id) AS recipients
    FROM message JOIN client ON client.id = message.client_id
    LEFT JOIN vetting_case ON vetting_case.message_id = message.id
    WHERE message.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY message.id
""")
_IDS = text("""
    SELECT id FROM message WHERE created_at >= :since AND created_at < :until AND id > CAST(:after AS uuid)
    ORDER BY id LIMIT :limit
""")
BEGINNING = UUID(int=0)


def ids_between(
    db: Connection, since: datetime, until: datetime, *, after: UUID = BEGINNING, limit: int = 20_000
) -> list[UUID]:
    """Return the messages of this time, oldest first: at most `limit`, from the one that follows `after` on."""
    return list(db.scalars(_IDS, {"since": since, "until": until, "after": after, "limit": limit}))


def read(db: Connection, ids: Sequence[UUID]) -> list[PastMessage]:
    """Return these messages."""
    return [
        PastMessage(
            message_id=row.id,
            created_at=row.created_at,
            message=MessageText(
                subject=row.subject,
                body=row.body,
                sender_name=row.sender_name,
                sender_email=row.sender_email or "",
                type=row.type,
                recipients=row.recipients,
                client_trust=row.trust,
                hour=row.created_at.astimezone(UTC).hour,
            ),
            case_state=CaseState(row.state) if row.state else None,
            was_held=row.was_held,
        )
        for row in db.execute(_PAGE, {"ids": list(ids)})
    ]
