"""What answers about accounts and preferences look like, and what their bodies may hold."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from delivery.intake.accounts import NAME_LIMIT, SENDERS_LIMIT
from delivery.vocabulary import AccountStatus, Channel, MessageType

_CLOCK_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"


class NoMeta(BaseModel):
    """Nothing beside the data."""


class AccountData(BaseModel):
    """An account."""

    uuid: UUID
    name: str
    email: str
    status: AccountStatus
    time_zone: str


class QuietHoursData(BaseModel):
    """From one time of day until before another, in the account's time zone; across midnight if need be."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    begin: str = Field(alias="from", pattern=_CLOCK_PATTERN)
    until: str = Field(pattern=_CLOCK_PATTERN)


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


ACCOUNT_BODY = {
    "type": "object",
    "required": ["name", "email"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": NAME_LIMIT},
        "email": {"type": "string", "description": "One plain address."},
        "status": {"enum": [*AccountStatus, "", None], "default": "active"},
        "time_zone": {"type": ["string", "null"], "default": "UTC", "description": "An IANA name: Europe/Berlin."},
    },
}
_SENDERS = {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": SENDERS_LIMIT, "default": None}
_CLOCK = {"type": "string", "pattern": _CLOCK_PATTERN}
PREFERENCES_BODY = {
    "type": "object",
    "properties": {
        "channel": {"enum": [*Channel, "", None], "default": "inbox", "description": "How messages come."},
        "closed": {"type": ["boolean", "null"], "default": False, "description": "Nobody may write."},
        "accepted_types": {
            "type": ["array", "null"],
            "items": {"enum": [*MessageType]},
            "default": None,
            "description": "Only messages of these types may come; null lets all come.",
        },
        "allowed_senders": {**_SENDERS, "description": "Only these may write: client UUIDs or sender addresses."},
        "blocked_senders": {**_SENDERS, "description": "Everybody but these may write. Not beside allowed_senders."},
        "muted_until": {
            "type": ["string", "null"],
            "format": "date-time",
            "default": None,
            "description": "Until then nobody may write; later messages come again.",
        },
        "quiet_hours": {
            "type": ["object", "null"],
            "required": ["from", "until"],
            "properties": {"from": _CLOCK, "until": _CLOCK},
            "default": None,
            "description": "Messages wait for the end of these hours, in the account's time zone.",
        },
    },
}
