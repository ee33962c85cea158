"""Transitions: what happens to each recipient when its message is decided, and when a review ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from delivery.rules.preferences import DeliveryPreferences, SenderContext, choose_channel
from delivery.rules.simulated_recipients import SIMULATED, Simulated
from delivery.rules.states import is_legal
from delivery.vocabulary import Channel, Reason, RuleVerdict, State


class PendingRecipient(NamedTuple):
    """A recipient to decide: its address, its sender, its preferences, and when they were read.

    A named tuple, because a deciding worker makes ten thousands of them a second: it takes a third of the time.
    """

    recipient_id: int
    message_id: UUID
    account_id: UUID
    address: str
    state: State
    attempt: int
    sender: SenderContext
    preference: DeliveryPreferences
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Transition:
    """One recipient's change from one state to the next, guarded by the state and the attempt that it starts from.

    `due_in` is when the row is due for the sweep next; final states have none.

    Raises `ValueError` for a transition that is not legal (`rules/states.py`).
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
    is_attempt: bool = True
    """Whether the claim that ends was an attempt. If not, its number is given back, for the next attempt."""

    def __post_init__(self) -> None:
        if not is_legal(self.before, self.after):
            raise ValueError(f"Recipient {self.recipient_id} may not go from {self.before} to {self.after}.")


def decide_recipient(pending: PendingRecipient, *, verdict: RuleVerdict, grace: timedelta) -> Transition:
    """Return this recipient's transition: blocked, failed, held, refused, deferred, delivered to the inbox, or queued.

    Preferences come before vetting, so that staff do not review for recipients that cannot be reached. Quiet hours
    come after it, so that a review need not wait for their end. `grace` is how long the sweep leaves a queued or held
    recipient to its bell.
    """
    simulated = SIMULATED.get(pending.account_id)
    if simulated is not None:
        return _simulate(pending, simulated, grace)
    return _decide(pending, verdict, grace)


def _decide(pending: PendingRecipient, verdict: RuleVerdict, grace: timedelta) -> Transition:
    decision = choose_channel(pending.sender, pending.preference, now=pending.read_at)
    if decision.channel is None and decision.state is not None:
        return _transition(pending, decision.state, reason=decision.reason)
    if verdict is RuleVerdict.REFUSE:
        return _transition(pending, State.REFUSED, reason=Reason.REFUSED_BY_RULE)
    if verdict is RuleVerdict.HOLD:
        return _transition(pending, State.HELD, reason=Reason.FLAGGED, due_in=grace)
    if decision.state is not None:
        return _transition(
            pending, decision.state, channel=decision.channel, reason=decision.reason, due_in=decision.wait
        )
    if decision.channel is Channel.INBOX:
        return _transition(pending, State.DELIVERED, channel=Channel.INBOX)
    return _transition(pending, State.QUEUED, channel=decision.channel, due_in=grace)


def _simulate(pending: PendingRecipient, simulated: Simulated, grace: timedelta) -> Transition:
    """Return the transition of a simulated recipient. One that was held and is let go is delivered."""
    if pending.state is State.HELD:
        return _transition(pending, State.DELIVERED, channel=Channel.INBOX)
    due_in = grace if simulated.after is State.HELD else simulated.due_in
    return _transition(pending, simulated.after, channel=simulated.channel, reason=simulated.reason, due_in=due_in)


def refuse(recipients: Sequence[PendingRecipient], reason: Reason) -> list[Transition]:
    """Return a transition for each of these recipients that refuses it for this reason."""
    return [_transition(pending, State.REFUSED, reason=reason) for pending in recipients]


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
