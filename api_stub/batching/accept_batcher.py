"""Store drafts; concurrent requests share one commit."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import structlog

from api_stub.batching.batcher import Batcher, Pending
from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import DATABASE_UNAVAILABLE, AsyncDatabase, LockTimeout
from delivery.records.pipeline.accept import Acceptance, IncomingMessage, accept

_log = structlog.get_logger()
# With many requests at once fewer commits are faster: a commit costs the API, PostgreSQL and a worker about as much
# with one draft as with five. Measured in turns with 420 messages/s of 25 recipients, half of the peak: 20 ms take a
# sixth less CPU than 10 ms (2.9 to 3.3 ms a message instead of 3.4 to 3.8); without a pause half of the responses took
# twice as long.
_COMMITS_APART_S = 0.02
_CROWD = 8

_Drafts: TypeAlias = list[Pending[IncomingMessage, Acceptance]]


class AcceptBatcher:
    """Store drafts. Those that arrive during a commit share the next; in a crowd, commits begin at least 20 ms apart.

    There is a crowd while requests of this process wait for the verdicts of eight messages or more (`count_waiting`).
    They wait for the workers anyway. Without a crowd, or where drafts come one by one, a draft is stored at once.

    No request learns that its message is stored before the commit that holds it.
    """

    def __init__(self, database: AsyncDatabase, grace: timedelta, count_waiting: Callable[[], int]) -> None:
        self._database = database
        self._grace = grace
        self._count_waiting = count_waiting
        self._batcher = Batcher[IncomingMessage, Acceptance](self._store, self._wait_in_crowd)
        self._next_from = -math.inf
        self._last_size = 0

    async def accept(self, incoming: IncomingMessage) -> Acceptance:
        """Store this draft as a whole, or return why not.

        Raises one of `DATABASE_UNAVAILABLE`, `TimeoutError` or `ConnectionError` when the database does not answer in
        time or its answer is lost. Raises `LockTimeout` when an earlier request with the same idempotency key is still
        being stored, or one with the key of another draft in its batch, if this draft has a key too.
        """
        return await self._batcher.submit(id(incoming), incoming)

    async def _wait_in_crowd(self, gathered: int) -> None:
        clock = asyncio.get_running_loop().time
        is_shared = max(self._last_size, gathered) > 1
        if is_shared and self._count_waiting() >= _CROWD:
            await asyncio.sleep(self._next_from - clock())  # It returns at once when that is in the past.
        self._next_from = clock() + _COMMITS_APART_S

    async def _store(self, drafts: _Drafts) -> None:
        self._last_size = len(drafts)
        try:
            accepted = await self._database.run(accept, [each.item for each in drafts], grace=self._grace)
            crash_here(CrashPoint.ACCEPT_COMMITTED)
        except (*DATABASE_UNAVAILABLE, TimeoutError, ConnectionError):
            # The commit may have succeeded all the same. Then the sweep sends the message, and a repetition with its
            # key finds it; without a key a repetition is another message.
            raise
        except LockTimeout as error:
            await self._store_apart(drafts, error)
        except Exception as error:  # noqa: BLE001 - each request must get the error of its own draft
            await self._store_in_halves(drafts, error)
        else:
            for each in drafts:
                each.resolve(accepted[each.item.message_id])

    async def _store_apart(self, drafts: _Drafts, error: LockTimeout) -> None:
        """Fail the drafts with a key, and store those without one: no other request locks them out."""
        keyed = [each for each in drafts if each.item.idempotency_key is not None]
        free = [each for each in drafts if each.item.idempotency_key is None]
        _fail(keyed, error)
        if free and keyed:
            await self._store(free)
        else:
            _fail(free, error)

    async def _store_in_halves(self, drafts: _Drafts, error: Exception) -> None:
        """Store each half alone, so that one draft that PostgreSQL refuses does not fail the others of its commit.

        One in 200 is found with 16 commits, well within the time of a batch.
        """
        _log.error("accept_broke", error=type(error).__name__, drafts=len(drafts))
        if len(drafts) == 1:
            _fail(drafts, error)
            return
        middle = len(drafts) // 2
        await self._store(drafts[:middle])
        await self._store(drafts[middle:])


def _fail(drafts: _Drafts, error: Exception) -> None:
    for each in drafts:
        each.fail(error)
