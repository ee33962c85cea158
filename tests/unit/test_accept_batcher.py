"""Concurrent drafts share a commit, and each request gets the result of its own draft alone."""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

from api_stub.batching.accept_batcher import AcceptBatcher
from delivery.crash_points import CrashPoint, arm
from delivery.records.database import AsyncDatabase, LockTimeout
from delivery.records.pipeline.accept import IncomingMessage, Stored, UnknownRecipients, accept
from tests.support import build
from tests.support.leaping_loop import now, run

GRACE = timedelta(seconds=5)
AWAY = OperationalError("SELECT", {}, Exception("connection refused"))


class FakeAcceptDatabase:
    """Store in a list, once `is_open` is set; refuse the drafts that a test names."""

    def __init__(
        self, *, unknown: Collection[UUID] = (), poison: UUID | None = None, locked: Collection[UUID] = ()
    ) -> None:
        self.commits: list[list[IncomingMessage]] = []
        self.queries = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.error: Exception | None = None
        self.away_from: float = math.inf
        self._unknown = set(unknown)
        self._poison = poison
        self._locked = set(locked)

    async def run(self, query: Callable[..., Any], drafts: Sequence[IncomingMessage], *, grace: timedelta) -> Any:
        """Do what `accept` does with these drafts, in one commit."""
        assert (accept, GRACE) == (query, grace)
        self.queries += 1
        await self.is_open.wait()
        if self.error:
            raise self.error
        if self.queries >= self.away_from:
            raise AWAY
        if self._locked & {each.message_id for each in drafts}:
            raise LockTimeout
        if self._poison in {each.message_id for each in drafts}:
            raise ValueError("a draft that PostgreSQL refuses")
        self.commits.append(list(drafts))
        unknown = {each.message_id: self._unknown & set(each.draft.recipient_ids) for each in drafts}
        return {key: UnknownRecipients(frozenset(ids)) if ids else Stored() for key, ids in unknown.items()}


def batcher_of(database: FakeAcceptDatabase, *, waiting: int = 0) -> AcceptBatcher:
    """Make a batcher that stores in this database, while so many requests wait for their verdict."""
    return AcceptBatcher(cast(AsyncDatabase, database), GRACE, lambda: waiting)


def test_an_idle_batcher_stores_a_draft_at_once_and_alone() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()

        acceptance = await batcher_of(database).accept(build.incoming(1))

        assert Stored() == acceptance
        assert [1] == [len(commit) for commit in database.commits]
        assert 0 == now()

    run(test())


def test_drafts_that_arrive_while_a_commit_is_under_way_share_the_next_one() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.is_open.clear()
        accept_batcher = batcher_of(database)
        accepting = [asyncio.create_task(accept_batcher.accept(build.incoming(0)))]
        await until(lambda: database.queries == 1)

        accepting += [asyncio.create_task(accept_batcher.accept(build.incoming(number))) for number in range(1, 21)]
        await let_run()
        database.is_open.set()
        await asyncio.gather(*accepting)

        assert [1, 20] == [len(commit) for commit in database.commits]

    run(test())


def test_in_a_crowd_drafts_that_arrive_right_after_a_shared_commit_began_share_the_next_one() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        accept_batcher = batcher_of(database, waiting=8)
        await accept_together(accept_batcher, 2)

        accepting = [asyncio.create_task(accept_batcher.accept(build.incoming(3)))]
        await asyncio.sleep(0.004)
        accepting.append(asyncio.create_task(accept_batcher.accept(build.incoming(4))))
        await asyncio.gather(*accepting)

        assert [2, 2] == [len(commit) for commit in database.commits]
        assert 0.02 == pytest.approx(now())

    run(test())


@pytest.mark.parametrize(
    ("before", "waiting", "pause_s"),
    [
        pytest.param(2, 8, 0.021, id="a moment later"),
        pytest.param(2, 7, 0.0, id="without a crowd"),
        pytest.param(1, 500, 0.0, id="one by one"),
    ],
)
def test_otherwise_what_arrives_right_after_a_commit_is_stored_at_once(
    before: int, waiting: int, pause_s: float
) -> None:
    async def test() -> None:
        accept_batcher = batcher_of(FakeAcceptDatabase(), waiting=waiting)
        await accept_together(accept_batcher, before)
        await asyncio.sleep(pause_s)

        await accept_batcher.accept(build.incoming(3))

        assert pause_s == pytest.approx(now())

    run(test())


def test_a_commit_has_at_most_200_drafts_and_every_draft_is_in_one_of_them() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        accept_batcher = batcher_of(database)

        await asyncio.gather(*(accept_batcher.accept(build.incoming(number)) for number in range(450)))

        assert [200, 200, 50] == [len(commit) for commit in database.commits]
        assert 450 == len({each.message_id for commit in database.commits for each in commit})

    run(test())


def test_no_request_learns_of_its_message_before_the_commit() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.is_open.clear()
        accepting = asyncio.create_task(batcher_of(database).accept(build.incoming(1)))

        await until(lambda: database.queries == 1)
        await let_run()
        was_done = accepting.done()
        database.is_open.set()
        await accepting

        assert not was_done

    run(test())


def test_each_draft_learns_of_its_own_unknown_recipients_alone() -> None:
    async def test() -> None:
        known, unknown, other = (build.account_id() for _ in range(3))
        accept_batcher = batcher_of(FakeAcceptDatabase(unknown=[unknown, other]))

        results = await asyncio.gather(
            accept_batcher.accept(build.incoming(1, [known])),
            accept_batcher.accept(build.incoming(2, [known, unknown])),
            accept_batcher.accept(build.incoming(3, [other])),
        )

        assert (Stored(), UnknownRecipients(frozenset({unknown})), UnknownRecipients(frozenset({other}))) == tuple(
            results
        )

    run(test())


def test_a_locked_key_fails_the_drafts_with_a_key_and_the_others_are_stored() -> None:
    async def test() -> None:
        keyed = [replace(build.incoming(number), idempotency_key="key") for number in (1, 2)]
        database = FakeAcceptDatabase(locked={each.message_id for each in keyed})

        results = await accept_all(batcher_of(database), [*keyed, build.incoming(3)])

        assert [LockTimeout, LockTimeout, Stored] == [type(each) for each in results]

    run(test())


def test_one_refused_draft_among_many_is_found_with_few_commits_and_fails_alone() -> None:
    async def test() -> None:
        drafts = [build.incoming(number) for number in range(1, 101)]
        database = FakeAcceptDatabase(poison=drafts[37].message_id)

        results = await accept_all(batcher_of(database), drafts)

        assert {37: ValueError} == {number: type(each) for number, each in enumerate(results) if each != Stored()}
        assert 99 == sum(map(len, database.commits))
        assert 16 >= database.queries

    run(test())


def test_an_outage_while_halves_of_a_batch_are_stored_fails_the_rest_at_once() -> None:
    async def test() -> None:
        bad = build.incoming(2)
        database = FakeAcceptDatabase(poison=bad.message_id)
        database.away_from = 4  # All, the first half, its first draft, and then the outage.

        results = await accept_all(batcher_of(database), [build.incoming(1), bad, build.incoming(3), build.incoming(4)])

        assert [Stored, *[OperationalError] * 3] == [type(each) for each in results]
        assert 4 == database.queries

    run(test())


def test_while_the_database_is_away_every_request_fails_and_afterwards_all_is_well() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.error = AWAY
        accept_batcher = batcher_of(database)

        results = await accept_all(accept_batcher, [build.incoming(number) for number in range(3)])
        database.error = None
        afterwards = await accept_batcher.accept(build.incoming(9))

        assert [AWAY] * 3 == results
        assert Stored() == afterwards
        assert 2 == database.queries

    run(test())


def test_requests_that_wait_for_a_commit_whose_answer_was_cut_off_fail_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        accept_batcher = batcher_of(database)
        arm(f"{CrashPoint.ACCEPT_COMMITTED}:1:cut:{tmp_path / 'mark'}")

        results = await accept_all(accept_batcher, [build.incoming(number) for number in range(3)])
        arm("")

        assert [ConnectionResetError] * 3 == [type(each) for each in results]
        assert Stored() == await accept_batcher.accept(build.incoming(9))
        assert [3, 1] == [len(commit) for commit in database.commits]

    run(test())


def test_a_client_that_disconnects_loses_neither_its_message_nor_those_of_others() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.is_open.clear()
        accept_batcher = batcher_of(database)
        leaving, staying = (asyncio.create_task(accept_batcher.accept(build.incoming(number))) for number in (1, 2))
        await until(lambda: database.queries == 1)

        leaving.cancel()
        await let_run()
        database.is_open.set()

        assert Stored() == await staying
        assert 2 == sum(map(len, database.commits))
        assert leaving.cancelled()

    run(test())


async def accept_all(accept_batcher: AcceptBatcher, drafts: Sequence[IncomingMessage]) -> list[Any]:
    """Accept these drafts at once; return results and errors."""
    return await asyncio.gather(*(accept_batcher.accept(each) for each in drafts), return_exceptions=True)


async def accept_together(accept_batcher: AcceptBatcher, number: int) -> None:
    """Store so many drafts in one commit."""
    await asyncio.gather(*(accept_batcher.accept(build.incoming(each)) for each in range(number)))


async def let_run() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(is_so: Callable[[], bool]) -> None:
    """Let other tasks run until this is so, for a hundred rounds at most."""
    for _ in range(100):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("It never became so.")
