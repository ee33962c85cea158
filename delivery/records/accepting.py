"""Taking messages in: one statement, hence one transaction, for all the drafts of concurrent requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.intake.draft import Draft
from delivery.vocabulary import AccountStatus, State


@dataclass(frozen=True, slots=True)
class Arrival:
    """A draft with the id that its message will have and the client it comes from."""

    message_id: UUID
    client_id: UUID
    draft: Draft


_ACCEPT = text(f"""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:message_of AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:positions AS smallint[]))
            AS wanted (message_id, account_id, position)
    ), stranger AS (
        SELECT wanted.message_id, wanted.account_id
        FROM wanted LEFT JOIN account ON account.id = wanted.account_id AND account.status = '{AccountStatus.ACTIVE}'
        WHERE account.id IS NULL
    ), taken AS (
        INSERT INTO message (id, client_id, sender_name, sender_email, subject, body, type, open_count, good_count)
        SELECT arrival.*, 0
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:client_ids AS uuid[]), CAST(:sender_names AS text[]),
            CAST(:sender_emails AS text[]), CAST(:subjects AS text[]), CAST(:bodies AS text[]), CAST(:types AS text[]),
            CAST(:counts AS smallint[])
        ) AS arrival (id, client_id, sender_name, sender_email, subject, body, type, recipient_count)
        WHERE arrival.id NOT IN (SELECT message_id FROM stranger)
        RETURNING id
    ), listed AS (
        INSERT INTO recipient (message_id, account_id, position, state, due_at)
        SELECT wanted.message_id, wanted.account_id, wanted.position, '{State.ACCEPTED}', clock_timestamp() + :grace
        FROM wanted JOIN taken ON taken.id = wanted.message_id
    )
    SELECT message_id, account_id FROM stranger
""")


def accept(db: Connection, arrivals: Sequence[Arrival], *, grace: timedelta) -> dict[UUID, set[UUID]]:
    """Store these messages, each wholly or not at all, and leave them to the bell for `grace`.

    Answers the accounts that are not known and active, by message id. A message that is not in the answer is stored.
    """
    drafts = [arrival.draft for arrival in arrivals]
    rows = db.execute(
        _ACCEPT,
        {
            "ids": [arrival.message_id for arrival in arrivals],
            "client_ids": [arrival.client_id for arrival in arrivals],
            "sender_names": [draft.sender_name for draft in drafts],
            "sender_emails": [draft.sender_email for draft in drafts],
            "subjects": [draft.subject for draft in drafts],
            "bodies": [draft.body for draft in drafts],
            "types": [str(draft.type) for draft in drafts],
            "counts": [len(draft.recipient_ids) for draft in drafts],
            "message_of": [arrival.message_id for arrival in arrivals for _ in arrival.draft.recipient_ids],
            "account_ids": [account_id for draft in drafts for account_id in draft.recipient_ids],
            "positions": [position for draft in drafts for position in range(len(draft.recipient_ids))],
            "grace": grace,
        },
    )
    strangers: dict[UUID, set[UUID]] = {}
    for message_id, account_id in rows:
        strangers.setdefault(message_id, set()).add(account_id)
    return strangers
