"""A shared limit that a test controls, and many concurrent calls to its limiters."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api_stub.ratelimit.limiter import Limiter
from api_stub.ratelimit.local_counter import LocalCounter
from api_stub.ratelimit.redis_counter import RedisCounter
from api_stub.server.errors import ApiError
from delivery.rules.rate_windows import RateLimit, WindowUsage
from tests.support import build
from tests.support.leaping_loop import now

CLIENT = build.CLIENT_ID
Call = Callable[[], Awaitable[None]]


class FakeStorage:
    """Keeps the shared limit in memory, by the leaping clock."""

    def __init__(self) -> None:
        self.asked = 0
        self.pinged = 0
        self.breaks_with: Exception | None = None
        self.hangs = False
        self._taken: dict[str, LocalCounter] = {}

    @property
    def keys(self) -> list[str]:
        """The keys that are stored."""
        return list(self._taken)

    def wipe(self) -> None:
        """Delete everything, as FLUSHALL does."""
        self._taken.clear()

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take so much of a limit, or nothing; return whether it was taken."""
        self.asked += 1
        await self._behave()
        counter = self._taken.setdefault(key, LocalCounter(rate_limit, now()))
        if counter.wait_s(count, now()) > 0:
            return False
        counter.spend(count)
        return True

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Return what was taken of a limit."""
        self.asked += 1
        await self._behave()
        return self._taken.setdefault(key, LocalCounter(rate_limit, now())).usage(now())

    async def ping(self) -> None:
        """Return when the storage is available."""
        self.pinged += 1
        await self._behave()

    async def close(self) -> None:
        """Do nothing."""

    async def _behave(self) -> None:
        await asyncio.sleep(0)  # Other tasks run meanwhile, as they do during a call to Redis.
        if self.hangs:
            await asyncio.Event().wait()
        if self.breaks_with:
            raise self.breaks_with


def limiter_of(storage: FakeStorage, *, capacity: int = 1000, **chosen: int) -> Limiter:
    """Make the limiter of one process that shares this limit."""
    return Limiter(build.settings(**chosen), RedisCounter(storage), clock=now, capacity=capacity)


async def admitted(call: Call, times: int) -> int:
    """Call so often, all at once, and count what was not refused."""
    results = await asyncio.gather(*(call() for _ in range(times)), return_exceptions=True)
    odd = [result for result in results if result is not None and not isinstance(result, ApiError)]
    assert [] == odd
    return sum(result is None for result in results)


async def refusal(call: Awaitable[None]) -> ApiError:
    """Return the error that this call must raise."""
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value


def request(limiter: Limiter, per_minute: int | None = 5) -> Call:
    """Make a call that asks for one request of the client."""
    return lambda: limiter.check_request(CLIENT, per_minute)
