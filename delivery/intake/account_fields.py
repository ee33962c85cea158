"""The types of fields that only accounts and preferences have: time zones, senders, instants and quiet hours."""

import re
import zoneinfo
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import Annotated

from pydantic import Field
from pydantic_core import PydanticUseDefault

from delivery.intake.fields import check_text, is_plain_address
from delivery.intake.shapes import FieldType, JsonSchema, Shape, fault
from delivery.intake.timestamps import read_instant
from delivery.intake.uuids import read_uuid

CLOCK_PATTERN = "^([01][0-9]|2[0-3]):[0-5][0-9]$"

_CLOCK = re.compile(CLOCK_PATTERN)
# Files in a folder of time zones that name no place.
_NO_PLACES = {"Factory", "localtime"}


class TimeZoneField(FieldType):
    """A time zone by its IANA name; the empty text means absent."""

    def read(self, value: object) -> str:
        """Return the name."""
        name = check_text(value)
        if name == "":
            raise PydanticUseDefault
        if name not in time_zones():
            raise fault("invalid_value", "{field} must be an IANA name, such as Europe/Berlin or UTC.")
        return name

    def describe(self) -> JsonSchema:
        """Describe a text: the names depend on the machine."""
        return {"type": ["string", "null"]}


class SenderField(FieldType):
    """A sender in a list: a client's UUID or a plain address."""

    def read(self, value: object) -> str:
        """Return the text as it is."""
        text = check_text(value)
        if read_uuid(text) is None and not is_plain_address(text):
            raise fault("invalid_value", "{field} must be a client's UUID or a plain address.")
        return text

    def describe(self) -> JsonSchema:
        """Describe a text."""
        return {"type": "string"}


class InstantField(FieldType):
    """An RFC 3339 instant; the empty text means absent."""

    def read(self, value: object) -> datetime:
        """Return the instant in UTC."""
        text = check_text(value)
        if text == "":
            raise PydanticUseDefault
        instant = read_instant(text)
        if instant is None:
            raise fault("invalid_value", "{field} must be an RFC 3339 instant, such as 2030-01-31T09:00:00Z.")
        return instant

    def describe(self) -> JsonSchema:
        """Describe a date with a time and an offset."""
        return {"type": ["string", "null"], "format": "date-time"}


class ClockTimeField(FieldType):
    """A required time of day of the form 22:00."""

    def read(self, value: object) -> time:
        """Return the time, without a zone."""
        if value is None:
            raise fault("required", "{field} is missing.")
        text = check_text(value)
        if not _CLOCK.fullmatch(text):
            raise fault("invalid_value", "{field} must be a time of day from 00:00 to 23:59.")
        return time.fromisoformat(text)

    def describe(self) -> JsonSchema:
        """Describe the form."""
        return {"type": "string", "pattern": CLOCK_PATTERN}


@dataclass(frozen=True, slots=True)
class _QuietHoursDraft:
    begin: Annotated[time, ClockTimeField(), Field(alias="from")]
    until: Annotated[time, ClockTimeField()]


_QUIET_HOURS = Shape(_QuietHoursDraft, title="QuietHours")


class QuietHoursField(FieldType):
    """An object with the times of day at which quiet hours begin and end."""

    def read(self, value: object) -> tuple[time, time]:
        """Return both times. Raises `ValidationError` with the faults of the members."""
        if not isinstance(value, dict):
            raise fault("wrong_type", '{field} must be an object, such as {"from": "22:00", ...}.')
        hours = _QUIET_HOURS.validate(value)
        return hours.begin, hours.until

    def describe(self) -> JsonSchema:
        """Describe the object."""
        return {**_QUIET_HOURS.schema, "type": ["object", "null"]}


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones of the IANA database that this machine, or the package tzdata, has."""
    return frozenset(zoneinfo.available_timezones() - _NO_PLACES)
