"""What becomes of the mails and the sessions of a host that was parted from the others."""

from dataclasses import dataclass
from time import monotonic
from typing import LiteralString

from psycopg import connect

from chaos.host_cluster import WORKER_HOST, HostCluster

GHOSTS_GONE_S = 30.0
"""After this long PostgreSQL must hold no session of a host that vanished."""

# The first half of a claim token names its worker (delivery/records/pipeline/claims.py).
_CLAIMED_BY = """
    SELECT recipient.id FROM recipient
    JOIN worker ON left(recipient.claim_token::text, 18) = left(worker.id::text, 18)
    WHERE recipient.state = 'claimed' AND worker.host = %s
"""
_STILL_OPEN = (
    "SELECT count(*) FROM recipient WHERE id = ANY(%s) AND state NOT IN ('delivered', 'blocked', 'failed', 'refused')"
)
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = %s::inet"


@dataclass(frozen=True, slots=True)
class HostFigures:
    """What was seen of the host: its mails in flight, after how long none was claimed by it and all were settled.

    `ghosts` counts its sessions in PostgreSQL after 30 s.
    """

    in_flight: int
    freed_s: float
    recovered_s: float
    ghosts: int


class HostWatch:
    """What becomes of the mails and sessions of a host since it was parted."""

    def __init__(self, cluster: HostCluster, in_flight: list[int]) -> None:
        self._cluster = cluster
        self._in_flight = in_flight
        self._began_at = monotonic()
        self.leapt_s = 0.0
        self.freed_s: float | None = None
        self.recovered_s: float | None = None
        self._ghosts: int | None = None

    @property
    def now_s(self) -> float:
        """Seconds since the host was parted; those that were leapt count."""
        return monotonic() - self._began_at + self.leapt_s

    def look(self) -> None:
        """Note what has just become true."""
        now_s = self.now_s
        if self.freed_s is None and not set(self._in_flight) & set(claimed(self._cluster)):
            self.freed_s = now_s
        if self.recovered_s is None and ask(self._cluster, _STILL_OPEN, self._in_flight) == 0:
            self.recovered_s = now_s
        if self._ghosts is None and now_s >= GHOSTS_GONE_S:
            self._ghosts = ask(self._cluster, _SESSIONS, self._cluster.hosts[WORKER_HOST].address)

    def figures(self) -> HostFigures:
        """Return what was seen; what never became true has an infinite time."""
        never = float("inf")
        return HostFigures(
            in_flight=len(self._in_flight),
            freed_s=never if self.freed_s is None else self.freed_s,
            recovered_s=never if self.recovered_s is None else self.recovered_s,
            ghosts=self._ghosts or 0,
        )


def claimed(cluster: HostCluster) -> list[int]:
    """Return the recipients that the host that is parted has claimed."""
    with connect(cluster.database_url) as db:
        return [row[0] for row in db.execute(_CLAIMED_BY, (WORKER_HOST,))]


def ask(cluster: HostCluster, query: LiteralString, argument: object) -> int:
    """Return the number that a query returns."""
    with connect(cluster.database_url) as db:
        row = db.execute(query, (argument,)).fetchone()
    return int(row[0]) if row else 0
