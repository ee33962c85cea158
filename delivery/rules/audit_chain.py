"""The audit chain: each entry has a keyed hash over itself and the hash before it, so that no entry can be changed.

The chain holds a salted digest of the personal details of an entry, not the details. So they can be erased, and the
chain stays whole.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

FIRST_LINK = bytes(32)
"""What stands for the hash before the first entry."""
_PURPOSE = b"postroom: audit chain"


class AuditKind(StrEnum):
    """What an audit entry records."""

    CASE_DECIDED = "case_decided"
    CASE_EXPIRED = "case_expired"
    DECISION_UNDONE = "decision_undone"
    CASE_CLAIMED = "case_claimed"
    CASE_NOTED = "case_noted"
    CASE_ESCALATED = "case_escalated"
    CASE_SKIPPED = "case_skipped"
    BODY_READ = "body_read"
    BATCH_DECIDED = "batch_decided"
    BATCH_UNDONE = "batch_undone"
    STANDING_MADE = "standing_made"
    STANDING_REVOKED = "standing_revoked"
    STANDING_USED = "standing_used"
    LOGIN = "login"
    LOGIN_REFUSED = "login_refused"
    STAFF_CHANGED = "staff_changed"
    RULES_CHANGED = "rules_changed"
    DETAILS_ERASED = "details_erased"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done: what, by which actor (its id), and about what (ids of cases, messages, decisions).

    `facts` are kept forever. `details` are personal: names, notes and addresses. They can be erased.
    """

    kind: AuditKind
    actor_id: str
    subjects: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A stored entry without its details, as it is in the chain."""

    seq: int
    at: datetime
    kind: str
    actor_id: str
    subjects: tuple[str, ...]
    facts: str
    """As the JSON text that was stored."""
    details_digest: bytes | None


def chain_key(secret: str) -> bytes:
    """Return the key of the chain, derived from a secret of the settings."""
    return hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)


def link(key: bytes, before: bytes, row: AuditRow) -> bytes:
    """Return the hash of a row, given the hash of the row before it."""
    digest = row.details_digest.hex() if row.details_digest else None
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [row.seq, at, row.kind, row.actor_id, list(row.subjects), row.facts, digest]
    return hmac.digest(key, before + json.dumps(content).encode(), hashlib.sha256)


def digest_details(salt: bytes, details: str) -> bytes:
    """Return the digest of personal details. Once the salt is erased, guesses cannot be compared with it."""
    return hashlib.sha256(salt + details.encode()).digest()
