"""Due rows: what the sweep finds, oldest first, and how rows are postponed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.decision_tables import PENDING
from delivery.records.schema_base import one_of
from delivery.rules.states import WAITING_STATES
from delivery.rules.worker_deaths import SUSPECT_FROM
from delivery.vocabulary import CaseState, Channel, Reason, State

# `rung_at` is when the oldest bell was rung that still waits in Redis, or NULL. Rows that are due later than that are
# left to their own bells. LEAST ignores NULL.
_WITHOUT_BELL = "due_at <= (SELECT least(clock_timestamp(), CAST(:rung_at AS timestamptz)))"
# A subselect is evaluated once. Compared with the function itself, PostgreSQL would read every open row.
_IS_DUE = "due_at <= (SELECT clock_timestamp())"
_UNDECIDED = text(f"""
    SELECT DISTINCT due.message_id FROM (
        SELECT message_id FROM recipient
        WHERE state = '{State.ACCEPTED}' AND {_WITHOUT_BELL} ORDER BY due_at LIMIT :limit
    ) AS due
    JOIN message ON message.id = due.message_id AND (message.deaths > 0) = :is_suspect
""")


def undecided(db: Connection, limit: int, *, rung_at: datetime | None = None, is_suspect: bool = False) -> list[UUID]:
    """Return undecided messages without a waiting bell, from at most `limit` due recipients.

    With `is_suspect`, return those that a worker has crashed on, which are decided one at a time; else the others.
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
    """Return held messages without a vetting case, from at most `limit` due recipients."""
    return list(db.scalars(_UNOPENED, {"limit": limit, "rung_at": rung_at}))


_EXPIRED = text(f"""
    SELECT DISTINCT due.message_id FROM (
        SELECT message_id FROM recipient
        WHERE state = '{State.HELD}' AND {_IS_DUE} ORDER BY due_at LIMIT :limit
    ) AS due
    JOIN vetting_case ON vetting_case.message_id = due.message_id AND vetting_case.state = '{CaseState.OPEN}'
""")


def expired(db: Connection, limit: int) -> list[UUID]:
    """Return held messages whose open vetting case has expired, from at most `limit` due recipients."""
    return list(db.scalars(_EXPIRED, {"limit": limit}))


_DECIDED = text(f"""
    SELECT DISTINCT due.message_id FROM (
        SELECT message_id FROM recipient
        WHERE state = '{State.HELD}' AND {_IS_DUE} ORDER BY due_at LIMIT :limit
    ) AS due
    JOIN vetting_case ON vetting_case.message_id = due.message_id AND vetting_case.state = '{CaseState.DECIDED}'
    JOIN case_decision ON case_decision.case_id = vetting_case.id AND {PENDING}
     AND case_decision.effective_at <= (SELECT clock_timestamp())
""")


def decided(db: Connection, limit: int) -> list[UUID]:
    """Return held messages with a decision whose pause is over, from at most `limit` due recipients."""
    return list(db.scalars(_DECIDED, {"limit": limit}))


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
    """Return recipients of this channel whose next attempt is due. Only first attempts have a bell.

    With `is_suspect`, return only suspects, which are tried alone; else only the others. `limit` counts both.
    """
    values = {"channel": channel, "limit": limit, "rung_at": rung_at, "is_suspect": is_suspect}
    return list(db.scalars(_WAITING, values))


_EXPIRED_LEASES = text(f"""
    SELECT id FROM recipient
    WHERE state = '{State.CLAIMED}' AND channel = :channel AND {_IS_DUE}
    ORDER BY due_at LIMIT :limit
""")


def expired_leases(db: Connection, channel: Channel, limit: int) -> list[int]:
    """Return recipients of this channel whose attempt lost its lease before an outcome was recorded."""
    return list(db.scalars(_EXPIRED_LEASES, {"channel": channel, "limit": limit}))


_POSTPONE_MESSAGES = text(f"""
    UPDATE recipient
    SET due_at = greatest(due_at, clock_timestamp() + :pause), reason = '{Reason.STEP_FAILED}'
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND {one_of("state", [State.ACCEPTED, State.HELD])}
""")
_POSTPONE_RECIPIENTS = text(f"""
    UPDATE recipient
    SET due_at = greatest(due_at, clock_timestamp() + :pause), reason = '{Reason.STEP_FAILED}'
    WHERE id = ANY(CAST(:recipient_ids AS bigint[])) AND {one_of("state", [*WAITING_STATES, State.CLAIMED])}
    RETURNING message_id
""")


def postpone_messages(db: Connection, message_ids: Sequence[UUID], pause: timedelta) -> set[UUID]:
    """Make these undecided or held messages due after `pause`, because a step failed on them, and return them."""
    db.execute(_POSTPONE_MESSAGES, {"message_ids": list(message_ids), "pause": pause})
    return set(message_ids)


def postpone_recipients(db: Connection, recipient_ids: Sequence[int], pause: timedelta) -> set[UUID]:
    """Make these recipients due after `pause`, because a step failed on them, and return their messages."""
    return set(db.scalars(_POSTPONE_RECIPIENTS, {"recipient_ids": list(recipient_ids), "pause": pause}))
