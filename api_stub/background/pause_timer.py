"""Ring a bell for decided cases when the pause of a decision ends, so that they do not wait for the next sweep."""

import heapq
import threading
from time import monotonic

import structlog

from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, Database, transaction
from delivery.records.pipeline import due
from delivery.vocabulary import QueueName, StepName
from tasks.broker.doorbell import Doorbell

_AT_ONCE = 500
_CLOSE_TIMEOUT_S = 2.0
_log = structlog.get_logger()


class PauseTimer:
    """Wakes a thread at the end of each pause that it was told of. The thread begins with the first one.

    A bell that is lost, or a process that stops before, delays a decision until the next sweep, and no longer.
    """

    def __init__(self, database: Database, doorbell: Doorbell) -> None:
        self._database = database
        self._doorbell = doorbell
        self._changed = threading.Condition()
        self._ends_at: list[float] = []
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def ring_in(self, pause_s: float) -> None:
        """Ring after this pause, which began before now. A pause of 0 has nothing to wait for."""
        if not pause_s:
            return
        with self._changed:
            heapq.heappush(self._ends_at, monotonic() + pause_s)
            is_running = self._thread is not None and self._thread.is_alive()
            if not is_running and not self._is_closing:
                self._thread = threading.Thread(target=self._run, name="pause-timer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """End the thread. The sweep applies what still waits."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while self._wait():
            try:
                with transaction(self._database) as db:
                    decided = due.decided(db, limit=_AT_ONCE)
            except DATABASE_UNAVAILABLE as error:
                log_outage(error, what_now="the sweep applies the decisions")
                continue
            self._doorbell.ring(StepName.APPLY, QueueName.VETTING, decided)
            _log.debug("pauses_ended", messages=len(decided))

    def _wait(self) -> bool:
        """Wait for the end of a pause. Return False when the process stops instead."""
        with self._changed:
            while not self._is_closing:
                left = self._ends_at[0] - monotonic() if self._ends_at else None
                if left is not None and left <= 0:
                    self._forget_ended()
                    return True
                self._changed.wait(left)
        return False

    def _forget_ended(self) -> None:
        """Drop all pauses that are over: one query finds all their decisions."""
        now = monotonic()
        while self._ends_at and self._ends_at[0] <= now:
            heapq.heappop(self._ends_at)
