"""The lookout: watches for the verdicts of all requests that wait, with one query for all of them at every tick.

Where the wait of many ends at once, they share a last look in the same way.
"""

import asyncio
from functools import partial
from uuid import UUID

import structlog

from delivery.records.database import DATABASE_UNAVAILABLE, AsyncDatabase
from delivery.records.views.messages import Progress, progress

_log = structlog.get_logger()

# Reading a thousand messages at once would hold up every other request of the process.
_LOOKED_FOR_AT_ONCE = 200


class VerdictWaiter:
    """Tells where messages stand once they are settled. It needs the database, and no broker."""

    def __init__(self, database: AsyncDatabase, *, tick_s: float, limit: int) -> None:
        self._database = database
        self._tick_s = tick_s
        self._limit = limit
        self._waiting: dict[UUID, set[asyncio.Future[Progress]]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._looked_for: dict[UUID, asyncio.Future[Progress | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    @property
    def waiting_count(self) -> int:
        """How many messages are waited for right now."""
        return len(self._waiting)

    async def wait(self, message_id: UUID, timeout_s: float) -> Progress | None:
        """Wait until every recipient stands where it will stand without staff or a later attempt.

        None when that took longer than `timeout_s`, or when too many wait already: then nobody waits.
        """
        if timeout_s <= 0 or len(self._waiting) >= self._limit:
            return None
        settled: asyncio.Future[Progress] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(message_id, set()).add(settled)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(timeout_s):
                return await settled
        except TimeoutError:
            return None
        finally:
            self._waiting[message_id].remove(settled)
            if not self._waiting[message_id]:
                del self._waiting[message_id]

    async def read_now(self, message_id: UUID) -> Progress | None:
        """Say where a message stands right now; None when the database cannot be asked.

        Who comes while a query is under way shares the next one.
        """
        if message_id not in self._looked_for:
            self._looked_for[message_id] = asyncio.get_running_loop().create_future()
        found = self._looked_for[message_id]
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_for_all())
        return await asyncio.shield(found)  # Whoever hangs up must not take the answer from the others.

    async def _look_for_all(self) -> None:
        while self._looked_for:
            asked = {each: self._looked_for.pop(each) for each in list(self._looked_for)[:_LOOKED_FOR_AT_ONCE]}
            found = await self._ask(partial(progress, settled_only=False), list(asked))
            if found is None:  # Those who came meanwhile hear of it too: a second try would keep them too long.
                asked |= self._looked_for
                self._looked_for.clear()
            for message_id, future in asked.items():
                future.set_result((found or {}).get(message_id))

    async def _watch(self) -> None:
        while await self._somebody_waits():
            settled = await self._ask(partial(progress, settled_only=True), list(self._waiting))
            for message_id, found in (settled or {}).items():
                for future in self._waiting.get(message_id, ()):
                    if not future.done():
                        future.set_result(found)

    async def _somebody_waits(self) -> bool:
        await asyncio.sleep(self._tick_s)
        return bool(self._waiting)

    async def _ask(
        self, question: "partial[dict[UUID, Progress]]", message_ids: list[UUID]
    ) -> dict[UUID, Progress] | None:
        try:
            return await self._database.run(question, message_ids)
        except (*DATABASE_UNAVAILABLE, TimeoutError) as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="answers come without a verdict")
            return None
