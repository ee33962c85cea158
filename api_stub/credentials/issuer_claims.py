"""Tokens of a trusted issuer: what must be true of their claims, and which client of ours they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from delivery.vocabulary import Scope

TOKEN_LIMIT_BYTES = 8 * 1024
CLOCK_SKEW_S = 30
"""How far the issuer's clock may be ahead of ours, for `nbf` and `iat`. `exp` is taken by the second."""

_NAME_LIMIT = 200
_FOR_EVER = 2**53


class InvalidToken(Exception):  # noqa: N818 - a verdict, not a defect
    """The token proves nothing."""


class ExpiredToken(Exception):  # noqa: N818 - a verdict, not a defect
    """The token is genuine, and its time is over."""


class IssuerUnreachable(Exception):  # noqa: N818 - a fact about somebody else
    """The issuer did not answer, or not with sense: nobody knows whether the token is good."""


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """What a good token says: what the issuer calls the client, what it may do, and until when, in Unix time."""

    client: str
    scopes: frozenset[Scope]
    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenRequirements:
    """What a token must say to be for us, and which claim names the client."""

    issuer: str
    audience: str
    client_claim: str
    is_issuer_required: bool = True
    required: tuple[str, ...] = ("iat", "jti", "sub")


def read_claims(claims: Mapping[str, Any], expected: TokenRequirements, now: float) -> TokenIdentity:
    """Judge a token's claims at this Unix time. Raises `InvalidToken` or `ExpiredToken`."""
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
    # A number may be too large to be a float, and is then as good as for ever.
    return TokenIdentity(_client(claims, expected), _scopes(claims.get("scope")), float(min(claims["exp"], _FOR_EVER)))


def _client(claims: Mapping[str, Any], expected: TokenRequirements) -> str:
    called = claims.get(expected.client_claim)
    # The name is looked up in the database, which takes no NUL.
    if not isinstance(called, str) or not 0 < len(called) <= _NAME_LIMIT or not called.isprintable():
        raise InvalidToken(expected.client_claim)
    return called


def _scopes(scope: object) -> frozenset[Scope]:
    """Read the `scope` claim (RFC 8693 4.2). What is no scope of ours, or for somebody else, means nothing here."""
    words = scope.split(" ") if isinstance(scope, str) else []
    return frozenset(Scope(word) for word in words if word in set(Scope))
