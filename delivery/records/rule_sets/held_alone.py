"""Find held messages that only one version of a rule holds, and close their cases when they are released."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.rules.rule_set import Action
from delivery.vocabulary import CaseState


@dataclass(frozen=True, slots=True)
class HeldByRule:
    """A held message that a rule hit, and what other live rules ask for it."""

    message_id: UUID
    created_at: datetime
    sender_name: str
    subject: str
    trust: str
    type: str
    rule_set: int | None
    others: frozenset[Action]


_HELD = text(f"""
    SELECT message.id, message.created_at, message.sender_name, message.subject, message.type, message.rule_set,
           client.trust,
           (SELECT array_agg(other.action) FROM rule_hit AS other
            WHERE other.message_id = message.id AND other.mode = 'live' AND other.rule <> :rule) AS others
    FROM rule_hit
    JOIN vetting_case ON vetting_case.message_id = rule_hit.message_id AND vetting_case.state = '{CaseState.OPEN}'
    JOIN message ON message.id = rule_hit.message_id
    JOIN client ON client.id = message.client_id
    WHERE rule_hit.rule = :rule AND rule_hit.version = :version AND rule_hit.mode = 'live'
      AND rule_hit.hit_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
    ORDER BY message.id
""")


def held_by(db: Connection, rule: str, version: int, since: datetime | None = None) -> list[HeldByRule]:
    """Return the messages with an open case that this version of the rule hit, oldest first."""
    return [
        HeldByRule(
            message_id=row.id,
            created_at=row.created_at,
            sender_name=row.sender_name,
            subject=row.subject,
            trust=row.trust,
            type=row.type,
            rule_set=row.rule_set,
            others=frozenset(map(Action, row.others or ())),
        )
        for row in db.execute(_HELD, {"rule": rule, "version": version, "since": since})
    ]


_LOCK = text("""
    SELECT id FROM message WHERE id = ANY(CAST(:message_ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
""")
_CLOSE = text(f"""
    UPDATE vetting_case SET state = '{CaseState.APPROVED}', decided_at = clock_timestamp(), decided_by = :person,
                            released_with = :rule
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND state = '{CaseState.OPEN}'
    RETURNING id, message_id
""")


def close_cases(db: Connection, message_ids: Sequence[UUID], *, person: str, rule: str) -> dict[UUID, UUID]:
    """Close those cases of these messages that are open, without a look at them. Returns message to case."""
    # Messages are locked before any other row (records/pipeline/transitions.py).
    db.execute(_LOCK, {"message_ids": list(message_ids)})
    values = {"message_ids": list(message_ids), "person": person, "rule": rule}
    return {row.message_id: row.id for row in db.execute(_CLOSE, values)}
