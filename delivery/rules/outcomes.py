"""Outcomes: how an attempt to deliver ended, and which transition follows from it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from uuid import UUID

from delivery.rules.preferences import LONGEST_WAIT, ChannelDecision
from delivery.rules.retry import PARKED, next_try
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, Reason, State


class OutcomeKind(Enum):
    """How an attempt ended. Channels translate every reply and error into one of these."""

    SENT = "sent"
    """The recipient was reached."""
    TEMPORARY = "temporary"
    """It failed; a later attempt may succeed."""
    PERMANENT = "permanent"
    """It failed; every later attempt would fail too."""
    UNKNOWN = "unknown"
    """The relay may have taken the mail or not."""
    UNWANTED = "unwanted"
    """Nothing was sent, because the recipient's preferences changed."""
    DEFERRED = "deferred"
    """Nothing was tried: not now, or not by this channel. The recipient is due again after `due_in`, however often."""
    UNTRIED = "untried"
    """Nothing was tried, for a reason that is not the recipient's: no relay, or a defect of ours. It is no attempt.

    Only the worker that made the claim may return this, and only before the final dot: the number is used again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `detail` is for operators: the relay's reply or the error. It is never logged."""

    kind: OutcomeKind
    reason: Reason | None = None
    detail: str | None = None
    channel: Channel | None = None
    """The channel of the recipient from now on; None leaves it as it is."""
    due_in: timedelta = timedelta()
    """When a deferred or untried recipient is due again, at most a day; or one of unknown outcome, if it is set.

    After failures the waits are those of `rules/retry.py`."""
    is_parked: bool = False
    """Whether the recipient is parked, so that there is no other attempt until an operator releases it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to reach one recipient by the channel that it waited for. `number` counts from 1; it is the fence."""

    recipient_id: int
    message_id: UUID
    number: int
    channel: Channel


def resolve_without_network(decision: ChannelDecision, waited_for: Channel) -> Outcome | Channel:
    """Return the outcome of an attempt that needs no network, else the channel to send it by.

    `waited_for` is the channel that the recipient waited for. Attempts for the inbox run where no network is used, so
    a recipient that changed from the inbox to another channel is deferred to that one.
    """
    if decision.channel is None:
        kind = OutcomeKind.UNWANTED if decision.state is State.BLOCKED else OutcomeKind.PERMANENT
        return Outcome(kind, decision.reason)
    if decision.wait is not None:
        return Outcome(OutcomeKind.DEFERRED, decision.reason, channel=decision.channel, due_in=decision.wait)
    if decision.channel is Channel.INBOX:  # Recording the outcome puts the message into the inbox.
        return Outcome(OutcomeKind.SENT, channel=Channel.INBOX)
    return Outcome(OutcomeKind.DEFERRED, channel=decision.channel) if waited_for is Channel.INBOX else decision.channel


def interrupted_outcome(attempt: Attempt) -> Outcome:
    """Return the outcome of an attempt that lost its lease or its worker before its outcome was recorded."""
    if attempt.channel is Channel.INBOX:  # Only recording the outcome delivers there, so nothing was delivered.
        return Outcome(OutcomeKind.DEFERRED)
    return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, "The worker stopped before it could record an outcome.")


def next_transition(
    attempt: Attempt, outcome: Outcome, jitter: float, *, patience: timedelta = timedelta()
) -> Transition:
    """Return the transition that follows from this outcome.

    `jitter` is that of `retry.next_try`. `patience` is how long the relay may still be processing a mail of unknown
    outcome: it is not sent again before, unless the outcome itself says when.
    """
    after, reason, due_in = _follow(outcome, attempt.number, jitter)
    if after is State.UNKNOWN and due_in is not None and not outcome.is_parked:
        due_in = outcome.due_in or max(due_in, patience)
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
        is_attempt=outcome.kind is not OutcomeKind.UNTRIED,
    )


def _follow(outcome: Outcome, number: int, jitter: float) -> tuple[State, Reason | None, timedelta | None]:
    if outcome.kind in _FINAL:
        return _FINAL[outcome.kind], outcome.reason, None
    after = State.UNKNOWN if outcome.kind is OutcomeKind.UNKNOWN else State.RETRYING
    if outcome.is_parked:
        return after, outcome.reason, PARKED
    if outcome.kind in {OutcomeKind.DEFERRED, OutcomeKind.UNTRIED}:
        return State.RETRYING, outcome.reason, min(outcome.due_in, LONGEST_WAIT)
    wait = next_try(number, jitter)
    if wait is None:
        return State.FAILED, Reason.GAVE_UP, None
    return after, outcome.reason, wait


_FINAL = {OutcomeKind.SENT: State.DELIVERED, OutcomeKind.PERMANENT: State.FAILED, OutcomeKind.UNWANTED: State.BLOCKED}
