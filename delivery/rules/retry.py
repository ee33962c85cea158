"""When to try again after a temporary failure."""

from datetime import timedelta

SCHEDULE = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=12),
)
"""The waits after the first, second, ... attempt: ten attempts over about 28 hours (RFC 5321 4.5.4.1 asks for days
of patience with mail relays; people write to each other here, and a day late is already useless)."""

JITTER = 0.2
"""A wait is shortened by up to this share, so that mails which failed together do not return together."""


PARKED = timedelta(days=36_500)
"""How long a recipient waits that is set aside: until somebody releases it."""


def next_try(attempt: int, jitter: float) -> timedelta | None:
    """Say how long to wait after this attempt (from 1), or None when it was the last.

    `chance` is a number from 0 to below 1; 0 gives the full wait. Jitter only shortens, so that a bound on the
    first wait is a true bound.
    """
    if attempt > len(SCHEDULE):
        return None
    return SCHEDULE[attempt - 1] * (1 - JITTER * jitter)
