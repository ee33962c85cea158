"""Let many requests wait for verdicts with one query per tick.

Where the waits of many requests end at once, their last reads share queries too.
"""

import asyncio
import itertools
from functools import partial
from uuid import UUID

import structlog

from api_stub.batching.batcher import Batcher, Pending
from delivery.outage_log import log_outage
from delivery.records.database import DATABASE_ERRORS, AsyncDatabase
from delivery.records.views.messages import Progress, progress

_log = structlog.get_logger()
_NO_ANSWER = (*DATABASE_ERRORS, TimeoutError)


class VerdictWaiter:
    """Return the progress of messages once they are settled. It needs the database, and no broker."""

    def __init__(self, database: AsyncDatabase, *, tick_s: float, limit: int) -> None:
        self._database = database
        self._tick_s = tick_s
        self._limit = limit
        self._waiting: dict[UUID, set[asyncio.Future[Progress | None]]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._reads = Batcher[UUID, Progress | None](self._read_batch)

    @property
    def waiting_count(self) -> int:
        """The number of messages that requests wait for."""
        return len(self._waiting)

    async def wait(self, message_id: UUID, timeout_s: float) -> Progress | None:
        """Wait until no recipient changes any more without staff or a later attempt, and return the message's progress.

        Returns None after `timeout_s`; at once when that is 0, when requests wait for `limit` messages already, or
        after a defect in the watch. The next request starts another watch then.
        """
        if timeout_s <= 0 or len(self._waiting) >= self._limit:
            return None
        settled: asyncio.Future[Progress | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(message_id, set()).add(settled)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
            self._watching.add_done_callback(self._release_after_defect)
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
        """Return the progress of a message now; None when the database does not answer.

        Requests that arrive during one query share the next one.
        """
        try:
            return await self._reads.submit(message_id, message_id)
        except _NO_ANSWER:
            return None

    async def _read_batch(self, batch: list[Pending[UUID, Progress | None]]) -> None:
        found = await self._query([each.item for each in batch], settled_only=False)
        for each in batch:
            each.resolve(found.get(each.item))

    async def _watch(self) -> None:
        while await self._are_requests_waiting():
            try:
                settled = await self._query(list(self._waiting), settled_only=True)
            except _NO_ANSWER:
                continue
            for message_id, found in settled.items():
                for future in self._waiting.get(message_id, ()):
                    if not future.done():
                        future.set_result(found)

    def _release_after_defect(self, watch: "asyncio.Task[None]") -> None:
        """Let all waiting requests go on without a verdict when the watch has crashed."""
        error = None if watch.cancelled() else watch.exception()
        if error is None:
            return
        _log.error("verdict_watch_broken", exc_info=error, what_now="waiting requests are answered without a verdict")
        for future in itertools.chain.from_iterable(self._waiting.values()):
            if not future.done():
                future.set_result(None)

    async def _are_requests_waiting(self) -> bool:
        await asyncio.sleep(self._tick_s)
        return bool(self._waiting)

    async def _query(self, message_ids: list[UUID], *, settled_only: bool) -> dict[UUID, Progress]:
        try:
            return await self._database.run(partial(progress, settled_only=settled_only), message_ids)
        except _NO_ANSWER as error:
            log_outage(error, what_now="answers come without a verdict")
            raise
