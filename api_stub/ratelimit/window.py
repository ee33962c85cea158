"""Quotas, and the arithmetic of the sliding window that they are counted in. Pure.

What was used in the window before weighs less and less while the present one passes (the sliding-window counter of the
library `limits`, whose numbers in Redis mean the same). A window begins with the first use.
"""

from dataclasses import dataclass

_CHUNKS = 50


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How much of something may be used within any period of so many seconds."""

    amount: int
    period_s: int

    @property
    def chunk(self) -> int:
        """The most that a process draws from the shared budget at once: little enough that what it strands is no loss.

        A quota below 100 is drawn one by one, so that it holds exactly however many processes share it.
        """
        return max(1, self.amount // _CHUNKS)


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """What was used in the window before and in the present one, of which `left_s` seconds are left."""

    before: int
    present: int
    left_s: float

    def used(self, rate_limit: RateLimit) -> int:
        """Say how much of the quota is used, with the window before weighed by what is left of this one."""
        return int(self.before * self.left_s / rate_limit.period_s) + self.present

    def wait_s(self, rate_limit: RateLimit, count: int) -> float:
        """Say in how many seconds `count` more may be used, if nobody uses any till then; 0 when they may now.

        More than the quota never fits; the answer is then a whole period.
        """
        if self.used(rate_limit) + count <= rate_limit.amount:
            return 0.0
        if count > rate_limit.amount:
            return float(rate_limit.period_s)
        most = rate_limit.amount - count + 1  # The weight must fall below this.
        if self.present < most:
            return self.left_s - (most - self.present) * rate_limit.period_s / self.before
        return self.left_s + rate_limit.period_s - most * rate_limit.period_s / self.present
