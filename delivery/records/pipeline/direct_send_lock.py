"""The lock that lets one process at a time store direct sends."""

from sqlalchemy import Connection, text

# Advisory locks of a database share one space of numbers. This is "direct" in ASCII; migrations use "postroom".
_LOCK_KEY = 0x6469_72656374
_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")


def try_lock_direct_sends(db: Connection) -> bool:
    """Lock the direct sends until this transaction ends; False when another process holds the lock."""
    return bool(db.scalar(_LOCK, {"key": _LOCK_KEY}))
