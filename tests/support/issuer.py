"""A foreign issuer as tests need it: keys, tokens, and a client with one response."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from api_stub.credentials.issuer_claims import IssuerUnreachable, TokenIdentity
from delivery.settings import Settings
from delivery.vocabulary import Scope
from tests.support import build

ISSUER, AUDIENCE = "https://login.example", "https://postroom.example"
NOW = 1_800_000_000
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "two"})
CURVE_KEY = ECKey.generate_key("P-256", {"kid": "curve"})

GOOD = TokenIdentity(str(build.CLIENT_ID), frozenset({Scope.MESSAGE_SEND}), NOW + 600)


def settings(**chosen: Any) -> Settings:
    """Make settings that trust the issuer by its keys."""
    facts = {"issuer": ISSUER, "issuer_audience": AUDIENCE, "issuer_jwks_url": f"{ISSUER}/keys"}
    return build.settings(**{**facts, **chosen})


def asking_settings(**chosen: Any) -> Settings:
    """Make settings under which every token is sent to the issuer for introspection."""
    return settings(issuer_jwks_url="", issuer_introspection_url=f"{ISSUER}/introspect", **chosen)


def claims(**chosen: Any) -> dict[str, Any]:
    """Make the claims of a valid access token; None removes one."""
    facts = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "somebody",
        "client_id": str(build.CLIENT_ID),
        "iat": NOW - 10,
        "exp": NOW + 600,
        "jti": "a number",
        "scope": "openid message.send",
    }
    return {name: value for name, value in {**facts, **chosen}.items() if value is not None}


def token(key: RSAKey | ECKey = KEY, *, header: Mapping[str, Any] | None = None, **chosen: Any) -> str:
    """Sign a token, valid but for what is chosen here."""
    head = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid, **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(head, claims(**chosen), key, algorithms=[head["alg"]], default_type=None)


def part(content: Mapping[str, Any]) -> str:
    """Encode one part of a JWT by hand."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def published(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """Return the key set that publishes the public parts of these keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class FakeIssuerClient:
    """A client of an issuer with one response to every request, or None: the issuer cannot be reached."""

    def __init__(self, answer: Mapping[str, Any] | None) -> None:
        self.answer = answer
        self.asked: list[Mapping[str, str] | None] = []

    async def get(self, url: str) -> Mapping[str, Any]:
        """Return the response."""
        del url
        return self._answer(None)

    async def post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Record the form and return the response."""
        del url
        return self._answer(form)

    async def close(self) -> None:
        """Do nothing."""

    def _answer(self, form: Mapping[str, str] | None) -> Mapping[str, Any]:
        self.asked.append(form)
        if self.answer is None:
            raise IssuerUnreachable
        return self.answer
