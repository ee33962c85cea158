"""When the database last confirmed that this worker is alive. A worker that it does not confirm sends no final dot."""

from collections.abc import Callable
from time import monotonic

CONFIRMED_WITHIN_S = 20.0
"""For so long after a confirmation a worker may end mails.

It is less than the time until another host sends them again: at least 5 s until the worker is found missing
(`worker/runtime/liveness.py`), and then `rules/worker_deaths.LOST_HOST_WAIT`."""


class LifeSign:
    """The last confirmation of this worker. The liveness monitor writes it; threads that send read it."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._confirmed_at = now()

    def confirm(self, began_at: float) -> None:
        """Record that a heartbeat that began then, by the monotonic clock, is committed."""
        self._confirmed_at = began_at

    @property
    def is_recent(self) -> bool:
        """Whether the last confirmation is so recent that no other worker has taken over the claims of this one."""
        return self._now() - self._confirmed_at < CONFIRMED_WITHIN_S
