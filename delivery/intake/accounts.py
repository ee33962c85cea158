"""From fields to an account, or to what its holder wants; or to every fault in them at once (CONTRACT.md section 3)."""

import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import Any

from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.fields import faults_of_address, faults_of_text, faults_of_word, is_plain_address
from delivery.intake.timestamps import read_instant
from delivery.intake.uuids import read_uuid
from delivery.vocabulary import AccountStatus, Channel, MessageType, SenderRule

NAME_LIMIT = 120
SENDERS_LIMIT = 500
DEFAULT_TIME_ZONE = "UTC"

_TYPES_LIMIT = 25
# Files in a folder of time zones that name no place.
_NO_PLACES = {"Factory", "localtime"}
_SENDER_FIELDS = {"allowed_senders": SenderRule.ALLOW, "blocked_senders": SenderRule.BLOCK}


@dataclass(frozen=True, slots=True)
class AccountDraft:
    """An account as its platform describes it."""

    name: str
    email: str
    status: AccountStatus = AccountStatus.ACTIVE
    time_zone: str = DEFAULT_TIME_ZONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What an account holder wants. The defaults are those of an account that never said anything."""

    channel: Channel = Channel.INBOX
    is_closed: bool = False
    accepted_types: tuple[MessageType, ...] | None = None
    sender_rule: SenderRule | None = None
    senders: tuple[str, ...] = ()
    muted_until: datetime | None = None
    quiet_hours: tuple[time, time] | None = None
    """From the first until before the second, by the clocks of the account's time zone."""


def parse_account(fields: Mapping[str, object]) -> AccountDraft:
    """Read an account; unknown fields are ignored. Raises `Unacceptable` with every fault of every field."""
    faults = [
        *faults_of_text("name", fields.get("name"), NAME_LIMIT),
        *_faults_of_email(fields.get("email")),
        *faults_of_word("status", fields.get("status"), AccountStatus),
        *_faults_of_time_zone(fields.get("time_zone")),
    ]
    if faults:
        raise InvalidInput(faults)
    return AccountDraft(
        name=str(fields["name"]),
        email=str(fields["email"]),
        status=AccountStatus(str(fields.get("status") or AccountStatus.ACTIVE)),
        time_zone=str(fields.get("time_zone") or DEFAULT_TIME_ZONE),
    )


def parse_preferences(fields: Mapping[str, object]) -> Preferences:
    """Read preferences as a whole: an absent field is its default. Raises `Unacceptable` with every fault."""
    faults = list(_faults_of_preferences(fields))
    if faults:
        raise InvalidInput(faults)
    rule, senders = _sender_list(fields)
    types: Any = fields.get("accepted_types")
    muted_until, hours = fields.get("muted_until"), fields.get("quiet_hours")
    return Preferences(
        channel=Channel(str(fields.get("channel") or Channel.INBOX)),
        is_closed=fields.get("closed") is True,
        accepted_types=None if types is None else tuple(dict.fromkeys(map(MessageType, types))),
        sender_rule=rule,
        senders=tuple(dict.fromkeys(senders)),
        muted_until=read_instant(str(muted_until)) if muted_until else None,
        quiet_hours=_clock_times(hours) if isinstance(hours, dict) else None,
    )


@cache
def time_zones() -> frozenset[str]:
    """Name every time zone of the IANA database that this machine, or the package tzdata, has."""
    return frozenset(zoneinfo.available_timezones() - _NO_PLACES)


def read_clock(text: str) -> time | None:
    """Read a time of day of the form 22:00; None for every other text."""
    if len(text) != len("22:00") or text[2] != ":" or not text.isascii():
        return None
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _faults_of_email(value: object) -> Iterator[FieldError]:
    if value is None:
        yield FieldError("email", "required", "email is missing.")
    elif value == "":
        yield FieldError("email", "blank", "email has no visible text.")
    else:
        yield from faults_of_address("email", value)


def _faults_of_time_zone(value: object) -> Iterator[FieldError]:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield FieldError("time_zone", "wrong_type", "time_zone must be text.")
    elif value not in time_zones():
        yield FieldError("time_zone", "invalid_value", "time_zone must be an IANA name, such as Europe/Berlin or UTC.")


def _faults_of_preferences(fields: Mapping[str, object]) -> Iterator[FieldError]:
    yield from faults_of_word("channel", fields.get("channel"), Channel)
    if not isinstance(fields.get("closed", False), bool | None):
        yield FieldError("closed", "wrong_type", "closed must be true or false.")
    yield from _faults_of_types(fields.get("accepted_types"))
    for name in _SENDER_FIELDS:
        yield from _faults_of_senders(name, fields.get(name))
    if all(fields.get(name) is not None for name in _SENDER_FIELDS):
        yield FieldError("blocked_senders", "invalid_value", "Give allowed_senders or blocked_senders, not both.")
    yield from _faults_of_instant("muted_until", fields.get("muted_until"))
    yield from _faults_of_hours(fields.get("quiet_hours"))


def _faults_of_list(field: str, value: object, limit: int) -> Iterator[FieldError]:
    if value is not None and not isinstance(value, list):
        yield FieldError(field, "wrong_type", f"{field} must be a list, or null.")
    elif value is not None and len(value) > limit:
        yield FieldError(field, "too_many", f"{field} has {len(value)} entries; at most {limit} are allowed.")


def _faults_of_types(value: object) -> Iterator[FieldError]:
    faults = list(_faults_of_list("accepted_types", value, _TYPES_LIMIT))
    yield from faults
    for index, item in enumerate(value if isinstance(value, list) and not faults else ()):
        place = f"Entry {index} (counted from 0) of accepted_types"
        if not isinstance(item, str):
            yield FieldError("accepted_types", "wrong_type", f"{place} must be text.", index)
        elif item not in set(MessageType):
            yield FieldError(
                "accepted_types", "invalid_value", f"{place} must be one of {', '.join(MessageType)}.", index
            )


def _faults_of_senders(field: str, value: object) -> Iterator[FieldError]:
    faults = list(_faults_of_list(field, value, SENDERS_LIMIT))
    yield from faults
    for index, item in enumerate(value if isinstance(value, list) and not faults else ()):
        place = f"Entry {index} (counted from 0) of {field}"
        if not isinstance(item, str):
            yield FieldError(field, "wrong_type", f"{place} must be text.", index)
        elif read_uuid(item) is None and not is_plain_address(item):
            yield FieldError(field, "invalid_value", f"{place} must be a client's UUID or a plain address.", index)


def _faults_of_instant(field: str, value: object) -> Iterator[FieldError]:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield FieldError(field, "wrong_type", f"{field} must be text.")
    elif read_instant(value) is None:
        yield FieldError(field, "invalid_value", f"{field} must be an RFC 3339 instant, such as 2030-01-31T09:00:00Z.")


def _faults_of_hours(value: object) -> Iterator[FieldError]:
    if value is None:
        return
    if not isinstance(value, dict):
        yield FieldError("quiet_hours", "wrong_type", 'quiet_hours must be an object, such as {"from": "22:00", ...}.')
        return
    for name in ("from", "until"):
        field, clock = f"quiet_hours.{name}", value.get(name)
        if clock is None:
            yield FieldError(field, "required", f"{field} is missing.")
        elif not isinstance(clock, str):
            yield FieldError(field, "wrong_type", f"{field} must be text.")
        elif read_clock(clock) is None:
            yield FieldError(field, "invalid_value", f"{field} must be a time of day from 00:00 to 23:59.")


def _sender_list(fields: Mapping[str, object]) -> tuple[SenderRule | None, list[str]]:
    for name, rule in _SENDER_FIELDS.items():
        listed = fields.get(name)
        if isinstance(listed, list):
            return rule, listed
    return None, []


def _clock_times(hours: Mapping[str, object]) -> tuple[time, time]:
    begin, end = (time.fromisoformat(str(hours[name])) for name in ("from", "until"))
    return begin, end
