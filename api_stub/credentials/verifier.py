"""Verify keys, secrets and our own tokens against the database, and record when they were used."""

import asyncio
from collections.abc import Callable
from time import monotonic

import structlog
from pydantic import SecretStr

from api_stub.batching.cached_lookup import CachedLookup
from delivery.credentials import is_match, parse_credential
from delivery.logs.security import write_line
from delivery.records.database import DATABASE_UNAVAILABLE, AsyncDatabase, LockTimeout
from delivery.records.identities.clients import KnownClient, StoredCredential, find_clients, find_credentials
from delivery.records.identities.credentials import USE_NOTED_EVERY, record_use
from delivery.vocabulary import CredentialKind, SecurityEventKind

_log = structlog.get_logger()


class CredentialVerifier:
    """Finds credentials by their public prefix and compares a keyed digest of the secret; keeps no plain secret."""

    def __init__(self, database: AsyncDatabase, pepper: SecretStr, clock: Callable[[], float] = monotonic) -> None:
        self._pepper = pepper
        self._credentials = CachedLookup[tuple[str, CredentialKind], StoredCredential](
            lambda prefixes: database.run(find_credentials, prefixes), clock
        )
        self._clients = CachedLookup[str, KnownClient](lambda names: database.run(find_clients, names), clock)
        self._uses = _LastUsedWriter(database, clock)

    async def verify(self, text: str, kind: CredentialKind) -> StoredCredential | None:
        """Return a genuine credential, also an expired one; None for everything else.

        Raises what `AsyncDatabase.run` raises.
        """
        parts = parse_credential(text, kind)
        if parts is None:
            return None
        prefix, secret = parts
        stored = await self._credentials.get((prefix, kind))
        if stored is None or not is_match(secret, stored.digest, self._pepper):
            return None
        # The use of tokens is not recorded: they live for an hour, and their client's secret shows its use.
        if not stored.is_expired and kind is not CredentialKind.ACCESS_TOKEN:
            self._uses.record(prefix)
        return stored

    async def find_client(self, name: str) -> KnownClient | None:
        """Return the client that is linked to this id of the trusted issuer. Raises what `AsyncDatabase.run` raises."""
        return await self._clients.get(name)

    async def close(self) -> None:
        """Wait until the uses are written."""
        await self._uses.close()


class _LastUsedWriter:
    """Writes when credentials were used, beside the requests: each at most once a minute."""

    def __init__(self, database: AsyncDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._recorded: dict[str, float] = {}
        self._unwritten: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    def record(self, prefix: str) -> None:
        now = self._clock()
        recorded_at = self._recorded.get(prefix)
        if recorded_at is not None and now - recorded_at < USE_NOTED_EVERY.total_seconds():
            return
        self._forget_before(now - USE_NOTED_EVERY.total_seconds())
        self._recorded[prefix] = now
        self._unwritten.append(prefix)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing

    def _forget_before(self, instant: float) -> None:
        while self._recorded and next(iter(self._recorded.values())) <= instant:
            del self._recorded[next(iter(self._recorded))]

    async def _write(self) -> None:
        while self._unwritten:
            prefixes, self._unwritten = self._unwritten, []
            try:
                first_used = await self._database.run(record_use, prefixes)
            except (*DATABASE_UNAVAILABLE, LockTimeout, TimeoutError) as error:
                _log.warning("use_not_noted", error=type(error).__name__, credentials=len(prefixes))
                continue
            for prefix, client_id in first_used.items():
                write_line(SecurityEventKind.CREDENTIAL_FIRST_USED, credential=prefix, client_id=str(client_id))
