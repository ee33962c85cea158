"""What is due: the rows that the sweep looks at, oldest first, and how a row is set aside."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.schema import one_of
from delivery.rules.states import WAITING_STATES
from delivery.rules.worker_deaths import SUSPECT_FROM
from delivery.vocabulary import CaseState, Channel, Reason, State

# A row is due for as long as its bell may be under way; one whose bell was rung no earlier than `rung_at`, the oldest
# that still waits, is left to that bell. LEAST passes over NULL.
_WITHOUT_BELL = "due_at <= (SELECT least(clock_timestamp(), CAST(:rung_at AS timestamptz)))"
# Asked once, in a query of its own: compared with the function itself, every open row would be walked over.
_IS_DUE = "due_at <= (SELECT clock_timestamp())"
_UNDECIDED = text(f"""
    SELECT DISTINCT due.message_id FROM (
        SELECT message_id FROM recipient
        WHERE state = '{State.ACCEPTED}' AND {_WITHOUT_BELL} ORDER BY due_at LIMIT :limit
    ) AS due
    JOIN message ON message.id = due.message_id AND (message.deaths > 0) = :is_suspect
""")


def undecided(db: Connection, limit: int, *, rung_at: datetime | None = None, is_suspect: bool = False) -> list[UUID]:
    """Find messages whose bell was lost before they were decided, from at most `limit` recipients.

    Suspect are those that a worker has died of: whoever works on them works on each alone.
    """
    values = {"limit": limit, "rung_at": rung_at, "is_suspect": is_suspect}
    return list(db.scalars(_UNDECIDED, values))


_UNOPENED = text(f"""
    SELECT DISTINCT due.message_id FROM (
        SELECT message_id FROM recipient
        WHERE state = '{State.HELD}' AND {_WITHOUT_BELL} ORDER BY due_at LIMIT :limit
    ) AS due
    WHERE NOT EXISTS (SELECT FROM vetting_case WHERE vetting_case.message_id = due.message_id)
""")


def unopened(db: Connection, limit: int, *, rung_at: datetime | None = None) -> list[UUID]:
    """Find held messages for which no vetting case was opened yet, from at most `limit` recipients."""
    return list(db.scalars(_UNOPENED, {"limit": limit, "rung_at": rung_at}))


_EXPIRED = text(f"""
    SELECT DISTINCT due.message_id FROM (
        SELECT message_id FROM recipient
        WHERE state = '{State.HELD}' AND {_IS_DUE} ORDER BY due_at LIMIT :limit
    ) AS due
    JOIN vetting_case ON vetting_case.message_id = due.message_id AND vetting_case.state = '{CaseState.OPEN}'
""")


def expired(db: Connection, limit: int) -> list[UUID]:
    """Find held messages whose vetting case staff did not decide in time, from at most `limit` recipients."""
    return list(db.scalars(_EXPIRED, {"limit": limit}))


_WAITING = text(f"""
    SELECT id FROM (
        SELECT id, deaths FROM recipient
        WHERE {one_of("state", WAITING_STATES)} AND channel = :channel AND {_IS_DUE}
          AND (state <> '{State.QUEUED}' OR {_WITHOUT_BELL})
        ORDER BY due_at LIMIT :limit
    ) AS due
    WHERE (deaths >= {SUSPECT_FROM}) = :is_suspect
""")


def waiting(
    db: Connection, channel: Channel, limit: int, *, rung_at: datetime | None = None, is_suspect: bool = False
) -> list[int]:
    """Find recipients of this channel whose next attempt is due. Only for their first attempt was a bell rung.

    Suspect are those that workers have died of: whoever tries them tries each alone. `limit` counts both kinds.
    """
    values = {"channel": channel, "limit": limit, "rung_at": rung_at, "is_suspect": is_suspect}
    return list(db.scalars(_WAITING, values))


_LAPSED = text(f"""
    SELECT id FROM recipient
    WHERE state = '{State.CLAIMED}' AND channel = :channel AND {_IS_DUE}
    ORDER BY due_at LIMIT :limit
""")


def lapsed(db: Connection, channel: Channel, limit: int) -> list[int]:
    """Find recipients whose attempt lost its lease before anybody recorded an outcome."""
    return list(db.scalars(_LAPSED, {"channel": channel, "limit": limit}))


_SET_ASIDE_MESSAGES = text(f"""
    UPDATE recipient
    SET due_at = greatest(due_at, clock_timestamp() + :pause), reason = '{Reason.STEP_FAILED}'
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND {one_of("state", [State.ACCEPTED, State.HELD])}
""")
_SET_ASIDE_RECIPIENTS = text(f"""
    UPDATE recipient
    SET due_at = greatest(due_at, clock_timestamp() + :pause), reason = '{Reason.STEP_FAILED}'
    WHERE id = ANY(CAST(:recipient_ids AS bigint[])) AND {one_of("state", [*WAITING_STATES, State.CLAIMED])}
""")


def postpone_messages(db: Connection, message_ids: Sequence[UUID], pause: timedelta) -> None:
    """Keep the sweep from these undecided or held messages for a while: a step broke on them."""
    db.execute(_SET_ASIDE_MESSAGES, {"message_ids": list(message_ids), "pause": pause})


def postpone_recipients(db: Connection, recipient_ids: Sequence[int], pause: timedelta) -> None:
    """Keep the sweep from these recipients for a while: a step broke on them."""
    db.execute(_SET_ASIDE_RECIPIENTS, {"recipient_ids": list(recipient_ids), "pause": pause})
