"""Limits: exact, shared between processes, and cheap."""

import asyncio
from functools import partial
from http import HTTPStatus

import pytest

from tests.support import build
from tests.support.leaping_loop import run
from tests.support.rate_limits import CLIENT, FakeStorage, admitted, limiter_of, refusal, request


def test_what_is_too_much_is_refused_with_429_a_sentence_and_when_to_try_again() -> None:
    async def test() -> None:
        limiter = limiter_of(FakeStorage())
        await admitted(request(limiter), 5)

        refused = await refusal(limiter.check_request(CLIENT, 5))

        assert (HTTPStatus.TOO_MANY_REQUESTS, "rate_limited") == (refused.status, refused.error)
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
        assert "5 a minute" in refused.description

    run(test())


def test_a_client_that_waits_as_told_is_admitted_and_not_a_moment_earlier() -> None:
    async def test() -> None:
        limiter = limiter_of(FakeStorage())
        await admitted(request(limiter), 5)
        wait_s = int((await refusal(limiter.check_request(CLIENT, 5))).headers["Retry-After"])

        await asyncio.sleep(wait_s / 2)
        early = await admitted(request(limiter), 1)
        await asyncio.sleep(wait_s / 2)
        in_time = await admitted(request(limiter), 1)

        assert (0, 1) == (early, in_time)

    run(test())


@pytest.mark.parametrize("per_minute", [1, 5, 99, 601])
def test_requests_at_once_get_exactly_the_limit(per_minute: int) -> None:
    async def test() -> int:
        return await admitted(request(limiter_of(FakeStorage()), per_minute), per_minute + 25)

    assert per_minute == run(test())


@pytest.mark.parametrize("per_minute", [2, 99])
def test_processes_share_a_small_limit_exactly(per_minute: int) -> None:
    async def test() -> int:
        storage = FakeStorage()
        calls = [request(limiter_of(storage), per_minute) for _ in range(4)]
        return sum(await asyncio.gather(*(admitted(call, per_minute) for call in calls)))

    assert per_minute == run(test())


def test_processes_share_a_large_limit_and_lose_a_fiftieth_each_at_most() -> None:
    async def test() -> int:
        storage = FakeStorage()
        calls = [request(limiter_of(storage), 1000) for _ in range(4)]
        return sum([await admitted(call, 301) for call in calls])

    assert 1000 - 4 * 20 <= run(test()) <= 1000


def test_processes_that_use_little_draw_little_however_many_there_are() -> None:
    async def test() -> tuple[int, int]:
        storage = FakeStorage()
        sparing = [await admitted(request(limiter_of(storage), 1000), 1) for _ in range(100)]
        return sum(sparing), await admitted(request(limiter_of(storage), 1000), 1000)

    assert (100, 900) == run(test())


def test_what_is_drawn_at_once_begins_with_one_again_after_a_quiet_time() -> None:
    async def test() -> int:
        storage = FakeStorage()
        busy = [request(limiter_of(storage), 1000) for _ in range(40)]
        for call in busy:
            await admitted(call, 20)
        await asyncio.sleep(200)
        for call in busy:
            await admitted(call, 1)
        return await admitted(request(limiter_of(storage), 1000), 1000)

    assert 960 == run(test())


def test_redis_is_called_rarely_once_much_of_the_limit_is_used() -> None:
    async def test() -> int:
        storage = FakeStorage()
        await admitted(request(limiter_of(storage), 10_000), 10_000)
        return storage.asked

    # 1, 2, 4 and so on up to 128, then 200 at once, and less again for the rest.
    assert 8 + 48 < run(test()) < 80


def test_a_client_refused_for_what_others_used_learns_when_and_causes_no_redis_calls_until_then() -> None:
    async def test() -> None:
        storage = FakeStorage()
        await admitted(request(limiter_of(storage), 99), 99)
        other = limiter_of(storage)
        wait_s = int((await refusal(other.check_request(CLIENT, 99))).headers["Retry-After"])
        before = storage.asked

        let_in = 0
        for _ in range(wait_s - 2):
            let_in += await admitted(request(other, 99), 10)
            await asyncio.sleep(1)
        calls = storage.asked - before
        await asyncio.sleep(2)

        assert wait_s > 50
        assert (0, 0) == (let_in, calls)
        assert 1 == await admitted(request(other, 99), 1)

    run(test())


def test_a_client_that_stays_below_its_limit_is_never_refused() -> None:
    async def test() -> int:
        call = request(limiter_of(FakeStorage()), 600)
        let_in = 0
        for _ in range(600):
            let_in += await admitted(call, 1)
            await asyncio.sleep(1.01)
        return let_in

    assert 600 == run(test())


def test_a_burst_at_the_edge_of_two_windows_is_no_way_around() -> None:
    async def test() -> int:
        call = request(limiter_of(FakeStorage()), 100)
        await admitted(call, 1)
        await asyncio.sleep(59)
        await admitted(call, 99)
        await asyncio.sleep(2)
        return await admitted(call, 100)

    assert 2 >= run(test())


def test_clients_do_not_use_up_each_others_limits() -> None:
    async def test() -> int:
        limiter = limiter_of(FakeStorage())
        await admitted(request(limiter), 25)
        return await admitted(lambda: limiter.check_request(build.account_id(), 5), 1)

    assert 1 == run(test())


def test_a_client_without_a_limit_of_its_own_has_the_settings_limit() -> None:
    async def test() -> tuple[int, int]:
        limiter = limiter_of(FakeStorage(), requests_per_minute=3, recipients_per_minute=30)
        return (
            await admitted(request(limiter, None), 10),
            await admitted(lambda: limiter.check_recipients(CLIENT, None, 10), 10),
        )

    assert (3, 3) == run(test())


def test_a_limit_of_zero_admits_nothing() -> None:
    async def test() -> int:
        return await admitted(request(limiter_of(FakeStorage()), 0), 3)

    assert 0 == run(test())


def test_recipients_are_counted_message_by_message_and_what_is_left_stays_usable() -> None:
    async def test() -> list[int]:
        limiter = limiter_of(FakeStorage())
        counts = (25, 10, 5, 1)
        return [await admitted(partial(limiter.check_recipients, CLIENT, 30, count), 1) for count in counts]

    assert [1, 0, 1, 0] == run(test())


def test_more_recipients_than_the_limit_never_fit() -> None:
    async def test() -> None:
        await refusal(limiter_of(FakeStorage()).check_recipients(CLIENT, 10, 25))

    run(test())
