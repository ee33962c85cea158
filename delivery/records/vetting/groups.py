"""Open cases that can be decided together: with nearly the same text, of one sender, or held by one rule alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.vocabulary import CaseState

MOST_CASES = 1000
"""How many cases one bulk decision is for at most: the oldest."""
_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class CaseSelection:
    """Which open cases to decide together. Every field that is given has to fit.

    `rule` with `version` means that no other live rule asked for a review. A sender is an attested account, or an
    address that a message claims.
    """

    fingerprint: int | None = None
    rule: str | None = None
    version: int | None = None
    sender_account_id: UUID | None = None
    sender_email: str | None = None


@dataclass(frozen=True, slots=True)
class SelectedCase:
    """A case of a selection, with the version that it has now."""

    case_id: UUID
    version: int
    opened_at: datetime
    sender_name: str
    sender_email: str | None
    subject: str
    recipients: int


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """What a bulk decision would be about: all cases, and numbers of recipients and senders."""

    cases: tuple[SelectedCase, ...]
    recipients: int
    senders: int

    @property
    def samples(self) -> tuple[SelectedCase, ...]:
        """At most ten cases, spread evenly from the oldest to the newest."""
        step = max(1, len(self.cases) // _SAMPLES)
        return self.cases[::step][:_SAMPLES]


# A case whose messages only phrases or names of the settings held has no hit of a rule.
_SELECT = text(f"""
    SELECT vetting_case.id, vetting_case.version, opened_at, sender_name, sender_email, subject, sender_account_id,
           (SELECT count(*) FROM recipient WHERE recipient.message_id = message.id) AS recipients
    FROM vetting_case JOIN message ON message.id = vetting_case.message_id
    WHERE vetting_case.state = '{CaseState.OPEN}'
      AND (CAST(:fingerprint AS bigint) IS NULL OR text_fingerprint = :fingerprint)
      AND (CAST(:sender_account_id AS uuid) IS NULL OR sender_account_id = :sender_account_id)
      AND (CAST(:sender_email AS text) IS NULL OR lower(sender_email) = lower(:sender_email))
      AND (CAST(:rule AS text) IS NULL OR EXISTS (
              SELECT FROM rule_hit WHERE rule_hit.message_id = message.id AND rule = :rule AND version = :version
                AND mode = 'live'
          ) AND NOT EXISTS (
              SELECT FROM rule_hit WHERE rule_hit.message_id = message.id AND rule <> :rule AND mode = 'live'
                AND action IN ('hold', 'refuse')
          ))
    ORDER BY opened_at, vetting_case.id LIMIT :limit
""")


def preview(db: Connection, wanted: CaseSelection) -> BulkPreview:
    """Return the oldest open cases of this selection, at most 1,000, and what they are about."""
    values = {
        "fingerprint": wanted.fingerprint,
        "rule": wanted.rule,
        "version": wanted.version,
        "sender_account_id": wanted.sender_account_id,
        "sender_email": wanted.sender_email,
        "limit": MOST_CASES,
    }
    rows = db.execute(_SELECT, values).all()
    cases = [
        SelectedCase(row.id, row.version, row.opened_at, row.sender_name, row.sender_email, row.subject, row.recipients)
        for row in rows
    ]
    senders = {row.sender_account_id or (row.sender_email or "").lower() for row in rows}
    return BulkPreview(tuple(cases), sum(each.recipients for each in cases), len(senders))


@dataclass(frozen=True, slots=True)
class TextGroup:
    """Open cases with the same or nearly the same text."""

    fingerprint: int
    cases: int
    oldest_at: datetime
    oldest_id: UUID


_GROUPS = text(f"""
    SELECT text_fingerprint, count(*) AS cases, min(opened_at) AS oldest_at,
           (array_agg(id ORDER BY opened_at, id))[1] AS oldest_id
    FROM vetting_case WHERE state = '{CaseState.OPEN}' AND text_fingerprint IS NOT NULL
    GROUP BY text_fingerprint HAVING count(*) > 1
    ORDER BY cases DESC, oldest_at LIMIT :limit
""")
_BATCH = text("SELECT case_id, id FROM case_decision WHERE batch_id = :batch_id ORDER BY case_id")


def text_groups(db: Connection, limit: int = 50) -> list[TextGroup]:
    """Return the groups of two or more open cases with nearly the same text, the largest first."""
    return [TextGroup(*row) for row in db.execute(_GROUPS, {"limit": limit})]


def decisions_of_batch(db: Connection, batch_id: UUID) -> Sequence[tuple[UUID, UUID]]:
    """Return the case and the id of each decision of a bulk decision."""
    return [(row.case_id, row.id) for row in db.execute(_BATCH, {"batch_id": batch_id})]
