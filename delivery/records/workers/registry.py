"""The registry of workers: which are running, since when, and which queues each consumes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.rules.relay_trouble import RelayTrouble

# A worker that sends a heartbeat is alive, even if it was marked as dead while its host was disconnected.
_HEARTBEAT = text("""
    INSERT INTO worker (id, host, pid, queues, lock_key, relay_refused_since, relay_words)
    VALUES (:worker_id, :host, :pid, :queues, :lock_key, :since, :words)
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), died_at = NULL,
        relay_refused_since = excluded.relay_refused_since, relay_words = excluded.relay_words
""")
_DEREGISTER = text("DELETE FROM worker WHERE id = :worker_id OR seen_at < clock_timestamp() - INTERVAL '1 day'")
_KNOWN = text("SELECT EXISTS (SELECT FROM worker WHERE id = :worker_id)")
_ALIVE = text("""
    SELECT host, pid, queues, started_at, seen_at, relay_refused_since, relay_words FROM worker
    WHERE seen_at > clock_timestamp() - :within AND died_at IS NULL ORDER BY started_at
""")

_LAST = text("SELECT queues, max(seen_at) AS seen_at FROM worker GROUP BY queues")


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """A worker process: its id, its host and process id, and the queues that it consumes."""

    worker_id: UUID
    host: str
    pid: int
    queues: tuple[str, ...]

    @property
    def lock_key(self) -> int:
        """The key of the advisory lock that this worker holds while it runs: the first half of its id."""
        return int.from_bytes(self.worker_id.bytes[:8], signed=True)


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker that sent a heartbeat recently."""

    host: str
    pid: int
    queues: tuple[str, ...]
    started_at: datetime
    seen_at: datetime
    relay_trouble: RelayTrouble | None = None


@dataclass(frozen=True, slots=True)
class LastWorker:
    """When a worker of these queues was seen last, alive or dead."""

    queues: tuple[str, ...]
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class SilentWorker:
    """A worker that sends no heartbeat: frozen, or gone with its container."""

    worker_id: UUID
    pid: int
    queues: tuple[str, ...]


def heartbeat(db: Connection, worker: WorkerIdentity, trouble: RelayTrouble | None = None) -> None:
    """Register this worker, or record that it is alive now, and its trouble with the relay if it has any."""
    values = {"worker_id": worker.worker_id, "host": worker.host, "pid": worker.pid, "queues": list(worker.queues)}
    said = {"since": trouble and trouble.since, "words": trouble and trouble.words}
    db.execute(_HEARTBEAT, {**values, **said, "lock_key": worker.lock_key})


def deregister(db: Connection, worker: WorkerIdentity) -> None:
    """Delete this worker, and those without a heartbeat for more than a day."""
    db.execute(_DEREGISTER, {"worker_id": worker.worker_id})


def is_known(db: Connection, worker_id: UUID) -> bool:
    """Check whether this worker is in the registry, alive or dead."""
    return bool(db.scalar(_KNOWN, {"worker_id": worker_id}))


def workers(db: Connection, *, within: timedelta) -> list[WorkerView]:
    """Return the workers that sent a heartbeat within this time and are not marked as dead, oldest first."""
    rows = db.execute(_ALIVE, {"within": within})
    return [
        WorkerView(row.host, row.pid, tuple(row.queues), row.started_at, row.seen_at, _trouble_of(row)) for row in rows
    ]


def last_workers(db: Connection) -> list[LastWorker]:
    """Return when a worker of each set of queues was seen last. A worker that stopped orderly is not among them."""
    return [LastWorker(tuple(row.queues), row.seen_at) for row in db.execute(_LAST)]


def _trouble_of(row: Row[Any]) -> RelayTrouble | None:
    return RelayTrouble(row.relay_refused_since, row.relay_words) if row.relay_refused_since else None


_SILENT = text("""
    SELECT id, pid, queues FROM worker
    WHERE host = :host AND died_at IS NULL AND seen_at < clock_timestamp() - CAST(:after AS interval)
""")


def silent_workers(db: Connection, host: str, *, after: timedelta) -> list[SilentWorker]:
    """Return the workers of this host without a heartbeat for so long, that were not recovered as dead either."""
    rows = db.execute(_SILENT, {"host": host, "after": after})
    return [SilentWorker(row.id, row.pid, tuple(row.queues)) for row in rows]
