"""How often each rule hit lately, and which messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.vocabulary import Status

COUNTED = 10_000
"""Hits are counted up to this number."""
_LATEST = 30


@dataclass(frozen=True, slots=True)
class RecentHit:
    """A message that a rule hit. `case_id` is None when it was not held."""

    message_id: UUID
    case_id: UUID | None
    subject: str
    sender_name: str
    status: Status
    version: int
    mode: str
    hit_at: datetime


_COUNTS = text(f"""
    SELECT name, (SELECT count(*) FROM (
        SELECT FROM rule_hit WHERE rule = name AND hit_at > clock_timestamp() - interval '7 days' LIMIT {COUNTED}
    ) AS lately) AS number
    FROM unnest(CAST(:names AS text[])) AS name
""")
_HITS = text(f"""
    SELECT rule_hit.message_id, vetting_case.id AS case_id, message.subject, message.sender_name, message.status,
           rule_hit.version, rule_hit.mode, rule_hit.hit_at
    FROM rule_hit JOIN message ON message.id = rule_hit.message_id
    LEFT JOIN vetting_case ON vetting_case.message_id = rule_hit.message_id
    WHERE rule_hit.rule = :name ORDER BY rule_hit.hit_at DESC LIMIT {_LATEST}
""")


def hits_of_week(db: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return how often each of these rules hit in the last seven days, counted up to 10,000."""
    return {row.name: row.number for row in db.execute(_COUNTS, {"names": list(names)})}


def latest_hits(db: Connection, name: str) -> list[RecentHit]:
    """Return the newest messages that a rule hit, newest first."""
    return [
        RecentHit(
            message_id=row.message_id,
            case_id=row.case_id,
            subject=row.subject,
            sender_name=row.sender_name,
            status=Status(row.status),
            version=row.version,
            mode=row.mode,
            hit_at=row.hit_at,
        )
        for row in db.execute(_HITS, {"name": name})
    ]
