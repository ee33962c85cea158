"""May this recipient be reached, and by which channel? Checked when its message is decided and at every attempt."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID

import idna

from delivery.rules.quiet_hours import QuietHours, quiet_until
from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, SenderRule, State

LONGEST_WAIT = timedelta(days=1)
"""The longest time that a recipient is deferred at once. Its preferences are read again after that."""


@dataclass(frozen=True, slots=True)
class DeliveryPreferences:
    """What an account accepts, as the rules read it. The defaults are those of an account without a stored row."""

    account_status: AccountStatus = AccountStatus.ACTIVE
    channel: Channel = Channel.INBOX
    is_closed: bool = False
    accepted_types: frozenset[MessageType] | None = None
    """None accepts every type; an empty set accepts none."""
    sender_rule: SenderRule | None = None
    """None accepts every sender, whatever `senders` holds."""
    senders: frozenset[str] = frozenset()
    """Client ids and addresses, in the form of `fold_sender`."""
    muted_until: datetime | None = None
    quiet_hours: QuietHours | None = None
    time_zone: tzinfo = UTC
    """The zone that `quiet_hours` are in."""


@dataclass(frozen=True, slots=True)
class SenderContext:
    """What the preferences are checked against: the sender of a message, and its type."""

    type: MessageType
    client_id: UUID
    sender_email: str | None = None

    @property
    def senders(self) -> frozenset[str]:
        """Every entry of a list of senders that means this sender: the client's id and the sender's address."""
        names = (str(self.client_id), self.sender_email)
        return frozenset(fold_sender(name) for name in names if name)


@dataclass(frozen=True, slots=True)
class ChannelDecision:
    """How to reach a recipient, in one of three forms.

    A channel alone means now. A channel with the state RETRYING means after `wait`. A state without a channel means
    not at all, for this reason.
    """

    channel: Channel | None
    state: State | None = None
    reason: Reason | None = None
    wait: timedelta | None = None


def fold_sender(text: str) -> str:
    """Make client ids and addresses comparable: remove case, and write an international domain in ASCII (RFC 5891)."""
    local, at, domain = text.casefold().rpartition("@")
    if domain.isascii():
        return f"{local}{at}{domain}"
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return f"{local}{at}{domain}"


def choose_channel(sender: SenderContext, preference: DeliveryPreferences, *, now: datetime) -> ChannelDecision:
    """Return the channel that this recipient may be reached by, or why it may not be, or not yet.

    `now` is timezone-aware; quiet hours are in the account's own zone and delay every channel.
    """
    if preference.account_status is not AccountStatus.ACTIVE:
        return ChannelDecision(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE)
    refusal = _find_refusal(sender, preference, now)
    if refusal is not None:
        return ChannelDecision(None, State.BLOCKED, refusal)
    hours = preference.quiet_hours
    end = quiet_until(hours, preference.time_zone, now) if hours else None
    if end is not None:
        return ChannelDecision(preference.channel, State.RETRYING, Reason.QUIET_HOURS, min(end - now, LONGEST_WAIT))
    return ChannelDecision(preference.channel)


def _find_refusal(sender: SenderContext, preference: DeliveryPreferences, now: datetime) -> Reason | None:
    """Return the reason of the first preference that refuses this message, if there is one."""
    if preference.is_closed:
        return Reason.CLOSED_TO_EVERYBODY
    if preference.accepted_types is not None and sender.type not in preference.accepted_types:
        return Reason.TYPE_NOT_ACCEPTED
    if not _is_wanted(sender, preference):
        return Reason.SENDER_NOT_WANTED
    if preference.muted_until is not None and preference.muted_until > now:
        return Reason.MUTED
    return None


def _is_wanted(sender: SenderContext, preference: DeliveryPreferences) -> bool:
    if preference.sender_rule is None:
        return True
    is_listed = not sender.senders.isdisjoint(preference.senders)
    return is_listed is (preference.sender_rule is SenderRule.ALLOW)
