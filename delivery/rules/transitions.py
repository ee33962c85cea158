"""What becomes of each recipient once a message is looked at, and once staff let it go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from delivery.rules.preferences import DeliveryPreferences, SenderContext, choose_channel
from delivery.rules.states import is_legal
from delivery.vocabulary import Channel, Reason, State


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipient before it is placed: who wants to reach it, what its account holder wants, and when that was read."""

    recipient_id: int
    message_id: UUID
    state: State
    attempt: int
    sender: SenderContext
    preference: DeliveryPreferences
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Move:
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


def place(candidate: Candidate, *, hold: bool, grace: timedelta) -> Move:
    """Say where this recipient goes: blocked or failed by its preferences, held, put off, to the inbox, or queued.

    Preferences come before vetting: whom nobody may reach is not held. Quiet hours come after it: staff need not
    wait for them. `grace` is how long the sweep leaves a queued or held recipient to the bell.
    """
    choice = choose_channel(candidate.sender, candidate.preference, now=candidate.read_at)
    if choice.channel is None and choice.state is not None:
        return _move(candidate, choice.state, reason=choice.reason)
    if hold:
        return _move(candidate, State.HELD, reason=Reason.FLAGGED, due_in=grace)
    if choice.state is not None:
        return _move(candidate, choice.state, channel=choice.channel, reason=choice.reason, due_in=choice.wait)
    if choice.channel is Channel.INBOX:
        return _move(candidate, State.DELIVERED, channel=Channel.INBOX)
    return _move(candidate, State.QUEUED, channel=choice.channel, due_in=grace)


def refuse(candidates: Sequence[Candidate], reason: Reason) -> list[Move]:
    """Refuse every one of these recipients for one reason."""
    return [_move(candidate, State.REFUSED, reason=reason) for candidate in candidates]


def _move(
    candidate: Candidate,
    after: State,
    *,
    channel: Channel | None = None,
    reason: Reason | None = None,
    due_in: timedelta | None = None,
) -> Move:
    return Move(
        recipient_id=candidate.recipient_id,
        message_id=candidate.message_id,
        before=candidate.state,
        after=after,
        attempt=candidate.attempt,
        channel=channel,
        reason=reason,
        due_in=due_in,
    )
