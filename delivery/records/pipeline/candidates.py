"""What the steps read before they decide recipients: undecided messages, and recipients with their preferences."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from delivery.detection.facts import UNKNOWN
from delivery.detection.text_facts import MessageText
from delivery.records.rule_sets.store import NEWEST
from delivery.records.schema import STATE_APART
from delivery.rules.preferences import DeliveryPreferences, SenderContext, fold_sender
from delivery.rules.quiet_hours import QuietHours
from delivery.rules.transitions import PendingRecipient
from delivery.rules.worker_deaths import DEATHS_LIMIT
from delivery.vocabulary import AccountStatus, Channel, MessageType, SenderRule, State, Trust


@dataclass(frozen=True, slots=True)
class Content:
    """The texts of a message that the rules check."""

    message_id: UUID
    texts: dict[str, str]
    """Field name to text, for every text that a recipient will see."""
    type: MessageType = MessageType.OTHER
    trust: Trust = Trust.NORMAL
    recipient_count: int = 1
    created_at: datetime | None = None
    newest_rule_set: int | None = None
    """The number of the rule set in force when this was read, by which it is judged."""

    @property
    def message(self) -> MessageText:
        """What rules read of the message."""
        return MessageText(
            subject=self.texts["subject"],
            body=self.texts["body"],
            sender_name=self.texts["sender_name"],
            sender_email=self.texts["sender_email"],
            type=self.type,
            recipients=self.recipient_count,
            client_trust=self.trust,
            hour=self.created_at.astimezone(UTC).hour if self.created_at else UNKNOWN,
        )


# SKIP LOCKED: the transaction that holds the lock decides the message, so a bell that was rung twice finds nothing to
# do. The limit on deaths keeps a replayed bell from processing a poison message again.
_UNDECIDED = text(f"""
    SELECT id, sender_name, sender_email, subject, body, type, open_count, created_at,
           (SELECT trust FROM client WHERE client.id = message.client_id) AS trust, {NEWEST} AS newest_rule_set
    FROM message
    WHERE id = ANY(CAST(:message_ids AS uuid[])) AND decided_at IS NULL AND deaths < {DEATHS_LIMIT}
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")


def lock_undecided(db: Connection, message_ids: Sequence[UUID]) -> list[Content]:
    """Lock and return those of these messages that are undecided, until the transaction ends.

    Messages that another transaction has locked, and parked ones, are left out.
    """
    return [
        Content(
            message_id=row.id,
            texts=texts_of(row),
            type=MessageType(row.type),
            trust=Trust(row.trust),
            recipient_count=row.open_count,
            created_at=row.created_at,
            newest_rule_set=row.newest_rule_set,
        )
        for row in db.execute(_UNDECIDED, {"message_ids": list(message_ids)}).all()
    ]


def texts_of(row: Row[tuple[object, ...]]) -> dict[str, str]:
    """Return the texts of a message that the rules check: field name to text."""
    return {
        "sender_name": row.sender_name,
        "sender_email": row.sender_email or "",
        "subject": row.subject,
        "body": row.body,
    }


# What `preference_of` and the rules read, in statements that join message, account and preference: the last columns
# of these, in this order.
RULE_COLUMNS = """
    message.type, message.client_id, message.sender_email, clock_timestamp() AS read_at,
    account.status, account.time_zone, preference.channel AS wanted_channel, preference.is_closed,
    preference.sender_rule, preference.muted_until, preference.quiet_from, preference.quiet_until,
    preference.accepted_types, preference.senders
"""
_PREFERENCE, _LISTS = slice(-10, -2), slice(-2, None)
_CANDIDATES = text(f"""
    SELECT recipient.id, recipient.message_id, recipient.account_id, account.email, recipient.attempt, {RULE_COLUMNS}
    FROM recipient
    JOIN message ON message.id = recipient.message_id
    JOIN account ON account.id = recipient.account_id
    LEFT JOIN preference ON preference.account_id = recipient.account_id
    WHERE recipient.message_id = ANY(CAST(:message_ids AS uuid[])) AND {STATE_APART} = :state
    ORDER BY recipient.message_id, recipient.position
""")


def candidates(db: Connection, message_ids: Sequence[UUID], state: State) -> list[PendingRecipient]:
    """Return the recipients of these messages that are in this state, each with its preferences."""
    found: list[PendingRecipient] = []
    senders: dict[UUID, SenderContext] = {}
    # Columns are read by position: a name costs a search in a dictionary, and this runs for every recipient.
    for row in db.execute(_CANDIDATES, {"message_ids": list(message_ids), "state": state}).all():
        recipient_id, message_id, account_id, address, attempt, type_, client_id, sender_email, read_at = row[:9]
        sender = senders.get(message_id)
        if sender is None:
            sender = senders[message_id] = SenderContext(MessageType(type_), client_id, sender_email)
        preference = preference_of(row)
        found.append(
            PendingRecipient(recipient_id, message_id, account_id, address, state, attempt, sender, preference, read_at)
        )
    return found


def preference_of(row: Row[Any]) -> DeliveryPreferences:
    """Return the preferences in a row that ends with `RULE_COLUMNS`."""
    types, senders = row[_LISTS]
    return _preference(row[_PREFERENCE], None if types is None else tuple(types), tuple(senders or ()))


_Columns = tuple[str, str, str | None, bool | None, str | None, datetime | None, time | None, time | None]


# Most accounts have one of a few sets of preferences, and building them is most of what deciding costs in Python.
@lru_cache(maxsize=1024)
def _preference(
    columns: _Columns, accepted_types: tuple[str, ...] | None, senders: tuple[str, ...]
) -> DeliveryPreferences:
    account_status, time_zone, wanted_channel, is_closed, sender_rule, muted_until, quiet_from, quiet_until = columns
    hours = QuietHours(quiet_from, quiet_until) if quiet_from is not None and quiet_until is not None else None
    return DeliveryPreferences(
        account_status=AccountStatus(account_status),
        channel=Channel(wanted_channel or Channel.INBOX),
        is_closed=bool(is_closed),
        accepted_types=None if accepted_types is None else frozenset(map(MessageType, accepted_types)),
        sender_rule=SenderRule(sender_rule) if sender_rule else None,
        senders=frozenset(map(fold_sender, senders)),
        muted_until=muted_until,
        quiet_hours=hours,
        time_zone=_zone(time_zone) if hours else UTC,
    )


def _zone(name: str) -> tzinfo:
    """Return the time zone of this name; UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return UTC
