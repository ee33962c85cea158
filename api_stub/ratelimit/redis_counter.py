"""The budget that API processes share, in Redis; and what keeps requests from waiting for a Redis that is away."""

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

from api_stub.ratelimit.window import RateLimit, WindowUsage

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

KEY_PREFIX = "postroom:limits"

_log = structlog.get_logger()
PATIENCE_S = 0.05
_PAUSE_S = 2.0
_CONNECTIONS = 8


class RedisUnavailable(Exception):  # noqa: N818 - a fact about Redis
    """The shared budget cannot be asked now."""


class Storage(Protocol):
    """Where the shared budget is kept. When it is away its methods raise `RedisError` or `OSError`, or never return."""

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take so much of a quota, or nothing when so much is not left."""

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Say what was taken of a quota."""

    async def ping(self) -> None:
        """Return when it can be asked."""

    async def close(self) -> None:
        """Give the connections back."""


class RedisSlidingWindow:
    """A `Storage` in Redis or Valkey. What is kept there expires two periods after its last use."""

    def __init__(self, url: str) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=_CONNECTIONS)
        # The pool is ours, because `limits` does not take every address that redis-py takes (a port is optional).
        options: dict[str, Any] = {"connection_pool": pool}
        self._storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=KEY_PREFIX, **options)
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._client = redis.asyncio.Redis(connection_pool=pool)
        self._pool = pool

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take so much of a quota, or nothing when so much is not left."""
        return await self._limiter.hit(_item(rate_limit), key, cost=count)

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Say what was taken of a quota."""
        stored_key = _item(rate_limit).key_for(key)
        before, _, present, expires_in_s = await self._storage.get_sliding_window(stored_key, rate_limit.period_s)
        # A counter is kept for two periods, of which it is the present one's in the first.
        return WindowUsage(before, present, max(0.0, expires_in_s - rate_limit.period_s))

    async def ping(self) -> None:
        """Return when it can be asked."""
        await self._client.ping()

    async def close(self) -> None:
        """Give the connections back."""
        await self._pool.disconnect()


def _item(rate_limit: RateLimit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(rate_limit.amount, rate_limit.period_s, namespace="quota")


class RedisCounter:
    """The shared budget behind a circuit breaker.

    Whoever asks waits 50 ms at most. After a failure nobody asks any more, until a task beside the requests has had an
    answer: it tries every two seconds.
    """

    def __init__(self, storage: Storage, *, pause_s: float = _PAUSE_S, patience_s: float = PATIENCE_S) -> None:
        self._storage = storage
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_there(self) -> bool:
        """Say whether it can be asked, as far as is known."""
        return self._trying is None

    async def take(self, key: str, rate_limit: RateLimit, count: int) -> bool:
        """Take so much of a quota, or nothing when so much is not left. Raises `Away`."""
        return await self._ask(self._storage.take, key, rate_limit, count)

    async def usage(self, key: str, rate_limit: RateLimit) -> WindowUsage:
        """Say what was taken of a quota. Raises `Away`."""
        return await self._ask(self._storage.usage, key, rate_limit)

    async def close(self) -> None:
        """Try no more, and give the connections back."""
        if self._trying is not None:
            self._trying.cancel()
        with suppress(RedisError, OSError):
            await _answer_in_time(self._storage.close(), self._patience_s)

    async def _ask(
        self, question: Callable[Asked, Awaitable[Answer]], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> Answer:
        if not self.is_there:
            raise RedisUnavailable
        try:
            return await _answer_in_time(question(*args, **kwargs), self._patience_s)
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
                await _answer_in_time(self._storage.ping(), self._patience_s)
                break
        self._trying = None
        _log.info("shared_limits_back")


async def _answer_in_time(asking: Awaitable[Answer], patience_s: float) -> Answer:
    """Wait for an answer, but not for long. Raises `TimeoutError`, an `OSError`."""
    answering = asyncio.ensure_future(asking)
    try:
        # Not asyncio.timeout(): it would wait until the connection to a frozen server has been let go of.
        await asyncio.wait({answering}, timeout=patience_s)
        if answering.done():
            return answering.result()
        raise TimeoutError(f"Redis did not answer within {patience_s} s")
    finally:
        answering.cancel()
        answering.add_done_callback(_hear_out)


def _hear_out(answering: "asyncio.Future[Answer]") -> None:
    """Let a question that nobody waits for any more fail in silence."""
    if not answering.cancelled():
        answering.exception()
