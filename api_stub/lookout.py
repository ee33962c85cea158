"""The lookout: watches for the verdicts of all requests that wait, with one query for all of them at every tick."""

import asyncio
from functools import partial
from uuid import UUID

import structlog

from delivery.records.engine import STORE_UNAVAILABLE, Archive
from delivery.records.reading import Progress, progress

_log = structlog.get_logger()


class Lookout:
    """Tells where messages stand once they are settled. It needs the database, and no broker."""

    def __init__(self, archive: Archive, *, tick_s: float, limit: int) -> None:
        self._archive = archive
        self._tick_s = tick_s
        self._limit = limit
        self._waiting: dict[UUID, set[asyncio.Future[Progress]]] = {}
        self._watching: asyncio.Task[None] | None = None

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

    async def look(self, message_id: UUID) -> Progress | None:
        """Say where a message stands right now; None when the database cannot be asked."""
        return (await self._ask(partial(progress, settled_only=False), [message_id])).get(message_id)

    async def _watch(self) -> None:
        while await self._somebody_waits():
            settled = await self._ask(partial(progress, settled_only=True), list(self._waiting))
            for message_id, found in settled.items():
                for future in self._waiting.get(message_id, ()):
                    if not future.done():
                        future.set_result(found)

    async def _somebody_waits(self) -> bool:
        await asyncio.sleep(self._tick_s)
        return bool(self._waiting)

    async def _ask(self, question: "partial[dict[UUID, Progress]]", message_ids: list[UUID]) -> dict[UUID, Progress]:
        try:
            return await self._archive.ask(question, message_ids)
        except (*STORE_UNAVAILABLE, TimeoutError) as error:
            _log.warning("store_unavailable", error=type(error).__name__, what_now="answers come without a verdict")
            return {}
