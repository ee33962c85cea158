"""Refused direct sends: the errors of each, for operators and its client, without the content of the message."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, text

from delivery.intake.errors import FieldError
from delivery.records.schema import RefusedSend

# A worker that crashes between its commit and the removal from the queue makes another one refuse the same send again.
# A client may repeat a send too. One row is enough for these.
_SAME_WITHIN = timedelta(minutes=1)

# Long enough for questions about them. Any client of Redis can cause such rows, so they must not fill the disk.
_KEPT_FOR = timedelta(days=30)
_DELETE_OLD = text("DELETE FROM refused_send WHERE refused_at < clock_timestamp() - CAST(:kept AS interval)")

_RECORD = text("""
    INSERT INTO refused_send (message_id, client_id, faults)
    SELECT refusal.message_id, refusal.client_id, refusal.faults
    FROM unnest(CAST(:message_ids AS uuid[]), CAST(:client_ids AS uuid[]), CAST(:faults AS jsonb[]))
        AS refusal (message_id, client_id, faults)
    WHERE NOT EXISTS (
        SELECT FROM refused_send AS earlier
        WHERE earlier.message_id = refusal.message_id
          AND earlier.client_id IS NOT DISTINCT FROM refusal.client_id
          AND earlier.faults = refusal.faults
          AND earlier.refused_at > clock_timestamp() - CAST(:same_within AS interval)
    )
""")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a direct send was refused. The ids are None where they could not be read or verified."""

    message_id: UUID | None
    client_id: UUID | None
    faults: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class RefusedView:
    """A refused send as operators and its client see it. Each fault has `field`, `code` and `message`."""

    message_id: UUID | None
    client_id: UUID | None
    faults: tuple[dict[str, str], ...]
    refused_at: datetime


def record(db: Connection, refusals: Sequence[Refusal]) -> None:
    """Record these refusals, and delete those older than 30 days.

    A refusal that was recorded for the same id, client and errors within the last minute is not recorded again.
    """
    if not refusals:
        return
    db.execute(_DELETE_OLD, {"kept": _KEPT_FOR})
    db.execute(
        _RECORD,
        {
            "message_ids": [refusal.message_id for refusal in refusals],
            "client_ids": [refusal.client_id for refusal in refusals],
            "faults": [json.dumps([_stored(fault) for fault in refusal.faults]) for refusal in refusals],
            "same_within": _SAME_WITHIN,
        },
    )


def latest(db: Connection, limit: int) -> list[RefusedView]:
    """Return at most `limit` refused sends, newest first."""
    rows = db.execute(_VIEW.order_by(RefusedSend.refused_at.desc(), RefusedSend.id.desc()).limit(limit))
    return [_view(row) for row in rows]


def find(db: Connection, message_id: UUID, client_id: UUID) -> RefusedView | None:
    """Return the last refusal of this client's send with this id. Refusals of other clients are never returned."""
    refusals = _VIEW.where(RefusedSend.message_id == message_id, RefusedSend.client_id == client_id)
    row = db.execute(refusals.order_by(RefusedSend.refused_at.desc(), RefusedSend.id.desc()).limit(1)).first()
    return None if row is None else _view(row)


_VIEW = select(RefusedSend.message_id, RefusedSend.client_id, RefusedSend.faults, RefusedSend.refused_at)


def _stored(fault: FieldError) -> dict[str, str]:
    return {"field": fault.place, "code": fault.code, "message": fault.message}


def _view(row: Row[Any]) -> RefusedView:
    return RefusedView(row.message_id, row.client_id, tuple(row.faults), row.refused_at)
