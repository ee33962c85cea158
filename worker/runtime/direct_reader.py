"""Read direct sends from Redis, on a thread of the deciding worker, and remove each once it is stored or refused."""

import redis
import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_UNAVAILABLE, transaction
from delivery.records.identities import sealed_keys
from tasks.broker.broker_memory import KEEPS_ALL, read_memory
from tasks.broker.direct_queue import DirectSendQueue
from tasks.context import StepContext
from tasks.steps.accept_direct import accept_or_refuse
from worker.runtime.critical_thread import CriticalThread

_log = structlog.get_logger()
_POLL_TIMEOUT_S = 1.0
_ERROR_PAUSE_S = 1.0
# Another process holds the lock on direct sends; it holds it for the length of one transaction.
_LOCKED_PAUSE_S = 0.1


class DirectSendReader(CriticalThread):
    """Store one batch of direct sends after the other. A send that is neither stored nor refused stays in Redis."""

    def __init__(self, context: StepContext, queue: DirectSendQueue) -> None:
        super().__init__("reader", defect_event="reader_broken")
        self._context = context
        self._queue = queue
        self._is_broker_down = False
        self._is_start_checked = False

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the batch that is under way, and close the connection to Redis."""
        super().stop(timeout_s)
        self._queue.close()

    def _turn(self) -> float:
        """Read each list once; wait up to a second when all are empty."""
        try:
            batches = [self._read(name) for name in self._queue.waiting()]
            if not batches:
                self._queue.wait(_POLL_TIMEOUT_S)
            if not self._is_start_checked:
                self._check_start()
        except redis.RedisError as error:
            if not self._is_broker_down:
                _log.warning("letterbox_unreachable", error=type(error).__name__, what_now="direct sends wait there")
            self._is_broker_down = True
            return _ERROR_PAUSE_S
        except (*DATABASE_UNAVAILABLE, ConnectionError) as error:
            log_outage(error, what_now="direct sends wait in Redis")
            return _ERROR_PAUSE_S
        self._is_broker_down = False
        is_locked = any(seen and not done for seen, done in batches)
        return _LOCKED_PAUSE_S if is_locked else 0.0

    def _check_start(self) -> None:
        """Log once if the broker may drop direct sends when it is full, or if signing keys cannot be used."""
        settings = self._context.settings
        with transaction(self._context.database) as db:
            keys = sealed_keys.read_sealed(db, settings)
        if keys.closed:
            what_now = sealed_keys.describe_closed(settings)
            _log.error("signing_keys_closed", keys=len(keys.closed), what_now=what_now)
        memory = read_memory(settings)
        if memory is not None and memory.may_evict:
            _log.warning("broker_evicts", policy=memory.policy, what_now=f"set maxmemory-policy {KEEPS_ALL}")
        self._is_start_checked = True

    def _read(self, name: str) -> tuple[int, int]:
        """Store or refuse the oldest sends of one list. Return how many were read, and how many of them removed."""
        seen = self._queue.peek(name)
        if not seen:
            return 0, 0
        done = set(accept_or_refuse(self._context, seen))
        # Identical payloads share one result, so each copy of a send that is done is removed too.
        removed = [each for each in seen if each in done]
        crash_here(CrashPoint.DIRECT_UNREMOVED)
        self._queue.remove(name, removed)
        return len(seen), len(removed)
