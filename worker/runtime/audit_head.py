"""Write the head of the audit chain to the log every minute, out of reach of those who can change the database."""

from collections.abc import Callable
from time import monotonic

from delivery.logs.security import write_line
from delivery.records.database import Database, transaction
from delivery.records.vetting import audit

_INTERVAL_S = 60.0


class AuditHeadLog:
    """Writes a line `audit_head` at most once a minute, and only when there are new entries."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._clock = clock
        self._next_at = clock()
        self._written_seq = 0

    def write_if_due(self) -> None:
        """Write the line if a minute has passed. Raises one of `DATABASE_UNAVAILABLE`."""
        if self._clock() < self._next_at:
            return
        self._next_at = self._clock() + _INTERVAL_S
        with transaction(self._database) as db:
            head = audit.head(db)
        if head.seq != self._written_seq:
            self._written_seq = head.seq
            write_line("audit_head", seq=head.seq, chain=head.chain.hex())
