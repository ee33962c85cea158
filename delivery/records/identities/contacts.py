"""Contacts: the accounts that a client has registered or written to. It may ask for those without guessing."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, text

Contact = tuple[UUID, UUID]
"""A client, and an account that it knows."""

# In order, so that two processes with the same contacts wait for each other in one direction only.
_ADD = text("""
    INSERT INTO contact (client_id, account_id)
    SELECT DISTINCT client_id, account_id
    FROM unnest(CAST(:client_ids AS uuid[]), CAST(:account_ids AS uuid[])) AS given (client_id, account_id)
    ORDER BY client_id, account_id
    ON CONFLICT DO NOTHING
""")
# Direct sends record no contacts, and the API records them a moment later: the newest messages are read too.
_NEWEST_MESSAGES = 1000
_FIND = text(f"""
    SELECT account_id FROM contact WHERE client_id = :client_id AND account_id = ANY(CAST(:account_ids AS uuid[]))
    UNION
    SELECT recipient.account_id
    FROM (
        SELECT id FROM message WHERE client_id = :client_id ORDER BY created_at DESC LIMIT {_NEWEST_MESSAGES}
    ) AS newest
    JOIN recipient ON recipient.message_id = newest.id
    WHERE recipient.account_id = ANY(CAST(:account_ids AS uuid[]))
""")


def add(db: Connection, contacts: Collection[Contact]) -> None:
    """Record these contacts. Safe to repeat."""
    db.execute(_ADD, {"client_ids": [each for each, _ in contacts], "account_ids": [each for _, each in contacts]})


def find(db: Connection, client_id: UUID, account_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these accounts that are contacts of this client."""
    return set(db.scalars(_FIND, {"client_id": client_id, "account_ids": list(account_ids)}))
