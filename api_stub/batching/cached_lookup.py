"""Look up keys in the database, and use a value again for a second, so that not every request costs a query."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from time import monotonic
from typing import Generic, TypeVar

from api_stub.batching.batcher import Batcher, Pending

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

KEPT_S = 1.0
"""How long a value is used again, from the start of its query. A revocation takes effect within this time."""


class CachedLookup(Generic[Key, Value]):
    """Look up the values of keys. Keys that arrive during one query share the next one.

    A key without a value is not kept, so requests with made-up keys occupy one connection and no memory.
    """

    def __init__(
        self,
        look_up: Callable[[list[Key]], Awaitable[Mapping[Key, Value]]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._kept: dict[Key, tuple[float, Value]] = {}
        self._batcher = Batcher[Key, Value | None](self._look_up_batch)

    async def get(self, key: Key) -> Value | None:
        """Return the value of this key; None when it has none. Raises what the query raised, or `TimeoutError`."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < KEPT_S:
            return kept[1]
        return await self._batcher.submit(key, key)

    async def _look_up_batch(self, batch: list[Pending[Key, Value | None]]) -> None:
        began_at = self._clock()
        found = await self._look_up([each.item for each in batch])
        self._keep(found, began_at)
        for each in batch:
            each.resolve(found.get(each.item))

    def _keep(self, found: Mapping[Key, Value], began_at: float) -> None:
        """Keep these values, and remove those that are too old; the dictionary has the oldest first."""
        for key, value in found.items():
            self._kept.pop(key, None)
            self._kept[key] = began_at, value
        while self._kept and began_at - next(iter(self._kept.values()))[0] >= KEPT_S:
            del self._kept[next(iter(self._kept))]
