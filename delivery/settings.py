"""Every setting of Postroom: a field with its unit, its default and a sentence. Read from the environment once."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings. In the environment each has the prefix POSTROOM_, but for DATABASE_URL, BROKER_URL and SMTP_URL."""

    model_config = SettingsConfigDict(
        env_prefix="POSTROOM_", frozen=True, validate_by_name=True, validate_by_alias=True, extra="ignore"
    )

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/postroom"),
        validation_alias="DATABASE_URL",
        description="PostgreSQL 16 or newer, which holds the truth.",
    )
    broker_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"),
        validation_alias="BROKER_URL",
        description="Redis or Valkey, the doorbell: `redis://`, `rediss://` or `unix:///path?db=0`.",
    )
    smtp_url: SecretStr = Field(
        default=SecretStr("smtp://localhost:25"),
        validation_alias="SMTP_URL",
        description="The mail relay: `smtp://`, `smtp+starttls://` or `smtps://`, with `user:password@` where it asks.",
    )
    pepper: SecretStr = Field(
        min_length=32,
        description="The server's secret beside every key's digest; 32 characters or more. Changing it voids all keys.",
    )
    mail_domain: str = Field(
        default="postroom.localhost",
        description="Our own domain: of the From address, the envelope sender and every Message-ID.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[!#-;=?-~]{1,400})?$",
        description="Where people reach this API, as `https://host`: e-mails then link to its unsubscribe page.",
    )
    api_key_header: str = Field(
        default="X-Proz-API-Key",
        description="The header that carries an API key. X-API-Key always works too.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Proxies in front of the API whose X-Forwarded-For is believed: addresses or networks, by comma.",
    )
    verdict_wait_s: float = Field(
        default=2.0, ge=0, le=10, description="How long a POST waits for the verdict when the client asks nothing else."
    )
    verdict_tick_s: float = Field(
        default=0.01,
        gt=0,
        description="How often waiting POSTs look for their verdicts, with one query for all of them.",
    )
    waiting_limit: int = Field(
        default=2000, ge=0, description="POSTs that may wait at once in one API process; beyond it they answer at once."
    )
    requests_per_minute: int = Field(
        default=600, ge=1, description="Requests that a client may make a minute, unless it has a limit of its own."
    )
    recipients_per_minute: int = Field(
        default=6000, ge=25, description="Recipients that a client may write to a minute, unless it has its own limit."
    )
    refused_credentials_per_minute: int = Field(
        default=30, ge=1, description="Credentials that may be refused a minute from one address (IPv6: one /64)."
    )
    unknown_recipients_per_hour: int = Field(
        default=500, ge=1, description="Unknown recipients that a client may name an hour before it may not look on."
    )
    hold_phrases: str = Field(
        default="",
        description="Phrases, parted by `|`, that send a message to staff. Case, width and spacing do not matter.",
    )
    hold_days: float = Field(default=7.0, gt=0, description="How long staff have before a held message expires.")
    bell: bool = Field(
        default=True, description="Ring the broker when there is work. Without, the sweep does everything, only later."
    )
    bell_grace_s: float = Field(
        default=5.0, gt=0, description="How long the sweep leaves fresh work to the bell before it takes it itself."
    )
    sweep_tick_s: float = Field(default=1.0, gt=0, description="How often every worker's sweep looks for due rows.")
    step_pause_s: float = Field(
        default=60.0, gt=0, description="How long a row is set aside after a step broke on it for a reason of our own."
    )
    smtp_concurrency: int = Field(default=32, ge=1, description="Mails that one SMTP worker process sends at once.")
    smtp_timeout_s: float = Field(default=30.0, gt=0, description="How long one answer of the mail relay may take.")
    send_deadline_s: float = Field(
        default=300.0,
        gt=0,
        description="How long one attempt may take in all; its lease is 15 s longer. A mail cut off waits for it.",
    )
    unknown_policy: Literal["resend", "hold"] = Field(
        default="resend",
        description="A mail of unknown outcome: `resend` it after the send deadline, flagged, or `hold` it for staff.",
    )
    journal_folder: str = Field(
        default="",
        description="Where workers note how far each mail got. Empty: among the machine's temporary files.",
    )
    token_lifetime_s: int = Field(
        default=3600, ge=60, le=86400, description="How long an access token of `/oauth/token` works."
    )
    issuer_audience: str = Field(
        default="", description="What the trusted issuer's tokens must name as their `aud`: this Postroom."
    )
    issuer_jwks_url: str = Field(
        default="", description="Where the trusted issuer publishes its keys, when its tokens are JWTs (RFC 9068)."
    )
    issuer_algorithms: str = Field(
        default="RS256",
        description="The signatures taken from it, parted by blanks, all of one family: RS/PS, ES or EdDSA.",
    )
    issuer_introspection_url: str = Field(
        default="", description="Where the trusted issuer is asked about each token instead (RFC 7662)."
    )
    issuer_introspection_client_id: str = Field(default="", description="Who we are when we ask it.")
    issuer_introspection_client_secret: SecretStr = Field(default=SecretStr(""), description="Our secret for that.")
    issuer_client_claim: Literal["client_id", "azp", "sub"] = Field(
        default="client_id",
        description="The claim that names a client of ours, by its id or by a name that no other client has.",
    )
    issuer_timeout_s: float = Field(default=3.0, gt=0, description="How long one answer of the issuer may take.")
    # After all that belongs to it: its validator looks at them together.
    issuer: str = Field(
        default="",
        validate_default=True,
        description="The one foreign issuer whose access tokens are taken too: its exact `iss`. Empty means none.",
    )
    crash_at: str = Field(
        default="",
        description="For trials of reliability only: where this process kills itself (docs/crash-points.md).",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR. Logs are JSON lines on stderr.")

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms of `issuer_algorithms`, one by one."""
        return tuple(self.issuer_algorithms.split())

    @property
    def key_type(self) -> str:
        """The `kty` of the keys that fit `issuer_algorithms` (RFC 7518 6.1)."""
        return _KEY_TYPES[self.algorithms[0]]

    @field_validator("issuer_algorithms")
    @classmethod
    def _is_one_family(cls, algorithms: str) -> str:
        # No symmetric ones: a public key is nobody's secret, and must not pass for one.
        families = {_KEY_TYPES.get(each) for each in algorithms.split()}
        if len(families) != 1 or None in families:
            raise ValueError(f"name algorithms of one family, of {', '.join(_KEY_TYPES)}")
        return algorithms

    @field_validator("issuer_jwks_url", "issuer_introspection_url")
    @classmethod
    def _is_safe_url(cls, url: str) -> str:
        parts = urlsplit(url)
        is_loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if url and not (parts.hostname and (parts.scheme == "https" or is_loopback)):
            raise ValueError("give an https:// address, or http:// on this machine")
        return url

    @field_validator("issuer")
    @classmethod
    def _is_whole(cls, issuer: str, info: ValidationInfo) -> str:
        ways = [name for name in ("issuer_jwks_url", "issuer_introspection_url") if info.data.get(name)]
        if issuer and (len(ways) != 1 or not info.data.get("issuer_audience")):
            raise ValueError("an issuer needs an audience, and either the address of its keys or of its introspection")
        if ways and not issuer:
            raise ValueError("name the issuer whose keys or introspection these are")
        return issuer

    @property
    def phrases(self) -> tuple[str, ...]:
        """The phrases of `hold_phrases`, one by one."""
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
        """How long a claim holds: past the send deadline, so that no attempt outlives its lease."""
        return timedelta(seconds=self.send_deadline_s + LEASE_MARGIN_S)


LEASE_MARGIN_S = 15.0

_KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}

DEMO_ENVIRONMENT_FILE = Path("var/postroom.env")
"""Where `postroom up` writes the settings of its embedded system, seen from the checkout."""


@cache
def settings_from_environment(file: Path | None = None) -> Settings:
    """Read the settings of this process. Entry points call it once; everything else is handed its settings.

    What the environment does not say is read from `file`, where there is one.

    Raises `SystemExit` with one line per wrong or missing variable; values are never shown, they may be secrets.
    """
    try:
        return Settings(_env_file=file)
    except ValidationError as error:
        raise SystemExit(_describe(error)) from None


def settings_from(variables: Mapping[str, str]) -> Settings:
    """Read settings from these variables, which count more than the environment.

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
    faults = [f"  {environment_name(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors()]
    return "Postroom's settings are missing or wrong. Mend these variables:\n" + "\n".join(faults)


def environment_name(field: str) -> str:
    """Give the environment variable of a setting's field (or of its alias, which is one already)."""
    field = field.lower()
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else f"POSTROOM_{field.upper()}"
