"""Crashed workers: mark them as dead, count the crash against what they were trying, park poison and release it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.schema_base import one_of
from delivery.rules.retry import PARKED
from delivery.rules.worker_deaths import DEATHS_LIMIT
from delivery.vocabulary import CaseState, Reason, State

# Parked rows are due in a hundred years. All others are due within days.
_IS_PARKED = f"due_at > clock_timestamp() + INTERVAL '{PARKED.days // 2} days'"
_BEGIN = text("UPDATE worker SET trying = trying || CAST(:message_ids AS uuid[]) WHERE id = :worker_id")
_END = text("""
    UPDATE worker SET trying = ARRAY(SELECT unnest(trying) EXCEPT SELECT unnest(CAST(:message_ids AS uuid[])))
    WHERE id = :worker_id
""")


def begin_trying(db: Connection, worker_id: UUID, message_ids: Sequence[UUID]) -> None:
    """Record that the sweep of this worker begins to try these messages. Work from bells is not recorded."""
    db.execute(_BEGIN, {"worker_id": worker_id, "message_ids": list(message_ids)})


def end_trying(db: Connection, worker_id: UUID, message_ids: Sequence[UUID]) -> None:
    """Record that the sweep of this worker has tried these messages without a crash."""
    db.execute(_END, {"worker_id": worker_id, "message_ids": list(message_ids)})


_TRYING = text("SELECT trying FROM worker WHERE id = :worker_id FOR UPDATE")
_COUNT = text(f"""
    WITH locked AS MATERIALIZED (
        SELECT id FROM message
        WHERE id = ANY(CAST(:message_ids AS uuid[]))
          AND (decided_at IS NULL OR vetting_id IS NOT NULL AND NOT EXISTS (
                   SELECT FROM vetting_case
                   WHERE vetting_case.message_id = message.id
                     AND (NOT ({one_of("state", [CaseState.OPEN, CaseState.DECIDED])})
                          OR state = '{CaseState.OPEN}' AND expires_at > clock_timestamp())
               ))
        ORDER BY id FOR NO KEY UPDATE
    ), counted AS (
        UPDATE message SET deaths = message.deaths + 1 FROM locked
        WHERE message.id = locked.id AND message.id = ANY(CAST(:message_ids AS uuid[]))
        RETURNING message.id, message.deaths
    )
    UPDATE recipient SET due_at = clock_timestamp() + CAST(:parked AS interval), reason = '{Reason.POISONED}'
    FROM counted
    WHERE recipient.message_id = counted.id AND recipient.message_id = ANY(CAST(:message_ids AS uuid[]))
      AND counted.deaths >= {DEATHS_LIMIT} AND {one_of("recipient.state", [State.ACCEPTED, State.HELD])}
    RETURNING recipient.message_id
""")
_MARK = text("""
    UPDATE worker SET died_at = coalesce(died_at, clock_timestamp()), trying = '{}' WHERE id = :worker_id
""")


def mark_dead(db: Connection, worker_id: UUID) -> set[UUID]:
    """Mark this worker as dead, and count its crash against the messages that its sweep was trying.

    Returns the messages that are parked because of it.
    """
    trying = db.scalar(_TRYING, {"worker_id": worker_id}) or []
    parked_ids = db.scalars(_COUNT, {"message_ids": trying, "parked": PARKED}).all() if trying else []
    db.execute(_MARK, {"worker_id": worker_id})
    return set(parked_ids)


_DELETE_WORKER = text("DELETE FROM worker WHERE id = :worker_id")


def delete_worker(db: Connection, worker_id: UUID) -> None:
    """Delete a crashed worker that has no open attempts any more."""
    db.execute(_DELETE_WORKER, {"worker_id": worker_id})


_RELEASE_MESSAGE = text("""
    UPDATE message SET deaths = 0 WHERE id = :message_id
""")
_RELEASE_RECIPIENTS = text(f"""
    UPDATE recipient SET due_at = clock_timestamp(), deaths = 0, reason = NULL
    WHERE message_id = :message_id AND {_IS_PARKED}
""")


def release(db: Connection, message_id: UUID) -> int:
    """Make the parked recipients of this message due now, and reset its crash counts. Return how many they are."""
    db.execute(_RELEASE_MESSAGE, {"message_id": message_id})
    return db.execute(_RELEASE_RECIPIENTS, {"message_id": message_id}).rowcount


_OPEN_PARKED = text(
    " UNION ".join(
        f"SELECT message_id FROM recipient WHERE {one_of('state', states)} AND {_IS_PARKED}"
        for states in ([State.ACCEPTED], [State.HELD], [State.QUEUED, State.RETRYING, State.UNKNOWN])
    )
    + " ORDER BY 1 LIMIT :limit"
)


def parked(db: Connection, limit: int) -> list[UUID]:
    """Return at most `limit` messages that have parked recipients."""
    return list(db.scalars(_OPEN_PARKED, {"limit": limit}))
