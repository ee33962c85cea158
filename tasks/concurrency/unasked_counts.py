"""Count what passes in this process before the tally in the database is asked."""

import threading
from collections.abc import Callable, Hashable
from time import monotonic

from delivery.rules.recipient_limits import HOUR_S

_KEYS_REMEMBERED = 50_000


class UnaskedCounts:
    """Lets `share` messages an hour pass for each key. Threads share one.

    Beyond 50,000 keys it forgets those that got little, and lets them pass as often once more.
    """

    def __init__(self, share: int, clock: Callable[[], float] = monotonic) -> None:
        self._share = share
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[Hashable, int] = {}
        self._ends_at = clock() + HOUR_S

    def add(self, key: Hashable) -> int | None:
        """Count one message. Return None while it passes, else how many passed that were not reported yet."""
        with self._lock:
            if len(self._counts) > _KEYS_REMEMBERED or self._clock() >= self._ends_at:
                self._forget()
            count = self._counts[key] = self._counts.get(key, 0) + 1
        if count <= self._share:
            return None
        return self._share if count == self._share + 1 else 0

    def take_back(self, key: Hashable) -> None:
        """Uncount a message that passed here and is asked about for another reason."""
        with self._lock:
            self._counts[key] = self._counts.get(key, 1) - 1

    def _forget(self) -> None:
        if self._clock() >= self._ends_at:
            self._counts, self._ends_at = {}, self._clock() + HOUR_S
            return
        kept = {key: count for key, count in self._counts.items() if count > max(1, self._share // 2)}
        self._counts = kept if len(kept) < _KEYS_REMEMBERED // 2 else {}
