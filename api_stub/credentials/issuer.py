"""Verify access tokens of the configured trusted issuer: with its public keys, or by introspection."""

import asyncio
import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
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
    refuse_other_tokens,
)
from api_stub.credentials.issuer_client import IssuerClient
from api_stub.credentials.issuer_jwks import IssuerKeys
from api_stub.credentials.issuer_slots import Asker, IssuerSlots
from delivery.intake.errors import InvalidInput
from delivery.intake.strict_json import read_value
from delivery.settings import Settings

INTROSPECTION_KEPT_S = 60.0
"""How long the issuer's answer about a token is used. After that a revoked token is refused."""

_KEPT_LIMIT = 10_000
# Claims of Keycloak and of OAuth 2.0 for rich requests nest objects.
_DEPTH_LIMIT = 32
# The digest of a token, and the address that it came from.
_Question = tuple[bytes, str]
# RFC 9068 2.1: an ID token, which every application of a user gets, must not be accepted as an access token.
_ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
# RFC 9068 2.2, without `client_id`: a setting names the claim of the client.
_ACCESS_TOKEN_CLAIMS = ("iss", "iat", "jti", "sub")


class TrustedIssuer(Protocol):
    """Identifies clients by tokens that another system issued."""

    async def identify(self, token: str, asker: Asker | None = None) -> TokenIdentity:
        """Return the identity in a token. Raises `InvalidToken`, `ExpiredToken` or `IssuerUnreachable`.

        Before another system is asked about the token, the `asker` is checked. Raises what that raises.
        """

    async def close(self) -> None:
        """Close the connections."""


def open_issuer(settings: Settings) -> TrustedIssuer | None:
    """Make the issuer of the settings; None when none is configured."""
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
    """Verifies signed tokens (RFC 9068). Only keys and algorithms of one asymmetric family are accepted.

    By setting it also accepts tokens whose header does not call them access tokens. Then their claims must show it.
    """

    def __init__(self, settings: Settings, client: IssuerClient, clock: Callable[[], float] = time) -> None:
        self._expected = TokenRequirements.of(settings)
        self._algorithms = settings.algorithms
        # RFC 7515 4.1.9 makes `typ` optional; Okta and Cognito write none.
        other_types = {"jwt", ""} if settings.issuer_token_type == "JWT" else set()  # noqa: S105 - the name of a type
        self._types = _ACCESS_TOKEN_TYPES | other_types
        self._client = client
        self._keys = IssuerKeys(lambda: client.get(settings.issuer_jwks_url), settings.key_type)
        self._clock = clock

    async def identify(self, token: str, asker: Asker | None = None) -> TokenIdentity:
        """Check the signature with the issuer's keys, then the claims. The issuer is not asked about tokens."""
        del asker
        header = _read_header(token, self._algorithms, self._types)
        keys = await self._keys.find(header.key_id)
        try:
            decoded = jwt.decode(token, keys, algorithms=self._algorithms)
        except (JoseError, ValueError, RecursionError) as error:
            raise InvalidToken("The signature is not valid.") from error
        refuse_other_tokens(decoded.claims, is_access_token=header.is_access_token)
        # ID tokens have no scopes: a token must have some to be taken for an access token without its type.
        required = _ACCESS_TOKEN_CLAIMS if header.is_access_token else ("iss", "iat", self._expected.scope_claim)
        return read_claims(decoded.claims, self._expected, self._clock(), required=required)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class IntrospectionIssuer:
    """Asks the issuer about each token (RFC 7662), and keeps a positive answer for a while."""

    def __init__(
        self,
        settings: Settings,
        client: IssuerClient,
        *,
        clock: Callable[[], float] = time,
        memory_clock: Callable[[], float] = monotonic,
    ) -> None:
        self._expected = TokenRequirements.of(settings)
        self._url = settings.issuer_introspection_url
        self._client = client
        self._clock = clock
        self._memory_clock = memory_clock
        self._kept: dict[bytes, tuple[float, TokenIdentity]] = {}
        self._under_way: dict[_Question, asyncio.Task[TokenIdentity]] = {}
        self._slots = IssuerSlots(settings.issuer_timeout_s)

    async def identify(self, token: str, asker: Asker | None = None) -> TokenIdentity:
        """Return the identity that was kept for a token, or ask the issuer. Raises what `TrustedIssuer` raises."""
        asker = asker or Asker()
        if not 0 < len(token) <= TOKEN_LIMIT_BYTES or not token.isascii() or not token.isprintable():
            raise InvalidToken("The token is too long or has other characters than a token.")
        digest = hashlib.sha256(token.encode()).digest()
        kept_until, identity = self._kept.get(digest, (0.0, None))
        if identity is not None and self._memory_clock() < kept_until:
            if identity.expires_at <= self._clock():
                raise ExpiredToken
            return identity
        asker.check()
        return await self._share((digest, asker.address), lambda: self._introspect(digest, token, asker))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _share(self, key: _Question, introspect: Callable[[], Awaitable[TokenIdentity]]) -> TokenIdentity:
        """Let concurrent requests with the same token from one address wait for one answer."""
        if key not in self._under_way:
            task = self._under_way[key] = asyncio.ensure_future(introspect())
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(self._under_way[key])

    def _finish(self, key: _Question, done: "asyncio.Task[TokenIdentity]") -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # All requests may be gone; asyncio would report an exception that is never read.

    async def _introspect(self, digest: bytes, token: str, asker: Asker) -> TokenIdentity:
        async with self._slots.take(asker):
            answer = await self._client.post(self._url, {"token": token, "token_type_hint": "access_token"})
        if answer.get("active") is not True:
            raise InvalidToken("The issuer calls the token inactive.")
        refuse_other_tokens(answer)
        # RFC 7662 makes all claims optional. The issuer is the one that we ask; `exp` must be there anyway.
        identity = read_claims(answer, self._expected, self._clock())
        kept_s = min(INTROSPECTION_KEPT_S, identity.expires_at - self._clock())
        while len(self._kept) >= _KEPT_LIMIT:
            del self._kept[next(iter(self._kept))]
        self._kept[digest] = self._memory_clock() + kept_s, identity
        return identity


@dataclass(frozen=True, slots=True)
class _Header:
    key_id: str | None
    is_access_token: bool
    """Whether the type says so. Other types leave that to the claims."""


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _read_header(token: str, algorithms: Collection[str], types: Collection[str]) -> _Header:
    """Read the header of a token, without any request. Raises `InvalidToken`."""
    if len(token) > TOKEN_LIMIT_BYTES:
        raise InvalidToken("The token is too long.")
    try:
        unverified = jws.extract_compact(token.encode())
        for part in (_decode(token.partition(".")[0]), unverified.payload):
            read_value(part, _DEPTH_LIMIT)
    except (JoseError, ValueError, RecursionError) as error:
        raise InvalidToken("The token is no JWT.") from error
    except InvalidInput as error:
        # RFC 7515 4 and RFC 7519 4: of a name that stands twice, two readers may take different values.
        raise InvalidToken(f"The header or the claims: {error.faults[0].message}") from error
    header = unverified.headers()
    # RFC 7515 4.1.11: `crit` is not empty, and we understand no extension. RFC 7519 5.2: `cty` is for nested tokens.
    if "crit" in header or "cty" in header:
        raise InvalidToken("The header has crit or cty, and no such token is accepted.")
    key_id, type_ = header.get("kid"), str(header.get("typ", "")).lower()
    if header.get("alg") not in algorithms or not isinstance(key_id, str | None):
        raise InvalidToken("The header alg or kid is not one that is accepted.")
    if type_ not in types:
        raise InvalidToken("The header typ is not one that is accepted.")
    return _Header(key_id, type_ in _ACCESS_TOKEN_TYPES)
