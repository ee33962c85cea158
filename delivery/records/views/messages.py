"""Messages as clients and operators read them: their content, and the states of their recipients."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.records.schema_base import one_of, read_reason
from delivery.rules.case_decisions import ActorKind, CaseVerdict
from delivery.rules.retry import PARKED
from delivery.rules.states import MOVING_STATES
from delivery.rules.status import RecipientStatus
from delivery.vocabulary import Channel, MessageType, Reason, State


@dataclass(frozen=True, slots=True)
class Progress:
    """The states of one message's recipients, in the order in which the client named them."""

    recipients: tuple[RecipientStatus, ...]
    vetting_id: UUID | None
    sentence: str | None = None
    """What staff wrote to the sender when they refused recipients."""
    usual_minutes: int | None = None
    """Within how many minutes staff decide four of five cases; None when there are too few decisions to know."""


_FEWEST_DECISIONS = 5

# Most messages have no case, and then nothing is looked for.
_SENTENCE = f"""
    CASE WHEN message.vetting_id IS NOT NULL THEN (
        SELECT sentence FROM case_decision
        WHERE case_decision.case_id = message.vetting_id AND applied_at IS NOT NULL AND sentence IS NOT NULL
          AND verdict = '{CaseVerdict.REJECT}'
        ORDER BY decided_at DESC LIMIT 1
    ) END AS sentence
"""
# Evaluated once for a statement, and only for messages with a case. Without a few decisions nothing is known.
_USUAL_MINUTES = f"""
    CASE WHEN message.vetting_id IS NOT NULL THEN (
        SELECT CASE WHEN count(*) >= {_FEWEST_DECISIONS} THEN
                   ceil(extract(epoch FROM percentile_disc(0.8) WITHIN GROUP (ORDER BY newest.took)) / 60)::int END
        FROM (
            SELECT decided_at - (SELECT opened_at FROM vetting_case WHERE vetting_case.id = case_id) AS took
            FROM case_decision WHERE actor_kind <> '{ActorKind.CLOCK}' AND undone_at IS NULL
            ORDER BY decided_at DESC LIMIT 100
        ) AS newest
    ) END AS usual_minutes
"""
_PROGRESS = f"""
    SELECT recipient.message_id, recipient.account_id, recipient.state, recipient.reason, message.vetting_id,
           {_SENTENCE}, {_USUAL_MINUTES}
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
    """Return the progress of these messages; with `settled_only`, leave out those with a recipient that is moving."""
    statement = _SETTLED_PROGRESS if settled_only else _ANY_PROGRESS
    recipients: dict[UUID, list[RecipientStatus]] = {}
    reviews: dict[UUID, tuple[UUID | None, str | None, int | None]] = {}
    rows = db.execute(statement, {"message_ids": list(message_ids)})
    for message_id, account_id, state, reason, *review in rows:
        recipients.setdefault(message_id, []).append(RecipientStatus(account_id, State(state), read_reason(reason)))
        reviews[message_id] = tuple(review)
    return {key: Progress(tuple(value), *reviews[key]) for key, value in recipients.items()}


@dataclass(frozen=True, slots=True)
class RecipientView:
    """One recipient as operators see it. Clients see a part of it."""

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
        """Whether nothing happens to it until an operator releases it."""
        return self.due_at is not None and self.due_at - self.changed_at > PARKED / 2

    @property
    def recipient_status(self) -> RecipientStatus:
        """What the reduction to a message's status needs (`rules/status.py`)."""
        return RecipientStatus(self.account_id, self.state, self.reason)


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """The content of a stored message, and when it was accepted and first reached a recipient."""

    message_id: UUID
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType
    created_at: datetime
    sent_at: datetime | None


def facts_of(row: Row[Any]) -> dict[str, Any]:
    """Return the fields of `MessageFacts` in a row of `message`, as keyword arguments."""
    names = ("sender_name", "sender_email", "subject", "body", "created_at", "sent_at")
    return {"message_id": row.id, "type": MessageType(row.type), **{name: getattr(row, name) for name in names}}


@dataclass(frozen=True, slots=True)
class MessageView(MessageFacts):
    """A stored message with its recipients, in the order in which the client named them."""

    client_id: UUID
    vetting_id: UUID | None
    recipients: tuple[RecipientView, ...]
    sentence: str | None = None
    """What staff wrote to the sender when they refused recipients."""
    usual_minutes: int | None = None


_MESSAGE = text(f"SELECT message.*, {_SENTENCE}, {_USUAL_MINUTES} FROM message WHERE id = :message_id")
_RECIPIENTS = text("SELECT * FROM recipient WHERE message_id = :message_id ORDER BY position")


def message(db: Connection, message_id: UUID, *, client_id: UUID | None = None) -> MessageView | None:
    """Return one message; None when there is none, or when it belongs to another client than `client_id`."""
    # Recipients are read first, so that the message row is at least as new as they are.
    recipients = _recipients(db, message_id)
    row = db.execute(_MESSAGE, {"message_id": message_id}).one_or_none()
    if row is None or client_id not in {None, row.client_id}:
        return None
    return MessageView(
        **facts_of(row),
        client_id=row.client_id,
        vetting_id=row.vetting_id,
        recipients=recipients,
        sentence=row.sentence,
        usual_minutes=row.usual_minutes,
    )


def _recipients(db: Connection, message_id: UUID) -> tuple[RecipientView, ...]:
    return tuple(
        RecipientView(
            recipient_id=row.id,
            account_id=row.account_id,
            state=State(row.state),
            reason=read_reason(row.reason),
            channel=Channel(row.channel) if row.channel else None,
            changed_at=row.changed_at,
            attempt=row.attempt,
            due_at=row.due_at,
            possibly_duplicated=row.possibly_duplicated,
            detail=row.detail,
        )
        for row in db.execute(_RECIPIENTS, {"message_id": message_id})
    )
