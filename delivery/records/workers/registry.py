"""The table of workers: who is alive, since when, and what each consumes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

# Whoever reports lives: one that was taken for dead, on a host that was cut off, is so no longer.
_SEEN = text("""
    INSERT INTO worker (id, host, pid, queues, lock_key) VALUES (:worker_id, :host, :pid, :queues, :lock_key)
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), died_at = NULL
""")
_FORGET = text("DELETE FROM worker WHERE id = :worker_id OR seen_at < clock_timestamp() - INTERVAL '1 day'")
_KNOWN = text("SELECT EXISTS (SELECT FROM worker WHERE id = :worker_id)")
_ALIVE = text("""
    SELECT host, pid, queues, started_at, seen_at FROM worker
    WHERE seen_at > clock_timestamp() - :within AND died_at IS NULL ORDER BY started_at
""")


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Who a worker process is."""

    worker_id: UUID
    host: str
    pid: int
    queues: tuple[str, ...]

    @property
    def lock_key(self) -> int:
        """The key of the advisory lock that this worker holds while it lives: the first half of its id."""
        return int.from_bytes(self.worker_id.bytes[:8], signed=True)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that was seen lately."""

    host: str
    pid: int
    queues: tuple[str, ...]
    started_at: datetime
    seen_at: datetime


def heartbeat(db: Connection, worker: WorkerIdentity) -> None:
    """Say that this worker is alive now."""
    facts = {"worker_id": worker.worker_id, "host": worker.host, "pid": worker.pid, "queues": list(worker.queues)}
    db.execute(_SEEN, {**facts, "lock_key": worker.lock_key})


def deregister(db: Connection, worker: WorkerIdentity) -> None:
    """Say that this worker stops, and forget those that vanished without saying so a day ago."""
    db.execute(_FORGET, {"worker_id": worker.worker_id})


def is_known(db: Connection, worker_id: UUID) -> bool:
    """Say whether this worker is remembered, alive or dead."""
    return bool(db.scalar(_KNOWN, {"worker_id": worker_id}))


def workers(db: Connection, *, within: timedelta) -> list[WorkerView]:
    """List the workers seen within this time."""
    rows = db.execute(_ALIVE, {"within": within})
    return [WorkerView(row.host, row.pid, tuple(row.queues), row.started_at, row.seen_at) for row in rows]
