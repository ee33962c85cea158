"""May this recipient be reached, and by which channel? Asked when a message is decided and again at delivery."""

from dataclasses import dataclass

from delivery.vocabulary import AccountStatus, Channel, MessageType, Reason, State


@dataclass(frozen=True, slots=True)
class Preference:
    """What an account holder wants. The defaults are those of an account that never said anything."""

    account_status: AccountStatus = AccountStatus.ACTIVE
    channel: Channel = Channel.INBOX
    is_closed: bool = False
    accepted_types: frozenset[MessageType] | None = None
    """None accepts every type; an empty set accepts none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A channel, or the state and the reason of a recipient who cannot be reached by any."""

    channel: Channel | None
    state: State | None = None
    reason: Reason | None = None


def choose_channel(message_type: MessageType, preference: Preference) -> Choice:
    """Say by which channel this recipient may be reached, or why by none."""
    if preference.account_status is not AccountStatus.ACTIVE:
        return Choice(None, State.FAILED, Reason.ACCOUNT_UNAVAILABLE)
    if preference.is_closed:
        return Choice(None, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY)
    if preference.accepted_types is not None and message_type not in preference.accepted_types:
        return Choice(None, State.BLOCKED, Reason.TYPE_NOT_ACCEPTED)
    return Choice(preference.channel)
