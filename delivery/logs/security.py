"""The security log: lines of the logger `postroom.security`. They hold ids, public prefixes and keyed digests.

What callers without a credential can cause is counted and sampled, so that it cannot fill a disk.
"""

from collections import Counter
from collections.abc import Callable
from time import monotonic

import structlog

LOGGER = "postroom.security"
_MINUTE_S = 60.0
# About 3 MB: an attacker may have a million addresses.
_SUBJECTS_LIMIT = 10_000


def _logger() -> structlog.stdlib.BoundLogger:
    """Return a logger that follows the configuration of this moment: these lines are few, so it is not kept."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger


def write_line(event: str, **fields: object) -> None:
    """Write a line about something that happens seldom: a credential, an account or a decision."""
    _logger().info(event, logger=LOGGER, **fields)


class SampledLines:
    """Lines about what may happen thousands of times a minute: the 1st, 10th, 100th, ... in a minute gets one.

    All subjects together get `lines_per_minute`; what is above that is counted in one line at the end of the minute.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic, lines_per_minute: int = 100) -> None:
        self._clock = clock
        self._lines_per_minute = lines_per_minute
        self._counts: Counter[tuple[str, str]] = Counter()
        self._began_at = clock()
        self._written = self._left_out = 0

    def count(self, event: str, subject: str, **fields: object) -> None:
        """Count an event of this subject, and write a line with its count in this minute when it is time for one."""
        self._begin_minute()
        if len(self._counts) >= _SUBJECTS_LIMIT and (event, subject) not in self._counts:
            self._left_out += 1
            return
        self._counts[event, subject] += 1
        times = self._counts[event, subject]
        if not _is_power_of_ten(times):
            return
        if self._written >= self._lines_per_minute:
            self._left_out += 1
            return
        self._written += 1
        _logger().warning(event, logger=LOGGER, times_this_minute=times, **fields)

    def _begin_minute(self) -> None:
        now = self._clock()
        if now - self._began_at < _MINUTE_S:
            return
        if self._left_out:
            _logger().warning("security_lines_left_out", logger=LOGGER, lines=self._left_out)
        self._counts.clear()
        self._began_at, self._written, self._left_out = now, 0, 0


def _is_power_of_ten(number: int) -> bool:
    return str(number).strip("0") == "1"
