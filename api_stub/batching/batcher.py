"""Collect items of concurrent requests into batches: one round trip to the database and one time limit for each."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_LIMIT = 200
"""How many items one round trip takes. A thousand messages at once would delay every other request of the process."""

BATCH_TIMEOUT_S = 1.8
"""How long one batch may take. A query has 1.5 s; this also ends a batch of several queries, and one that hangs."""


@dataclass(slots=True, eq=False)
class Pending(Generic[Item, Result]):
    """An item, and a future for each request that waits for its result."""

    item: Item
    futures: "list[asyncio.Future[Result]]"

    def resolve(self, result: Result) -> None:
        """Return this result to the requests that still wait: a client may have disconnected."""
        for future in self.futures:
            if not future.done():
                future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Raise this error in the requests that still wait."""
        for future in self.futures:
            if not future.done():
                future.set_exception(error)


class Batcher(Generic[Item, Result]):
    """Run one batch at a time. Items that arrive meanwhile form the next one; an idle batcher starts at once.

    `run` resolves or fails each item of a batch. When it raises, or takes longer than `BATCH_TIMEOUT_S`, all its items
    fail, and so do those that arrived meanwhile: they waited as long, and another attempt would take as long again.
    So a request waits for the batch under way and its own, or for one more per `BATCH_LIMIT` items before it.

    `before_batch` may wait for more items, which that time limit does not count. It gets the number of those that have
    gathered.
    """

    def __init__(
        self,
        run: Callable[[list[Pending[Item, Result]]], Awaitable[None]],
        before_batch: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._run = run
        self._before_batch = before_batch
        self._gathered: dict[Hashable, Pending[Item, Result]] = {}
        self._running: asyncio.Task[None] | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, key: Hashable, item: Item) -> "asyncio.Future[Result]":
        """Return a future of the result. While an item waits for its batch, requests with an equal key share it.

        Each request has a future of its own, so that a cancelled request takes the result from no other. The future
        raises what `run` raised, or `TimeoutError`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        pending = self._gathered.get(key)
        if pending is None:
            self._gathered[key] = Pending(item, [future])
        else:
            pending.futures.append(future)
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run_all())
        return future

    async def _run_all(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._gathered:
            if self._before_batch is not None:
                await self._before_batch(len(self._gathered))
            batch = self._take_batch()
            self._deadline = clock() + BATCH_TIMEOUT_S
            if self._timer is None:
                self._check_deadline()
            try:
                await self._run(batch)
            except asyncio.CancelledError:
                self._fail(batch, TimeoutError(f"the database did not answer within {BATCH_TIMEOUT_S} s"))
                raise
            except Exception as error:  # noqa: BLE001 - the requests that wait must get it, whatever it is
                self._fail(batch, error)
            finally:
                self._deadline = None

    def _take_batch(self) -> list[Pending[Item, Result]]:
        if len(self._gathered) <= BATCH_LIMIT:
            batch, self._gathered = list(self._gathered.values()), {}
            return batch
        return [self._gathered.pop(key) for key in list(self._gathered)[:BATCH_LIMIT]]

    def _check_deadline(self) -> None:
        """Cancel a batch that is late. One timer serves many batches, because one for each costs 2.5 us a batch."""
        loop = asyncio.get_running_loop()
        self._timer = None
        if self._deadline is not None and self._running is not None:
            if loop.time() < self._deadline:
                self._timer = loop.call_at(self._deadline, self._check_deadline)
            else:
                self._running.cancel()

    def _fail(self, batch: list[Pending[Item, Result]], error: Exception) -> None:
        for pending in (*batch, *self._gathered.values()):
            pending.fail(error)
        self._gathered.clear()
