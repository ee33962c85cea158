"""Rate limits, and the arithmetic of the sliding window that counts them. Pure.

The weight of the window before falls while the present one passes: the sliding-window counter of the library `limits`,
whose numbers in Redis mean the same. A window begins with the first use.
"""

from dataclasses import dataclass

_CHUNKS = 50


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How much may be used within any `period_s` seconds."""

    amount: int
    period_s: int

    @property
    def chunk(self) -> int:
        """The most that a process draws at once: so little that losing it in a crash does not matter.

        A limit below 100 is drawn one by one, so that it is exact with any number of processes.
        """
        return max(1, self.amount // _CHUNKS)


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """What was used in the window before and in the present one, which ends in `left_s` seconds."""

    before: int
    present: int
    left_s: float

    def used(self, rate_limit: RateLimit) -> int:
        """Return how much of the limit is used; the window before counts by the share that is left of this one."""
        return int(self.before * self.left_s / rate_limit.period_s) + self.present

    def wait_s(self, rate_limit: RateLimit, count: int) -> float:
        """Return in how many seconds `count` more may be used, if none is used until then; 0 when they may now.

        More than the limit never fits; then it is a whole period.
        """
        if self.used(rate_limit) + count <= rate_limit.amount:
            return 0.0
        if count > rate_limit.amount:
            return float(rate_limit.period_s)
        most = rate_limit.amount - count + 1  # The weight must fall below this.
        if self.present < most:
            return self.left_s - (most - self.present) * rate_limit.period_s / self.before
        return self.left_s + rate_limit.period_s - most * rate_limit.period_s / self.present
