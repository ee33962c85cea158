"""Allowances: how meters and the shared budget hold a limit together, without asking Redis at every request."""

from collections.abc import Callable

from api_stub.ratelimit.local_counter import Meter, Meters
from api_stub.ratelimit.redis_counter import Away, SharedBudget
from api_stub.ratelimit.window import Quota

# Between a refusal and the question when to ask again something may have been given back.
_LEAST_WAIT_S = 0.1


class Allowance:
    """One kind of limit, for all who are subject to it."""

    def __init__(self, name: str, budget: SharedBudget, clock: Callable[[], float], *, capacity: int) -> None:
        self._name = name
        self._budget = budget
        self._clock = clock
        self._meters = Meters(capacity)

    async def take(self, subject: str, quota: Quota, count: int) -> float:
        """Use so much. Answers 0, or in how many seconds to ask again; nothing is used then."""
        meter = self._meters.get(subject, quota, self._clock())
        while True:
            # Between the look and the spending nothing is awaited: no other request comes between.
            now = self._clock()
            wait_s = meter.wait_s(count, now)
            if wait_s > 0:
                return wait_s
            if meter.lacks(count, now) <= 0 or not self._budget.is_there:
                meter.spend(count)
                return 0.0
            await self._draw(meter, subject, count)

    async def take_rest(self, subject: str, quota: Quota, count: int) -> float:
        """Use so much, or all that is left, where that is less.

        Answers 0, or in how many seconds there is some again.
        """
        if await self.take(subject, quota, count) <= 0:
            return 0.0
        meter = self._meters.get(subject, quota, self._clock())
        if meter.use_up(self._clock()):
            await self._empty(subject, quota)
        return max(meter.wait_s(1, self._clock()), _LEAST_WAIT_S)

    def wait_s(self, subject: str, quota: Quota) -> float:
        """Say in how many seconds something may be used, as far as this process knows; 0 when it may now."""
        meter = self._meters.find(subject, quota)
        return meter.wait_s(1, self._clock()) if meter else 0.0

    async def _draw(self, meter: Meter, subject: str, count: int) -> None:
        """Draw what is lacking from the shared budget, or note its refusal; unless another request just has."""
        async with meter.drawing:
            now = self._clock()
            lacking = meter.lacks(count, now)
            if lacking <= 0 or meter.wait_s(count, now) > 0:
                return
            try:
                for portion in sorted({max(lacking, meter.portion(now)), lacking}, reverse=True):
                    if await self._budget.take(self._key(subject), meter.quota, portion):
                        meter.draw(portion, self._clock())
                        return
                tally = await self._budget.tally(self._key(subject), meter.quota)
            except Away:
                return
            meter.refuse(count, self._clock() + max(tally.wait_s(meter.quota, lacking), _LEAST_WAIT_S))

    async def _empty(self, subject: str, quota: Quota) -> None:
        try:
            tally = await self._budget.tally(self._key(subject), quota)
            await self._budget.take(self._key(subject), quota, max(0, quota.amount - tally.used(quota)))
        except Away:
            return

    def _key(self, subject: str) -> str:
        return f"{self._name}/{subject}"
