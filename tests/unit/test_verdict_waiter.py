"""One query at every tick serves all waiting requests."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from api_stub.batching.verdict_waiter import VerdictWaiter
from delivery.records.database import AsyncDatabase, LockTimeout
from delivery.records.views.messages import Progress, progress
from delivery.vocabulary import State
from tests.support import build
from tests.support.leaping_loop import now, run

TICK_S = 0.01
ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
DONE = Progress(tuple(build.standings(State.DELIVERED)), None)


class FakeProgressDatabase:
    """Settles each message at its time, and records the ids of every query."""

    def __init__(
        self, settled_at: dict[UUID, float] | None = None, *, away_until: float = 0, takes_s: float = 0
    ) -> None:
        self.queries: list[set[UUID]] = []
        self.settled_at = settled_at or {}
        self.defect: Exception | None = None
        self._away_until = away_until
        self._takes_s = takes_s

    async def run(self, query: Callable[..., Any], message_ids: Sequence[UUID]) -> dict[UUID, Progress]:
        """Do what `progress` does."""
        assert isinstance(query, partial)
        assert progress is query.func
        self.queries.append(set(message_ids))
        await asyncio.sleep(self._takes_s)
        if self.defect:
            raise self.defect
        if now() < self._away_until:
            raise OperationalError("SELECT", {}, Exception("connection refused"))
        if not query.keywords["settled_only"]:
            return dict.fromkeys(message_ids, DONE)
        return {each: DONE for each in message_ids if now() >= self.settled_at.get(each, float("inf"))}


def waiter_of(database: FakeProgressDatabase, limit: int = 10) -> VerdictWaiter:
    """Make a waiter that queries this database."""
    return VerdictWaiter(cast(AsyncDatabase, database), tick_s=TICK_S, limit=limit)


def test_a_verdict_is_returned_at_the_tick_after_it_is_settled() -> None:
    async def test() -> None:
        found = await waiter_of(FakeProgressDatabase({ONE: 0.5})).wait(ONE, 2)

        assert DONE == found
        assert 0.5 <= now() < 0.5 + 2 * TICK_S

    run(test())


def test_a_verdict_that_takes_too_long_is_none() -> None:
    async def test() -> None:
        found = await waiter_of(FakeProgressDatabase()).wait(ONE, 2)

        assert None is found
        assert 2 <= now() < 2 + 2 * TICK_S

    run(test())


def test_all_waiting_requests_share_one_query() -> None:
    async def test() -> None:
        database = FakeProgressDatabase({ONE: 0.02, TWO: 0.05})
        verdict_waiter = waiter_of(database)

        found = await asyncio.gather(
            verdict_waiter.wait(ONE, 1), verdict_waiter.wait(TWO, 1), verdict_waiter.wait(THREE, 0.2)
        )

        assert (DONE, DONE, None) == tuple(found)
        assert {ONE, TWO, THREE} == database.queries[0]
        assert {THREE} == database.queries[-1]
        assert len(database.queries) <= 0.2 / TICK_S + 1

    run(test())


def test_a_request_without_a_wait_costs_no_query() -> None:
    async def test() -> None:
        database = FakeProgressDatabase({ONE: 0})

        found = await waiter_of(database).wait(ONE, 0)

        assert None is found
        assert [] == database.queries

    run(test())


def test_beyond_the_limit_no_request_waits() -> None:
    async def test() -> None:
        verdict_waiter = waiter_of(FakeProgressDatabase({ONE: 0.5, TWO: 0.5}), limit=1)
        first = asyncio.create_task(verdict_waiter.wait(ONE, 2))
        await asyncio.sleep(0.1)

        second = await verdict_waiter.wait(TWO, 2)

        assert None is second
        assert now() < 0.2
        assert DONE == await first
        assert DONE == await verdict_waiter.wait(TWO, 2)

    run(test())


def test_once_no_request_waits_there_are_no_queries() -> None:
    async def test() -> None:
        database = FakeProgressDatabase({ONE: 0.05})
        await waiter_of(database).wait(ONE, 1)
        count = len(database.queries)

        await asyncio.sleep(5)

        assert count == len(database.queries)

    run(test())


def test_a_client_that_disconnects_is_dropped() -> None:
    async def test() -> None:
        database = FakeProgressDatabase({TWO: 0.5})
        verdict_waiter = waiter_of(database)
        leaving = asyncio.create_task(verdict_waiter.wait(ONE, 2))
        staying = asyncio.create_task(verdict_waiter.wait(TWO, 2))
        await asyncio.sleep(0.1)

        leaving.cancel()
        found = await staying

        assert DONE == found
        assert {TWO} == database.queries[-1]

    run(test())


def test_a_database_that_was_away_for_a_moment_costs_no_request_its_verdict() -> None:
    async def test() -> None:
        found = await waiter_of(FakeProgressDatabase({ONE: 0}, away_until=0.7)).wait(ONE, 2)

        assert DONE == found
        assert 0.7 <= now() < 0.8

    run(test())


def test_a_read_needs_no_verdict_and_with_the_database_away_it_is_none() -> None:
    async def test() -> None:
        assert DONE == await waiter_of(FakeProgressDatabase()).read_now(ONE)
        assert None is await waiter_of(FakeProgressDatabase(away_until=9)).read_now(ONE)

    run(test())


def test_a_read_that_fails_for_a_reason_of_our_own_raises_instead_of_waiting_without_end() -> None:
    async def test() -> None:
        database = FakeProgressDatabase()
        database.defect = ValueError("a defect")

        with pytest.raises(ValueError, match="a defect"):
            await waiter_of(database).read_now(ONE)

    run(test())


@pytest.mark.parametrize(
    "error",
    [ProgrammingError("SELECT", {}, Exception("no such prepared statement")), LockTimeout()],
    ids=["programming_error", "lock_timeout"],
)
def test_the_watch_goes_on_after_any_error_of_the_database(error: Exception) -> None:
    async def test() -> None:
        database = FakeProgressDatabase({ONE: 0.5})
        database.defect = error
        waiting = asyncio.create_task(waiter_of(database).wait(ONE, 2))
        await asyncio.sleep(0.2)

        database.defect = None

        assert DONE == await waiting
        assert now() < 1

    run(test())


def test_after_a_defect_in_the_watch_waiting_requests_go_on_at_once_and_later_ones_are_watched_again() -> None:
    async def test() -> None:
        database = FakeProgressDatabase({TWO: 0.5})
        database.defect = ValueError("a defect")
        verdict_waiter = waiter_of(database)

        found = await asyncio.gather(verdict_waiter.wait(ONE, 2), verdict_waiter.wait(THREE, 2))
        assert [None, None] == list(found)
        assert now() < 1

        database.defect = None
        assert DONE == await verdict_waiter.wait(TWO, 2)

    run(test())


def test_requests_that_read_while_a_query_is_under_way_share_the_next_one() -> None:
    async def test() -> None:
        database = FakeProgressDatabase(takes_s=0.1)
        verdict_waiter = waiter_of(database)

        found = await asyncio.gather(
            *(verdict_waiter.read_now(UUID(int=number)) for number in range(150)), verdict_waiter.read_now(ONE)
        )

        assert [DONE] * 151 == found
        assert 150 == len(set().union(*database.queries))
        assert len(database.queries) <= 2

    run(test())


def test_requests_that_gathered_behind_a_read_that_failed_fail_at_once() -> None:
    async def test() -> None:
        database = FakeProgressDatabase(takes_s=1, away_until=9)
        verdict_waiter = waiter_of(database)
        first = asyncio.create_task(verdict_waiter.read_now(ONE))
        await asyncio.sleep(0.5)

        assert None is await verdict_waiter.read_now(TWO)
        assert None is await first
        assert now() < 1.5
        assert [{ONE}] == database.queries

    run(test())
