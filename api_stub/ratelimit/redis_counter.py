"""Count in Redis for all API processes, without requests waiting for a Redis that is away."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ParamSpec, Protocol, TypeVar

import redis.asyncio
import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from delivery.rules.rate_windows import RateLimit, WindowUsage
from tasks.broker.client import keepalives

Params = ParamSpec("Params")
Result = TypeVar("Result")

KEY_PREFIX = "postroom:limits"

_log = structlog.get_logger()
TIMEOUT_S = 0.05
_PAUSE_S = 2.0
_CONNECTIONS = 8


class RedisUnavailable(Exception):  # noqa: N818 - about Redis, not a defect
    """The shared counter cannot be used now."""


class Storage(Protocol):
    """Keeps the shared counter. While it is away, its methods raise `RedisError` or `OSError`, or never return."""

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take `count` of a limit and return True, or nothing when less is left."""

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Return what was taken of a limit."""

    async def ping(self) -> None:
        """Return when it answers."""

    async def close(self) -> None:
        """Close the connections."""


class RedisSlidingWindow:
    """A `Storage` in Redis or Valkey. What is kept there expires two periods after its last use."""

    def __init__(self, url: str) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=_CONNECTIONS, **keepalives(url))
        # Our own pool, because `limits` does not accept every URL that redis-py accepts (the port is optional there).
        options: dict[str, Any] = {"connection_pool": pool}
        self._storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=KEY_PREFIX, **options)
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._client = redis.asyncio.Redis(connection_pool=pool)
        self._pool = pool

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take `count` of a limit and return True, or nothing when less is left."""
        return await self._limiter.hit(_item(rate_limit), key, cost=count)

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Return what was taken of a limit."""
        stored_key = _item(rate_limit).key_for(key)
        before, _, present, expires_in_s = await self._storage.get_sliding_window(stored_key, rate_limit.period_s)
        # A counter is kept for two periods; in the first it counts the present window.
        return WindowUsage(before, present, max(0.0, expires_in_s - rate_limit.period_s))

    async def ping(self) -> None:
        """Return when it answers."""
        await self._client.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()


def _item(rate_limit: RateLimit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rate_limit.amount, rate_limit.period_s, namespace="quota")


class RedisCounter:
    """The shared counter behind a circuit breaker.

    A request waits 50 ms at most. After a failure no request uses Redis until a task in the background got an answer;
    it tries every two seconds.
    """

    def __init__(self, storage: Storage, *, pause_s: float = _PAUSE_S, timeout_s: float = TIMEOUT_S) -> None:
        self._storage = storage
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_there(self) -> bool:
        """Whether Redis answered last time, or has not been used yet."""
        return self._trying is None

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take `count` of a limit and return True, or nothing when less is left. Raises `RedisUnavailable`."""
        return await self._call(self._storage.take, key, rate_limit, count)

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Return what was taken of a limit. Raises `RedisUnavailable`."""
        return await self._call(self._storage.usage, key, rate_limit)

    async def close(self) -> None:
        """Stop the background task, and close the connections."""
        if self._trying is not None:
            self._trying.cancel()
        with suppress(RedisError, OSError):
            await _wait_briefly(self._storage.close(), self._timeout_s)

    async def _call(
        self, method: Callable[Params, Awaitable[Result]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        if not self.is_there:
            raise RedisUnavailable
        try:
            return await _wait_briefly(method(*args, **kwargs), self._timeout_s)
        except (RedisError, OSError) as error:
            self._give_up(error)
            raise RedisUnavailable from error

    def _give_up(self, error: Exception) -> None:
        if self.is_there:
            what_now = "each API process keeps the limits by itself"
            _log.warning("shared_limits_away", error=type(error).__name__, what_now=what_now)
            self._trying = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            with suppress(RedisError, OSError):
                await _wait_briefly(self._storage.ping(), self._timeout_s)
                break
        self._trying = None
        _log.info("shared_limits_back")


async def _wait_briefly(call: Awaitable[Result], timeout_s: float) -> Result:
    """Return the result of a call. Raises `TimeoutError`, an `OSError`, when it takes longer."""
    task = asyncio.ensure_future(call)
    try:
        # Not asyncio.timeout(): it waits until the call has released its connection, forever with a frozen server.
        await asyncio.wait({task}, timeout=timeout_s)
        if task.done():
            return task.result()
        raise TimeoutError(f"Redis did not answer within {timeout_s} s")
    finally:
        task.cancel()
        task.add_done_callback(_ignore_error)


def _ignore_error(task: "asyncio.Future[Result]") -> None:
    """Read the exception of an abandoned call, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
