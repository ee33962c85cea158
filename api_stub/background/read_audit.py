"""Append the reads of bodies to the audit in batches, so that no reader waits for another one."""

import threading

import structlog

from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, Database, transaction
from delivery.records.vetting import audit
from delivery.rules.audit_chain import AuditEntry

_EVERY_S = 1.0
_AT_ONCE = 50
_MOST_WAITING = 10_000
_CLOSE_TIMEOUT_S = 2.0
_log = structlog.get_logger()


class ReadAudit:
    """Collects entries, and appends them every second, at 50, and at the end. The thread begins with the first entry.

    A process that crashes loses the entries of its last second. While the database does not answer they wait, 10,000 at
    most.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key
        self._changed = threading.Condition()
        self._appending = threading.Lock()
        self._waiting: list[AuditEntry] = []
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def add(self, entry: AuditEntry) -> None:
        """Queue an entry, and return at once."""
        with self._changed:
            if len(self._waiting) >= _MOST_WAITING:
                _log.error("audit_entry_lost", kind=entry.kind)
                return
            self._waiting.append(entry)
            is_running = self._thread is not None and self._thread.is_alive()
            if not is_running and not self._is_closing:
                self._thread = threading.Thread(target=self._run, name="read-audit", daemon=True)
                self._thread.start()
            if self._is_full:
                self._changed.notify()

    def flush(self) -> bool:
        """Append what waits, in one transaction. Return False when the database does not answer: then it waits on."""
        with self._appending:
            with self._changed:
                batch = tuple(self._waiting)
            try:
                with transaction(self._database) as db:
                    audit.append(db, self._key, *batch)
            except DATABASE_UNAVAILABLE as error:
                log_outage(error, what_now="the reads are appended in a second")
                return False
            with self._changed:
                del self._waiting[: len(batch)]
            return True

    def close(self) -> None:
        """End the thread, which appends what still waits."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)
        if self._waiting:
            _log.error("audit_entries_lost", entries=len(self._waiting))

    def _run(self) -> None:
        has_failed = is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing or (self._is_full and not has_failed), _EVERY_S)  # noqa: B023 - called at once
                is_last = self._is_closing
            has_failed = bool(self._waiting) and not self.flush()

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= _AT_ONCE
