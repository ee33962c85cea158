"""Limits hold whatever happens to Redis, and no request waits long for it."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.leaping_loop import now, run
from tests.support.rate_limits import FakeStorage, admitted, limiter_of, request


def test_a_frozen_redis_costs_the_first_request_a_moment_and_the_next_ones_nothing() -> None:
    async def test() -> None:
        storage = FakeStorage()
        storage.hangs = True
        limiter = limiter_of(storage)

        first = await admitted(request(limiter), 1)
        after_the_first = now()
        others = await admitted(request(limiter), 25)

        assert (1, 4) == (first, others)
        assert pytest.approx(0.05) == after_the_first == now()
        assert 1 == storage.asked

    run(test())


def test_requests_that_come_together_at_a_frozen_redis_wait_for_it_together() -> None:
    async def test() -> None:
        storage = FakeStorage()
        storage.hangs = True

        let_in = await admitted(request(limiter_of(storage)), 25)

        assert 5 == let_in
        assert pytest.approx(0.05) == now()

    run(test())


@pytest.mark.parametrize("error", [RedisConnectionError("refused"), OSError("unreachable"), TimeoutError("late")])
def test_when_redis_goes_away_what_was_used_before_still_counts(error: Exception) -> None:
    async def test() -> int:
        storage = FakeStorage()
        limiter = limiter_of(storage)
        await admitted(request(limiter), 3)
        storage.breaks_with = error
        return await admitted(request(limiter), 25)

    assert 2 == run(test())


def test_when_redis_is_wiped_what_was_used_before_still_counts() -> None:
    async def test() -> int:
        storage = FakeStorage()
        limiter = limiter_of(storage)
        await admitted(request(limiter), 3)
        storage.wipe()
        return await admitted(request(limiter), 25)

    assert 2 == run(test())


def test_redis_is_tried_again_in_the_background_and_then_shared_again() -> None:
    async def test() -> None:
        storage = FakeStorage()
        storage.breaks_with = RedisConnectionError("refused")
        limiter = limiter_of(storage)
        await admitted(request(limiter), 1)

        await asyncio.sleep(5)
        tries_while_away = storage.pinged
        storage.breaks_with = None
        await asyncio.sleep(5)
        asked_before = storage.asked
        await admitted(request(limiter), 1)

        assert 2 == tries_while_away
        assert 3 == storage.pinged
        assert 1 == storage.asked - asked_before

    run(test())


def test_a_limiter_that_closes_tries_no_more() -> None:
    async def test() -> None:
        storage = FakeStorage()
        storage.breaks_with = RedisConnectionError("refused")
        limiter = limiter_of(storage)
        await admitted(request(limiter), 1)

        await limiter.close()
        await asyncio.sleep(10)

        assert 0 == storage.pinged

    run(test())
