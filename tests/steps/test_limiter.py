"""Limits on a real Valkey: shared while it runs, held by each process alone while it is away, frozen or wiped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from pydantic import SecretStr
from redis import Redis
from uuid_utils.compat import uuid7

from api_stub.ratelimit.limiter import Limiter
from api_stub.ratelimit.redis_counter import KEY_PREFIX, TIMEOUT_S, RedisCounter, RedisSlidingWindow
from chaos.fault_proxy import FaultProxy, open_fault_proxy
from delivery.rules.rate_windows import RateLimit, WindowUsage
from delivery.settings import Settings
from tests.support.rate_limits import Call, admitted

pytestmark = pytest.mark.usefixtures("broker")

_ADDRESS = "192.0.2.7"
# The limiter gives a frozen Redis 50 ms; the rest is for a busy machine.
_SOON_S = 0.5
_PAUSE_S = 0.05
# Where Redis runs, a busy machine must not make it seem away.
_PATIENT_S = 5.0


@pytest.fixture
def client_id() -> UUID:
    """Return the id of a client that no other test uses."""
    client_id: UUID = uuid7()
    return client_id


@asynccontextmanager
async def limiter_of(
    settings: Settings, *, port: int | None = None, timeout_s: float = _PATIENT_S
) -> AsyncIterator[Limiter]:
    """Open the limiter of one process; `port` replaces the broker's own port."""
    if port is not None:
        space = settings.broker_url.get_secret_value().rpartition("=")[2]
        settings = settings.model_copy(update={"broker_url": SecretStr(f"redis://127.0.0.1:{port}/{space}")})
    shared_counter = RedisCounter(
        RedisSlidingWindow(settings.broker_url.get_secret_value()), pause_s=_PAUSE_S, timeout_s=timeout_s
    )
    limiter = Limiter(settings, shared_counter)
    try:
        yield limiter
    finally:
        await limiter.close()


def request(limiter: Limiter, client_id: UUID, per_minute: int) -> Call:
    """Return a function that checks one request of the client."""
    return lambda: limiter.check_request(client_id, per_minute)


@pytest.mark.parametrize("per_minute", [1, 5, 601])
def test_two_processes_share_one_limit(settings: Settings, client_id: UUID, per_minute: int) -> None:
    async def test() -> int:
        async with limiter_of(settings) as one, limiter_of(settings) as other:
            first = await admitted(request(one, client_id, per_minute), per_minute // 2)
            second = await admitted(request(other, client_id, per_minute), per_minute)
            return first + second + await admitted(request(one, client_id, per_minute), per_minute)

    assert per_minute == asyncio.run(test())


def test_two_processes_that_check_at_the_same_time_share_one_limit(settings: Settings, client_id: UUID) -> None:
    async def test() -> int:
        async with limiter_of(settings) as one, limiter_of(settings) as other:
            return sum(
                await asyncio.gather(
                    admitted(request(one, client_id, 20), 25), admitted(request(other, client_id, 20), 25)
                )
            )

    assert 20 == asyncio.run(test())


def test_unknown_recipients_and_refused_credentials_are_shared_too(settings: Settings, client_id: UUID) -> None:
    chosen = settings.model_copy(update={"unknown_recipients_per_hour": 60, "refused_credentials_per_minute": 3})

    async def test() -> tuple[int, int]:
        async with limiter_of(chosen) as one, limiter_of(chosen) as other:
            admitted_counts = [
                await admitted(partial(each.count_unknown_recipients, client_id, 25), 3) for each in (one, other)
            ]
            tried = [await admitted(partial(each.count_refused_credential, _ADDRESS), 2) for each in (one, other)]
            return sum(admitted_counts), sum(tried)

    assert (2, 3) == asyncio.run(test())


def test_what_is_kept_in_redis_expires_and_names_no_address(settings: Settings, client_id: UUID, broker: Redis) -> None:
    async def test() -> None:
        async with limiter_of(settings) as limiter:
            await limiter.check_request(client_id, 5)
            await limiter.count_refused_credential(_ADDRESS)

    asyncio.run(test())

    keys = [key.decode() for key in broker.scan_iter()]
    assert 2 == len(keys)
    assert all(key.startswith(KEY_PREFIX) and 0 < broker.ttl(key) <= 120 for key in keys)
    assert [] == [key for key in keys if _ADDRESS in key]


def test_our_arithmetic_is_that_of_the_library(settings: Settings, broker: Redis) -> None:
    rate_limit = RateLimit(10, 60)
    key = f"{KEY_PREFIX}:{{quota/subject/10/60/second}}"
    # In the middle of a window: 10 used in the one before, 3 in this one.
    broker.set(f"{key}/-1", 10, px=30_000)
    broker.set(key, 3, px=90_000)

    async def test() -> tuple[WindowUsage, bool, bool]:
        shared_counter = RedisSlidingWindow(settings.broker_url.get_secret_value())
        try:
            usage = await shared_counter.usage("subject", rate_limit)
            return (
                usage,
                await shared_counter.take("subject", rate_limit, 4),
                await shared_counter.take("subject", rate_limit, 3),
            )
        finally:
            await shared_counter.close()

    usage, got_four, got_three = asyncio.run(test())

    assert (10, 3, 7, False, True) == (usage.before, usage.present, usage.used(rate_limit), got_four, got_three)
    assert pytest.approx(30, abs=5) == usage.left_s


def test_a_wiped_redis_gives_nothing_back(settings: Settings, client_id: UUID, broker: Redis) -> None:
    async def test() -> int:
        async with limiter_of(settings) as limiter:
            await admitted(request(limiter, client_id, 5), 3)
            broker.flushdb()
            return await admitted(request(limiter, client_id, 5), 25)

    assert 2 == asyncio.run(test())


def test_an_absent_redis_leaves_each_process_its_own_limit(settings: Settings, client_id: UUID) -> None:
    async def test() -> tuple[int, float]:
        async with limiter_of(settings, port=1, timeout_s=TIMEOUT_S) as limiter:
            begun = monotonic()
            return await admitted(request(limiter, client_id, 5), 25), monotonic() - begun

    let_in, took_s = asyncio.run(test())

    assert 5 == let_in
    assert took_s < _SOON_S


def test_a_redis_that_freezes_meanwhile_is_not_waited_for(settings: Settings, client_id: UUID) -> None:
    async def test(proxy: FaultProxy) -> tuple[int, int, float, float]:
        async with limiter_of(settings, port=proxy.port, timeout_s=TIMEOUT_S) as limiter:
            before = await admitted(request(limiter, client_id, 50), 10)
            proxy.freeze()
            begun = monotonic()
            first = await admitted(request(limiter, client_id, 50), 1)
            froze = monotonic()
            others = [await admitted(request(limiter, client_id, 50), 1) for _ in range(100)]
            return before + first + sum(others), first, froze - begun, monotonic() - froze

    with open_fault_proxy(_socket_of(settings)) as proxy:
        let_in, first, first_took_s, others_took_s = asyncio.run(test(proxy))
        proxy.let_flow()

    assert (50, 1) == (let_in, first)
    assert first_took_s < _SOON_S
    assert others_took_s < _SOON_S


def test_a_redis_that_thaws_is_shared_again(settings: Settings, client_id: UUID) -> None:
    async def test(proxy: FaultProxy) -> int:
        async with limiter_of(settings, port=proxy.port, timeout_s=TIMEOUT_S) as one, limiter_of(settings) as other:
            proxy.freeze()
            await admitted(request(one, uuid7(), 5), 1)
            proxy.let_flow()
            await _shared_again(one)
            await admitted(request(one, client_id, 5), 3)
            return await admitted(request(other, client_id, 5), 25)

    with open_fault_proxy(_socket_of(settings)) as proxy:
        assert 2 == asyncio.run(test(proxy))


async def _shared_again(limiter: Limiter) -> None:
    async with asyncio.timeout(10):
        while not limiter._shared_counter.is_there:  # noqa: ASYNC110 - the limiter has no event for it
            await asyncio.sleep(0.01)


def _socket_of(settings: Settings) -> str:
    return urlsplit(settings.broker_url.get_secret_value()).path
