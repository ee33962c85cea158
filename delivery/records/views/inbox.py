"""The letters in an account's in-app inbox."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

PAGE_LIMIT_BYTES = 1024 * 1024
"""A page ends with the body that would exceed this, unless it is the first one."""


@dataclass(frozen=True, slots=True)
class InboxView:
    """A letter in an inbox. Inboxes are sorted by `delivered_at` and `recipient_id`."""

    recipient_id: int
    message_id: UUID
    subject: str
    body: str
    sender_name: str
    delivered_at: datetime
    bytes_until: int = field(compare=False)
    """Of its body, and of those before it on the page."""


_ACCOUNT_EXISTS = text("SELECT EXISTS (SELECT FROM account WHERE id = :account_id)")
_INBOX = text(f"""
    WITH newest AS (
        SELECT inbox_letter.recipient_id, message_id, subject, body, sender_name, delivered_at
        FROM inbox_letter JOIN message ON message.id = inbox_letter.message_id
        WHERE account_id = :account_id
          AND (delivered_at, inbox_letter.recipient_id)
              < (coalesce(CAST(:before_at AS timestamptz), 'infinity'), CAST(:before_id AS bigint))
        ORDER BY delivered_at DESC, inbox_letter.recipient_id DESC LIMIT :limit
    ), summed AS (
        SELECT *, CAST(sum(octet_length(body)) OVER (ORDER BY delivered_at DESC, recipient_id DESC) AS bigint)
               AS bytes_until FROM newest
    )
    SELECT * FROM summed WHERE bytes_until - octet_length(body) <= {PAGE_LIMIT_BYTES}
    ORDER BY delivered_at DESC, recipient_id DESC
""")


def inbox(
    db: Connection, account_id: UUID, *, limit: int, before: tuple[datetime, int] | None = None
) -> list[InboxView] | None:
    """Return at most `limit` letters of an inbox, newest first, and no more once their bodies exceed a page.

    None when there is no such account.

    With `before`, return only letters before that position (`delivered_at`, `recipient_id`).
    """
    if not db.scalar(_ACCOUNT_EXISTS, {"account_id": account_id}):
        return None
    before_at, before_id = before or (None, 0)
    values = {"account_id": account_id, "limit": limit, "before_at": before_at, "before_id": before_id}
    return [InboxView(*row) for row in db.execute(_INBOX, values)]
