"""May this recipient be reached, and by which channel? Asked when a message is decided and again at delivery."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID

import idna

from delivery.rules.quiet_hours import QuietHours, quiet_until
from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, SenderRule, State

LONGEST_WAIT = timedelta(days=1)
"""Longer than this nobody is put off at once: what the account holder wants is asked again then."""


@dataclass(frozen=True, slots=True)
class DeliveryPreferences:
    """What an account holder wants. The defaults are those of an account that never said anything."""

    account_status: AccountStatus = AccountStatus.ACTIVE
    channel: Channel = Channel.INBOX
    is_closed: bool = False
    accepted_types: frozenset[MessageType] | None = None
    """None accepts every type; an empty set accepts none."""
    sender_rule: SenderRule | None = None
    """None lets everybody write, whatever `senders` holds."""
    senders: frozenset[str] = frozenset()
    """Client ids and addresses, as `fold_sender` writes them."""
    muted_until: datetime | None = None
    quiet_hours: QuietHours | None = None
    time_zone: tzinfo = UTC
    """Where the account's quiet hours are."""


@dataclass(frozen=True, slots=True)
class SenderContext:
    """Who wants to reach the account holder, and what about."""

    type: MessageType
    client_id: UUID
    sender_email: str | None = None

    @property
    def senders(self) -> frozenset[str]:
        """Every name under which the sender may stand in a list of senders."""
        names = (str(self.client_id), self.sender_email)
        return frozenset(fold_sender(name) for name in names if name)


@dataclass(frozen=True, slots=True)
class ChannelDecision:
    """How to reach a recipient: a channel alone means now.

    With a channel and the state RETRYING, after `wait`; with another state, not at all, for this reason.
    """

    channel: Channel | None
    state: State | None = None
    reason: Reason | None = None
    wait: timedelta | None = None


def fold_sender(text: str) -> str:
    """Make a client id or an address comparable: case does not matter, nor how an international domain is written."""
    local, at, domain = text.casefold().rpartition("@")
    if domain.isascii():
        return f"{local}{at}{domain}"
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return f"{local}{at}{domain}"


def choose_channel(sender: SenderContext, preference: DeliveryPreferences, *, now: datetime) -> ChannelDecision:
    """Say by which channel this recipient may be reached, or why by none, or why later.

    `now` knows its zone; quiet hours are judged in the account's own. They delay, whatever the channel.
    """
    if preference.account_status is not AccountStatus.ACTIVE:
        return ChannelDecision(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE)
    objection = _object(sender, preference, now)
    if objection is not None:
        return ChannelDecision(None, State.BLOCKED, objection)
    hours = preference.quiet_hours
    end = quiet_until(hours, preference.time_zone, now) if hours else None
    if end is not None:
        return ChannelDecision(preference.channel, State.RETRYING, Reason.QUIET_HOURS, min(end - now, LONGEST_WAIT))
    return ChannelDecision(preference.channel)


def _object(sender: SenderContext, preference: DeliveryPreferences, now: datetime) -> Reason | None:
    """Find the first wish of the account holder that this message goes against."""
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
