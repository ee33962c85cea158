"""All settings of Postroom, each with unit, default and description. A process reads them once, when it starts."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from delivery import setting_checks
from delivery.desk_settings import DeskSettings
from delivery.direct_send_settings import DirectSendSettings
from delivery.issuer_settings import IssuerSettings
from delivery.limit_settings import LimitSettings
from delivery.mail_settings import MailSettings
from delivery.review_settings import ReviewSettings
from delivery.rules.audit_chain import chain_key
from delivery.rules.vetting import HoldRule
from delivery.setting_checks import split_list
from delivery.setting_files import SettingFiles, WrongSettingFiles, variable_of


class Settings(IssuerSettings, MailSettings, LimitSettings, DirectSendSettings, ReviewSettings, DeskSettings):
    """All settings. Their variables begin with POSTROOM_, except those of the database, the broker and the relay.

    Names that end in `_s` are seconds. Instead of each variable there may be one that ends in _FILE and names a file.
    """

    model_config = SettingsConfigDict(
        env_prefix="POSTROOM_", frozen=True, validate_by_name=True, validate_by_alias=True, extra="ignore"
    )

    # Before the addresses, which are checked together with them.
    database_password: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_PASSWORD",
        description="Password of the user in `DATABASE_URL`, if it is not in there. Here it may hold any character.",
    )
    broker_password: SecretStr | None = Field(
        default=None,
        validation_alias="BROKER_PASSWORD",
        description="Password of the user in `BROKER_URL`, if it is not in there. Here it may hold any character.",
    )
    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/postroom"),
        validate_default=True,
        validation_alias="DATABASE_URL",
        description="URL of the PostgreSQL database, version 16 or newer. It holds everything that must not be lost.",
    )
    broker_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"),
        validate_default=True,
        validation_alias="BROKER_URL",
        description="URL of Redis or Valkey, which carries the bells: `redis://`, `rediss://` or `unix:///path?db=0`.",
    )
    pepper: SecretStr = Field(
        min_length=32,
        description="Secret key of all digests and signatures; 32 characters or more. A new one voids all credentials.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[!#-;=?-~]{1,400})?$",
        description="Public URL of this API, such as `https://host`. If set, mails link to its unsubscribe page.",
    )
    security_contact: str = Field(
        default="",
        pattern=r"^((mailto:|tel:|https://)[!-~]{3,400})?$",
        description="Where to report a vulnerability, for `/.well-known/security.txt`: `mailto:` or `https://`.",
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
    hold_phrases: str = Field(
        default="",
        description="Phrases that send a message to staff, separated by `|`. They are found as a person reads them.",
    )
    misleading_names: Literal["via", "hold"] = Field(
        default="via",
        description="For sender names that are addresses, hide characters or have a platform name: `via` or `hold`.",
    )
    hold_days: float = Field(
        default=7.0, gt=0, le=36_500, description="Days after which a held message expires undecided."
    )
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
    token_lifetime_s: int = Field(
        default=3600, ge=60, le=86400, description="Seconds that an access token of `/oauth/token` is valid."
    )
    docs: bool = Field(default=True, description="Serve the pages `/docs` and `/redoc`, which describe the API.")
    crash_at: str = Field(
        default="",
        description="For reliability trials only: the crash point to arm in this process (docs/crash-points.md).",
    )
    log_level: str = Field(
        default="INFO", description="Lowest level to log: DEBUG, INFO, WARNING or ERROR. Logs are JSON lines on stderr."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _has_no_line_end(cls, value: object) -> object:
        return setting_checks.check_no_line_end(value) if isinstance(value, str) else value

    @field_validator("*")
    @classmethod
    def _is_workable_number(cls, value: object) -> object:
        return setting_checks.check_number(value) if isinstance(value, int | float) else value

    @field_validator(*setting_checks.CHECKS)
    @classmethod
    def _can_work(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        check = setting_checks.CHECKS[str(info.field_name)]
        return SecretStr(check(value.get_secret_value())) if isinstance(value, SecretStr) else check(value)

    @field_validator("database_url", "broker_url")
    @classmethod
    def _has_its_password(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        name = str(info.field_name).replace("_url", "_password")
        password = info.data.get(name)
        if password is None:
            return value
        variable = variable_of(cls, name)
        return SecretStr(
            setting_checks.with_password(value.get_secret_value(), password.get_secret_value(), variable=variable)
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings are read, the first with a value first; pydantic-settings calls it."""
        del file_secret_settings
        return init_settings, env_settings, SettingFiles(settings_cls), dotenv_settings

    @property
    def hold_rule(self) -> HoldRule:
        """What `hold_phrases`, `misleading_names` and `platform_names` say."""
        return HoldRule(split_list(self.hold_phrases), self.misleading_names == "hold", self.own_names)

    @property
    def own_domains(self) -> tuple[str, ...]:
        """The domains of the platform: that of its mails, and the host of its public URL."""
        host = urlsplit(self.public_url).hostname or ""
        return tuple(domain for domain in dict.fromkeys((self.mail_domain, host)) if domain)

    @property
    def audit_key(self) -> bytes:
        """The key of the audit chain. It is derived from `pepper`, which stays; the sealing key may be changed."""
        return chain_key(self.pepper.get_secret_value())

    @property
    def grace(self) -> timedelta:
        """`bell_grace_s` as a duration."""
        return timedelta(seconds=self.bell_grace_s)


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
    except (ValidationError, WrongSettingFiles) as error:
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
    except (ValidationError, WrongSettingFiles) as error:
        raise SystemExit(_describe(error)) from None


def _describe(error: ValidationError | WrongSettingFiles) -> str:
    if isinstance(error, WrongSettingFiles):
        return f"Files of Postroom's settings cannot be used. Correct these variables:\n{error}"
    lines = [f"  {environment_name(str(each['loc'][0]))}: {each['msg']}" for each in error.errors()]
    return "Postroom's settings are missing or wrong. Correct these variables:\n" + "\n".join(lines)


def environment_name(field: str) -> str:
    """Return the environment variable of a setting, given its field name or its alias (which is the variable)."""
    return variable_of(Settings, field.lower())
