"""The audit: append entries to the chain, read them, verify them, and erase personal details."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from delivery.rules.audit_chain import FIRST_LINK, AuditEntry, AuditRow, digest_details, link

_LOCK_KEY = 0x6175646974000000  # "audit" in ASCII: of two transactions that append, one waits.
_SALT_BYTES = 16
_AT_ONCE = 1000
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_HEAD = text("SELECT seq, chain FROM audit_event ORDER BY seq DESC LIMIT 1")
_NOW = text("SELECT clock_timestamp()")
_INSERT = text("""
    INSERT INTO audit_event (seq, at, kind, actor_id, subjects, facts, details_digest, chain)
    VALUES (:seq, :at, :kind, :actor_id, :subjects, :facts, :details_digest, :chain)
""")
_INSERT_DETAILS = text("INSERT INTO audit_detail (seq, salt, details) VALUES (:seq, :salt, :details)")


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest entry: its number, and its hash. A copy of it outside the database shows that none was cut off."""

    seq: int = 0
    chain: bytes = FIRST_LINK


def head(db: Connection) -> AuditHead:
    """Return the newest entry; number 0 when there is none."""
    row = db.execute(_HEAD).one_or_none()
    return AuditHead() if row is None else AuditHead(row.seq, bytes(row.chain))


def append(db: Connection, key: bytes, *entries: AuditEntry) -> None:
    """Append entries in the transaction of what they are about.

    Call it last: from here on other transactions that append wait for the end of this one.
    """
    if not entries:
        return
    db.execute(_LOCK, {"key": _LOCK_KEY})
    newest = head(db)
    at = db.execute(_NOW).scalar_one()
    for entry in entries:
        newest = _append(db, key, newest, at, entry)


def _append(db: Connection, key: bytes, newest: AuditHead, at: datetime, entry: AuditEntry) -> AuditHead:
    salt, details = secrets.token_bytes(_SALT_BYTES), json.dumps(dict(entry.details), default=str)
    row = AuditRow(
        seq=newest.seq + 1,
        at=at,
        kind=str(entry.kind),
        actor_id=entry.actor_id,
        subjects=entry.subjects,
        facts=json.dumps(dict(entry.facts), default=str),
        details_digest=digest_details(salt, details) if entry.details else None,
    )
    chain = link(key, newest.chain, row)
    values = {name: getattr(row, name) for name in ("seq", "at", "kind", "actor_id", "facts", "details_digest")}
    db.execute(_INSERT, {**values, "subjects": list(row.subjects), "chain": chain})
    if entry.details:
        db.execute(_INSERT_DETAILS, {"seq": row.seq, "salt": salt, "details": details})
    return AuditHead(row.seq, chain)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to read; None means all."""

    subject: str | None = None
    actor_id: str | None = None
    kind: str | None = None
    before_seq: int | None = None


@dataclass(frozen=True, slots=True)
class AuditView:
    """A stored entry. `details` is None when it had none, or when they were erased."""

    seq: int
    at: datetime
    kind: str
    actor_id: str
    subjects: tuple[str, ...]
    facts: dict[str, Any]
    details: dict[str, Any] | None


_SEARCH = text("""
    SELECT audit_event.*, audit_detail.details FROM audit_event
    LEFT JOIN audit_detail ON audit_detail.seq = audit_event.seq
    WHERE (CAST(:subject AS text) IS NULL OR subjects @> ARRAY[CAST(:subject AS text)])
      AND (CAST(:actor_id AS text) IS NULL OR actor_id = :actor_id)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:before_seq AS bigint) IS NULL OR audit_event.seq < :before_seq)
    ORDER BY audit_event.seq DESC LIMIT :limit
""")


def search(db: Connection, wanted: AuditFilter, limit: int) -> list[AuditView]:
    """Return the newest entries that the filter lets through, newest first."""
    values = {
        "subject": wanted.subject,
        "actor_id": wanted.actor_id,
        "kind": wanted.kind,
        "before_seq": wanted.before_seq,
        "limit": limit,
    }
    return [
        AuditView(
            seq=row.seq,
            at=row.at,
            kind=row.kind,
            actor_id=row.actor_id,
            subjects=tuple(row.subjects),
            facts=json.loads(row.facts),
            details=None if row.details is None else json.loads(row.details),
        )
        for row in db.execute(_SEARCH, values)
    ]


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """The result of a verification: the newest entry, how many were verified, and the first that is wrong."""

    head: AuditHead
    verified: int
    wrong_seq: int | None = None
    """None when all are right. A missing entry has the number that it should have."""
    erased: int = 0
    """How many entries had personal details that were erased."""


_PAGE = text("""
    SELECT audit_event.*, audit_detail.salt, audit_detail.details FROM audit_event
    LEFT JOIN audit_detail ON audit_detail.seq = audit_event.seq
    WHERE audit_event.seq > :after ORDER BY audit_event.seq LIMIT :limit
""")
_CHAIN_AT = text("SELECT chain FROM audit_event WHERE seq = :seq")


def verify(db: Connection, key: bytes, *, newest: int | None = None) -> ChainVerdict:
    """Verify the whole chain, or only this many of the `newest`; what is before them is then taken as right."""
    top = head(db)
    after = max(0, top.seq - newest) if newest is not None else 0
    before = db.scalar(_CHAIN_AT, {"seq": after}) if after else FIRST_LINK
    verified = erased = 0
    for row in _rows(db, after):
        is_right = before is not None and row.seq == after + verified + 1 and _is_right(key, bytes(before), row)
        if not is_right:
            return ChainVerdict(top, verified, after + verified + 1, erased)
        verified += 1
        erased += row.details_digest is not None and row.details is None
        before = row.chain
    return ChainVerdict(top, verified, None, erased)


def _rows(db: Connection, after: int) -> Iterator[Row[tuple[Any, ...]]]:
    while page := db.execute(_PAGE, {"after": after, "limit": _AT_ONCE}).all():
        yield from page
        after = page[-1].seq


def _is_right(key: bytes, before: bytes, row: Row[tuple[Any, ...]]) -> bool:
    digest = None if row.details_digest is None else bytes(row.details_digest)
    stored = AuditRow(row.seq, row.at, row.kind, row.actor_id, tuple(row.subjects), row.facts, digest)
    if row.details is not None and digest != digest_details(bytes(row.salt), row.details):
        return False
    return link(key, before, stored) == bytes(row.chain)


_ERASE = text("""
    DELETE FROM audit_detail USING audit_event
    WHERE audit_detail.seq = audit_event.seq
      AND (audit_event.actor_id = :about OR audit_event.subjects @> ARRAY[CAST(:about AS text)])
    RETURNING audit_detail.seq
""")


def erase(db: Connection, about: str) -> Sequence[int]:
    """Erase the personal details of all entries by this actor or about this subject. Return their numbers."""
    return db.scalars(_ERASE, {"about": about}).all()
