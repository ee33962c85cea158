"""What rules hit: appended when a message is decided, never changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.detection.facts import FactValue
from delivery.rules.rule_engine import RuleHit
from delivery.rules.vetting import Finding


@dataclass(frozen=True, slots=True)
class RecordedHit:
    """A rule's hit on a message, with what it found in the texts and the values of the facts that it asked for."""

    message_id: UUID
    hit: RuleHit
    findings: tuple[Finding, ...]
    facts: Mapping[str, FactValue]


_INSERT = text("""
    INSERT INTO rule_hit (message_id, rule, version, action, mode, has_failed, findings, facts)
    SELECT * FROM unnest(
        CAST(:message_ids AS uuid[]), CAST(:rules AS text[]), CAST(:versions AS integer[]), CAST(:actions AS text[]),
        CAST(:modes AS text[]), CAST(:failed AS boolean[]), CAST(:findings AS jsonb[]), CAST(:facts AS jsonb[])
    )
    ON CONFLICT DO NOTHING
""")


def record(db: Connection, hits: Sequence[RecordedHit]) -> None:
    """Store these hits. A hit that is stored already stays as it is."""
    if not hits:
        return
    values = {
        "message_ids": [each.message_id for each in hits],
        "rules": [each.hit.name for each in hits],
        "versions": [each.hit.version for each in hits],
        "actions": [each.hit.action for each in hits],
        "modes": [each.hit.mode for each in hits],
        "failed": [each.hit.has_failed for each in hits],
        "findings": [json.dumps([asdict(finding) for finding in each.findings]) for each in hits],
        "facts": [json.dumps(dict(each.facts)) for each in hits],
    }
    db.execute(_INSERT, values)


_FINDINGS = text("""
    SELECT message_id, findings FROM rule_hit
    WHERE message_id = ANY(CAST(:message_ids AS uuid[])) AND mode = 'live' ORDER BY message_id, rule
""")


def findings(db: Connection, message_ids: Sequence[UUID]) -> dict[UUID, list[Finding]]:
    """Return what live rules found in each of these messages."""
    found: dict[UUID, list[Finding]] = {}
    for row in db.execute(_FINDINGS, {"message_ids": list(message_ids)}):
        found.setdefault(row.message_id, []).extend(Finding(**each) for each in row.findings)
    return found
