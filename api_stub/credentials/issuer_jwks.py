"""Fetch the public keys of the trusted issuer (JWKS, RFC 7517); keep them, and fetch again for an unknown key id."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet

from api_stub.credentials.issuer_claims import InvalidToken, IssuerUnreachable

KEPT_S = 300.0
"""How long the keys are used. After that a key that the issuer withdrew is refused."""

PAUSE_S = 30.0
"""The least time between two fetches: tokens with made-up key ids cause no more."""

PAUSE_AFTER_FAILURE_S = 5.0


class IssuerKeys:
    """The keys of one type. Concurrent requests wait for the same fetch."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Any]]],
        key_type: str,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._fetch = fetch
        self._key_type = key_type
        self._clock = clock
        self._keys: KeySet | None = None
        self._kept_until = self._next_fetch_at = clock()
        self._is_reachable = True
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> KeySet:
        """Return the keys if this one is among them. Raises `InvalidToken` when it is not, or `IssuerUnreachable`."""
        if (keys := self._known(key_id)) is not None:
            return keys
        async with self._fetching:
            if self._known(key_id) is None and self._clock() >= self._next_fetch_at:
                await self._refresh()
        if (keys := self._known(key_id)) is not None:
            return keys
        if self._is_reachable:
            raise InvalidToken("The issuer publishes no key of this id.")
        raise IssuerUnreachable

    def _known(self, key_id: str | None) -> KeySet | None:
        if self._keys is None or self._clock() >= self._kept_until:
            return None
        # A token may name no key (RFC 7515 4.1.4); then the set must have only one.
        is_there = key_id is None or any(key.kid == key_id for key in self._keys)
        return self._keys if is_there else None

    async def _refresh(self) -> None:
        self._is_reachable = False
        self._next_fetch_at = self._clock() + PAUSE_AFTER_FAILURE_S
        self._keys = _read(await self._fetch(), self._key_type)
        self._is_reachable = True
        self._kept_until = self._clock() + KEPT_S
        self._next_fetch_at = self._clock() + PAUSE_S


def _read(published: Mapping[str, Any], key_type: str) -> KeySet:
    """Return the signature keys of this type; leave out what cannot be read."""
    listed = published.get("keys")
    if not isinstance(listed, list):
        raise IssuerUnreachable
    keys = []
    for each in listed:
        if isinstance(each, dict) and each.get("kty") == key_type and each.get("use", "sig") == "sig":
            try:
                keys.append(JWKRegistry.import_key(each))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    return KeySet(keys)
