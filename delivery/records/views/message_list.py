"""The list of a client's messages, newest first, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.views.inbox import PAGE_LIMIT_BYTES
from delivery.records.views.messages import MessageFacts, facts_of
from delivery.vocabulary import Status


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of a client to list: by status, and by earliest time of acceptance. None means any."""

    client_id: UUID
    status: Status | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedMessage(MessageFacts):
    """A message with the ids of its recipients, but without their states."""

    recipient_ids: Sequence[UUID]
    status: Status
    bytes_until: int = field(compare=False)
    """Of its body, and of those before it on the page."""


# The sizes are known without reading the texts; what is beyond the size of a page is not read at all.
_MESSAGES = text(f"""
    WITH newest AS (
        SELECT id, sender_name, sender_email, subject, body, type, created_at, sent_at, status
        FROM message
        WHERE client_id = :client_id
          AND (CAST(:status AS text) IS NULL OR status = :status)
          AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
          AND (CAST(:before_at AS timestamptz) IS NULL
               OR (created_at, id) < (CAST(:before_at AS timestamptz), CAST(:before_id AS uuid)))
        ORDER BY created_at DESC, id DESC LIMIT :limit
    ), summed AS (
        SELECT *, CAST(sum(octet_length(body)) OVER (ORDER BY created_at DESC, id DESC) AS bigint) AS bytes_until
        FROM newest
    )
    SELECT *,
           ARRAY(SELECT account_id FROM recipient WHERE recipient.message_id = summed.id ORDER BY position) AS accounts
    FROM summed WHERE bytes_until - octet_length(body) <= {PAGE_LIMIT_BYTES}
    ORDER BY created_at DESC, id DESC
""")


def messages(
    db: Connection, wanted: MessageFilter, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[ListedMessage]:
    """Return at most `limit` of these messages, newest first, and no more once their bodies exceed a page.

    With `before`, return only messages before that position (`created_at`, id).
    """
    before_at, before_id = before or (None, None)
    values = {"client_id": wanted.client_id, "status": wanted.status and str(wanted.status), "since": wanted.since}
    rows = db.execute(_MESSAGES, {**values, "before_at": before_at, "before_id": before_id, "limit": limit})
    return [
        ListedMessage(
            **facts_of(row), recipient_ids=row.accounts, status=Status(row.status), bytes_until=row.bytes_until
        )
        for row in rows
    ]
