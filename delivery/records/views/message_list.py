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
    """Which messages of a client to list: by status, earliest time of acceptance, and review. None means any."""

    client_id: UUID
    status: Status | None = None
    since: datetime | None = None
    vetting_id: UUID | None = None


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
          {{review}}AND ({{columns}} created_at, id)
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
_ANY_STATUS = {"columns": "", "values": "", "order": ""}
_ONE_STATUS = {"columns": "status,", "values": "CAST(:status AS text),", "order": "status DESC,"}
_ONE_REVIEW = "AND id = (SELECT message_id FROM vetting_case WHERE vetting_case.id = :vetting_id)\n          "
_STATEMENTS = {
    (has_status, has_review): text(
        _MESSAGES.format(**(_ONE_STATUS if has_status else _ANY_STATUS), review=_ONE_REVIEW if has_review else "")
    )
    for has_status in (False, True)
    for has_review in (False, True)
}
_NO_ID = UUID(int=0)


def messages(
    db: Connection, wanted: MessageFilter, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[ListedMessage]:
    """Return at most `limit` of these messages, newest first, and no more once their bodies exceed a page.

    With `before`, return only messages before that position (`created_at`, id).
    """
    before_at, before_id = before or (None, _NO_ID)
    values: dict[str, object] = {
        "client_id": wanted.client_id,
        "since": wanted.since,
        "before_at": before_at,
        "before_id": before_id,
        "no_id": _NO_ID,
        "limit": limit,
    }
    if wanted.status is not None:
        values["status"] = str(wanted.status)
    if wanted.vetting_id is not None:
        values["vetting_id"] = wanted.vetting_id
    rows = db.execute(_STATEMENTS[wanted.status is not None, wanted.vetting_id is not None], values)
    return [
        ListedMessage(
            **facts_of(row), recipient_ids=row.accounts, status=Status(row.status), bytes_until=row.bytes_until
        )
        for row in rows
    ]
