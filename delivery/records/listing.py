"""The list of a client's messages, newest first, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.vocabulary import MessageType, Status


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of a client: of one status, or accepted at an instant or later; None leaves a question out."""

    client_id: UUID
    status: Status | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message without its recipients' standings."""

    message_id: UUID
    recipient_ids: Sequence[UUID]
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType
    created_at: datetime
    sent_at: datetime | None
    status: Status


_MESSAGES = text("""
    SELECT id, sender_name, sender_email, subject, body, type, created_at, sent_at, status,
           ARRAY(SELECT account_id FROM recipient WHERE recipient.message_id = message.id ORDER BY position) AS accounts
    FROM message
    WHERE client_id = :client_id
      AND (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
      AND (CAST(:before_at AS timestamptz) IS NULL
           OR (created_at, id) < (CAST(:before_at AS timestamptz), CAST(:before_id AS uuid)))
    ORDER BY created_at DESC, id DESC LIMIT :limit
""")


def messages(
    db: Connection, wanted: MessageFilter, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[ListedMessage]:
    """List at most `limit` of these messages, from the one before `before` on."""
    before_at, before_id = before or (None, None)
    values = {"client_id": wanted.client_id, "status": wanted.status and str(wanted.status), "since": wanted.since}
    rows = db.execute(_MESSAGES, {**values, "before_at": before_at, "before_id": before_id, "limit": limit})
    return [
        ListedMessage(
            message_id=row.id,
            recipient_ids=row.accounts,
            sender_name=row.sender_name,
            sender_email=row.sender_email,
            subject=row.subject,
            body=row.body,
            type=MessageType(row.type),
            created_at=row.created_at,
            sent_at=row.sent_at,
            status=Status(row.status),
        )
        for row in rows
    ]
