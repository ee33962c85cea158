"""Security events: rows that are written once, for `postroom security-log`. They hold no secret and no address."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.vocabulary import SecurityEventKind

_RECORD = text("""
    INSERT INTO security_event (kind, client_id, subject, actor, details)
    SELECT kind, coalesce(client_id, (SELECT client_id FROM credential WHERE prefix = subject)), subject, actor, details
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS given (kind text, client_id uuid, subject text, actor text, details jsonb)
""")
_LATEST = text("""
    SELECT id, happened_at, kind, client_id, subject, actor, details FROM security_event
    WHERE (CAST(:client_id AS uuid) IS NULL OR client_id = :client_id)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:since AS timestamptz) IS NULL OR happened_at >= :since)
      AND (CAST(:before AS timestamptz) IS NULL OR happened_at < :before)
    ORDER BY id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One event: what happened, whose client it is about, what else it is about, and who did it.

    `subject` is the prefix of a credential, or the id of an account or vetting case. Without a client, that of the
    credential is stored.
    """

    kind: SecurityEventKind
    actor: str
    client_id: UUID | None = None
    subject: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read; None means all. `before` is not included."""

    client_id: UUID | None = None
    kind: SecurityEventKind | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventView(SecurityEvent):
    """A stored event."""

    event_id: int = 0
    happened_at: datetime | None = None


def record(db: Connection, *events: SecurityEvent) -> None:
    """Store these events, in the transaction of what they are about."""
    if events:
        db.execute(_RECORD, {"rows": json.dumps([asdict(each) for each in events], default=str)})


def latest(db: Connection, wanted: EventFilter, limit: int) -> list[EventView]:
    """Return the newest events that the filter lets through, newest first."""
    rows = db.execute(_LATEST, {**asdict(wanted), "limit": limit})
    return [
        EventView(
            kind=SecurityEventKind(row.kind),
            actor=row.actor,
            client_id=row.client_id,
            subject=row.subject,
            details=row.details,
            event_id=row.id,
            happened_at=row.happened_at,
        )
        for row in rows
    ]
