"""The answers about accounts and preferences."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from delivery.intake.account_fields import CLOCK_PATTERN
from delivery.vocabulary import AccountStatus, Channel, MessageType


class NoMeta(BaseModel):
    """An object without members."""


class AccountData(BaseModel):
    """An account."""

    uuid: UUID
    name: str
    email: str
    status: AccountStatus
    time_zone: str


class QuietHoursData(BaseModel):
    """From one time of day until before another, in the account's time zone; they may cross midnight."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    begin: str = Field(alias="from", pattern=CLOCK_PATTERN)
    until: str = Field(pattern=CLOCK_PATTERN)


class PreferencesData(BaseModel):
    """What an account holder wants."""

    channel: Channel
    closed: bool
    accepted_types: list[MessageType] | None
    allowed_senders: list[str] | None
    blocked_senders: list[str] | None
    muted_until: datetime | None
    quiet_hours: QuietHoursData | None


class AccountDetail(BaseModel):
    """The answer about an account."""

    success: Literal[1] = 1
    meta: NoMeta = NoMeta()
    data: AccountData


class PreferencesDetail(BaseModel):
    """The answer about preferences."""

    success: Literal[1] = 1
    meta: NoMeta = NoMeta()
    data: PreferencesData
