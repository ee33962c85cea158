"""Read the fields of an account, or of its holder's preferences, or find every fault in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated

from pydantic import Field

from delivery.intake.account_fields import InstantField, QuietHoursField, SenderField, TimeZoneField
from delivery.intake.errors import FieldError
from delivery.intake.fields import AddressField, FlagField, ListField, TextField, WordField
from delivery.intake.shapes import Shape
from delivery.vocabulary import AccountStatus, Channel, MessageType, SenderRule

NAME_LIMIT = 120
SENDERS_LIMIT = 500
DEFAULT_TIME_ZONE = "UTC"

_TYPES_LIMIT = 25


@dataclass(frozen=True, slots=True)
class AccountDraft:
    """An account as its platform describes it. Unknown fields are ignored."""

    name: Annotated[str, TextField(NAME_LIMIT)]
    email: Annotated[str, AddressField(is_required=True), Field(description="One plain address.")]
    status: Annotated[AccountStatus, WordField(AccountStatus)] = AccountStatus.ACTIVE
    time_zone: Annotated[str, TimeZoneField(), Field(description="An IANA name: Europe/Berlin.")] = DEFAULT_TIME_ZONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What an account holder wants. The defaults are those of an account without preferences."""

    channel: Channel = Channel.INBOX
    is_closed: bool = False
    accepted_types: tuple[MessageType, ...] | None = None
    sender_rule: SenderRule | None = None
    senders: tuple[str, ...] = ()
    muted_until: datetime | None = None
    quiet_hours: tuple[time, time] | None = None
    """From the first until before the second, by the clocks of the account's time zone."""


_Senders = Annotated[tuple[str, ...] | None, ListField(SenderField(), SENDERS_LIMIT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _PreferencesDraft:
    """What an account holder wants. A field that is absent or null is its default; unknown fields are ignored."""

    channel: Annotated[Channel, WordField(Channel), Field(description="How messages are delivered.")] = Channel.INBOX
    closed: Annotated[bool, FlagField(), Field(description="Block all messages.")] = False
    accepted_types: Annotated[
        tuple[MessageType, ...] | None,
        ListField(WordField(MessageType, is_entry=True), _TYPES_LIMIT),
        Field(description="Accept only messages of these types; null accepts all."),
    ] = None
    allowed_senders: Annotated[
        _Senders, Field(description="Accept only these senders: client UUIDs or sender addresses.")
    ] = None
    blocked_senders: Annotated[
        _Senders, Field(description="Accept all senders except these. Not together with allowed_senders.")
    ] = None
    muted_until: Annotated[datetime | None, InstantField(), Field(description="Block messages until this instant.")] = (
        None
    )
    quiet_hours: Annotated[
        tuple[time, time] | None,
        QuietHoursField(),
        Field(description="Messages wait for the end of these hours, in the account's time zone."),
    ] = None


ACCOUNT = Shape(AccountDraft, title="AccountFields")
PREFERENCES = Shape(_PreferencesDraft, title="PreferencesFields")


def parse_account(fields: Mapping[str, object]) -> AccountDraft:
    """Read an account. Raises `InvalidInput` with every fault of every field."""
    return ACCOUNT.read(fields)


def parse_preferences(fields: Mapping[str, object]) -> Preferences:
    """Read preferences as a whole: an absent field is its default. Raises `InvalidInput` with every fault."""
    draft = PREFERENCES.read(fields, _faults_of_both_lists(fields))
    rule, senders = _sender_list(draft)
    return Preferences(
        channel=draft.channel,
        is_closed=draft.closed,
        accepted_types=draft.accepted_types,
        sender_rule=rule,
        senders=senders,
        muted_until=draft.muted_until,
        quiet_hours=draft.quiet_hours,
    )


def _faults_of_both_lists(fields: Mapping[str, object]) -> list[FieldError]:
    if fields.get("allowed_senders") is None or fields.get("blocked_senders") is None:
        return []
    return [FieldError("blocked_senders", "invalid_value", "Give allowed_senders or blocked_senders, not both.")]


def _sender_list(draft: _PreferencesDraft) -> tuple[SenderRule | None, tuple[str, ...]]:
    if draft.allowed_senders is not None:
        return SenderRule.ALLOW, draft.allowed_senders
    if draft.blocked_senders is not None:
        return SenderRule.BLOCK, draft.blocked_senders
    return None, ()
