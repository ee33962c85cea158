"""Figures of a shift: what waits, what was decided in a day, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from delivery.vocabulary import CaseState

DAY = timedelta(hours=24)
_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class ShiftFigures:
    """What waits, counted up to 10,000, and what became of the cases that were decided in a day."""

    open_count: int
    overdue_count: int
    due_soon_count: int
    oldest_at: datetime | None
    median_wait: timedelta | None
    """From the opening of a case to its decision."""
    by_person: Mapping[str, Mapping[str, int]]
    """Name of a person to verdict, or `undone`, to how many."""


_WAITING = text(f"""
    SELECT count(*) AS open_count, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS overdue_count,
           count(*) FILTER (WHERE due_at > clock_timestamp()
                            AND due_at <= clock_timestamp() + interval '1 hour') AS soon,
           min(opened_at) AS oldest_at
    FROM (SELECT opened_at, coalesce(due_at, expires_at) AS due_at FROM vetting_case
          WHERE state = '{CaseState.OPEN}' ORDER BY opened_at, id LIMIT {_COUNTED}) AS open
""")
_DECIDED = text("""
    SELECT actor_name, CASE WHEN undone_at IS NULL THEN verdict ELSE 'undone' END AS kind, count(*) AS number
    FROM case_decision WHERE decided_at > clock_timestamp() - :period GROUP BY 1, 2 ORDER BY 1, 2
""")
_MEDIAN = text("""
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY case_decision.decided_at - vetting_case.opened_at)
    FROM case_decision JOIN vetting_case ON vetting_case.id = case_decision.case_id
    WHERE case_decision.decided_at > clock_timestamp() - :period AND case_decision.undone_at IS NULL
      AND case_decision.actor_kind <> 'clock'
""")


def shift_figures(db: Connection, period: timedelta = DAY) -> ShiftFigures:
    """Return what waits now, and what was decided within the period."""
    waiting = db.execute(_WAITING).one()
    by_person: dict[str, dict[str, int]] = {}
    for row in db.execute(_DECIDED, {"period": period}):
        by_person.setdefault(row.actor_name, {})[row.kind] = row.number
    return ShiftFigures(
        open_count=waiting.open_count,
        overdue_count=waiting.overdue_count,
        due_soon_count=waiting.soon,
        oldest_at=waiting.oldest_at,
        median_wait=db.scalar(_MEDIAN, {"period": period}),
        by_person=by_person,
    )
