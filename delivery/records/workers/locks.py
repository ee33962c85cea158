"""Worker locks: each worker holds an advisory lock, which PostgreSQL releases as soon as the worker crashes.

A released lock only suggests a crash: a restart of PostgreSQL releases all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.database import DATABASE_UNAVAILABLE, Database
from delivery.records.workers.registry import WorkerIdentity

_LOCK = text("SELECT pg_try_advisory_lock(:key)")
_PING = text("SELECT 1")
# pg_locks shows a key of 64 bits as two halves, classid and objid, with objsubid 1.
_MISSING = text("""
    SELECT id, host, died_at, died_at < clock_timestamp() - INTERVAL '1 minute' AS is_long_dead FROM worker
    WHERE lock_key IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) = lock_key
    )
    ORDER BY id
""")


@dataclass(frozen=True, slots=True)
class MissingWorker:
    """A worker that does not hold its lock. `died_at` is when it was marked as dead, None before."""

    worker_id: UUID
    host: str
    died_at: datetime | None
    is_long_dead: bool
    """Whether it was marked as dead more than a minute ago, so that no open attempt of it can still appear."""


class WorkerLock:
    """The lock of one worker, on a connection that is used for nothing else."""

    def __init__(self, database: Database, identity: WorkerIdentity) -> None:
        self._database = database
        self._key = identity.lock_key
        self._connection: Connection | None = None
        self._since = monotonic()

    def hold(self) -> float:
        """Make sure that the lock is held, and return the seconds since it was taken, or since the last try to take it.

        Raises one of `DATABASE_UNAVAILABLE`. Then call it again soon, before another worker marks this one as dead.
        """
        try:
            self._take() if self._connection is None else self._connection.execute(_PING)
        except DATABASE_UNAVAILABLE:
            self.release()
            raise
        return monotonic() - self._since

    def release(self) -> None:
        """Release the lock and close its connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            # It must not return to the pool, because the lock belongs to the session.
            connection.invalidate()
            connection.close()

    def _take(self) -> None:
        self._connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._since = monotonic()
        if not self._connection.scalar(_LOCK, {"key": self._key}):
            # An earlier session of this worker, whose connection broke, still holds it. It ends within seconds, and the
            # next call tries again.
            self.release()


def missing_workers(db: Connection) -> Sequence[MissingWorker]:
    """Return the registered workers that do not hold their lock. Workers of versions without locks are left out."""
    return [MissingWorker(row.id, row.host, row.died_at, bool(row.is_long_dead)) for row in db.execute(_MISSING)]
