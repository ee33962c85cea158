"""The keyring: tells whether a key, secret or token is genuine, whose it is, and notes that it was used."""

import asyncio
from collections.abc import Callable
from time import monotonic

import structlog
from pydantic import SecretStr

from api_stub.batching.cached_lookup import CachedLookup
from delivery.credentials import is_match, parse_credential
from delivery.records.database import DATABASE_UNAVAILABLE, AsyncDatabase, LockTimeout
from delivery.records.identities.clients import KnownClient, StoredCredential, find_clients, find_credentials
from delivery.records.identities.credentials import USE_NOTED_EVERY, record_use
from delivery.vocabulary import CredentialKind

_log = structlog.get_logger()


class CredentialVerifier:
    """Knows credentials by their public prefix. Of the secret it keeps what the database has, a keyed digest."""

    def __init__(self, database: AsyncDatabase, pepper: SecretStr, clock: Callable[[], float] = monotonic) -> None:
        self._pepper = pepper
        self._credentials = CachedLookup[tuple[str, CredentialKind], StoredCredential](
            lambda shown: database.run(find_credentials, shown), clock
        )
        self._clients = CachedLookup[str, KnownClient](lambda called: database.run(find_clients, called), clock)
        self._uses = _LastUsedWriter(database, clock)

    async def verify(self, text: str, kind: CredentialKind) -> StoredCredential | None:
        """Give what is known of a genuine credential, expired ones too; None for everything else.

        Raises what `Archive.ask` raises.
        """
        parts = parse_credential(text, kind)
        if parts is None:
            return None
        prefix, secret = parts
        stored = await self._credentials.get((prefix, kind))
        if stored is None or not is_match(secret, stored.digest, self._pepper):
            return None
        # Tokens live for an hour; that their client is there shows in its secret.
        if not stored.is_expired and kind is not CredentialKind.ACCESS_TOKEN:
            self._uses.note(prefix)
        return stored

    async def find_client(self, called: str) -> KnownClient | None:
        """Give the one client that a trusted issuer calls so. Raises what `Archive.ask` raises."""
        return await self._clients.get(called)

    async def close(self) -> None:
        """Wait until what was noted is written."""
        await self._uses.close()


class _LastUsedWriter:
    """Notes uses beside the requests: a credential once a minute, however often it is used."""

    def __init__(self, database: AsyncDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[str, float] = {}
        self._unwritten: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    def note(self, prefix: str) -> None:
        now = self._clock()
        noted_at = self._noted.get(prefix)
        if noted_at is not None and now - noted_at < USE_NOTED_EVERY.total_seconds():
            return
        self._forget_before(now - USE_NOTED_EVERY.total_seconds())
        self._noted[prefix] = now
        self._unwritten.append(prefix)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing

    def _forget_before(self, instant: float) -> None:
        while self._noted and next(iter(self._noted.values())) <= instant:
            del self._noted[next(iter(self._noted))]

    async def _write(self) -> None:
        while self._unwritten:
            prefixes, self._unwritten = self._unwritten, []
            try:
                await self._database.run(record_use, prefixes)
            except (*DATABASE_UNAVAILABLE, LockTimeout, TimeoutError) as error:
                _log.warning("use_not_noted", error=type(error).__name__, credentials=len(prefixes))
