"""The security log: lines of the logger `postroom.security`. They hold ids, public prefixes and keyed digests.

What callers without a credential can cause is counted and sampled, so that it cannot fill a disk.
"""

from collections.abc import Callable
from time import monotonic

import structlog

from delivery.logs.rare_lines import RareLines

LOGGER = "postroom.security"


def _logger() -> structlog.stdlib.BoundLogger:
    """Return a logger that follows the configuration of this moment: these lines are few, so it is not kept."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger


def write_line(event: str, **fields: object) -> None:
    """Write a line about something that happens seldom: a credential, an account or a decision."""
    _logger().info(event, logger=LOGGER, **fields)


class SampledLines:
    """Lines about what may happen thousands of times a minute: the 1st, 10th, 100th, ... in a minute gets one."""

    def __init__(self, *, clock: Callable[[], float] = monotonic, lines_per_minute: int = 100) -> None:
        self._rare = RareLines(lines_limit=lines_per_minute, clock=clock, report_left_out=_log_left_out)

    def count(self, event: str, subject: str, **fields: object) -> None:
        """Count an event of this subject, and write a line with its count in this minute when it is time for one."""
        line = self._rare.count((event, subject))
        if line is not None:
            _logger().warning(event, logger=LOGGER, times_this_minute=line.times, **fields)


def _log_left_out(lines: int) -> None:
    _logger().warning("security_lines_left_out", logger=LOGGER, lines=lines)
