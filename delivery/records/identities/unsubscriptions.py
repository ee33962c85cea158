"""Stop all e-mails to an address by the link in one of them, and undo that where no later choice was stored."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.identities.silenced_addresses import lift_silence, silence
from delivery.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class Subscription:
    """The address and channel of an account, and whether an undo may set the channel to `email` again."""

    address: str
    channel: Channel
    can_undo: bool


# PostgreSQL's xmin is the transaction that wrote a row last: any later choice, even of the same values, changes it.
_IS_UNCHANGED = "unsubscribed_in = CAST(CAST(preference.xmin AS text) AS bigint)"
_THIS_TRANSACTION = "CAST(CAST(pg_current_xact_id() AS text) AS bigint) & 4294967295"  # As xmin, 32 bits.

# A person may have many accounts with one address, and means the address.
_ADDRESS = text("SELECT email FROM account WHERE id = :account_id")
_SAME_ADDRESS = text("SELECT id FROM account WHERE lower(email) = lower(CAST(:address AS text))")

_FIND = text(f"""
    SELECT email, channel, {_IS_UNCHANGED} AS is_unchanged
    FROM account LEFT JOIN preference ON preference.account_id = account.id
    WHERE account.id = :account_id
""")
# A row that has this channel by the holder's choice is left alone, also if the choice was made by this link before.
_STOP = text(f"""
    INSERT INTO preference (account_id, channel, is_channel_chosen, is_closed_chosen, are_types_chosen)
    SELECT id, '{Channel.INBOX}', true, false, false FROM account
    WHERE id = ANY(CAST(:account_ids AS uuid[])) ORDER BY id
    ON CONFLICT (account_id) DO UPDATE SET channel = excluded.channel, is_channel_chosen = true,
        unsubscribed_in = CASE WHEN preference.channel <> excluded.channel THEN {_THIS_TRANSACTION} END
    WHERE preference.channel <> excluded.channel OR preference.is_channel_chosen IS NOT TRUE
""")
_UNDO = text(f"""
    UPDATE preference SET channel = '{Channel.EMAIL}', is_channel_chosen = true, unsubscribed_in = NULL
    WHERE account_id = ANY(CAST(:account_ids AS uuid[])) AND {_IS_UNCHANGED}
      AND unsubscribed_in = (
          SELECT unsubscribed_in FROM preference WHERE account_id = :account_id AND {_IS_UNCHANGED}
      )
""")


def find_subscription(db: Connection, account_id: UUID) -> Subscription | None:
    """Return what the unsubscribe page shows and changes; None when there is no such account."""
    row = db.execute(_FIND, {"account_id": account_id}).first()
    if row is None:
        return None
    return Subscription(row.email, Channel(row.channel or Channel.INBOX), can_undo=bool(row.is_unchanged))


def stop_emails(db: Connection, account_id: UUID) -> None:
    """Set the channel of all accounts with this account's address to `inbox`, and nothing else. Safe to repeat.

    Accounts that get the address later are stopped then.
    """
    silence(db, account_id)
    db.execute(_STOP, {"account_ids": _same_address(db, account_id)})


def undo_stop(db: Connection, account_id: UUID) -> None:
    """Set the channel to `email` again where the same `stop_emails` set it, and nothing has written it since."""
    if db.execute(_UNDO, {"account_id": account_id, "account_ids": _same_address(db, account_id)}).rowcount:
        lift_silence(db, account_id)


def _same_address(db: Connection, account_id: UUID) -> list[UUID]:
    return list(db.scalars(_SAME_ADDRESS, {"address": db.scalar(_ADDRESS, {"account_id": account_id})}))
