"""Access tokens with the shapes that five vendors document, and the settings that docs/issuers.md names for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt

from delivery.settings import Settings
from tests.support import build
from tests.support.issuer import KEY, NOW


@dataclass(frozen=True)
class Vendor:
    """A vendor: its settings, the header and claims of a token for a client, and how that client is called there."""

    settings: Mapping[str, Any]
    client: str
    claims: Mapping[str, Any]
    header: Mapping[str, Any] = field(default_factory=dict)

    def configure(self, **chosen: Any) -> Settings:
        """Make settings that trust this vendor."""
        return build.settings(**{**self.settings, **chosen})

    def token(self, header: Mapping[str, Any] | None = None, **chosen: Any) -> str:
        """Sign a token, valid but for what is chosen here; None removes a claim or a part of the header."""
        head = _without_none({"alg": "RS256", "kid": KEY.kid, **self.header, **(header or {})})
        content = _without_none({"iat": NOW - 10, "exp": NOW + 600, **self.claims, **chosen})
        return jwt.encode(head, content, KEY, algorithms=[head["alg"]], default_type=None)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


_REALM = "https://YOUR-HOST/realms/YOUR-REALM"
KEYCLOAK = Vendor(
    {
        "issuer": _REALM,
        "issuer_jwks_url": f"{_REALM}/protocol/openid-connect/certs",
        "issuer_audience": "postroom",
        "issuer_token_type": "JWT",
        "issuer_client_claim": "azp",
    },
    "shop-backend",
    {
        "jti": "trrtcc:312ee6b2-4b5e-4a0b-9d52-1e0f5a2c7c11",
        "iss": _REALM,
        "aud": ["postroom", "account"],
        "sub": "b9a1f6a4-6a05-4c59-8a3e-6a7f5f0f6d0e",
        "typ": "Bearer",
        "azp": "shop-backend",
        "acr": "1",
        "realm_access": {"roles": ["offline_access", "default-roles-shop", "uma_authorization"]},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "scope": "profile message.send email",
        "clientHost": "192.0.2.7",
        "email_verified": False,
        "preferred_username": "service-account-shop-backend",
        "clientAddress": "192.0.2.7",
        "client_id": "shop-backend",
    },
    {"typ": "JWT"},
)

_OKTA = "https://YOUR-DOMAIN.okta.com/oauth2/default"
OKTA = Vendor(
    {
        "issuer": _OKTA,
        "issuer_jwks_url": f"{_OKTA}/v1/keys",
        "issuer_audience": "api://postroom",
        "issuer_token_type": "JWT",
        "issuer_client_claim": "cid",
        "issuer_scope_claim": "scp",
    },
    "0oa1c5qy4pQ9nzFUs0h8",
    {
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": _OKTA,
        "aud": "api://postroom",
        "cid": "0oa1c5qy4pQ9nzFUs0h8",
        "scp": ["message.send", "shop.read"],
        "sub": "0oa1c5qy4pQ9nzFUs0h8",
    },
)

_TENANT = "YOUR-TENANT-ID"
_ENTRA_API = "YOUR-API-ID"
_ENTRA_APP = "00001111-aaaa-2222-bbbb-3333cccc4444"
_ENTRA_OBJECT = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
_ENTRA_CLAIMS = {
    "nbf": NOW - 10,
    "aio": "E2ZgYJgsmfWlmmHUBpfPZ3/6eH1zAA==",
    "oid": _ENTRA_OBJECT,
    "rh": "0.AAAAabc.",
    "roles": ["message.send", "Shop.Read.All"],
    "sub": _ENTRA_OBJECT,
    "tid": _TENANT,
    "uti": "Qpg3kn0Vv0K1mZrYb2KpAA",
}
ENTRA = Vendor(
    {
        "issuer": f"https://login.microsoftonline.com/{_TENANT}/v2.0",
        "issuer_jwks_url": f"https://login.microsoftonline.com/{_TENANT}/discovery/v2.0/keys",
        "issuer_audience": _ENTRA_API,
        "issuer_token_type": "JWT",
        "issuer_client_claim": "azp",
        "issuer_scope_claim": "roles",
    },
    _ENTRA_APP,
    {
        **_ENTRA_CLAIMS,
        "aud": _ENTRA_API,
        "iss": f"https://login.microsoftonline.com/{_TENANT}/v2.0",
        "azp": _ENTRA_APP,
        "azpacr": "1",
        "ver": "2.0",
    },
    {"typ": "JWT", "x5t": KEY.kid},
)
ENTRA_V1 = Vendor(
    {
        **ENTRA.settings,
        "issuer": f"https://sts.windows.net/{_TENANT}/",
        "issuer_audience": f"api://{_ENTRA_API}",
        "issuer_client_claim": "appid",
    },
    _ENTRA_APP,
    {
        **_ENTRA_CLAIMS,
        "aud": f"api://{_ENTRA_API}",
        "iss": f"https://sts.windows.net/{_TENANT}/",
        "appid": _ENTRA_APP,
        "appidacr": "1",
        "idp": f"https://sts.windows.net/{_TENANT}/",
        "ver": "1.0",
    },
    {"typ": "JWT", "x5t": KEY.kid},
)

_POOL = "https://cognito-idp.YOUR-REGION.amazonaws.com/YOUR-POOL-ID"
COGNITO = Vendor(
    {
        "issuer": _POOL,
        "issuer_jwks_url": f"{_POOL}/.well-known/jwks.json",
        "issuer_audience_required": False,
        "issuer_token_type": "JWT",
        "issuer_scope_prefix": "postroom/",
    },
    "1example23456789",
    {
        "sub": "1example23456789",
        "token_use": "access",
        "scope": "shop/read postroom/message.send",
        "auth_time": NOW - 10,
        "iss": _POOL,
        "version": 2,
        "jti": "d0a4c2b7-4f4e-4f5a-8b5f-3a6f2d1c9e77",
        "client_id": "1example23456789",
    },
)

_AUTH0 = "https://YOUR-TENANT.auth0.com/"
AUTH0 = Vendor(
    {
        "issuer": _AUTH0,
        "issuer_jwks_url": f"{_AUTH0}.well-known/jwks.json",
        "issuer_audience": "https://YOUR-POSTROOM",
        "issuer_token_type": "JWT",
        "issuer_client_claim": "azp",
    },
    "awZfdIir8YFdGZWkvCejDoUb7SjTDicx",
    {
        "iss": _AUTH0,
        "sub": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx@clients",
        "aud": "https://YOUR-POSTROOM",
        "scope": "message.send",
        "gty": "client-credentials",
        "azp": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx",
    },
    {"typ": "JWT"},
)
AUTH0_RFC_9068 = Vendor(
    {name: value for name, value in AUTH0.settings.items() if name not in {"issuer_token_type", "issuer_client_claim"}},
    AUTH0.client,
    {
        "iss": _AUTH0,
        "sub": "awZfdIir8YFdGZWkvCejDoUb7SjTDicx@clients",
        "aud": ["https://YOUR-POSTROOM", f"{_AUTH0}userinfo"],
        "jti": "73WakrfVbNJBaAmhQtEeDv",
        "scope": "message.send",
        "client_id": AUTH0.client,
    },
    {"typ": "at+jwt"},
)

VENDORS = {
    "Keycloak": KEYCLOAK,
    "Okta": OKTA,
    "Entra ID": ENTRA,
    "Entra ID v1.0": ENTRA_V1,
    "Cognito": COGNITO,
    "Auth0": AUTH0,
    "Auth0 with RFC 9068": AUTH0_RFC_9068,
}
