"""Record which accounts a client has written to, beside the requests, and check it once its guesses are used up."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog

from delivery.records.database import DATABASE_UNAVAILABLE, AsyncDatabase, LockTimeout
from delivery.records.identities import contacts
from delivery.records.identities.contacts import Contact

AT_ONCE = 200
"""The most contacts that are written in one go, a second apart. More are recorded at a later message."""

# About 40 MB. Beyond it everything is forgotten, and is recorded once more.
_REMEMBERED = 200_000
_PAUSE_S = 1.0
_log = structlog.get_logger()


class ContactBook:
    """Records each contact once and at most 200 of them a second, so that it costs a busy client next to nothing."""

    def __init__(self, database: AsyncDatabase, *, pause_s: float = _PAUSE_S) -> None:
        self._database = database
        self._pause_s = pause_s
        self._recorded: dict[UUID, set[UUID]] = {}
        self._count = 0
        self._unwritten: list[Contact] = []
        self._writing: asyncio.Task[None] | None = None
        self._is_closing = asyncio.Event()

    def record(self, client_id: UUID, account_ids: Sequence[UUID]) -> None:
        """Record that a client has written to these accounts, soon. Costs about 5 us for 25 that are recorded."""
        recorded = self._recorded.setdefault(client_id, set())
        fresh = [each for each in account_ids if each not in recorded]
        if not fresh or len(self._unwritten) + len(fresh) > AT_ONCE:
            return
        recorded.update(fresh)
        self._count += len(fresh)
        self._unwritten += [(client_id, each) for each in fresh]
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def are_contacts(self, client_id: UUID, account_ids: Sequence[UUID]) -> bool:
        """Check whether a client has registered or written to all of these. Raises what `AsyncDatabase.run` raises."""
        return set(account_ids) == await self._database.run(contacts.find, client_id, account_ids)

    async def close(self) -> None:
        """Wait until everything is written."""
        self._is_closing.set()
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._unwritten:
            written, self._unwritten = self._unwritten, []
            try:
                await self._database.run(contacts.add, written)
            except (*DATABASE_UNAVAILABLE, LockTimeout, TimeoutError) as error:
                _log.warning("contacts_not_recorded", error=type(error).__name__, contacts=len(written))
                self._forget()
            if self._count > _REMEMBERED:
                self._forget()
            await self._pause()

    def _forget(self) -> None:
        self._recorded, self._count = {}, 0

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._is_closing.wait(), self._pause_s)
        except TimeoutError:
            return
