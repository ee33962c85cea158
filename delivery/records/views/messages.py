"""What clients read of messages: their content, and where their recipients stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.records.schema import one_of
from delivery.rules.retry import PARKED
from delivery.rules.states import MOVING_STATES
from delivery.rules.status import RecipientStatus
from delivery.vocabulary import Channel, MessageType, Reason, State


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the recipients of one message stand, in the order they were given."""

    standings: tuple[RecipientStatus, ...]
    vetting_id: UUID | None


_PROGRESS = """
    SELECT recipient.message_id, recipient.account_id, recipient.state, recipient.reason, message.vetting_id
    FROM message JOIN recipient ON recipient.message_id = message.id
    WHERE message.id = ANY(CAST(:message_ids AS uuid[]))
"""
_ORDER = "ORDER BY recipient.message_id, recipient.position"
_ANY_PROGRESS = text(f"{_PROGRESS} {_ORDER}")
_SETTLED_PROGRESS = text(f"""
    {_PROGRESS}
    AND NOT EXISTS (
        SELECT FROM recipient AS other
        WHERE other.message_id = message.id AND other.message_id = ANY(CAST(:message_ids AS uuid[]))
          AND {one_of("other.state", MOVING_STATES)}
    )
    {_ORDER}
""")


def progress(db: Connection, message_ids: Sequence[UUID], *, settled_only: bool = False) -> dict[UUID, Progress]:
    """Read where these messages stand; with `settled_only`, leave out those with a recipient still on the move."""
    statement = _SETTLED_PROGRESS if settled_only else _ANY_PROGRESS
    standings: dict[UUID, list[RecipientStatus]] = {}
    vetting_ids: dict[UUID, UUID | None] = {}
    for message_id, account_id, state, reason, vetting_id in db.execute(statement, {"message_ids": list(message_ids)}):
        standing = RecipientStatus(account_id, State(state), _reason(reason))
        standings.setdefault(message_id, []).append(standing)
        vetting_ids[message_id] = vetting_id
    return {key: Progress(tuple(value), vetting_ids[key]) for key, value in standings.items()}


@dataclass(frozen=True, slots=True)
class RecipientView:
    """One recipient as a client or an operator reads it."""

    recipient_id: int
    account_id: UUID
    state: State
    reason: Reason | None
    channel: Channel | None
    changed_at: datetime
    attempt: int
    due_at: datetime | None
    possibly_duplicated: bool
    detail: str | None

    @property
    def is_parked(self) -> bool:
        """Say whether nothing happens to it before somebody releases it."""
        return self.due_at is not None and self.due_at - self.changed_at > PARKED / 2

    @property
    def standing(self) -> RecipientStatus:
        """What the reduction needs."""
        return RecipientStatus(self.account_id, self.state, self.reason)


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a stored message says, and when it was accepted and sent."""

    message_id: UUID
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType
    created_at: datetime
    sent_at: datetime | None


def facts_of(row: Row[Any]) -> dict[str, Any]:
    """Read the `MessageFacts` from a row of messages, to be given on by name."""
    names = ("sender_name", "sender_email", "subject", "body", "created_at", "sent_at")
    return {"message_id": row.id, "type": MessageType(row.type), **{name: getattr(row, name) for name in names}}


@dataclass(frozen=True, slots=True)
class MessageView(MessageFacts):
    """A stored message with its recipients in the order they were given."""

    client_id: UUID
    vetting_id: UUID | None
    recipients: tuple[RecipientView, ...]


_MESSAGE = text("SELECT * FROM message WHERE id = :message_id")
_RECIPIENTS = text("SELECT * FROM recipient WHERE message_id = :message_id ORDER BY position")


def message(db: Connection, message_id: UUID, *, client_id: UUID | None = None) -> MessageView | None:
    """Read one message; with `client_id`, another client's message is as missing as one that never was."""
    # The recipients first: what they show, the message row then knows as well, whatever happens in between.
    recipients = _recipients(db, message_id)
    row = db.execute(_MESSAGE, {"message_id": message_id}).one_or_none()
    if row is None or client_id not in {None, row.client_id}:
        return None
    return MessageView(**facts_of(row), client_id=row.client_id, vetting_id=row.vetting_id, recipients=recipients)


_REASONS: dict[str | None, Reason] = {str(reason): reason for reason in Reason}


def _reason(word: str | None) -> Reason | None:
    """Read a reason. One that only a later version knows, which runs beside this one for a while, is told as none.

    A new state cannot be left out so: it is written by the version after the one that can read it.
    """
    return _REASONS.get(word)


def _recipients(db: Connection, message_id: UUID) -> tuple[RecipientView, ...]:
    return tuple(
        RecipientView(
            recipient_id=row.id,
            account_id=row.account_id,
            state=State(row.state),
            reason=_reason(row.reason),
            channel=Channel(row.channel) if row.channel else None,
            changed_at=row.changed_at,
            attempt=row.attempt,
            due_at=row.due_at,
            possibly_duplicated=row.possibly_duplicated,
            detail=row.detail,
        )
        for row in db.execute(_RECIPIENTS, {"message_id": message_id})
    )
