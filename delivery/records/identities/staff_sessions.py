"""Logins of staff: begin, find and end them, and count those that were refused."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.identities.staff import STAFF_COLUMNS, StaffMember, staff_of

WINDOW = timedelta(minutes=15)
"""How long a refused login counts."""

_BEGIN = text("""
    INSERT INTO staff_session (digest, staff_id, is_partial) VALUES (:digest, :staff_id, :is_partial)
""")
_ENDED = "seen_at < clock_timestamp() - :idle OR started_at < clock_timestamp() - :lifetime"
_DELETE_ENDED = text(f"DELETE FROM staff_session WHERE {_ENDED}")
_FIND = text(f"""
    SELECT staff_session.is_partial, staff_session.confirmed_at, staff_session.seen_at,
           staff_session.seen_at < clock_timestamp() - interval '20 seconds' AS is_stale, {STAFF_COLUMNS}
    FROM staff_session JOIN staff ON staff.id = staff_session.staff_id
    WHERE staff_session.digest = :digest AND staff.disabled_at IS NULL AND NOT ({_ENDED})
""")
_TOUCH = text("UPDATE staff_session SET seen_at = clock_timestamp() WHERE digest = :digest")
_CONFIRM = text("UPDATE staff_session SET confirmed_at = clock_timestamp() WHERE digest = :digest")
_END = text("DELETE FROM staff_session WHERE digest = :digest")
_LOCK_KEY = 0x6465736B6C6F6769  # "desklogi" in ASCII: attempts are counted one after the other.
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_FORGET_ATTEMPTS = text("DELETE FROM staff_login_attempt WHERE tried_at < clock_timestamp() - :window")
_ATTEMPT = text("INSERT INTO staff_login_attempt (name, network) VALUES (:name, :network) RETURNING id")
_COUNT = text("""
    SELECT (SELECT count(*) FROM staff_login_attempt WHERE name = :name AND tried_at >= clock_timestamp() - :window),
           (SELECT count(*) FROM staff_login_attempt WHERE network = :network
            AND tried_at >= clock_timestamp() - :window)
""")
_SUCCEEDED = text("DELETE FROM staff_login_attempt WHERE id = :attempt_id")


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a login lasts without a request, and in any case."""

    idle: timedelta
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A login with its person. It is `partial` while the one-time code is missing."""

    member: StaffMember
    is_partial: bool
    confirmed_at: datetime


def begin(db: Connection, staff_id: UUID, digest: bytes, limits: SessionLimits, *, is_partial: bool = False) -> None:
    """Store a login under the digest of its token, and delete logins that have ended."""
    db.execute(_DELETE_ENDED, _values(limits))
    db.execute(_BEGIN, {"digest": digest, "staff_id": staff_id, "is_partial": is_partial})


def find(db: Connection, digest: bytes, limits: SessionLimits, *, is_use: bool = True) -> StaffSession | None:
    """Return the login of this token, with the person as stored now; None when it has ended.

    A request that is no use of the desk by a person, such as polling, does not keep the login from ending.
    """
    row = db.execute(_FIND, {"digest": digest, **_values(limits)}).one_or_none()
    if row is None:
        return None
    if is_use and row.is_stale:
        db.execute(_TOUCH, {"digest": digest})
    return StaffSession(staff_of(row), row.is_partial, row.confirmed_at)


def confirm(db: Connection, digest: bytes) -> None:
    """Store that the person gave the password again just now."""
    db.execute(_CONFIRM, {"digest": digest})


def end(db: Connection, digest: bytes) -> None:
    """End a login. A repetition changes nothing."""
    db.execute(_END, {"digest": digest})


@dataclass(frozen=True, slots=True)
class LoginCounts:
    """An attempt to log in, and how many there were lately, with this one, under this name and from this network."""

    attempt_id: int
    by_name: int
    by_network: int


def attempt(db: Connection, name: str, network: str) -> LoginCounts:
    """Store an attempt before its password is checked, so that concurrent ones cannot pass together."""
    db.execute(_LOCK, {"key": _LOCK_KEY})
    db.execute(_FORGET_ATTEMPTS, {"window": WINDOW})
    attempt_id = db.scalar(_ATTEMPT, {"name": name, "network": network})
    by_name, by_network = db.execute(_COUNT, {"name": name, "network": network, "window": WINDOW}).one()
    return LoginCounts(int(attempt_id or 0), by_name, by_network)


def forget_attempt(db: Connection, attempt_id: int) -> None:
    """Remove an attempt that succeeded: only refused ones count."""
    db.execute(_SUCCEEDED, {"attempt_id": attempt_id})


def _values(limits: SessionLimits) -> dict[str, timedelta]:
    return {"idle": limits.idle, "lifetime": limits.lifetime}
