"""The reader: a thread of the deciding worker that empties the letterbox of direct sends."""

import os
import signal
import threading

import redis
import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import DATABASE_UNAVAILABLE
from tasks.broker.direct_queue import LISTS, DirectSendQueue
from tasks.context import StepContext
from tasks.steps.accept_direct import accept_or_refuse

_log = structlog.get_logger()
_LOOK_EVERY_S = 1.0
_PAUSE_S = 1.0
# Another process has the turn; it keeps it for the length of one transaction.
_TURN_PAUSE_S = 0.1


class DirectSendReader:
    """Reads one batch after the other. What it has not dealt with stays where it is, whatever happens to it."""

    def __init__(self, context: StepContext, queue: DirectSendQueue) -> None:
        self._context = context
        self._queue = queue
        self._is_stopping = threading.Event()
        self._is_broker_down = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the batch that is under way."""
        self._is_stopping.set()
        self._thread.join(timeout_s)
        self._queue.close()

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                self._is_stopping.wait(self._turn())
        except BaseException:
            # A worker that reads no more would look healthy: let the supervisor start another.
            _log.exception("reader_broken")
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    def _turn(self) -> float:
        """Read each list once, or wait for something to read; answer how long to pause then, in seconds."""
        try:
            batches = [self._read(name) for name in LISTS]
            if not any(seen for seen, _ in batches):
                self._queue.wait(_LOOK_EVERY_S)
        except redis.RedisError as error:
            if not self._is_broker_down:
                _log.warning("letterbox_unreachable", error=type(error).__name__, what_now="direct sends wait there")
            self._is_broker_down = True
            return _PAUSE_S
        except (*DATABASE_UNAVAILABLE, ConnectionError) as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="direct sends wait in the letterbox")
            return _PAUSE_S
        self._is_broker_down = False
        is_stuck = any(seen and not done for seen, done in batches)
        return _TURN_PAUSE_S if is_stuck else 0.0

    def _read(self, name: str) -> tuple[int, int]:
        """Deal with the oldest of one list; answer how many were seen, and how many of them are dealt with."""
        seen = self._queue.peek(name)
        if not seen:
            return 0, 0
        done = set(accept_or_refuse(self._context, seen))
        # A copy has the fate of what it is a copy of.
        removed = [each for each in seen if each in done]
        crash_here(CrashPoint.DIRECT_UNREMOVED)
        self._queue.remove(name, removed)
        return len(seen), len(removed)
