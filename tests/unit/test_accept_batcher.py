"""The registrar: concurrent drafts share a commit, and each hears of its own alone."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

from api_stub.batching.accept_batcher import AcceptBatcher
from delivery.crash_points import CrashPoint, arm
from delivery.records.database import AsyncDatabase
from delivery.records.pipeline.accept import IncomingMessage, Stored, UnknownRecipients, accept
from tests.support import build
from tests.support.leaping_loop import now, run

GRACE = timedelta(seconds=5)
AWAY = OperationalError("SELECT", {}, Exception("connection refused"))


class FakeAcceptDatabase:
    """Stores in a list, once `is_open` lets it; refuses what it is told to refuse."""

    def __init__(self, *, unknown: Collection[UUID] = (), poison: UUID | None = None) -> None:
        self.commits: list[list[IncomingMessage]] = []
        self.asked = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.breaks_with: Exception | None = None
        self._unknown = set(unknown)
        self._poison = poison

    async def run(self, question: Callable[..., Any], arrivals: Sequence[IncomingMessage], *, grace: timedelta) -> Any:
        """Do what `accept` does with these arrivals, as one commit."""
        assert (accept, GRACE) == (question, grace)
        self.asked += 1
        await self.is_open.wait()
        if self.breaks_with:
            raise self.breaks_with
        if self._poison in {each.message_id for each in arrivals}:
            raise ValueError("a draft that PostgreSQL refuses")
        self.commits.append(list(arrivals))
        strangers = {each.message_id: self._unknown & set(each.draft.recipient_ids) for each in arrivals}
        return {
            key: UnknownRecipients(frozenset(unknown)) if unknown else Stored() for key, unknown in strangers.items()
        }


def registrar_of(database: FakeAcceptDatabase, *, waiting: int = 0) -> AcceptBatcher:
    """Make a registrar that stores in this database, while so many requests wait for their verdict."""
    return AcceptBatcher(cast(AsyncDatabase, database), GRACE, lambda: waiting)


def test_an_idle_registrar_stores_a_draft_at_once_and_alone() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()

        acceptance = await registrar_of(database).accept(build.incoming(1))

        assert Stored() == acceptance
        assert [1] == [len(commit) for commit in database.commits]
        assert 0 == now()

    run(test())


def test_drafts_that_come_while_a_commit_is_under_way_share_the_next_one() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.is_open.clear()
        accept_batcher = registrar_of(database)
        accepting = [asyncio.create_task(accept_batcher.accept(build.incoming(0)))]
        await until(lambda: database.asked == 1)

        accepting += [asyncio.create_task(accept_batcher.accept(build.incoming(number))) for number in range(1, 21)]
        await breathe()
        database.is_open.set()
        await asyncio.gather(*accepting)

        assert [1, 20] == [len(commit) for commit in database.commits]

    run(test())


def test_in_a_crowd_drafts_that_come_right_after_a_shared_commit_began_share_the_next_one() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        accept_batcher = registrar_of(database, waiting=8)
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
def test_otherwise_what_comes_right_after_a_commit_is_stored_at_once(before: int, waiting: int, pause_s: float) -> None:
    async def test() -> None:
        accept_batcher = registrar_of(FakeAcceptDatabase(), waiting=waiting)
        await accept_together(accept_batcher, before)
        await asyncio.sleep(pause_s)

        await accept_batcher.accept(build.incoming(3))

        assert pause_s == pytest.approx(now())

    run(test())


def test_a_commit_has_at_most_200_drafts_and_every_draft_is_in_one_of_them() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        accept_batcher = registrar_of(database)

        await asyncio.gather(*(accept_batcher.accept(build.incoming(number)) for number in range(450)))

        assert [200, 200, 50] == [len(commit) for commit in database.commits]
        assert 450 == len({each.message_id for commit in database.commits for each in commit})

    run(test())


def test_nobody_is_told_before_the_commit() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.is_open.clear()
        accepting = asyncio.create_task(registrar_of(database).accept(build.incoming(1)))

        await until(lambda: database.asked == 1)
        await breathe()
        was_told = accepting.done()
        database.is_open.set()
        await accepting

        assert not was_told

    run(test())


def test_each_draft_hears_of_its_own_strangers_alone() -> None:
    async def test() -> None:
        known, stranger, other = (build.account_id() for _ in range(3))
        accept_batcher = registrar_of(FakeAcceptDatabase(unknown=[stranger, other]))

        answers = await asyncio.gather(
            accept_batcher.accept(build.incoming(1, [known])),
            accept_batcher.accept(build.incoming(2, [known, stranger])),
            accept_batcher.accept(build.incoming(3, [other])),
        )

        assert (Stored(), UnknownRecipients(frozenset({stranger})), UnknownRecipients(frozenset({other}))) == tuple(
            answers
        )

    run(test())


def test_one_draft_that_the_database_refuses_does_not_fail_the_others() -> None:
    async def test() -> None:
        bad = build.incoming(2)
        database = FakeAcceptDatabase(poison=bad.message_id)
        accept_batcher = registrar_of(database)

        answers = await asyncio.gather(
            accept_batcher.accept(build.incoming(1)),
            accept_batcher.accept(bad),
            accept_batcher.accept(build.incoming(3)),
            return_exceptions=True,
        )

        assert [Stored, ValueError, Stored] == [type(answer) for answer in answers]
        assert 2 == len(database.commits)

    run(test())


def test_while_the_database_is_away_everybody_is_told_and_afterwards_all_is_well() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.breaks_with = AWAY
        accept_batcher = registrar_of(database)

        answers = await asyncio.gather(
            *(accept_batcher.accept(build.incoming(n)) for n in range(3)), return_exceptions=True
        )
        database.breaks_with = None
        afterwards = await accept_batcher.accept(build.incoming(9))

        assert [AWAY] * 3 == answers
        assert Stored() == afterwards
        assert 2 == database.asked

    run(test())


def test_who_waits_for_a_commit_whose_answer_was_cut_off_is_told_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        accept_batcher = registrar_of(database)
        arm(f"{CrashPoint.ACCEPT_COMMITTED}:1:cut:{tmp_path / 'mark'}")

        answers = await asyncio.gather(
            *(accept_batcher.accept(build.incoming(n)) for n in range(3)), return_exceptions=True
        )
        arm("")

        assert [ConnectionResetError] * 3 == [type(answer) for answer in answers]
        assert Stored() == await accept_batcher.accept(build.incoming(9))
        assert [3, 1] == [len(commit) for commit in database.commits]

    run(test())


def test_a_client_that_hangs_up_loses_neither_its_message_nor_those_of_others() -> None:
    async def test() -> None:
        database = FakeAcceptDatabase()
        database.is_open.clear()
        accept_batcher = registrar_of(database)
        leaving, staying = (asyncio.create_task(accept_batcher.accept(build.incoming(number))) for number in (1, 2))
        await until(lambda: database.asked == 1)

        leaving.cancel()
        await breathe()
        database.is_open.set()

        assert Stored() == await staying
        assert 2 == sum(map(len, database.commits))
        assert leaving.cancelled()

    run(test())


async def accept_together(accept_batcher: AcceptBatcher, number: int) -> None:
    """Have so many drafts stored in one commit."""
    await asyncio.gather(*(accept_batcher.accept(build.incoming(each)) for each in range(number)))


async def breathe() -> None:
    """Let everything that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(is_so: Callable[[], bool]) -> None:
    """Let others run until this is so, for a few rounds at most."""
    for _ in range(100):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("It never came to be.")
