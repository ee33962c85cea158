"""Check the claims of a trusted issuer's tokens, and read the client and scopes from them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from delivery.records.identities.issuer_links import is_issuer_id
from delivery.settings import Settings
from delivery.vocabulary import Scope

TOKEN_LIMIT_BYTES = 8 * 1024
CLOCK_SKEW_S = 30
"""How far the issuer's clock may be ahead of ours, for `nbf` and `iat`. `exp` has no such margin."""

_LATEST = 2**53
# What issuers call their access tokens in claims: Keycloak in `typ`, Cognito and others in `token_use`.
_ACCESS_TOKEN_WORDS = {"typ": {"bearer", "at+jwt"}, "token_use": {"access", "access_token"}}
# Claims of ID tokens (OpenID Connect Core 2 and 3.3.2.11) and of logout tokens (Back-Channel Logout 2.4).
_FOREIGN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash", "events")


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
    """The values that claims must have, and the claims that name the client and its scopes."""

    issuer: str
    audience: str
    client_claim: str
    scope_claim: str
    scope_prefix: str
    is_audience_required: bool

    @classmethod
    def of(cls, settings: Settings) -> "TokenRequirements":
        """Return what the settings require."""
        return cls(
            settings.issuer,
            settings.issuer_audience,
            settings.issuer_client_claim,
            settings.issuer_scope_claim,
            settings.issuer_scope_prefix,
            settings.issuer_audience_required,
        )


def read_claims(
    claims: Mapping[str, Any], expected: TokenRequirements, now: float, *, required: Collection[str] = ()
) -> TokenIdentity:
    """Check a token's claims at this Unix time and return their content. Raises `InvalidToken` or `ExpiredToken`.

    Besides `exp` and, by setting, `aud`, the claims in `required` must be there.
    """
    options: dict[str, ClaimsOption] = {name: {"essential": True} for name in ("exp", *required)}
    options["iss"] = {"essential": "iss" in required, "value": expected.issuer}
    options["aud"] = {"essential": expected.is_audience_required, "value": expected.audience}
    # No scope is a scope claim too: the token is valid and grants nothing.
    options[expected.scope_claim] = {"essential": expected.scope_claim in required, "allow_blank": True}
    registry = JWTClaimsRegistry(now=int(now), leeway=CLOCK_SKEW_S, **options)
    try:
        registry.validate(dict(claims))
    except ExpiredTokenError as error:
        raise ExpiredToken from error
    except JoseError as error:
        raise InvalidToken(str(error)) from error
    if "aud" in claims and not expected.audience:
        raise InvalidToken("The claim aud is there, and no audience is set.")
    if claims["exp"] <= now:
        raise ExpiredToken
    # A number may be too large for a float; then the token counts as one that lasts forever.
    return TokenIdentity(_client(claims, expected), _scopes(claims, expected), float(min(claims["exp"], _LATEST)))


def refuse_other_tokens(claims: Mapping[str, Any], *, is_access_token: bool = False) -> None:
    """Raise `InvalidToken` for claims that show an ID token, a refresh token or another token that gives no access.

    `is_access_token` is whether the header says so. A claim may say so too; without either, a token has no claim that
    only ID and logout tokens have.
    """
    words = {name: str(claims[name]).lower() for name in _ACCESS_TOKEN_WORDS if name in claims}
    for name, word in words.items():
        if word not in _ACCESS_TOKEN_WORDS[name]:
            raise InvalidToken(f"The claim {name} does not say that this is an access token.")
    for name in _FOREIGN_CLAIMS:
        if name in claims and not words and not is_access_token:
            raise InvalidToken(f"The claim {name} is one of an ID token or a logout token.")


def _client(claims: Mapping[str, Any], expected: TokenRequirements) -> str:
    name = claims.get(expected.client_claim)
    # The name is looked up in the database, which takes no NUL.
    if not isinstance(name, str) or not is_issuer_id(name):
        raise InvalidToken(f"The claim {expected.client_claim} names no client.")
    return name


def _scopes(claims: Mapping[str, Any], expected: TokenRequirements) -> frozenset[Scope]:
    """Read the scopes: text separated by blanks (RFC 8693 4.2) or a list. Scopes of other systems are ignored."""
    if expected.scope_claim == "roles" and _acts_for_a_user(claims):
        return frozenset()
    value = claims.get(expected.scope_claim)
    words = value.split(" ") if isinstance(value, str) else value
    ours = {f"{expected.scope_prefix}{scope}": scope for scope in Scope}
    found = words if isinstance(words, list) else []
    return frozenset(ours[word] for word in found if isinstance(word, str) and word in ours)


def _acts_for_a_user(claims: Mapping[str, Any]) -> bool:
    """Check whether Entra ID issued this token for a user: then `roles` are the user's, not the client's."""
    return "scp" in claims or claims.get("idtyp", "app") != "app"
