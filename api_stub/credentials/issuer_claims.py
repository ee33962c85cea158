"""Check the claims of a trusted issuer's tokens, and read the client and scopes from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from delivery.vocabulary import Scope

TOKEN_LIMIT_BYTES = 8 * 1024
CLOCK_SKEW_S = 30
"""How far the issuer's clock may be ahead of ours, for `nbf` and `iat`. `exp` has no such margin."""

_NAME_LIMIT = 200
_LATEST = 2**53


class InvalidToken(Exception):  # noqa: N818 - about the token, not a defect
    """The token is not valid for this API."""


class ExpiredToken(Exception):  # noqa: N818 - about the token, not a defect
    """The token is genuine and has expired."""


class IssuerUnreachable(Exception):  # noqa: N818 - about the issuer, not a defect
    """The issuer did not answer, or its answer is invalid: whether the token is valid is unknown."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """What a valid token contains: the issuer's name of the client, its scopes, and its end in Unix time."""

    client: str
    scopes: frozenset[Scope]
    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenRequirements:
    """The values that claims must have, and the claim that names the client."""

    issuer: str
    audience: str
    client_claim: str
    is_issuer_required: bool = True
    required: tuple[str, ...] = ("iat", "jti", "sub")


def read_claims(claims: Mapping[str, Any], expected: TokenRequirements, now: float) -> TokenIdentity:
    """Check a token's claims at this Unix time and return their content. Raises `InvalidToken` or `ExpiredToken`."""
    options: dict[str, ClaimsOption] = {name: {"essential": True} for name in ("exp", *expected.required)}
    options["iss"] = {"essential": expected.is_issuer_required, "value": expected.issuer}
    options["aud"] = {"essential": True, "value": expected.audience}
    registry = JWTClaimsRegistry(now=int(now), leeway=CLOCK_SKEW_S, **options)
    try:
        registry.validate(dict(claims))
    except ExpiredTokenError as error:
        raise ExpiredToken from error
    except JoseError as error:
        raise InvalidToken(error.error) from error
    if claims["exp"] <= now:
        raise ExpiredToken
    # A number may be too large for a float; then the token counts as one that lasts forever.
    return TokenIdentity(_client(claims, expected), _scopes(claims.get("scope")), float(min(claims["exp"], _LATEST)))


def _client(claims: Mapping[str, Any], expected: TokenRequirements) -> str:
    name = claims.get(expected.client_claim)
    # The name is looked up in the database, which takes no NUL.
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LIMIT or not name.isprintable():
        raise InvalidToken(expected.client_claim)
    return name


def _scopes(scope: object) -> frozenset[Scope]:
    """Read the `scope` claim (RFC 8693 4.2). Scopes of other systems are ignored."""
    words = scope.split(" ") if isinstance(scope, str) else []
    return frozenset(Scope(word) for word in words if word in set(Scope))
