"""Log that the database cannot be used: each time with the cause, and once a minute in the server's own words."""

import threading
from time import monotonic

import structlog

from delivery.records.outages import Outage, OutageCause, explain_outage

_WORDS_EVERY_S = 60.0

_log = structlog.get_logger()


class _SpokenCauses:
    """Remembers when the words of each cause were logged by this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spoken_at: dict[OutageCause, float] = {}

    def are_due(self, cause: OutageCause, now: float) -> bool:
        """Return whether the words of this cause were not logged in the minute before, and count them as logged."""
        with self._lock:
            is_due = now - self._spoken_at.get(cause, -_WORDS_EVERY_S) >= _WORDS_EVERY_S
            if is_due:
                self._spoken_at[cause] = now
            return is_due


_spoken = _SpokenCauses()


def log_outage(error: BaseException, **fields: object) -> Outage:
    """Log one `store_unavailable` with these fields, and return the cause."""
    outage = explain_outage(error)
    words = {"sqlstate": outage.sqlstate, "words": outage.words} if _spoken.are_due(outage.cause, monotonic()) else {}
    _log.warning("store_unavailable", error=type(error).__name__, cause=outage.cause, **words, **fields)
    return outage
