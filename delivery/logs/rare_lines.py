"""Decide which of many events get a line in the log, where outsiders or outages cause as many as they like."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic

import structlog

# About 3 MB: an attacker may have a million addresses.
_KEYS_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class DueLine:
    """A line that is due: how often its key occurred in this period, and how often since its last line without one."""

    times: int
    more: int


def is_first(times: int) -> bool:
    """Return whether this is the first occurrence in a period."""
    return times == 1


def is_power_of_ten(times: int) -> bool:
    """Return whether this is the 1st, 10th, 100th, ... occurrence in a period."""
    return str(times).strip("0") == "1"


class RareLines:
    """Counts events by a key. A line is due at those occurrences in a period that `is_due` chooses.

    All keys together get `lines_limit` lines in a period; what is above that, or is of one key too many, is counted and
    passed to `report_left_out` when the next period begins. Safe for several threads.
    """

    def __init__(
        self,
        *,
        is_due: Callable[[int], bool] = is_power_of_ten,
        period_s: float = 60.0,
        lines_limit: int = 100,
        clock: Callable[[], float] = monotonic,
        report_left_out: Callable[[int], None] | None = None,
    ) -> None:
        self._is_due = is_due
        self._period_s = period_s
        self._lines_limit = lines_limit
        self._clock = clock
        self._report_left_out = report_left_out or _log_left_out
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Forget all counts."""
        self._ends_at: float | None = None
        self._times: Counter[Hashable] = Counter()
        self._more: Counter[Hashable] = Counter()
        self._lines = self._left_out = 0

    def count(self, key: Hashable = None) -> DueLine | None:
        """Count an occurrence of this key; return its line when one is due."""
        with self._lock:
            left_out = self._begin_period()
            line = self._count(key)
        if left_out:
            self._report_left_out(left_out)
        return line

    def log(self, write: Callable[..., object], event: str, *, key: Hashable = None, **fields: object) -> None:
        """Count an event, and write its line when one is due, with the number of those `more` before it without one."""
        line = self.count(key)
        if line is not None:
            write(event, **fields, **({"more": line.more} if line.more else {}))

    def _begin_period(self) -> int:
        """Begin a period when it is time for one; return how many lines the one before left out."""
        now = self._clock()
        if self._ends_at is not None and now < self._ends_at:
            return 0
        left_out = self._left_out
        self._ends_at, self._lines, self._left_out = now + self._period_s, 0, 0
        self._times.clear()
        # After a flood, its keys would keep all others out.
        self._more = Counter() if left_out else +self._more
        return left_out

    def _count(self, key: Hashable) -> DueLine | None:
        if len(self._more) >= _KEYS_LIMIT and key not in self._more:
            self._left_out += 1
            return None
        self._times[key] += 1
        more = self._more[key]
        self._more[key] = more + 1
        if not self._is_due(self._times[key]):
            return None
        if self._lines >= self._lines_limit:
            self._left_out += 1
            return None
        self._lines += 1
        self._more[key] = 0
        return DueLine(self._times[key], more)


def _log_left_out(lines: int) -> None:
    structlog.get_logger().warning("lines_left_out", lines=lines)
