"""Turns: work that several processes could do, and one should do at a time."""

from sqlalchemy import Connection, text

# Advisory locks share one space of numbers in a database; "direct" in ASCII, beside "postroom" of the migrations.
_DIRECT_SENDS = 0x6469_72656374
_TAKE = text("SELECT pg_try_advisory_xact_lock(:turn)")


def try_lock_direct_sends(db: Connection) -> bool:
    """Take the turn at the direct sends until this transaction ends. False when another process has it."""
    return bool(db.scalar(_TAKE, {"turn": _DIRECT_SENDS}))
