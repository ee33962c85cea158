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


# Each list is one range of an index, in its order, whatever the statistics say and also in a plan that PostgreSQL made
# for all values. Where a condition is a filter instead ("no value, or equal to it"; a status that most messages of
# other clients have), PostgreSQL may read the whole history of a client and throw away what does not fit.
# The sizes are known without reading the texts; what is beyond the size of a page is not read at all.
_MESSAGES = f"""
    WITH newest AS (
        SELECT id, sender_name, sender_email, subject, body, type, created_at, sent_at, status
        FROM message
        WHERE client_id = :client_id
          AND ({{columns}} created_at, id)
              >= ({{values}} coalesce(CAST(:since AS timestamptz), '-infinity'), CAST(:no_id AS uuid))
          AND ({{columns}} created_at, id)
              < ({{values}} coalesce(CAST(:before_at AS timestamptz), 'infinity'), CAST(:before_id AS uuid))
        ORDER BY {{order}} created_at DESC, id DESC LIMIT :limit
    ), summed AS (
        SELECT *, CAST(sum(octet_length(body)) OVER (ORDER BY created_at DESC, id DESC) AS bigint) AS bytes_until
        FROM newest
    )
    SELECT *,
           ARRAY(SELECT account_id FROM recipient WHERE recipient.message_id = summed.id ORDER BY position) AS accounts
    FROM summed WHERE bytes_until - octet_length(body) <= {PAGE_LIMIT_BYTES}
    ORDER BY created_at DESC, id DESC
"""
_OF_ANY_STATUS = text(_MESSAGES.format(columns="", values="", order=""))
_OF_ONE_STATUS = text(_MESSAGES.format(columns="status,", values="CAST(:status AS text),", order="status DESC,"))
_NO_ID = UUID(int=0)


def messages(
    db: Connection, wanted: MessageFilter, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[ListedMessage]:
    """Return at most `limit` of these messages, newest first, and no more once their bodies exceed a page.

    With `before`, return only messages before that position (`created_at`, id).
    """
    before_at, before_id = before or (None, _NO_ID)
    values = {"client_id": wanted.client_id, "since": wanted.since, "before_at": before_at, "before_id": before_id}
    values["no_id"] = _NO_ID
    if wanted.status is None:
        rows = db.execute(_OF_ANY_STATUS, {**values, "limit": limit})
    else:
        rows = db.execute(_OF_ONE_STATUS, {**values, "limit": limit, "status": str(wanted.status)})
    return [
        ListedMessage(
            **facts_of(row), recipient_ids=row.accounts, status=Status(row.status), bytes_until=row.bytes_until
        )
        for row in rows
    ]
