"""The one foreign issuer whose access tokens are taken, where one is configured: by its keys, or by asking it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from time import monotonic, time
from typing import Protocol
from urllib.parse import quote_plus

from joserfc import jws, jwt
from joserfc.errors import JoseError

from api_stub.credentials.issuer_claims import (
    TOKEN_LIMIT_BYTES,
    ExpiredToken,
    InvalidToken,
    TokenIdentity,
    TokenRequirements,
    read_claims,
)
from api_stub.credentials.issuer_client import IssuerClient
from api_stub.credentials.issuer_jwks import IssuerKeys
from delivery.settings import Settings

INTROSPECTION_KEPT_S = 60.0
"""How long the issuer's word on a token is believed: a revoked token opens nothing after that."""

_KEPT_LIMIT = 10_000
# RFC 9068 2.1: so that an ID token, which every application of a user gets, does not pass for an access token.
_TYPES = frozenset({"at+jwt", "application/at+jwt"})


class TrustedIssuer(Protocol):
    """Somebody else who says who a client is."""

    async def identify(self, token: str) -> TokenIdentity:
        """Read a token. Raises `InvalidToken`, `ExpiredToken` or `IssuerUnreachable`."""

    async def close(self) -> None:
        """Hang up."""


def open_issuer(settings: Settings) -> TrustedIssuer | None:
    """Open the line to the issuer of the settings; None where there is none."""
    if not settings.issuer:
        return None
    if settings.issuer_jwks_url:
        return JwtIssuer(settings, IssuerClient(settings.issuer_timeout_s))
    # RFC 6749 2.3.1: both are form-encoded before they become Basic credentials.
    client_id = quote_plus(settings.issuer_introspection_client_id)
    secret = quote_plus(settings.issuer_introspection_client_secret.get_secret_value())
    return IntrospectionIssuer(
        settings, IssuerClient(settings.issuer_timeout_s, client_id=client_id, client_secret=secret)
    )


class JwtIssuer:
    """An issuer of signed tokens (RFC 9068). Only keys and algorithms of one asymmetric family count."""

    def __init__(self, settings: Settings, client: IssuerClient, clock: Callable[[], float] = time) -> None:
        self._expected = TokenRequirements(settings.issuer, settings.issuer_audience, settings.issuer_client_claim)
        self._algorithms = settings.algorithms
        self._client = client
        self._keys = IssuerKeys(lambda: client.get(settings.issuer_jwks_url), settings.key_type)
        self._clock = clock

    async def identify(self, token: str) -> TokenIdentity:
        """Check the signature with the issuer's keys, then the claims."""
        key_id = _read_key_id(token, self._algorithms)
        keys = await self._keys.find(key_id)
        try:
            decoded = jwt.decode(token, keys, algorithms=self._algorithms)
        except (JoseError, ValueError, RecursionError) as error:
            raise InvalidToken from error
        return read_claims(decoded.claims, self._expected, self._clock())

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()


class IntrospectionIssuer:
    """An issuer that is asked about each token (RFC 7662), and believed for a while when it says yes."""

    def __init__(
        self,
        settings: Settings,
        client: IssuerClient,
        *,
        clock: Callable[[], float] = time,
        memory_clock: Callable[[], float] = monotonic,
    ) -> None:
        # Both claims are optional in RFC 7662; who is asked is known, but not for whom it vouches, nor for how long.
        self._expected = TokenRequirements(
            settings.issuer,
            settings.issuer_audience,
            settings.issuer_client_claim,
            is_issuer_required=False,
            required=(),
        )
        self._url = settings.issuer_introspection_url
        self._client = client
        self._clock = clock
        self._memory_clock = memory_clock
        self._kept: dict[bytes, tuple[float, TokenIdentity]] = {}
        self._asking: dict[bytes, asyncio.Task[TokenIdentity]] = {}

    async def identify(self, token: str) -> TokenIdentity:
        """Ask about a token, unless that was done just now."""
        if not 0 < len(token) <= TOKEN_LIMIT_BYTES or not token.isascii() or not token.isprintable():
            raise InvalidToken
        mark = hashlib.sha256(token.encode()).digest()
        kept_until, claimed = self._kept.get(mark, (0.0, None))
        if claimed is not None and self._memory_clock() < kept_until:
            if claimed.expires_at <= self._clock():
                raise ExpiredToken
            return claimed
        return await self._share(mark, lambda: self._ask(mark, token))

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()

    async def _share(self, mark: bytes, ask: Callable[[], Awaitable[TokenIdentity]]) -> TokenIdentity:
        """Let all who show the same token at once wait for one answer."""
        if mark not in self._asking:
            asking = self._asking[mark] = asyncio.ensure_future(ask())
            asking.add_done_callback(lambda done: self._hear_out(mark, done))
        return await asyncio.shield(self._asking[mark])

    def _hear_out(self, mark: bytes, done: "asyncio.Task[TokenIdentity]") -> None:
        del self._asking[mark]
        if not done.cancelled():
            done.exception()  # Nobody may be waiting any more; then nobody is to be told.

    async def _ask(self, mark: bytes, token: str) -> TokenIdentity:
        answer = await self._client.post(self._url, {"token": token, "token_type_hint": "access_token"})
        if answer.get("active") is not True:
            raise InvalidToken
        claimed = read_claims(answer, self._expected, self._clock())
        kept_s = min(INTROSPECTION_KEPT_S, claimed.expires_at - self._clock())
        while len(self._kept) >= _KEPT_LIMIT:
            del self._kept[next(iter(self._kept))]
        self._kept[mark] = self._memory_clock() + kept_s, claimed
        return claimed


def _read_key_id(token: str, algorithms: Collection[str]) -> str | None:
    """Read which key a token names, before it costs anybody anything. Raises `InvalidToken`."""
    if len(token) > TOKEN_LIMIT_BYTES:
        raise InvalidToken
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise InvalidToken from error
    key_id = header.get("kid")
    is_ours = header.get("alg") in algorithms and str(header.get("typ")).lower() in _TYPES
    if not is_ours or not isinstance(key_id, str | None):
        raise InvalidToken
    return key_id
