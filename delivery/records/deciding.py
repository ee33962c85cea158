"""What `decide` and the review read before they place recipients."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.rules.deciding import Candidate
from delivery.rules.preferences import Preference
from delivery.vocabulary import AccountStatus, Channel, MessageType, State


@dataclass(frozen=True, slots=True)
class Content:
    """What the rules look at in a message."""

    message_id: UUID
    type: MessageType
    texts: dict[str, str]
    """Field name to text, of every text that a recipient will see."""


# SKIP LOCKED: whoever holds the lock decides this message; a bell that rang twice finds nothing to do.
_UNDECIDED = text("""
    SELECT id, type, sender_name, subject, body FROM message
    WHERE id = ANY(CAST(:message_ids AS uuid[])) AND decided_at IS NULL
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")


def lock_undecided(db: Connection, message_ids: Sequence[UUID]) -> list[Content]:
    """Lock those of these messages that nobody has decided or is deciding, until the transaction ends."""
    return [
        Content(
            row.id,
            MessageType(row.type),
            {"sender_name": row.sender_name, "subject": row.subject, "body": row.body},
        )
        for row in db.execute(_UNDECIDED, {"message_ids": list(message_ids)})
    ]


_CANDIDATES = text("""
    SELECT recipient.id, recipient.message_id, recipient.state, recipient.attempt,
           account.status AS account_status,
           preference.channel AS wanted_channel, preference.is_closed, preference.accepted_types
    FROM recipient
    JOIN account ON account.id = recipient.account_id
    LEFT JOIN preference ON preference.account_id = recipient.account_id
    WHERE recipient.message_id = ANY(CAST(:message_ids AS uuid[])) AND recipient.state = :state
    ORDER BY recipient.message_id, recipient.position
""")


def candidates(db: Connection, message_ids: Sequence[UUID], state: State) -> list[Candidate]:
    """Read the recipients of these messages that are in this state, each with its preferences, in one statement."""
    rows = db.execute(_CANDIDATES, {"message_ids": list(message_ids), "state": state})
    return [Candidate(row.id, row.message_id, State(row.state), row.attempt, preference_of(row)) for row in rows]


def preference_of(row: Row[tuple[object, ...]]) -> Preference:
    """Make a preference of a row's `account_status`, `wanted_channel`, `is_closed` and `accepted_types`."""
    accepted = row.accepted_types
    return Preference(
        account_status=AccountStatus(row.account_status),
        channel=Channel(row.wanted_channel or Channel.INBOX),
        is_closed=bool(row.is_closed),
        accepted_types=None if accepted is None else frozenset(map(MessageType, accepted)),
    )


_MARK_DECIDED = text("""
    UPDATE message SET decided_at = clock_timestamp(), vetting_id = decision.vetting_id
    FROM unnest(CAST(:message_ids AS uuid[]), CAST(:vetting_ids AS uuid[])) AS decision (message_id, vetting_id)
    WHERE message.id = decision.message_id AND message.id = ANY(CAST(:message_ids AS uuid[]))
""")


def mark_decided(db: Connection, vetting_ids: dict[UUID, UUID | None]) -> None:
    """Record that these messages were decided, and under which vetting id those are held that are."""
    db.execute(_MARK_DECIDED, {"message_ids": list(vetting_ids), "vetting_ids": list(vetting_ids.values())})
