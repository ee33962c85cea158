"""Bound how many questions to the issuer are under way, so that guesses leave room for those of real clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from api_stub.credentials.issuer_claims import IssuerUnreachable

IN_ALL = 20
_PER_ADDRESS = 8
_SUSPECTS = 12


def _nothing() -> None:
    """Permit everything."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The address that presents a token. `check` raises an error when it has presented too many bad ones."""

    address: str = ""
    is_suspect: Callable[[], bool] = bool
    """Whether a credential from there was refused lately."""
    check: Callable[[], None] = field(default=_nothing)


class IssuerSlots:
    """At most 8 of 20 questions are for one address, and at most 12 for all addresses with refused credentials."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s` is how long a question waits for its turn."""
        self._patience_s = patience_s
        self._suspects = asyncio.Semaphore(_SUSPECTS)
        self._addresses: dict[str, asyncio.Semaphore] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def take(self, asker: Asker) -> AsyncIterator[None]:
        """Wait for a slot, and hold it until the block ends. Raises `IssuerUnreachable`, or what `check` raises."""
        address = asker.address
        own = self._addresses.setdefault(address, asyncio.Semaphore(_PER_ADDRESS))
        self._waiting[address] = self._waiting.get(address, 0) + 1
        try:
            await self._acquire(own)
            try:
                # Others from there may have been refused while this one waited.
                asker.check()
                async with self._among_suspects(asker):
                    yield
            finally:
                own.release()
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address], self._addresses[address]

    @asynccontextmanager
    async def _among_suspects(self, asker: Asker) -> AsyncIterator[None]:
        if not asker.is_suspect():
            yield
            return
        await self._acquire(self._suspects)
        try:
            asker.check()
            yield
        finally:
            self._suspects.release()

    async def _acquire(self, slots: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await slots.acquire()
        except TimeoutError as error:
            raise IssuerUnreachable from error
