"""What an attempt to deliver came to, and what follows from it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from uuid import UUID

from delivery.rules.preferences import LONGEST_WAIT, ChannelDecision
from delivery.rules.retry import PARKED, next_try
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, Reason, State


class OutcomeKind(Enum):
    """Every attempt ends in one of these; channels translate whatever happened into them."""

    SENT = "sent"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    UNWANTED = "unwanted"
    """The recipient's preferences changed: nothing was sent."""
    DEFERRED = "deferred"
    """Nothing was tried: not now, or not by this channel. It waits `due_in`, and no attempt is ever its last."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `detail` is for staff: the mail server's own words, or what broke. Never logged."""

    kind: OutcomeKind
    reason: Reason | None = None
    detail: str | None = None
    channel: Channel | None = None
    """Set when the recipient was, or will be, reached by another channel than the one it was queued for."""
    due_in: timedelta = timedelta()
    """How long a deferred recipient waits; at most a day. The waits after failures are those of `rules/retry.py`."""
    is_parked: bool = False
    """Set when there is to be no other attempt until somebody releases the recipient."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to reach one recipient by the channel it waited for; `number` counts from 1 and is the fence."""

    recipient_id: int
    message_id: UUID
    number: int
    channel: Channel


def resolve_without_network(choice: ChannelDecision, waited_for: Channel) -> Outcome | Channel:
    """Say how an attempt ends that needs no network, or by which channel it must be sent.

    `waited_for` is the channel that the recipient waited for. Those who wait for the inbox have no network at hand,
    so whoever moved from it to another channel is handed over there.
    """
    if choice.channel is None:
        return Outcome(OutcomeKind.UNWANTED if choice.state is State.BLOCKED else OutcomeKind.PERMANENT, choice.reason)
    if choice.wait is not None:
        return Outcome(OutcomeKind.DEFERRED, choice.reason, channel=choice.channel, due_in=choice.wait)
    if choice.channel is Channel.INBOX:  # The outcome itself delivers the letter there.
        return Outcome(OutcomeKind.SENT, channel=Channel.INBOX)
    return Outcome(OutcomeKind.DEFERRED, channel=choice.channel) if waited_for is Channel.INBOX else choice.channel


def interrupted_outcome(attempt: Attempt) -> Outcome:
    """Say how an attempt ended that lost its lease before anybody recorded an outcome."""
    if attempt.channel is Channel.INBOX:  # Only the record delivers there, so nothing can have arrived.
        return Outcome(OutcomeKind.DEFERRED)
    return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, "The worker stopped before it could record an outcome.")


def next_transition(
    attempt: Attempt, outcome: Outcome, jitter: float, *, patience: timedelta = timedelta()
) -> Transition:
    """Say what follows this outcome. `chance` is what `retry.next_try` takes.

    `patience` is how long the relay may still be at work on a mail whose outcome nobody knows.
    """
    after, reason, due_in = _follow(outcome, attempt.number, jitter)
    if after is State.UNKNOWN and due_in is not None:
        due_in = max(due_in, patience)
    return Transition(
        recipient_id=attempt.recipient_id,
        message_id=attempt.message_id,
        before=State.CLAIMED,
        after=after,
        attempt=attempt.number,
        channel=outcome.channel,
        reason=reason,
        detail=outcome.detail,
        due_in=due_in,
    )


def _follow(outcome: Outcome, number: int, jitter: float) -> tuple[State, Reason | None, timedelta | None]:
    if outcome.kind in _FINAL:
        return _FINAL[outcome.kind], outcome.reason, None
    after = State.UNKNOWN if outcome.kind is OutcomeKind.UNKNOWN else State.RETRYING
    if outcome.is_parked:
        return after, outcome.reason, PARKED
    if outcome.kind is OutcomeKind.DEFERRED:
        return State.RETRYING, outcome.reason, min(outcome.due_in, LONGEST_WAIT)
    wait = next_try(number, jitter)
    if wait is None:
        return State.FAILED, Reason.GAVE_UP, None
    return after, outcome.reason, wait


_FINAL = {OutcomeKind.SENT: State.DELIVERED, OutcomeKind.PERMANENT: State.FAILED, OutcomeKind.UNWANTED: State.BLOCKED}
