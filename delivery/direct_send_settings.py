"""Settings of direct sends: how their signatures are verified, and until when tokens are taken instead."""

from datetime import date

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class DirectSendSettings(BaseSettings):
    """The part of `Settings` about direct sends."""

    sealing_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret that seals signing keys in the database; 32 characters or more. "
        "Change it with `postroom clients reseal`, or all of them are void.",
    )
    sealing_key_before: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="The sealing key before, while it is being changed: it also opens signing keys.",
    )
    signature_days: float = Field(
        default=7.0,
        gt=0,
        le=36_500,
        description="Days for which the signature of a direct send is valid after its `issued_at`.",
    )
    direct_tokens_until: date = Field(
        default=date(2027, 5, 31),
        description="Last day on which direct sends with a token are taken, of clients made before signatures existed.",
    )

    @property
    def sealing_keys(self) -> tuple[SecretStr, ...]:
        """All secrets that may open a signing key, the present one first."""
        return tuple(each for each in (self.sealing_key, self.sealing_key_before) if each is not None)
