"""Hold a limit across processes with local counters and one in Redis, without using Redis at every request."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from api_stub.ratelimit.local_counter import LocalCounter, LocalCounters
from api_stub.ratelimit.redis_counter import RedisCounter, RedisUnavailable
from delivery.rules.rate_windows import RateLimit

# Between a refusal and the question when to try again, a window may have moved on.
_LEAST_WAIT_S = 0.1


class SharedLimit:
    """One kind of limit, for all its subjects."""

    def __init__(self, name: str, shared_counter: RedisCounter, clock: Callable[[], float], *, capacity: int) -> None:
        self._name = name
        self._shared_counter = shared_counter
        self._clock = clock
        self._counters = LocalCounters(capacity)
        self._reports: set[asyncio.Task[None]] = set()

    async def take(self, subject: str, rate_limit: RateLimit, count: int) -> float:
        """Use `count` and return 0, or use nothing and return in how many seconds to try again."""
        counter = self._counters.get(subject, rate_limit, self._clock())
        while True:
            # Nothing is awaited between the check and the use, so no other request runs between them.
            now = self._clock()
            wait_s = counter.wait_s(count, now)
            if wait_s > 0:
                return wait_s
            if counter.lacks(count, now) <= 0 or not self._shared_counter.is_there:
                counter.spend(count)
                return 0.0
            await self._draw(counter, subject, count)

    async def take_rest(self, subject: str, rate_limit: RateLimit, count: int) -> float:
        """Use `count` and return 0, or use all that is left and return in how many seconds more is available."""
        if await self.take(subject, rate_limit, count) <= 0:
            return 0.0
        counter = self._counters.get(subject, rate_limit, self._clock())
        if counter.use_up(self._clock()):
            await self._empty(subject, rate_limit)
        return max(counter.wait_s(1, self._clock()), _LEAST_WAIT_S)

    def use_now(self, subject: str, rate_limit: RateLimit) -> float:
        """Use one and return 0, or return in how many seconds to try again. The shared counter learns it later."""
        counter, now = self._counters.get(subject, rate_limit, self._clock()), self._clock()
        wait_s = counter.wait_s(1, now)
        if wait_s <= 0:
            counter.spend(1)
            task = asyncio.create_task(self._report(counter, subject))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)
        return wait_s

    def wait_s(self, subject: str, rate_limit: RateLimit) -> float:
        """Return in how many seconds one may be used, as far as this process knows; 0 when it may now."""
        counter = self._counters.find(subject, rate_limit)
        return counter.wait_s(1, self._clock()) if counter else 0.0

    def is_used(self, subject: str, rate_limit: RateLimit) -> bool:
        """Return whether any of it was used lately, as far as this process knows."""
        counter = self._counters.find(subject, rate_limit)
        return counter is not None and counter.usage(self._clock()).used(rate_limit) > 0

    async def _draw(self, counter: LocalCounter, subject: str, count: int) -> None:
        """Draw what is lacking from the shared counter, or record its refusal, unless another request just did."""
        async with counter.drawing:
            now = self._clock()
            lacking = counter.lacks(count, now)
            if lacking <= 0 or counter.wait_s(count, now) > 0:
                return
            try:
                for portion in sorted({max(lacking, counter.portion(now)), lacking}, reverse=True):
                    if await self._shared_counter.take(self._key(subject), counter.rate_limit, portion):
                        counter.draw(portion, self._clock())
                        return
                usage = await self._shared_counter.usage(self._key(subject), counter.rate_limit)
            except RedisUnavailable:
                return
            counter.refuse(count, self._clock() + max(usage.wait_s(counter.rate_limit, lacking), _LEAST_WAIT_S))

    async def _empty(self, subject: str, rate_limit: RateLimit) -> None:
        try:
            usage = await self._shared_counter.usage(self._key(subject), rate_limit)
            await self._shared_counter.take(
                self._key(subject), rate_limit, max(0, rate_limit.amount - usage.used(rate_limit))
            )
        except RedisUnavailable:
            return

    async def _report(self, counter: LocalCounter, subject: str) -> None:
        with suppress(RedisUnavailable):
            if not await self._shared_counter.take(self._key(subject), counter.rate_limit, 1):
                counter.use_up(self._clock())

    def _key(self, subject: str) -> str:
        return f"{self._name}/{subject}"
