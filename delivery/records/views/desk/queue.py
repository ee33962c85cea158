"""The cases that wait, as a list beside the case that is open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.rules.vetting import Finding
from delivery.vocabulary import CaseState

PAGE = 50
"""How many cases a page of the queue has."""
_COUNTED = 10_000
_BODY_START = 120

_AnyRow: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class WaitingCase:
    """A case in the list: what it is about, since when it waits, and when it expires."""

    case_id: UUID
    state: CaseState
    subject: str
    body_start: str
    sender_name: str
    found: tuple[str, ...]
    opened_at: datetime
    due_at: datetime
    escalated_at: datetime | None
    recipient_count: int


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How many cases are open, `most` at least when there are more, and when the last one was decided."""

    open_count: int
    last_decided_at: datetime | None


_LIST = f"""
    SELECT vetting_case.id, vetting_case.state, vetting_case.escalated_at, vetting_case.findings,
           vetting_case.opened_at, coalesce(vetting_case.due_at, vetting_case.expires_at) AS due_at,
           message.subject, left(message.body, {_BODY_START}) AS body_start, message.sender_name,
           (SELECT count(*) FROM recipient WHERE recipient.message_id = message.id) AS recipient_count
    FROM vetting_case JOIN message ON message.id = vetting_case.message_id
"""
_WAITING = text(f"""
    {_LIST} WHERE vetting_case.state = '{CaseState.OPEN}'
      AND (CAST(:wanted AS text) IS NULL OR strpos(lower(message.subject), :wanted) > 0
           OR strpos(lower(message.sender_name), :wanted) > 0)
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (vetting_case.opened_at, vetting_case.id) > (:after_at, CAST(:after_id AS uuid)))
    ORDER BY vetting_case.opened_at, vetting_case.id LIMIT :limit
""")
_SOME = text(f"{_LIST} WHERE vetting_case.id = ANY(CAST(:case_ids AS uuid[]))")
_FIGURES = text(f"""
    SELECT (SELECT count(*) FROM
               (SELECT FROM vetting_case WHERE state = '{CaseState.OPEN}' LIMIT {_COUNTED}) AS open) AS open_count,
           (SELECT max(decided_at) FROM vetting_case WHERE state <> '{CaseState.OPEN}') AS last_decided_at
""")
_NEWER = text(f"""
    SELECT count(*) FROM (
        SELECT FROM vetting_case WHERE state = '{CaseState.OPEN}' AND opened_at > :since LIMIT {PAGE * 2}
    ) AS newer
""")
_STATES = text("SELECT id, state, decided_by FROM vetting_case WHERE id = ANY(CAST(:case_ids AS uuid[]))")


def waiting(
    db: Connection, *, wanted: str = "", after: tuple[datetime, UUID] | None = None, limit: int = PAGE
) -> list[WaitingCase]:
    """Return cases that wait, oldest first: those whose subject or sender has the text that is `wanted`."""
    after_at, after_id = after or (None, None)
    values = {"wanted": wanted.lower() or None, "after_at": after_at, "after_id": after_id, "limit": limit}
    return [_waiting(row) for row in db.execute(_WAITING, values)]


def figures(db: Connection) -> QueueFigures:
    """Return how long the queue is and when the last case was decided."""
    row = db.execute(_FIGURES).one()
    return QueueFigures(row.open_count, row.last_decided_at)


def count_newer(db: Connection, since: datetime) -> int:
    """Return how many cases were opened since then and wait, counted up to a hundred."""
    return int(db.scalar(_NEWER, {"since": since}) or 0)


def closed_among(db: Connection, case_ids: Sequence[UUID]) -> dict[UUID, tuple[CaseState, str]]:
    """Return those of these cases that do not wait any more: the state, and who decided."""
    rows = db.execute(_STATES, {"case_ids": list(case_ids)})
    return {row.id: (CaseState(row.state), row.decided_by or "") for row in rows if row.state != CaseState.OPEN}


def _waiting(row: _AnyRow) -> WaitingCase:
    return WaitingCase(
        case_id=row.id,
        state=CaseState(row.state),
        subject=row.subject,
        body_start=row.body_start,
        sender_name=row.sender_name,
        found=tuple(dict.fromkeys(Finding(**each).phrase for each in row.findings)),
        opened_at=row.opened_at,
        due_at=row.due_at,
        escalated_at=row.escalated_at,
        recipient_count=row.recipient_count,
    )
