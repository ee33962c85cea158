"""What becomes of each recipient once a message is looked at, and once staff let it go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from delivery.rules.preferences import DeliveryPreferences, SenderContext, choose_channel
from delivery.rules.states import is_legal
from delivery.vocabulary import Channel, Reason, State


@dataclass(frozen=True, slots=True)
class PendingRecipient:
    """A recipient before it is placed: who wants to reach it, what its account holder wants, and when that was read."""

    recipient_id: int
    message_id: UUID
    state: State
    attempt: int
    sender: SenderContext
    preference: DeliveryPreferences
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Transition:
    """One recipient's step from one state to the next, guarded by the state and the attempt it started from.

    `due_in` says when the sweep looks at the row next; final states have none.

    Raises `ValueError` for a move that `rules/states.py` does not allow.
    """

    recipient_id: int
    message_id: UUID
    before: State
    after: State
    attempt: int
    channel: Channel | None = None
    reason: Reason | None = None
    detail: str | None = None
    due_in: timedelta | None = None

    def __post_init__(self) -> None:
        if not is_legal(self.before, self.after):
            raise ValueError(f"Recipient {self.recipient_id} may not go from {self.before} to {self.after}.")


def decide_recipient(pending: PendingRecipient, *, hold: bool, grace: timedelta) -> Transition:
    """Say where this recipient goes: blocked or failed by its preferences, held, put off, to the inbox, or queued.

    Preferences come before vetting: whom nobody may reach is not held. Quiet hours come after it: staff need not
    wait for them. `grace` is how long the sweep leaves a queued or held recipient to the bell.
    """
    choice = choose_channel(pending.sender, pending.preference, now=pending.read_at)
    if choice.channel is None and choice.state is not None:
        return _transition(pending, choice.state, reason=choice.reason)
    if hold:
        return _transition(pending, State.HELD, reason=Reason.FLAGGED, due_in=grace)
    if choice.state is not None:
        return _transition(pending, choice.state, channel=choice.channel, reason=choice.reason, due_in=choice.wait)
    if choice.channel is Channel.INBOX:
        return _transition(pending, State.DELIVERED, channel=Channel.INBOX)
    return _transition(pending, State.QUEUED, channel=choice.channel, due_in=grace)


def refuse(candidates: Sequence[PendingRecipient], reason: Reason) -> list[Transition]:
    """Refuse every one of these recipients for one reason."""
    return [_transition(pending, State.REFUSED, reason=reason) for pending in candidates]


def _transition(
    pending: PendingRecipient,
    after: State,
    *,
    channel: Channel | None = None,
    reason: Reason | None = None,
    due_in: timedelta | None = None,
) -> Transition:
    return Transition(
        recipient_id=pending.recipient_id,
        message_id=pending.message_id,
        before=pending.state,
        after=after,
        attempt=pending.attempt,
        channel=channel,
        reason=reason,
        due_in=due_in,
    )
