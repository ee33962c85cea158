"""Concurrent requests share batches, each gets its own result, and none waits without end."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from api_stub.batching.batcher import BATCH_LIMIT, BATCH_TIMEOUT_S, Batcher, Pending
from tests.support.leaping_loop import now, run

HOUR_S = 3600.0


class FakeRoundTrips:
    """Doubles each number in a batch, after so many seconds, and records the batches."""

    def __init__(self, *seconds: float) -> None:
        self.batches: list[list[int]] = []
        self.error: Exception | None = None
        self._seconds = list(seconds)

    async def run(self, batch: list[Pending[int, int]]) -> None:
        """Resolve a batch, or raise the error."""
        self.batches.append([each.item for each in batch])
        await asyncio.sleep(self._seconds.pop(0) if self._seconds else 0)
        if self.error:
            raise self.error
        for each in batch:
            each.resolve(each.item * 2)


async def submit_all(batcher: Batcher[int, int], numbers: Iterable[int]) -> list[Any]:
    """Submit numbers at once, each as its own key; return results and errors."""
    return await asyncio.gather(*(batcher.submit(number, number) for number in numbers), return_exceptions=True)


async def submit_later(batcher: Batcher[int, int], number: int, after_s: float) -> int:
    """Submit a number after a pause."""
    await asyncio.sleep(after_s)
    return await batcher.submit(number, number)


def test_an_idle_batcher_runs_an_item_at_once_and_alone() -> None:
    async def test() -> None:
        round_trips = FakeRoundTrips()

        assert 2 == await Batcher(round_trips.run).submit(1, 1)
        assert [[1]] == round_trips.batches
        assert 0 == now()

    run(test())


def test_one_batch_runs_at_a_time_and_the_items_that_arrive_meanwhile_share_the_next_one() -> None:
    async def test() -> None:
        round_trips = FakeRoundTrips(1, 1)
        batcher = Batcher(round_trips.run)

        results = await asyncio.gather(*(submit_later(batcher, number, number / 10) for number in range(4)))

        assert [0, 2, 4, 6] == results
        assert [[0], [1, 2, 3]] == round_trips.batches
        assert 2 == pytest.approx(now())

    run(test())


def test_requests_with_an_equal_key_share_an_item_until_its_batch_starts() -> None:
    async def test() -> None:
        round_trips = FakeRoundTrips(1)
        batcher = Batcher(round_trips.run)

        first = await asyncio.gather(
            submit_all(batcher, [1, 1, 2, 1]), submit_later(batcher, 1, 0.5), submit_later(batcher, 1, 0.6)
        )

        assert [[2, 2, 4, 2], 2, 2] == first
        assert [[1, 2], [1]] == round_trips.batches

    run(test())


def test_a_batch_holds_at_most_its_limit_in_the_order_of_arrival() -> None:
    async def test() -> None:
        round_trips = FakeRoundTrips()

        results = await submit_all(Batcher(round_trips.run), range(BATCH_LIMIT * 2 + 1))

        assert [number * 2 for number in range(BATCH_LIMIT * 2 + 1)] == results
        assert list(range(BATCH_LIMIT * 2 + 1)) == [number for batch in round_trips.batches for number in batch]
        assert [BATCH_LIMIT, BATCH_LIMIT, 1] == [len(batch) for batch in round_trips.batches]

    run(test())


def test_what_arrives_while_the_batcher_waits_before_a_batch_joins_it() -> None:
    async def test() -> None:
        counts = []

        async def wait(gathered: int) -> None:
            counts.append(gathered)
            await asyncio.sleep(0.02)

        round_trips = FakeRoundTrips()
        batcher = Batcher(round_trips.run, wait)

        await asyncio.gather(submit_all(batcher, [1, 2]), submit_later(batcher, 3, 0.01))

        assert [2] == counts
        assert [[1, 2, 3]] == round_trips.batches

    run(test())


def test_a_request_that_is_cancelled_takes_the_result_from_no_other() -> None:
    async def test() -> None:
        batcher = Batcher(FakeRoundTrips(1).run)
        leaving, staying, other = (asyncio.create_task(submit_later(batcher, number, 0)) for number in (1, 1, 2))
        await asyncio.sleep(0.5)

        leaving.cancel()

        assert [2, 4] == [await staying, await other]
        assert leaving.cancelled()

    run(test())


def test_an_error_fails_the_batch_and_what_arrived_meanwhile_and_nothing_after_that() -> None:
    async def test() -> None:
        round_trips = FakeRoundTrips(1)
        round_trips.error = ValueError("a defect")
        batcher = Batcher(round_trips.run)

        early, late = await asyncio.gather(
            submit_all(batcher, [1, 2]), submit_later(batcher, 3, 0.5), return_exceptions=True
        )
        round_trips.error = None

        assert [ValueError] * 3 == [type(each) for each in (*early, late)]
        assert 1 == now()
        assert 8 == await batcher.submit(4, 4)
        assert [[1, 2], [4]] == round_trips.batches

    run(test())


@pytest.mark.parametrize("earlier_batches", [0, 1, 5])
def test_a_batch_that_does_not_return_fails_in_time_with_what_arrived_meanwhile(earlier_batches: int) -> None:
    async def test() -> None:
        round_trips = FakeRoundTrips(*[0.3] * earlier_batches, HOUR_S)
        batcher = Batcher(round_trips.run)
        for number in range(earlier_batches):
            assert number * 2 == await batcher.submit(number, number)
        began_at = now()

        results = await asyncio.gather(
            submit_all(batcher, [1, 2]), submit_later(batcher, 3, 1.0), return_exceptions=True
        )

        assert [TimeoutError] * 3 == [type(each) for each in (*results[0], results[1])]
        assert BATCH_TIMEOUT_S == pytest.approx(now() - began_at)
        assert 8 == await batcher.submit(4, 4)

    run(test())


@pytest.mark.parametrize("pause_s", [0.0, 0.5, BATCH_TIMEOUT_S, 2.5])
def test_batches_that_return_in_time_are_never_cut_however_many_follow_each_other(pause_s: float) -> None:
    async def test() -> None:
        in_time_s = BATCH_TIMEOUT_S - 0.1
        batcher = Batcher(FakeRoundTrips(*[in_time_s] * 9).run)

        for number in range(4):
            assert number * 2 == await batcher.submit(number, number)
            await asyncio.sleep(pause_s)
        results = await asyncio.gather(submit_later(batcher, 1, 0), submit_later(batcher, 2, 1))

        assert (2, 4) == tuple(results)

    run(test())


@pytest.mark.parametrize("settle", [lambda pending: pending.resolve(2), lambda pending: pending.fail(ValueError())])
def test_a_second_result_is_ignored(settle: Callable[[Pending[int, int]], None]) -> None:
    async def test() -> None:
        async def resolve(batch: list[Pending[int, int]]) -> None:
            for each in batch:
                each.resolve(1)
                settle(each)

        assert 1 == await Batcher(resolve).submit(1, 1)

    run(test())
