"""Settings of the mail relay and of the mails that go through it."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from delivery.setting_checks import split_list

LEASE_MARGIN_S = 15.0
"""How much longer the lease of an attempt is than its deadline."""

# While some threads talk to the relay, others claim recipients or record outcomes, and hold no SMTP connection. With
# one thread per connection, a sixth of the connections were idle at a relay that takes 50 ms for a mail (measured).
THREADS_PER_CONNECTION = 1.25


class MailSettings(BaseSettings):
    """The part of `Settings` about mail."""

    smtp_url: SecretStr = Field(
        default=SecretStr("smtp://localhost:25"),
        validation_alias="SMTP_URL",
        description="URL of the mail relay: `smtp://`, `smtp+starttls://` or `smtps://`, `user:password@` if needed.",
    )
    mail_domain: str = Field(
        default="postroom.localhost",
        description="Our own domain, in the From address, the envelope sender and the Message-ID of every mail.",
    )
    platform_names: str = Field(
        default="",
        description="Names of the platform, separated by `|`, the first for readers of mails. No sender may bear one.",
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

    @property
    def own_names(self) -> tuple[str, ...]:
        """The single names of `platform_names`."""
        return split_list(self.platform_names)

    @property
    def public_name(self) -> str:
        """What readers of mails know the platform as: the first of its names, otherwise the mail domain."""
        return next(iter(self.own_names), self.mail_domain)

    @property
    def send_deadline(self) -> timedelta:
        """`send_deadline_s` as a duration."""
        return timedelta(seconds=self.send_deadline_s)

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: longer than the send deadline, so that no attempt outlives its lease."""
        return timedelta(seconds=self.send_deadline_s + LEASE_MARGIN_S)
