"""Who lives: a worker holds an advisory lock on a connection of its own, and PostgreSQL knows at once when it is gone.

A free lock is suspicion and no proof: after PostgreSQL began anew all of them are free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, text

from delivery.records.database import DATABASE_UNAVAILABLE, Database
from delivery.records.workers.registry import WorkerIdentity

_TAKE = text("SELECT pg_try_advisory_lock(:key)")
_STILL = text("SELECT 1")
# A key of 64 bits is shown as two halves, classid and objid, with objsubid 1.
_ABSENT = text("""
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
    """A worker that does not hold its lock."""

    worker_id: UUID
    host: str
    died_at: datetime | None
    is_long_dead: bool
    """Say whether it was found dead more than a minute ago, so that nothing of it can still come to light."""


class WorkerLock:
    """The lock of one worker, on a connection that is used for nothing else."""

    def __init__(self, database: Database, identity: WorkerIdentity) -> None:
        self._database = database
        self._key = identity.lock_key
        self._connection: Connection | None = None
        self._since = monotonic()

    def hold(self) -> float:
        """Make sure that the lock is held, and answer for how many seconds it has been.

        Raises one of `STORE_UNAVAILABLE`; ask again soon then, so that nobody takes this worker for dead.
        """
        try:
            self._take() if self._connection is None else self._connection.execute(_STILL)
        except DATABASE_UNAVAILABLE:
            self.release()
            raise
        return monotonic() - self._since

    def release(self) -> None:
        """Give up the lock and its connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            # Not back into a pool: the lock belongs to the session.
            connection.invalidate()
            connection.close()

    def _take(self) -> None:
        self._connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._since = monotonic()
        if not self._connection.scalar(_TAKE, {"key": self._key}):
            # A session of ours that was cut off is still there; it ends within seconds, and we ask again.
            self.release()


def missing_workers(db: Connection) -> Sequence[MissingWorker]:
    """List the workers that should hold a lock and do not. Workers of versions without locks are never listed."""
    return [MissingWorker(row.id, row.host, row.died_at, bool(row.is_long_dead)) for row in db.execute(_ABSENT)]
