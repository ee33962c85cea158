"""The other recipients of a message by e-mail, for one that may share its address with one of them."""

from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.schema import STATE_APART
from delivery.records.schema_base import read_reason
from delivery.rules.same_mailbox import Sibling
from delivery.vocabulary import Channel, State

_FIND = text(f"""
    SELECT recipient.id, account.email, {STATE_APART} AS state, recipient.reason, recipient.due_at
    FROM recipient JOIN account ON account.id = recipient.account_id
    WHERE recipient.message_id = :message_id AND recipient.channel = '{Channel.EMAIL}' AND recipient.id <> :recipient_id
    ORDER BY recipient.id
""")


def find(db: Connection, message_id: UUID, recipient_id: int) -> list[Sibling]:
    """Return the other recipients of this message that are reached by e-mail, in the order of their ids."""
    rows = db.execute(_FIND, {"message_id": message_id, "recipient_id": recipient_id})
    return [Sibling(row.id, row.email, State(row.state), read_reason(row.reason), row.due_at) for row in rows]
