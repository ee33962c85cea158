"""Store new messages: one statement for all drafts of concurrent requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.crash_points import CrashPoint, crash_here
from delivery.intake.messages import Draft, content_hash
from delivery.records.identities.simulated_accounts import marked_for_tests
from delivery.rules.simulated_recipients import SIMULATED
from delivery.vocabulary import AccountStatus, State


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A draft with its client and the id that its message will have.

    A repetition is recognised by its `idempotency_key`; or by its id, if the client made that (`is_own_id`).
    """

    message_id: UUID
    client_id: UUID
    draft: Draft
    idempotency_key: str | None = None
    is_own_id: bool = False

    @property
    def content_hash(self) -> bytes | None:
        """The hash by which a repetition is compared; None when a repetition cannot be recognised."""
        return content_hash(self.draft) if self.idempotency_key is not None or self.is_own_id else None


@dataclass(frozen=True, slots=True)
class Stored:
    """The message is stored."""


@dataclass(frozen=True, slots=True)
class UnknownRecipients:
    """Nothing was stored, because these accounts, one of which may be the sender's, do not exist or are not active."""

    account_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Nothing was stored, because the key or the id was used before, for the message `message_id`.

    `is_identical` is False when that message has other content, or the id belongs to another client.
    """

    message_id: UUID
    is_identical: bool


Acceptance = Stored | UnknownRecipients | Duplicate

# Every process inserts messages in the order of their keys, so that two transactions with the same keys wait for each
# other in one direction only and cannot deadlock.
_ACCEPT = text(f"""
    WITH incoming AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:client_ids AS uuid[]), CAST(:sender_names AS text[]),
            CAST(:sender_emails AS text[]), CAST(:subjects AS text[]), CAST(:bodies AS text[]), CAST(:types AS text[]),
            CAST(:counts AS smallint[]), CAST(:keys AS text[]), CAST(:hashes AS bytea[]), CAST(:recipients AS text[]),
            CAST(:senders AS uuid[])
        ) AS incoming (id, client_id, sender_name, sender_email, subject, body, type, count, key, hash, recipients,
                       sender_account_id)
    ), repeated AS (
        SELECT incoming.id FROM incoming
        JOIN message ON message.client_id = incoming.client_id AND message.idempotency_key = incoming.key
        UNION ALL
        SELECT incoming.id FROM incoming
        JOIN message ON message.id = incoming.id AND message.id = ANY(CAST(:ids AS uuid[]))
    ), wanted AS (
        SELECT incoming.id AS message_id, CAST(listed.account AS uuid) AS account_id, listed.number - 1 AS position
        FROM incoming, unnest(string_to_array(incoming.recipients, ',')) WITH ORDINALITY AS listed (account, number)
        WHERE incoming.id NOT IN (SELECT id FROM repeated)
    ), unknown AS (
        SELECT wanted.message_id, wanted.account_id
        FROM wanted LEFT JOIN account ON account.id = wanted.account_id AND account.status = '{AccountStatus.ACTIVE}'
        WHERE account.id IS NULL
        UNION ALL
        SELECT incoming.id, incoming.sender_account_id
        FROM incoming LEFT JOIN account
          ON account.id = incoming.sender_account_id AND account.status = '{AccountStatus.ACTIVE}'
        WHERE incoming.sender_account_id IS NOT NULL AND account.id IS NULL
          AND incoming.id NOT IN (SELECT id FROM repeated)
    ), taken AS (
        INSERT INTO message (id, client_id, sender_name, sender_email, subject, body, type, open_count, good_count,
                             idempotency_key, content_hash, sender_account_id)
        SELECT id, client_id, sender_name, sender_email, subject, body, type, count, 0, key, hash, sender_account_id
        FROM incoming
        WHERE id NOT IN (SELECT message_id FROM unknown) AND id NOT IN (SELECT id FROM repeated)
        ORDER BY client_id, key, id
        ON CONFLICT DO NOTHING
        RETURNING id
    ), listed AS (
        INSERT INTO recipient (message_id, account_id, position, state, due_at)
        SELECT wanted.message_id, wanted.account_id, wanted.position, '{State.ACCEPTED}', clock_timestamp() + :grace
        FROM wanted JOIN taken ON taken.id = wanted.message_id
    )
    SELECT message_id, account_id FROM unknown UNION ALL SELECT id, NULL FROM taken
""")

# A second statement, because it sees what another process committed while the first one waited for it.
_EARLIER = text("""
    WITH incoming AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:client_ids AS uuid[]), CAST(:keys AS text[]), CAST(:hashes AS bytea[])
        ) AS incoming (id, client_id, key, hash)
    ), earlier AS (
        SELECT incoming.*, message.id AS message_id, message.client_id AS owner_id, message.content_hash
        FROM incoming JOIN message ON message.client_id = incoming.client_id AND message.idempotency_key = incoming.key
        UNION ALL
        SELECT incoming.*, message.id AS message_id, message.client_id AS owner_id, message.content_hash
        FROM incoming JOIN message ON message.id = incoming.id AND message.id = ANY(CAST(:ids AS uuid[]))
    )
    SELECT id, message_id, owner_id = client_id AND content_hash = hash AS is_identical FROM earlier
""")


def _refuse_simulated(db: Connection, messages: Sequence[IncomingMessage]) -> dict[UUID, Acceptance]:
    """Return the messages to simulated recipients whose client is not marked for tests: for it they do not exist."""
    simulated = {
        each.message_id: (each.client_id, found)
        for each in messages
        if (found := SIMULATED.keys() & each.draft.recipient_ids)
    }
    if not simulated:
        return {}
    allowed = marked_for_tests(db, {client_id for client_id, _ in simulated.values()})
    return {
        message_id: UnknownRecipients(frozenset(found))
        for message_id, (client_id, found) in simulated.items()
        if client_id not in allowed
    }


def accept(db: Connection, messages: Sequence[IncomingMessage], *, grace: timedelta) -> dict[UUID, Acceptance]:
    """Store these messages, each completely or not at all, and return the result by message id.

    For `grace`, the sweep leaves them to their bells. A repetition waits until the transaction of the first one ends.
    """
    accepted: dict[UUID, Acceptance] = _refuse_simulated(db, messages)
    unknown: dict[UUID, set[UUID]] = {}
    messages = [each for each in messages if each.message_id not in accepted]
    for message_id, account_id in db.execute(_ACCEPT, _values(messages, grace)):
        if account_id is None:
            accepted[message_id] = Stored()
        else:
            unknown.setdefault(message_id, set()).add(account_id)
    crash_here(CrashPoint.ACCEPT_WRITTEN)
    accepted |= {message_id: UnknownRecipients(frozenset(ids)) for message_id, ids in unknown.items()}
    return accepted | _repetitions(db, [each for each in messages if each.message_id not in accepted])


def _repetitions(db: Connection, messages: Sequence[IncomingMessage]) -> dict[UUID, Duplicate]:
    if not messages:
        return {}
    rows = db.execute(_EARLIER, _identity_values(messages))
    return {row.id: Duplicate(row.message_id, bool(row.is_identical)) for row in rows}


def _identity_values(messages: Sequence[IncomingMessage]) -> dict[str, object]:
    return {
        "ids": [each.message_id for each in messages],
        "client_ids": [each.client_id for each in messages],
        "keys": [each.idempotency_key for each in messages],
        "hashes": [each.content_hash for each in messages],
    }


def _values(messages: Sequence[IncomingMessage], grace: timedelta) -> dict[str, object]:
    drafts = [each.draft for each in messages]
    return {
        **_identity_values(messages),
        "sender_names": [draft.sender_name for draft in drafts],
        "sender_emails": [draft.sender_email for draft in drafts],
        "subjects": [draft.subject for draft in drafts],
        "bodies": [draft.body for draft in drafts],
        "types": [str(draft.type) for draft in drafts],
        "counts": [len(draft.recipient_ids) for draft in drafts],
        # One text for each message: writing an array element for each recipient costs 25 times as much as splitting the
        # text in PostgreSQL.
        "recipients": [",".join(each.hex for each in draft.recipient_ids) for draft in drafts],
        "senders": [draft.sender_account_id for draft in drafts],
        "grace": grace,
    }
