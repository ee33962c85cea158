"""Taking messages in: one statement, hence one transaction, for all the drafts of concurrent requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.crash_points import CrashPoint, crash_here
from delivery.intake.messages import Draft, content_hash
from delivery.vocabulary import AccountStatus, State


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A draft with the id that its message will have and the client it comes from.

    `idempotency_key` makes a repetition recognisable; `is_own_id` says that the client made the message's id, so that
    the id does the same.
    """

    message_id: UUID
    client_id: UUID
    draft: Draft
    idempotency_key: str | None = None
    is_own_id: bool = False

    @property
    def content_hash(self) -> bytes | None:
        """What a repetition is compared by; None where none can be recognised."""
        return content_hash(self.draft) if self.idempotency_key is not None or self.is_own_id else None


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that is stored now."""


@dataclass(frozen=True, slots=True)
class UnknownRecipients:
    """Nothing was stored: these accounts are not known and active."""

    account_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The key or the id was used before, for the message `message_id`: with the same content, or with another."""

    message_id: UUID
    is_identical: bool


Acceptance = Stored | UnknownRecipients | Duplicate

# Arrivals are inserted in the order of their keys, here and in every other process: two that bring the same keys wait
# for each other, but never both ways round.
_ACCEPT = text(f"""
    WITH arrival AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:client_ids AS uuid[]), CAST(:sender_names AS text[]),
            CAST(:sender_emails AS text[]), CAST(:subjects AS text[]), CAST(:bodies AS text[]), CAST(:types AS text[]),
            CAST(:counts AS smallint[]), CAST(:keys AS text[]), CAST(:hashes AS bytea[]), CAST(:recipients AS text[])
        ) AS arrival (id, client_id, sender_name, sender_email, subject, body, type, count, key, hash, recipients)
    ), repeated AS (
        SELECT arrival.id FROM arrival
        JOIN message ON message.client_id = arrival.client_id AND message.idempotency_key = arrival.key
        UNION ALL
        SELECT arrival.id FROM arrival
        JOIN message ON message.id = arrival.id AND message.id = ANY(CAST(:ids AS uuid[]))
    ), wanted AS (
        SELECT arrival.id AS message_id, CAST(listed.account AS uuid) AS account_id, listed.place - 1 AS position
        FROM arrival, unnest(string_to_array(arrival.recipients, ',')) WITH ORDINALITY AS listed (account, place)
        WHERE arrival.id NOT IN (SELECT id FROM repeated)
    ), stranger AS (
        SELECT wanted.message_id, wanted.account_id
        FROM wanted LEFT JOIN account ON account.id = wanted.account_id AND account.status = '{AccountStatus.ACTIVE}'
        WHERE account.id IS NULL
    ), taken AS (
        INSERT INTO message (id, client_id, sender_name, sender_email, subject, body, type, open_count, good_count,
                             idempotency_key, content_hash)
        SELECT id, client_id, sender_name, sender_email, subject, body, type, count, 0, key, hash
        FROM arrival
        WHERE id NOT IN (SELECT message_id FROM stranger) AND id NOT IN (SELECT id FROM repeated)
        ORDER BY client_id, key, id
        ON CONFLICT DO NOTHING
        RETURNING id
    ), listed AS (
        INSERT INTO recipient (message_id, account_id, position, state, due_at)
        SELECT wanted.message_id, wanted.account_id, wanted.position, '{State.ACCEPTED}', clock_timestamp() + :grace
        FROM wanted JOIN taken ON taken.id = wanted.message_id
    )
    SELECT message_id, account_id FROM stranger UNION ALL SELECT id, NULL FROM taken
""")

# Asked in a second statement, which sees what another process committed while the first one waited for it.
_EARLIER = text("""
    WITH arrival AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:client_ids AS uuid[]), CAST(:keys AS text[]), CAST(:hashes AS bytea[])
        ) AS arrival (id, client_id, key, hash)
    ), earlier AS (
        SELECT arrival.*, message.id AS message_id, message.client_id AS owner_id, message.content_hash
        FROM arrival JOIN message ON message.client_id = arrival.client_id AND message.idempotency_key = arrival.key
        UNION ALL
        SELECT arrival.*, message.id AS message_id, message.client_id AS owner_id, message.content_hash
        FROM arrival JOIN message ON message.id = arrival.id AND message.id = ANY(CAST(:ids AS uuid[]))
    )
    SELECT id, message_id, owner_id = client_id AND content_hash = hash AS is_same FROM earlier
""")


def accept(db: Connection, arrivals: Sequence[IncomingMessage], *, grace: timedelta) -> dict[UUID, Acceptance]:
    """Store these messages, each wholly or not at all, and leave them to the bell for `grace`.

    Answers by message id what became of each arrival. A repetition waits for a first one that is still being stored.
    """
    accepted: dict[UUID, Acceptance] = {}
    unknown: dict[UUID, set[UUID]] = {}
    for message_id, account_id in db.execute(_ACCEPT, _values(arrivals, grace)):
        if account_id is None:
            accepted[message_id] = Stored()
        else:
            unknown.setdefault(message_id, set()).add(account_id)
    crash_here(CrashPoint.ACCEPT_WRITTEN)
    accepted |= {message_id: UnknownRecipients(frozenset(ids)) for message_id, ids in unknown.items()}
    return accepted | _repetitions(db, [incoming for incoming in arrivals if incoming.message_id not in accepted])


def _repetitions(db: Connection, arrivals: Sequence[IncomingMessage]) -> dict[UUID, Duplicate]:
    if not arrivals:
        return {}
    rows = db.execute(
        _EARLIER,
        {
            "ids": [incoming.message_id for incoming in arrivals],
            "client_ids": [incoming.client_id for incoming in arrivals],
            "keys": [incoming.idempotency_key for incoming in arrivals],
            "hashes": [incoming.content_hash for incoming in arrivals],
        },
    )
    return {row.id: Duplicate(row.message_id, bool(row.is_same)) for row in rows}


def _values(arrivals: Sequence[IncomingMessage], grace: timedelta) -> dict[str, object]:
    drafts = [incoming.draft for incoming in arrivals]
    return {
        "ids": [incoming.message_id for incoming in arrivals],
        "client_ids": [incoming.client_id for incoming in arrivals],
        "sender_names": [draft.sender_name for draft in drafts],
        "sender_emails": [draft.sender_email for draft in drafts],
        "subjects": [draft.subject for draft in drafts],
        "bodies": [draft.body for draft in drafts],
        "types": [str(draft.type) for draft in drafts],
        "counts": [len(draft.recipient_ids) for draft in drafts],
        "keys": [incoming.idempotency_key for incoming in arrivals],
        "hashes": [incoming.content_hash for incoming in arrivals],
        # One text a message: an array element each costs 25 times as much to write as to split again in PostgreSQL.
        "recipients": [",".join(each.hex for each in draft.recipient_ids) for draft in drafts],
        "grace": grace,
    }
