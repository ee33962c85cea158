"""What an attempt to deliver came to, and what follows from it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from uuid import UUID

from delivery.rules.deciding import Move
from delivery.rules.retry import next_try
from delivery.vocabulary import Channel, Reason, State


class Kind(Enum):
    """Every attempt ends in one of these; channels translate whatever happened into them."""

    SENT = "sent"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    UNWANTED = "unwanted"
    """The recipient's preferences changed: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `detail` is for staff: the mail server's own words, or what broke. Never logged."""

    kind: Kind
    reason: Reason | None = None
    detail: str | None = None
    channel: Channel | None = None
    """Set when the recipient was reached by another channel than the one it was queued for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to reach one recipient; `number` counts from 1 and is the fence."""

    recipient_id: int
    message_id: UUID
    number: int


def conclude(attempt: Attempt, outcome: Outcome, chance: float) -> Move:
    """Say what follows this outcome. `chance` is what `retry.next_try` takes."""
    after, reason, due_in = _follow(outcome, attempt.number, chance)
    return Move(
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


def _follow(outcome: Outcome, number: int, chance: float) -> tuple[State, Reason | None, timedelta | None]:
    if outcome.kind in _FINAL:
        return _FINAL[outcome.kind], outcome.reason, None
    wait = next_try(number, chance)
    if wait is None:
        return State.FAILED, Reason.GAVE_UP, None
    return State.UNKNOWN if outcome.kind is Kind.UNKNOWN else State.RETRYING, outcome.reason, wait


_FINAL = {Kind.SENT: State.DELIVERED, Kind.PERMANENT: State.FAILED, Kind.UNWANTED: State.BLOCKED}
