"""A short memory of what the database said, so that no request costs a query of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from time import monotonic
from typing import Generic, TypeVar

Asked = TypeVar("Asked", bound=Hashable)
Known = TypeVar("Known")

KEPT_S = 1.0
"""How long an answer is believed. A revocation takes effect within that, and a busy key costs one query a second."""

_ASKED_AT_ONCE = 200


class CachedLookup(Generic[Asked, Known]):
    """Finds what belongs to a key. While one query is under way the next keys gather and then share the next one.

    What was not found is not remembered. Strangers can therefore occupy one connection and no memory.
    """

    def __init__(
        self,
        look_up: Callable[[list[Asked]], Awaitable[Mapping[Asked, Known]]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._kept: dict[Asked, tuple[float, Known]] = {}
        self._gathered: dict[Asked, asyncio.Future[Known | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key: Asked) -> Known | None:
        """Give what belongs to this key; None when there is nothing. Raises whatever the query raised."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < KEPT_S:
            return kept[1]
        if key not in self._gathered:
            self._gathered[key] = asyncio.get_running_loop().create_future()
        found = self._gathered[key]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await asyncio.shield(found)  # Whoever hangs up must not take the answer from the others.

    async def _ask_all(self) -> None:
        while self._gathered:
            batch = {key: self._gathered.pop(key) for key in list(self._gathered)[:_ASKED_AT_ONCE]}
            began_at = self._clock()
            try:
                found = await self._look_up(list(batch))
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                # Those who gathered meanwhile hear of it too: a second try would keep them beyond the two seconds
                # within which the door answers.
                self._fail([*batch.values(), *self._gathered.values()], error)
                self._gathered.clear()
            else:
                self._keep(found, began_at)
                for key, future in batch.items():
                    future.set_result(found.get(key))

    def _keep(self, found: Mapping[Asked, Known], began_at: float) -> None:
        """Keep answers from when their question began; the dictionary is in the order of age."""
        for key, known in found.items():
            self._kept.pop(key, None)
            self._kept[key] = began_at, known
        while self._kept and began_at - next(iter(self._kept.values()))[0] >= KEPT_S:
            del self._kept[next(iter(self._kept))]

    @staticmethod
    def _fail(futures: list["asyncio.Future[Known | None]"], error: Exception) -> None:
        for future in futures:
            future.set_exception(error)
            future.exception()  # Nobody may be waiting any more; then nobody is to be told.
