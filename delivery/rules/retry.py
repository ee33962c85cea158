"""The retry schedule: when to try again after a temporary failure."""

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
"""The waits after the first, second, ... attempt: ten attempts within about 28 hours.

RFC 5321 4.5.4.1 asks for four to five days. Here people write to each other, and a message a day late is useless."""

JITTER = 0.2
"""The largest part by which a wait is shortened, so that mails which failed together are not retried together."""


PARKED = timedelta(days=36_500)
"""When a parked recipient is due: in a hundred years, which means until an operator releases it."""


def next_try(attempt: int, jitter: float) -> timedelta | None:
    """Return how long to wait after this attempt (counted from 1); None when it was the last.

    `jitter` is a random number from 0 to below 1; 0 gives the full wait. It only shortens a wait, so that the
    schedule is an upper bound.
    """
    if attempt > len(SCHEDULE):
        return None
    return SCHEDULE[attempt - 1] * (1 - JITTER * jitter)
