"""All settings of Postroom, each with unit, default and description. A process reads them once, when it starts."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from delivery import setting_checks


class Settings(BaseSettings):
    """All settings. Their variables begin with POSTROOM_, except DATABASE_URL, BROKER_URL and SMTP_URL.

    Names that end in `_s` are seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix="POSTROOM_", frozen=True, validate_by_name=True, validate_by_alias=True, extra="ignore"
    )

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/postroom"),
        validation_alias="DATABASE_URL",
        description="URL of the PostgreSQL database, version 16 or newer. It holds everything that must not be lost.",
    )
    broker_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"),
        validation_alias="BROKER_URL",
        description="URL of Redis or Valkey, which carries the bells: `redis://`, `rediss://` or `unix:///path?db=0`.",
    )
    smtp_url: SecretStr = Field(
        default=SecretStr("smtp://localhost:25"),
        validation_alias="SMTP_URL",
        description="URL of the mail relay: `smtp://`, `smtp+starttls://` or `smtps://`, `user:password@` if needed.",
    )
    pepper: SecretStr = Field(
        min_length=32,
        description="Secret key of all digests and signatures; 32 characters or more. A new one voids all credentials.",
    )
    mail_domain: str = Field(
        default="postroom.localhost",
        description="Our own domain, in the From address, the envelope sender and the Message-ID of every mail.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[!#-;=?-~]{1,400})?$",
        description="Public URL of this API, such as `https://host`. If set, mails link to its unsubscribe page.",
    )
    api_key_header: str = Field(
        default="X-Proz-API-Key",
        description="Name of the header that carries an API key. `X-API-Key` works too.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Proxies whose `X-Forwarded-For` the API trusts: addresses or networks, separated by commas.",
    )
    verdict_wait_s: float = Field(
        default=2.0,
        ge=0,
        le=10,
        description="Seconds that a POST waits for the verdict, unless the client asks for another time. At most 10.",
    )
    verdict_tick_s: float = Field(
        default=0.01,
        gt=0,
        description="Seconds between two queries for verdicts. One query serves all waiting POSTs of an API process.",
    )
    waiting_limit: int = Field(
        default=2000,
        ge=0,
        description="POSTs that may wait for verdicts at the same time in one API process. Others do not wait.",
    )
    requests_per_minute: int = Field(
        default=600, ge=1, description="Requests per minute for each client that has no limit of its own."
    )
    recipients_per_minute: int = Field(
        default=6000, ge=25, description="Recipients per minute for each client that has no limit of its own."
    )
    refused_credentials_per_minute: int = Field(
        default=30,
        ge=1,
        description="Refused credentials per minute from one address (IPv6: one /64) before it gets 429.",
    )
    unknown_recipients_per_hour: int = Field(
        default=500, ge=1, description="Unknown recipients a client may submit per hour before it gets 429."
    )
    hold_phrases: str = Field(
        default="",
        description="Phrases that send a message to staff, separated by `|`. Case, width and spacing do not matter.",
    )
    hold_days: float = Field(default=7.0, gt=0, description="Days after which a held message expires undecided.")
    bell: bool = Field(
        default=True, description="Ring bells in Redis when there is work. If off, the sweep does all work, but later."
    )
    bell_grace_s: float = Field(default=5.0, gt=0, description="Seconds that the sweep leaves fresh work to its bell.")
    sweep_tick_s: float = Field(default=1.0, gt=0, description="Seconds between two rounds of each worker's sweep.")
    step_pause_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds that a row is postponed after a step failed on it for a reason of our own.",
    )
    smtp_ca_file: str = Field(
        default="",
        description="A PEM file with the authority that signed the relay's certificate. Empty: those of the machine.",
    )
    smtp_concurrency: int = Field(
        default=32, ge=1, description="Mails that one SMTP worker process sends at the same time."
    )
    smtp_mails_per_connection: int = Field(
        default=100, ge=1, le=10_000, description="Mails sent over one connection to the relay before it is closed."
    )
    smtp_timeout_s: float = Field(default=30.0, gt=0, description="Seconds that one reply of the mail relay may take.")
    send_deadline_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds that one attempt may take; its lease is 15 s longer. Unknown outcomes wait as long.",
    )
    unknown_policy: Literal["resend", "hold"] = Field(
        default="resend",
        description="For mails of unknown outcome: `resend` them later, flagged, or `hold` them until released.",
    )
    journal_folder: str = Field(
        default="",
        description="Folder of the workers' journals. Empty means a folder among the machine's temporary files.",
    )
    token_lifetime_s: int = Field(
        default=3600, ge=60, le=86400, description="Seconds that an access token of `/oauth/token` is valid."
    )
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
    crash_at: str = Field(
        default="",
        description="For reliability trials only: the crash point to arm in this process (docs/crash-points.md).",
    )
    log_level: str = Field(
        default="INFO", description="Lowest level to log: DEBUG, INFO, WARNING or ERROR. Logs are JSON lines on stderr."
    )

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The single algorithms of `issuer_algorithms`."""
        return tuple(self.issuer_algorithms.split())

    @property
    def key_type(self) -> str:
        """The `kty` of the keys that fit `issuer_algorithms` (RFC 7518 6.1)."""
        return setting_checks.KEY_TYPES[self.algorithms[0]]

    @field_validator("*", mode="before")
    @classmethod
    def _has_no_line_end(cls, value: object) -> object:
        return setting_checks.check_no_line_end(value) if isinstance(value, str) else value

    @field_validator(*setting_checks.CHECKS)
    @classmethod
    def _can_work(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        check = setting_checks.CHECKS[str(info.field_name)]
        return SecretStr(check(value.get_secret_value())) if isinstance(value, SecretStr) else check(value)

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

    @property
    def phrases(self) -> tuple[str, ...]:
        """The single phrases of `hold_phrases`, without blank ones."""
        return tuple(phrase for phrase in self.hold_phrases.split("|") if phrase.strip())

    @property
    def grace(self) -> timedelta:
        """`bell_grace_s` as a duration."""
        return timedelta(seconds=self.bell_grace_s)

    @property
    def send_deadline(self) -> timedelta:
        """`send_deadline_s` as a duration."""
        return timedelta(seconds=self.send_deadline_s)

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: longer than the send deadline, so that no attempt outlives its lease."""
        return timedelta(seconds=self.send_deadline_s + LEASE_MARGIN_S)


LEASE_MARGIN_S = 15.0
"""How much longer the lease of an attempt is than its deadline."""

DEMO_ENVIRONMENT_FILE = Path("var/postroom.env")
"""Where `postroom up` writes the settings of its embedded system, relative to the checkout."""


@cache
def settings_from_environment(file: Path | None = None) -> Settings:
    """Read the settings of this process. Only entry points call it; they pass the settings to everything else.

    Variables that the environment lacks are read from `file`, if it exists.

    Raises `SystemExit` with a line for each wrong or missing variable. It never shows values: they may be secrets.
    """
    try:
        return Settings(_env_file=file)
    except ValidationError as error:
        raise SystemExit(_describe(error)) from None


def settings_from(variables: Mapping[str, str]) -> Settings:
    """Read settings from these variables, which take precedence over the environment.

    Raises `SystemExit` as `settings_from_environment` does.
    """
    fields = {
        field: variables[name] for field in Settings.model_fields if (name := environment_name(field)) in variables
    }
    try:
        return Settings.model_validate(fields)
    except ValidationError as error:
        raise SystemExit(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    lines = [f"  {environment_name(str(each['loc'][0]))}: {each['msg']}" for each in error.errors()]
    return "Postroom's settings are missing or wrong. Correct these variables:\n" + "\n".join(lines)


def environment_name(field: str) -> str:
    """Return the environment variable of a setting, given its field name or its alias (which is the variable)."""
    field = field.lower()
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else f"POSTROOM_{field.upper()}"
