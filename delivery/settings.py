"""Every setting of Postroom: a field with its unit, its default and a sentence. Read from the environment once."""

from datetime import timedelta
from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
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
    api_key_header: str = Field(
        default="X-Proz-API-Key",
        description="The header that carries an API key. X-API-Key always works too.",
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
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR. Logs are JSON lines on stderr.")

    @property
    def phrases(self) -> tuple[str, ...]:
        """The phrases of `hold_phrases`, one by one."""
        return tuple(phrase for phrase in self.hold_phrases.split("|") if phrase.strip())

    @property
    def grace(self) -> timedelta:
        """`bell_grace_s` as a duration."""
        return timedelta(seconds=self.bell_grace_s)

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: past the send deadline, so that no attempt outlives its lease."""
        return timedelta(seconds=self.send_deadline_s + LEASE_MARGIN_S)


LEASE_MARGIN_S = 15.0

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
        faults = [f"  {environment_name(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors()]
        raise SystemExit("Postroom's settings are not complete:\n" + "\n".join(faults)) from None


def environment_name(field: str) -> str:
    """Give the environment variable of a setting's field (or of its alias, which is one already)."""
    field = field.lower()
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else f"POSTROOM_{field.upper()}"
