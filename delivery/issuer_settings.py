"""Settings of the trusted issuer, whose access tokens are accepted beside our own."""

from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from delivery import setting_checks


class IssuerSettings(BaseSettings):
    """The part of `Settings` about the trusted issuer."""

    issuer_audience: str = Field(
        default="", description="Name of this Postroom that the trusted issuer's tokens must carry in `aud`."
    )
    issuer_audience_required: bool = Field(
        default=True,
        description="If off, tokens may lack `aud`; one that is there must still be ours. Needs a scope prefix.",
    )
    issuer_jwks_url: str = Field(
        default="", description="URL of the trusted issuer's public keys, if its tokens are JWTs (RFC 9068)."
    )
    issuer_token_type: Literal["at+jwt", "JWT"] = Field(
        default="at+jwt",
        description="Header `typ` of its JWTs. `JWT` also accepts none, if the claims show an access token.",
    )
    issuer_algorithms: str = Field(
        default="RS256",
        description="Accepted JWT signature algorithms, separated by spaces, all of one family: RS/PS, ES or EdDSA.",
    )
    issuer_introspection_url: str = Field(
        default="", description="URL of the trusted issuer's token introspection, if its tokens are opaque (RFC 7662)."
    )
    issuer_introspection_client_id: str = Field(default="", description="Our client id at the introspection URL.")
    issuer_introspection_client_secret: SecretStr = Field(
        default=SecretStr(""), description="Our client secret at the introspection URL."
    )
    issuer_client_claim: Literal["client_id", "azp", "cid", "appid", "sub"] = Field(
        default="client_id",
        description="Claim of the issuer's tokens that holds the id or the unique name of one of our clients.",
    )
    issuer_scope_claim: Literal["scope", "scp", "roles"] = Field(
        default="scope",
        description="Claim that holds the scopes, as text or as a list. `roles` counts for clients, not for users.",
    )
    issuer_scope_prefix: str = Field(
        default="",
        pattern=r"^[!#-\[\]-~]*$",
        description="What stands before our scopes there, such as `postroom/`. Scopes without it do not count.",
    )
    issuer_timeout_s: float = Field(
        default=3.0, gt=0, description="Seconds that one response of the trusted issuer may take."
    )
    # Last of its group: its validator reads the other fields, and pydantic validates in this order.
    issuer: str = Field(
        default="",
        validate_default=True,
        description="Exact `iss` of the one external issuer whose access tokens are accepted too. Empty means none.",
    )

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The single algorithms of `issuer_algorithms`."""
        return tuple(self.issuer_algorithms.split())

    @property
    def key_type(self) -> str:
        """The `kty` of the keys that fit `issuer_algorithms` (RFC 7518 6.1)."""
        return setting_checks.KEY_TYPES[self.algorithms[0]]

    @field_validator("issuer")
    @classmethod
    def _is_whole(cls, issuer: str, info: ValidationInfo) -> str:
        given = info.data
        urls = [name for name in ("issuer_jwks_url", "issuer_introspection_url") if given.get(name)]
        if urls and not issuer:
            raise ValueError("name the issuer that the URL of keys or introspection belongs to")
        if not issuer:
            return issuer
        audience, is_required = given.get("issuer_audience"), given.get("issuer_audience_required", True)
        if len(urls) != 1 or (is_required and not audience):
            raise ValueError("an issuer needs an audience, and the URL either of its keys or of its introspection")
        if not is_required and not given.get("issuer_scope_prefix"):
            raise ValueError("without a required audience, only a prefix of scopes shows that a token is meant for us")
        if given.get("issuer_scope_claim") == "roles" and given.get("issuer_client_claim") not in {"azp", "appid"}:
            raise ValueError("with roles as scopes, the client must be in azp or appid: ID tokens have roles too")
        return issuer
