"""What the page of one case shows beside the case: rules, recipients, the sender, and cases with the same text."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.vocabulary import CaseState, Channel, Reason, State

_LOOK_BACK = 300
_ALIKE = 20

# A sender is its attested account or, without one, the address that the client gives, as in rule_sets/history.py.
_EARLIER = f"""
    (SELECT id, created_at, status FROM message AS own
     WHERE own.sender_account_id = message.sender_account_id AND own.id <> message.id
     ORDER BY own.id DESC LIMIT {_LOOK_BACK})
    UNION ALL
    (SELECT id, created_at, status FROM message AS own
     WHERE message.sender_account_id IS NULL AND own.client_id = message.client_id
       AND lower(own.sender_email) = lower(message.sender_email) AND own.id <> message.id
     ORDER BY own.id DESC LIMIT {_LOOK_BACK})
"""


@dataclass(frozen=True, slots=True)
class CaseHit:
    """A rule that hit the message: its version, what it asked for, and the facts that it used."""

    rule: str
    version: int
    action: str
    mode: str
    has_failed: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CaseRecipient:
    """A recipient of the message, with what there was between it and the sender before."""

    recipient_id: int
    account_id: UUID
    name: str
    email: str
    state: State
    reason: Reason | None
    channel: Channel | None
    wrote: int
    replies: int


@dataclass(frozen=True, slots=True)
class SenderCard:
    """A sender's past: messages looked at, when the first of them was sent, and how earlier cases ended."""

    messages: int
    first_at: datetime | None
    sent: int
    rejected: int
    cases: Mapping[CaseState, int]
    is_attested: bool
    client_name: str
    client_trust: str


@dataclass(frozen=True, slots=True)
class AlikeCase:
    """Another case that waits, whose message reads the same."""

    case_id: UUID
    state: CaseState
    sender_name: str
    opened_at: datetime


_HITS = text("""
    SELECT rule, version, action, mode, has_failed, facts FROM rule_hit WHERE message_id = :message_id
    ORDER BY mode, rule
""")
_RECIPIENTS = text(f"""
    WITH earlier AS (SELECT each.id FROM message CROSS JOIN LATERAL ({_EARLIER}) AS each WHERE message.id = :message_id)
    SELECT recipient.id, recipient.account_id, recipient.state, recipient.reason, recipient.channel,
           account.name, account.email,
           (SELECT count(*) FROM earlier JOIN recipient AS reached
              ON reached.message_id = earlier.id AND reached.account_id = recipient.account_id) AS wrote,
           (SELECT count(*) FROM (SELECT id FROM message AS one WHERE one.sender_account_id = recipient.account_id
                                  ORDER BY one.id DESC LIMIT {_LOOK_BACK}) AS reply
              JOIN recipient AS reached ON reached.message_id = reply.id
               AND reached.account_id = message.sender_account_id) AS replies
    FROM recipient JOIN account ON account.id = recipient.account_id JOIN message ON message.id = recipient.message_id
    WHERE recipient.message_id = :message_id ORDER BY recipient.position
""")
_SENDER = text(f"""
    SELECT message.sender_account_id IS NOT NULL AS is_attested, client.name AS client_name, client.trust, past.*
    FROM message JOIN client ON client.id = message.client_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS messages, min(each.created_at) AS first_at,
               count(*) FILTER (WHERE each.status = 'sent') AS sent,
               count(*) FILTER (WHERE each.status = 'rejected') AS rejected,
               count(*) FILTER (WHERE vetting_case.state = '{CaseState.OPEN}') AS open_cases,
               count(*) FILTER (WHERE vetting_case.state = '{CaseState.APPROVED}') AS approved_cases,
               count(*) FILTER (WHERE vetting_case.state = '{CaseState.REJECTED}') AS rejected_cases,
               count(*) FILTER (WHERE vetting_case.state = '{CaseState.EXPIRED}') AS expired_cases
        FROM ({_EARLIER}) AS each LEFT JOIN vetting_case ON vetting_case.message_id = each.id
    ) AS past
    WHERE message.id = :message_id
""")
_ALIKE_CASES = text(f"""
    SELECT other.id, other.state, other.opened_at, message.sender_name
    FROM vetting_case JOIN vetting_case AS other ON other.text_fingerprint = vetting_case.text_fingerprint
      AND other.id <> vetting_case.id AND other.state = '{CaseState.OPEN}'
    JOIN message ON message.id = other.message_id
    WHERE vetting_case.message_id = :message_id ORDER BY other.opened_at LIMIT {_ALIKE}
""")


def hits(db: Connection, message_id: UUID) -> list[CaseHit]:
    """Return the rules that hit a message, live ones first."""
    rows = db.execute(_HITS, {"message_id": message_id})
    return [CaseHit(row.rule, row.version, row.action, row.mode, row.has_failed, row.facts) for row in rows]


def recipients(db: Connection, message_id: UUID) -> list[CaseRecipient]:
    """Return the recipients of a message in their order. Messages between them are counted up to 300."""
    return [
        CaseRecipient(
            recipient_id=row.id,
            account_id=row.account_id,
            name=row.name,
            email=row.email,
            state=State(row.state),
            reason=Reason(row.reason) if row.reason in set(Reason) else None,
            channel=Channel(row.channel) if row.channel else None,
            wrote=row.wrote,
            replies=row.replies,
        )
        for row in db.execute(_RECIPIENTS, {"message_id": message_id})
    ]


def sender_card(db: Connection, message_id: UUID) -> SenderCard:
    """Return the past of the sender of a message, which must exist: the newest 300 other messages."""
    row = db.execute(_SENDER, {"message_id": message_id}).one()
    cases = {
        CaseState.OPEN: row.open_cases,
        CaseState.APPROVED: row.approved_cases,
        CaseState.REJECTED: row.rejected_cases,
        CaseState.EXPIRED: row.expired_cases,
    }
    return SenderCard(
        messages=row.messages,
        first_at=row.first_at,
        sent=row.sent,
        rejected=row.rejected,
        cases=cases,
        is_attested=row.is_attested,
        client_name=row.client_name,
        client_trust=row.trust,
    )


def alike(db: Connection, message_id: UUID) -> list[AlikeCase]:
    """Return other cases that wait and whose messages read the same or nearly so, oldest first."""
    rows = db.execute(_ALIKE_CASES, {"message_id": message_id})
    return [AlikeCase(row.id, CaseState(row.state), row.sender_name, row.opened_at) for row in rows]


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """How many decisions a bulk decision has, how many can still be undone, were applied, and were undone."""

    decided: int
    pending: int
    applied: int
    undone: int
    verdict: str | None
    actor_name: str | None
    effective_at: datetime | None


_BATCH = text("""
    SELECT count(*) AS decided, count(*) FILTER (WHERE applied_at IS NULL AND undone_at IS NULL) AS pending,
           count(applied_at) AS applied, count(undone_at) AS undone, min(verdict) AS verdict,
           min(actor_name) AS actor_name, max(effective_at) AS effective_at
    FROM case_decision WHERE batch_id = :batch_id
""")


def batch_figures(db: Connection, batch_id: UUID) -> BatchFigures:
    """Return what became of a bulk decision; nothing decided when there is none of this id."""
    return BatchFigures(*db.execute(_BATCH, {"batch_id": batch_id}).one())


def sender_of(db: Connection, message_id: UUID) -> tuple[UUID | None, str | None] | None:
    """Return the attested account and the claimed address of the sender of a message; None when there is no message."""
    statement = text("SELECT sender_account_id, sender_email FROM message WHERE id = :id")
    row = db.execute(statement, {"id": message_id}).one_or_none()
    return None if row is None else (row.sender_account_id, row.sender_email)


def message_of(db: Connection, case_id: UUID) -> UUID | None:
    """Return the message of a case; None when there is no such case."""
    found: UUID | None = db.scalar(text("SELECT message_id FROM vetting_case WHERE id = :id"), {"id": case_id})
    return found
