"""Find held messages that only one version of a rule holds."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.rule_sets import store
from delivery.rules.rule_set import Action, RuleSet
from delivery.vocabulary import CaseState, RuleVerdict


@dataclass(frozen=True, slots=True)
class HeldByRule:
    """A held message that a rule hit, and what other live rules ask for it."""

    case_id: UUID
    case_version: int
    message_id: UUID
    created_at: datetime
    sender_name: str
    subject: str
    trust: str
    type: str
    rule_set: int | None
    others: frozenset[Action]


_HELD = text(f"""
    SELECT vetting_case.id AS case_id, vetting_case.version AS case_version, message.id,
           message.created_at, message.sender_name, message.subject, message.type, message.rule_set, client.trust,
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


def _held_by(db: Connection, rule: str, version: int, since: datetime | None) -> list[HeldByRule]:
    return [
        HeldByRule(
            case_id=row.case_id,
            case_version=row.case_version,
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


def held_by_only(db: Connection, rule: str, version: int, since: datetime | None = None) -> list[HeldByRule]:
    """Return the held messages that would have gone on without this version of the rule, oldest first.

    Each is judged by the rule set that held it, without the rule.
    """
    found = _held_by(db, rule, version, since)
    sets = {number: _set(db, number) for number in {each.rule_set for each in found}}
    return [
        each for each in found if sets[each.rule_set].verdict(each.others, each.trust, each.type) is RuleVerdict.PASS
    ]


def _set(db: Connection, number: int | None) -> RuleSet:
    return (store.read(db, number) if number is not None else None) or RuleSet()
