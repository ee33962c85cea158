"""Count what each subject has used of its limit in this process. The number of counters is bounded."""

import asyncio
from collections import OrderedDict

from delivery.rules.rate_windows import RateLimit, WindowUsage


class LocalCounter:
    """One subject's use of one limit in this process, and what was drawn from the shared counter and not used yet.

    Callers pass the time. Nothing here awaits, so no other request runs between a check and the use.
    """

    __slots__ = (
        "_before",
        "_drawn",
        "_drawn_until",
        "_ends_at",
        "_portion",
        "_present",
        "_refused",
        "_refused_until",
        "drawing",
        "rate_limit",
    )

    def __init__(self, rate_limit: RateLimit, now: float) -> None:
        self.rate_limit = rate_limit
        self.drawing = asyncio.Lock()
        self._before = 0
        self._present = 0
        self._ends_at = now + rate_limit.period_s
        self._drawn = 0
        self._drawn_until = now
        self._portion = 1
        self._refused = 0
        self._refused_until = now

    def wait_s(self, count: int, now: float) -> float:
        """Return in how many seconds `count` more may be used, as far as this process knows; 0 when it may now."""
        if count >= self._refused and now < self._refused_until:
            return self._refused_until - now
        return self.usage(now).wait_s(self.rate_limit, count)

    def lacks(self, count: int, now: float) -> int:
        """Return how much must still be drawn before `count` is used. What was drawn expires after a period."""
        return count - self._drawn if now < self._drawn_until else count

    def portion(self, now: float) -> int:
        """Return how much to draw at once: one at first, then twice the last draw, while draws have not expired.

        A process that uses little must not draw much: many of them, or one that restarts often, would empty the shared
        counter without using it.
        """
        return self._portion if now < self._drawn_until else 1

    def draw(self, count: int, now: float) -> None:
        """Record that the shared counter granted `count`."""
        self._portion = min(2 * count, self.rate_limit.chunk)
        self._drawn = count - self.lacks(0, now)
        self._drawn_until = now + self.rate_limit.period_s

    def refuse(self, count: int, until: float) -> None:
        """Record that the shared counter will not grant `count` before then."""
        self._refused, self._refused_until = count, until

    def spend(self, count: int) -> None:
        """Use `count`, first of what was drawn."""
        self._present += count
        self._drawn = max(0, self._drawn - count)

    def use_up(self, now: float) -> bool:
        """Use all that is left. Returns False when nothing was."""
        left = self.rate_limit.amount - self.usage(now).used(self.rate_limit)
        self.spend(max(0, left))
        return left > 0

    def usage(self, now: float) -> WindowUsage:
        """Return what was used in this process."""
        if now >= self._ends_at:
            self._begin_window(now)
        return WindowUsage(self._before, self._present, self._ends_at - now)

    def _begin_window(self, now: float) -> None:
        is_next = now < self._ends_at + self.rate_limit.period_s
        self._before = self._present if is_next else 0
        self._present = 0
        self._ends_at = (self._ends_at if is_next else now) + self.rate_limit.period_s


class LocalCounters:
    """The counters of one limit. Beyond `capacity`, the least recently used one is dropped."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counters: OrderedDict[tuple[str, int], LocalCounter] = OrderedDict()

    def find(self, subject: str, rate_limit: RateLimit) -> LocalCounter | None:
        """Return the counter of a subject, or None."""
        key = (subject, rate_limit.amount)
        counter = self._counters.get(key)
        if counter is not None:
            self._counters.move_to_end(key)
        return counter

    def get(self, subject: str, rate_limit: RateLimit, now: float) -> LocalCounter:
        """Return the counter of a subject; make one when it has none."""
        counter = self.find(subject, rate_limit)
        if counter is None:
            counter = self._counters[(subject, rate_limit.amount)] = LocalCounter(rate_limit, now)
            if len(self._counters) > self._capacity:
                self._counters.popitem(last=False)
        return counter

    def __len__(self) -> int:
        return len(self._counters)
