"""Remember which addresses were unsubscribed, so that an account that gets one later is stopped too.

Stored are digests, which also a restored or an erased account leaves behind. They are read only when an account is new
or gets another address, never for a mail.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.vocabulary import Channel

# As everywhere an address is compared without case, and otherwise as it stands.
_DIGEST = "sha256(convert_to(lower(account.email), 'UTF8'))"

_SILENCE = text(f"""
    INSERT INTO silenced_address (digest) SELECT {_DIGEST} FROM account WHERE id = :account_id
    ON CONFLICT (digest) DO NOTHING
""")
_LIFT = text(f"""
    DELETE FROM silenced_address WHERE digest = (SELECT {_DIGEST} FROM account WHERE id = :account_id)
""")
# The stop is no stop of a link, so no undo brings mails to an account that never had them.
_STOP = text(f"""
    INSERT INTO preference (account_id, channel, is_channel_chosen, is_closed_chosen, are_types_chosen)
    SELECT account.id, '{Channel.INBOX}', true, false, false
    FROM account JOIN silenced_address ON silenced_address.digest = {_DIGEST}
    WHERE account.id = ANY(CAST(:account_ids AS uuid[])) ORDER BY account.id
    ON CONFLICT (account_id) DO UPDATE
    SET channel = excluded.channel, is_channel_chosen = true, unsubscribed_in = NULL
    WHERE preference.channel <> excluded.channel OR preference.is_channel_chosen IS NOT TRUE
""")


def silence(db: Connection, account_id: UUID) -> None:
    """Remember that the address of this account was unsubscribed. Safe to repeat."""
    db.execute(_SILENCE, {"account_id": account_id})


def lift_silence(db: Connection, account_id: UUID) -> None:
    """Forget that the address of this account was unsubscribed."""
    db.execute(_LIFT, {"account_id": account_id})


def stop_silenced(db: Connection, account_ids: Collection[UUID]) -> None:
    """Set the channel of those of these accounts to `inbox` whose address was unsubscribed, as their holders' choice.

    `account_ids` are accounts that have their address only now: for others, a later choice counts.
    """
    if account_ids:
        db.execute(_STOP, {"account_ids": list(account_ids)})
