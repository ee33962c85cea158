"""Claims: a guarded UPDATE that gives a recipient to one worker for one attempt, with a fence, a token and a lease."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.pipeline.candidates import RULE_COLUMNS, preference_of
from delivery.records.schema_base import read_reason
from delivery.rules.outcomes import Attempt
from delivery.rules.preferences import DeliveryPreferences, SenderContext
from delivery.rules.worker_deaths import SUSPECT_FROM
from delivery.vocabulary import Channel, MessageType, Reason, State


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A claimed recipient with all that an attempt needs: message, address and current preferences.

    `read_at` is when the preferences were read; `channel` is the one that the recipient waited for, and `waited_for` is
    the reason that it had.
    """

    recipient_id: int
    message_id: UUID
    account_id: UUID
    attempt: int
    channel: Channel
    account_name: str
    address: str
    preference: DeliveryPreferences
    read_at: datetime
    type: MessageType
    client_id: UUID
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    created_at: datetime
    waited_for: Reason | None = None

    @property
    def sender(self) -> SenderContext:
        """What the preferences are checked against."""
        return SenderContext(self.type, self.client_id, self.sender_email)

    @property
    def as_attempt(self) -> Attempt:
        """The attempt that this claim is for, as the rules take it."""
        return Attempt(self.recipient_id, self.message_id, self.attempt, self.channel)


# A row that has this token already is returned again without another attempt. So the statement would be safe to repeat
# when the connection broke during its COMMIT. Today no code repeats it: each claim has a token of its own.
_CLAIM = text(f"""
    WITH mine AS (
        SELECT id, state, reason FROM recipient
        WHERE id = ANY(CAST(:recipient_ids AS bigint[])) AND (deaths < {SUSPECT_FROM} OR :is_isolated)
          AND (state = '{State.QUEUED}'
               OR state IN ('{State.RETRYING}', '{State.UNKNOWN}') AND due_at <= clock_timestamp()
               OR state = '{State.CLAIMED}' AND claim_token = :token)
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE recipient
        SET state = '{State.CLAIMED}',
            attempt = recipient.attempt + CASE WHEN mine.state = '{State.CLAIMED}' THEN 0 ELSE 1 END,
            possibly_duplicated = recipient.possibly_duplicated OR mine.state = '{State.UNKNOWN}',
            claim_token = :token, due_at = clock_timestamp() + :lease, changed_at = clock_timestamp()
        FROM mine
        WHERE recipient.id = mine.id AND recipient.id = ANY(CAST(:recipient_ids AS bigint[]))
        RETURNING recipient.id, recipient.message_id, recipient.account_id, recipient.attempt, recipient.channel,
                  mine.reason
    )
    SELECT claimed.*, account.name AS account_name, account.email AS address,
           message.sender_name, message.subject, message.body, message.created_at, {RULE_COLUMNS}
    FROM claimed
    JOIN account ON account.id = claimed.account_id
    LEFT JOIN preference ON preference.account_id = claimed.account_id
    JOIN message ON message.id = claimed.message_id
    ORDER BY claimed.id
""")


def claim(
    db: Connection, recipient_ids: Sequence[int], *, token: UUID, lease: timedelta, is_isolated: bool = False
) -> list[ClaimedDelivery]:
    """Claim and return those of these recipients that may be tried now. `token` belongs to one run (`make_token`).

    Left out are recipients that are not decided, held or final, locked or claimed by another run, or waiting for a
    later attempt, and suspects (`rules/worker_deaths.py`). With `is_isolated`, for a delivery that runs alone, suspects
    are claimed too. A queued recipient is claimed at once, although the sweep leaves it to its bell.
    """
    values = {"recipient_ids": list(recipient_ids), "token": token, "lease": lease, "is_isolated": is_isolated}
    rows = db.execute(_CLAIM, values)
    return [
        ClaimedDelivery(
            recipient_id=row.id,
            message_id=row.message_id,
            account_id=row.account_id,
            attempt=row.attempt,
            channel=Channel(row.channel),
            account_name=row.account_name,
            address=row.address,
            preference=preference_of(row),
            read_at=row.read_at,
            type=MessageType(row.type),
            client_id=row.client_id,
            sender_name=row.sender_name,
            sender_email=row.sender_email,
            subject=row.subject,
            body=row.body,
            created_at=row.created_at,
            waited_for=read_reason(row.reason),
        )
        for row in rows
    ]


_EXPIRED_LEASES = text(f"""
    SELECT id, message_id, attempt, channel, claim_token FROM recipient
    WHERE id = ANY(CAST(:recipient_ids AS bigint[]))
      AND state = '{State.CLAIMED}' AND due_at <= clock_timestamp()
    ORDER BY id
""")


def expired_leases(db: Connection, recipient_ids: Sequence[int]) -> list[tuple[Attempt, UUID]]:
    """Return the attempts at these recipients whose lease has expired, each with its claim token."""
    rows = db.execute(_EXPIRED_LEASES, {"recipient_ids": list(recipient_ids)})
    return [(Attempt(row.id, row.message_id, row.attempt, Channel(row.channel)), row.claim_token) for row in rows]


_KEY_BYTES = 8


def make_token(worker_id: UUID) -> UUID:
    """Make a claim token for one run of this worker. It begins with half of the worker's id, which identifies it.

    A column for the worker would go stale while workers of an earlier version, which do not write it, are running.
    """
    return UUID(bytes=worker_id.bytes[:_KEY_BYTES] + token_bytes(_KEY_BYTES))


# Few rows are claimed, and their partial index holds no others.
_UNDER_WAY = text(f"""
    SELECT id, message_id, attempt, channel, deaths FROM recipient
    WHERE state = '{State.CLAIMED}' AND claim_token BETWEEN :first AND :last
    ORDER BY id
""")
_COUNT_DEATHS = text("UPDATE recipient SET deaths = deaths + 1 WHERE id = ANY(CAST(:recipient_ids AS bigint[]))")


def under_way(db: Connection, worker_id: UUID) -> list[tuple[Attempt, int]]:
    """Return the attempts that this worker has under way, each with the number of crashes on its recipient."""
    key = worker_id.bytes[:_KEY_BYTES]
    tokens = {"first": UUID(bytes=key + bytes(_KEY_BYTES)), "last": UUID(bytes=key + b"\xff" * _KEY_BYTES)}
    return [
        (Attempt(row.id, row.message_id, row.attempt, Channel(row.channel)), row.deaths)
        for row in db.execute(_UNDER_WAY, tokens)
    ]


def count_deaths(db: Connection, recipient_ids: Collection[int]) -> None:
    """Count one more worker crash against each of these recipients."""
    db.execute(_COUNT_DEATHS, {"recipient_ids": list(recipient_ids)})
